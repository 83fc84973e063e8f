"""`edgerig trial`: a candidate against a baseline, stage by stage, to a verdict."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from agents.errors import AgentError
from bus.client import Client
from bus.credentials import LAUNCHER
from emulator import folder as run_folder
from emulator.cli.finding import asking, find, keys_option
from emulator.cli.progress import tell
from emulator.cli.trainings import clock
from emulator.errors import RunFolderError, ScenarioError
from emulator.scenario import Scenario
from emulator.scenario_file import load as load_scenario
from emulator.trials import answer, several
from emulator.trials.conduct import Driver, Facts, Live, Progress, hold, hold_live
from emulator.trials.episode import Note
from emulator.trials.in_process import InProcess
from emulator.trials.live_state import Line
from emulator.trials.plan import Plan, load
from emulator.trials.rules import Verdict

LINE_EVERY_S = 2.0
HUB_S = 30.0
"""A trial that leads a run does not give it up because its hub is slow for once."""


class Lines:
    """Progress on stderr: a line at each new stage, and at most one every two seconds."""

    def __init__(self, name: str, quiet: bool) -> None:
        self._name, self._quiet = name, quiet
        self._began_s = self._said_s = time.monotonic()
        self._first: int | None = None
        self._stage = ""

    def show(self, progress: Progress) -> None:
        """Show how far the trial is."""
        now_s = time.monotonic()
        if self._first is None:
            self._first, self._began_s = progress.done, now_s
        if self._quiet or (progress.stage == self._stage and now_s - self._said_s < LINE_EVERY_S):
            return
        self._said_s, self._stage = now_s, progress.stage
        played = progress.done - self._first
        left_s = (progress.planned - progress.done) * (now_s - self._began_s) / played if played else None
        eta = clock(left_s) if left_s is not None else "?"
        tell(
            f"{self._name}: stage {progress.stage}, seed {progress.seed}: "
            f"run {progress.done + 1} of {progress.planned} at most, ETA {eta}"
        )


@click.command("trial")
@click.argument("plan", metavar="TRIAL.toml")
@click.option("-o", "--out", type=click.Path(), help="The trial's folder; must not exist.")
@click.option(
    "--resume", type=click.Path(), help="Go on with the trial of this folder, which was interrupted or killed."
)
@click.option("--bus", is_flag=True, help="Processes on the bus, in lockstep: any program, and the real thing.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="The same on the wall clock: simulated seconds a second."
)
@click.option("--hub", metavar="ADDRESS", help="If it would be promoted: go on in the run of this hub, stage by stage.")
@keys_option
@click.option("--json", "as_json", is_flag=True, help="Print trial.json on stdout, nothing else.")
def trial_command(
    plan: str, out: str | None, resume: str | None, bus: bool, rate: float | None, hub: str | None, as_json: bool
) -> int:
    """Hold the trial of TRIAL.toml: shadow, canary, all; promote the candidate or roll it back.

    Of several candidates each has its own trial, in folders 1, 2, ...; trials.json says which one is best.
    """
    if out is not None and resume is not None:
        raise ScenarioError("--out and --resume: give one of them")
    if resume is not None and not Path(resume).is_dir():
        raise RunFolderError(f"{resume}: no such folder; --resume takes the folder of a trial that was interrupted")
    read = load(Path(plan))
    plans = read.each()
    if hub is not None and len(plans) > 1:
        raise ScenarioError(f"{plan}: candidates: a live run takes one; try them without --hub, then name the best")
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(asking(find(hub, None), HUB_S, LAUNCHER)) if hub is not None else None
        alone = _alone(read, run)
        made = [] if alone else [_driver(each, bus=bus or rate is not None, rate=rate, run=run) for each in plans]
        name = f"trial-{read.name}", read.seed_list[0]
        folder = Path(resume) if resume is not None else run_folder.create(out, *name)
        try:
            if alone is not None and run is not None:
                hold_live(alone, folder, _live(alone, run))
                found = answer.write(folder, alone)
            elif read.candidates:
                found = _several(read, made, folder, as_json)
            else:
                driver = made[0](folder)
                hold(driver, folder, Lines(read.name, as_json).show, _live(driver, run) if run is not None else None)
                found = answer.write(folder, driver)
        except KeyboardInterrupt:
            how = f"--hub {hub} " if hub else f"--rate {rate:g} " if rate is not None else "--bus " if bus else ""
            tell(f"interrupted; go on with: edgerig trial {plan} {how}--resume {folder}")
            return 130
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _tell(found, folder)
    return 0


def _several(plan: Plan, made: list[Callable[[Path], Driver]], folder: Path, quiet: bool) -> dict[str, Any]:
    """Hold the trial of each candidate in a folder of its own; the answer over all of them."""
    answers = []
    for number, make in enumerate(made, start=1):
        place = several.folder_of(folder, number)
        place.mkdir(exist_ok=True)
        driver = make(place)
        hold(driver, place, Lines(f"{plan.name}, candidate {number} of {len(made)}", quiet).show)
        answers.append(answer.write(place, driver))
    return several.write(folder, plan, answers)


def _alone(plan: Plan, run: Client | None) -> Facts | None:
    """A trial that plays nothing beside the live run.

    Raises: ScenarioError: it is one, and cannot be held.
    """
    if plan.switchback is None:
        return None
    from emulator.trials.live_only import LiveOnly

    return LiveOnly(plan, None if run is None else _beside(plan, run))


def _driver(plan: Plan, *, bus: bool, rate: float | None, run: Client | None) -> Callable[[Path], Driver]:
    """What holds the trial, once there is a folder; what cannot be held is said before.

    Raises: ScenarioError, AgentError: it cannot.
    """
    if run is not None:
        _check_callable(plan)
    if not bus:
        held = InProcess(plan, None if run is None else _beside(plan, run))
        return lambda _folder: held
    from emulator.trials.on_bus import OnBus

    return OnBus(plan, rate).into


def _check_callable(plan: Plan) -> None:
    """A live run whose agents cannot be called here has no twin.

    Raises: AgentError: it has none.
    """
    from emulator.trials.on_bus import can_be_called

    for spec in (plan.baseline, plan.candidate):
        if not can_be_called(spec):
            raise AgentError(
                f"{plan.name}: {spec} cannot be called in this process, so the live run has no twin; "
                "let both take turns, with [switchback]"
            )


def _beside(plan: Plan, run: Client) -> Scenario:
    """The live run's scenario, as one process plays it."""
    from emulator.trials.rollout import scenario_of

    found = scenario_of(run, load_scenario(plan.scenario, plan.set).name)
    return msgspec.structs.replace(found, clock="lockstep")


def _live(driver: Facts, run: Client) -> Live:
    from emulator.trials.rollout import Rollout, scenario_of

    def lead(note: Note, lines: Sequence[Line]) -> Verdict:
        scenario = scenario_of(run, driver.scenario.name)
        rollout = Rollout(run, driver.trial, scenario, note, tell, lines)
        try:
            return rollout.hold()
        finally:
            stages = [dataclasses.asdict(stage) for stage in rollout.stages]
            driver.live = {"clock": scenario.clock, "seed": scenario.seed, "stages": stages}
            if rollout.blocks is not None:
                driver.live["switchback"] = rollout.blocks.facts

    return lead


def _tell(found: dict[str, Any], folder: Path) -> None:
    click.echo(f"{found['name']}: {found['verdict']}")
    click.echo(f"  {found['sentence']}")
    for number, each in enumerate(found.get("candidates", []), start=1):
        click.echo(f"  {number} {each['verdict']:12} {each['sentence']}")
    click.echo(f"  folder   {folder}")


COMMANDS = [trial_command]
