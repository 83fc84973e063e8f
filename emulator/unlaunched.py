"""The hub of a run that nobody launched, as in a container: makes the run folder before, and the summary after.

Its processes are started by others (an engine, a person), and come by themselves.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from agents.errors import AgentError
from emulator import run, summary
from emulator.errors import RunFolderError, ScenarioError
from emulator.scenario import Scenario
from emulator.scenario_file import load

UNTIL_STOPPED: Final = 10_000_000
"""Frames of a run without an end: at one slot a second more than a year."""

USAGE: Final = 2


def run_unlaunched(options: argparse.Namespace, start: Callable[[argparse.Namespace], int]) -> int:
    """Run the hub of a new run; returns its exit code.

    Args:
        options: Of `edgerig node start hub`; ``run`` becomes the folder that is made.
        start: Runs the hub in that folder, and returns its exit code.
    """
    started_s = time.monotonic()
    try:
        # Agents come from elsewhere: what their installation lacks they say themselves.
        tell = partial(print, file=sys.stderr)
        scenario = run.prepare(scenario_of(options), on_bus=True, elsewhere=True, tell=tell)
        folder = run.new_folder(scenario, None)
    except (ScenarioError, AgentError, RunFolderError) as error:
        print(error, file=sys.stderr)
        return USAGE
    options.run = str(folder)
    code = start(options)
    document = summary.write(folder, scenario, scenario.clock, time.monotonic() - started_s, code, None)
    print(f"{folder}: {document['slots']} slots, delay {document['delay_s']['mean']:.4f} s", flush=True)
    return int(document["exit_code"])


def scenario_of(options: argparse.Namespace) -> Scenario:
    """The scenario that options or variables ask for.

    Raises: ScenarioError: with every problem found.
    """
    if not options.scenario:
        raise ScenarioError("node start hub: no run; give --scenario NAME (EDGERIG_SCENARIO), or --run FOLDER")
    changes = [f"{key}={text}" for key, text in (("edges.count", options.edges), ("seed", options.seed)) if text]
    scenario = load(options.scenario, [*changes, *options.set.split()])
    if options.agent_spec:
        agent = msgspec.structs.replace(scenario.agent, policy=options.agent_spec)
        scenario = msgspec.structs.replace(scenario, agent=agent)
    if options.frames:
        frames = _number("frames", options.frames, int) or UNTIL_STOPPED
        scenario = msgspec.structs.replace(scenario, frames=int(frames))
    if options.slot_wall_s:
        scenario = _paced(scenario, _number("slot_wall_s", options.slot_wall_s, float))
    return scenario


def _paced(scenario: Scenario, slot_wall_s: float) -> Scenario:
    if slot_wall_s == 0.0:
        return msgspec.structs.replace(scenario, clock="lockstep")
    return msgspec.structs.replace(scenario, clock="wall", rate=scenario.slot_s / slot_wall_s)


def _number(name: str, text: str, kind: type[int | float]) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        variable, option = f"EDGERIG_{name.upper()}", f"--{name.replace('_', '-')}"
        raise ScenarioError(f"{option} (or {variable}) {text}: must be a number, 0 or more")
    return number
