"""Options that `run` and `sim` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from emulator.errors import ScenarioError
from emulator.scenario import Scenario
from emulator.scenario_checks import scheduler_contradictions
from emulator.scenario_file import load

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("scenario"),
    click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key, e.g. edges.count=9."),
    click.option("--seed", type=click.IntRange(0), help="Draws arrivals, routing and exploration."),
    click.option("--slots", type=click.IntRange(1), help="How long to run; a multiple of slots_per_frame."),
    click.option("--frames", type=click.IntRange(1), help="How long to run."),
    click.option("--agent", metavar="SPEC", help="Who decides: NAME, NAME:ARGUMENT, or EDGE=SPEC,...,SPEC."),
    click.option(
        "--scheduler",
        metavar="SPEC",
        help="Who schedules: exact, cvxpy, nearest, greedy, ddpg, ddpg:FILE; @edges, @cloud.",
    ),
    click.option("-o", "--out", type=click.Path(), help="The run folder; must not exist."),
    click.option("--json", "as_json", is_flag=True, help="Print summary.json on stdout, nothing else."),
)


def scenario_options(command: F) -> F:
    """Add the shared options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read(
    scenario: str,
    changes: tuple[str, ...],
    seed: int | None,
    slots: int | None,
    frames: int | None,
    agent: str | None,
    scheduler: str | None,
) -> Scenario:
    """Read a scenario and apply what the options say.

    Raises: ScenarioError: with every problem found.
    """
    found = load(scenario, changes)
    if slots is not None and frames is not None:
        raise ScenarioError("--slots and --frames: give one of them")
    if slots is not None:
        if slots % found.slots_per_frame:
            raise ScenarioError(f"--slots {slots}: must be a multiple of slots_per_frame ({found.slots_per_frame})")
        frames = slots // found.slots_per_frame
    if agent is not None:
        found = msgspec.structs.replace(found, agent=msgspec.structs.replace(found.agent, policy=agent))
    if scheduler is not None and found.world == "rental":
        raise ScenarioError(f"--scheduler {scheduler}: the rental world has no scheduler; leave it out")
    if scheduler is not None:
        found = _with_scheduler(found, scheduler)
    changed = {key: value for key, value in (("seed", seed), ("frames", frames)) if value is not None}
    return msgspec.structs.replace(found, **changed)


def _with_scheduler(scenario: Scenario, spec: str) -> Scenario:
    kind, at, place = spec.rpartition("@")
    if not at or (":" in kind and place not in ("edges", "cloud")):  # a file's name may hold an @ of its own
        kind, place = spec, ""
    wanted = {"kind": kind or scenario.scheduler.kind, "at": place or scenario.scheduler.at}
    try:
        scheduler = msgspec.convert({**msgspec.to_builtins(scenario.scheduler), **wanted}, type(scenario.scheduler))
    except msgspec.ValidationError:
        raise ScenarioError(
            f"--scheduler {spec}: no such scheduler; exact, cvxpy, nearest, greedy, ddpg or ddpg:FILE, "
            "with @edges or @cloud"
        ) from None
    found = msgspec.structs.replace(scenario, scheduler=scheduler)
    problems = list(scheduler_contradictions(found))
    if problems:
        raise ScenarioError(*problems)
    return found
