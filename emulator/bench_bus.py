"""How fast the bus is, against what else a Python program could use; the groups of `edgerig bench bus`.

Wires measurements of bus and monitoring together. What is compared with what: docs/benchmarks.md.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Final

from bus import bench_counters, bench_joins, bench_lockstep, bench_overload, bench_rates
from bus.bench_contest import CONTESTANTS, OURS
from bus.bench_lockstep import MEANS, Shape
from emulator import bench_node

Figures = dict[str, Any]
Progress = Callable[[str], None]

EXTRAS: Final = {"zenoh": "eclipse-zenoh", "helics": "helics"}
"""Peers that the `dev` extra brings: module and distribution."""

VERSIONS: Final = ("pyzmq", "msgspec", "eclipse-zenoh", "helics")


SHAPES: Final = (Shape(8, 8), Shape(32, 32), Shape(64, 64), Shape(64, 8))
"""Of lockstep: nodes and the processes that host them."""


CUTS: Final = 10
"""How often the link of the reliable topic in trouble is cut."""


class ExtraMissing(Exception):
    """A peer was asked for by name that is not installed; the text says how to get it."""


@dataclass(frozen=True)
class Options:
    """How much to measure.

    Attributes:
        rounds: Turns of each contestant. seconds: How long a flood lasts. pings: Round trips a turn.
        shapes: Of lockstep. turn_s: How long each ticks at a turn.
        overload: Messages of the reliable topic in trouble. joins: Late joiners.
        blocks: Of messages with and without counting. scrapes: Of each process of a run.
        seed: Of the order of the turns.
    """

    rounds: int = 7
    seconds: float = 0.6
    pings: int = 2000
    shapes: tuple[Shape, ...] = SHAPES
    turn_s: float = 1.5
    overload: int = 20_000
    joins: int = 10_000
    blocks: int = 600
    scrapes: int = 30
    seed: int = 1


QUICK: Final = Options(rounds=3, seconds=0.3, pings=500, turn_s=0.5, overload=4_000, joins=500, blocks=100, scrapes=5)


def _say(text: str) -> None:
    sys.stderr.write(f"bench bus: {text}\n")


class Steps:
    """Tells each step with the time that is left: what the groups to come should take, at the pace so far."""

    def __init__(self, due_s: Mapping[str, float], steps: Mapping[str, int], progress: Progress) -> None:
        self._due_s = dict(due_s)
        self._steps = dict(steps)
        self._progress = progress
        self._group = ""
        self._done = 0
        self._spent_s = 0.0
        self._start_s = time.monotonic()

    def begin(self, group: str) -> None:
        """The steps to come are this group's."""
        self._spent_s += self._due_s.get(self._group, 0.0)
        self._group, self._done = group, 0

    def __call__(self, text: str) -> None:
        """One step is done."""
        self._done += 1
        part = min(1.0, self._done / self._steps[self._group])
        passed_s = self._spent_s + part * self._due_s[self._group]
        pace = (time.monotonic() - self._start_s) / passed_s
        self._progress(f"{text} (about {pace * (sum(self._due_s.values()) - passed_s):.0f} s left)")


@dataclass(frozen=True)
class Group:
    """Rows that are measured together.

    Attributes:
        measure: Takes the options, the contestants that are there, and what to call after each step.
        steps: How many steps that will be.
        due_s: Seconds that it takes on two quiet cores, about; it only tells how long the rest will last.
    """

    measure: Callable[[Options, Sequence[str], Progress], Figures]
    steps: Callable[[Options, Sequence[str]], int]
    due_s: Callable[[Options, int], float]


def _one_to_one(options: Options, names: Sequence[str], step: Progress) -> Figures:
    return _floods(1, options, names, step)


def _one_to_eight(options: Options, names: Sequence[str], step: Progress) -> Figures:
    return _floods(8, options, names, step)


def _floods(receivers: int, options: Options, names: Sequence[str], step: Progress) -> Figures:
    found = bench_rates.floods(
        _peers(names), receivers, rounds=options.rounds, seconds=options.seconds, seed=options.seed, step=step
    )
    return dict(bench_rates.told_floods(found, receivers))


def _curve(options: Options, names: Sequence[str], step: Progress) -> Figures:
    found = bench_rates.floods(
        list(OURS), 1, rounds=options.rounds, seconds=options.seconds, seed=options.seed, step=step
    )
    return dict(bench_rates.told_keys(found))


def _curve_steps(options: Options, names: Sequence[str]) -> int:
    return (1 + options.rounds) * len(OURS)


def _rtt(options: Options, names: Sequence[str], step: Progress) -> Figures:
    found = bench_rates.pings(_peers(names), rounds=options.rounds, count=options.pings, seed=options.seed, step=step)
    return dict(bench_rates.told_pings(found))


def _joins(options: Options, names: Sequence[str], step: Progress) -> Figures:
    return dict(bench_joins.measure(options.joins, step))


def _join_steps(options: Options, names: Sequence[str]) -> int:
    return math.ceil(options.joins / bench_joins.BATCH)


def _overload(options: Options, names: Sequence[str], step: Progress) -> Figures:
    return dict(bench_overload.measure(options.overload, CUTS, options.seed, step))


def _overload_steps(options: Options, names: Sequence[str]) -> int:
    return CUTS + 1


def _counters(options: Options, names: Sequence[str], step: Progress) -> Figures:
    return dict(bench_counters.measure(options.blocks, step))


def _scrape(options: Options, names: Sequence[str], step: Progress) -> Figures:
    return bench_node.scrapes(options.scrapes, options.seed, step)


def _memory(options: Options, names: Sequence[str], step: Progress) -> Figures:
    return bench_node.memory(step)


def _one(options: Options, names: Sequence[str]) -> int:
    return 1


def _lockstep(options: Options, names: Sequence[str], step: Progress) -> Figures:
    figures: Figures = {}
    for shape in options.shapes:
        found = bench_lockstep.turns(
            _means(names, shape), shape, rounds=options.rounds, seconds=options.turn_s, seed=options.seed, step=step
        )
        figures |= bench_lockstep.told(found, shape)
    return figures


def _means(names: Sequence[str], shape: Shape) -> list[str]:
    """Who takes part in a lockstep of that shape: HELICS's federates host one node each."""
    return [name for name in names if name in MEANS and (name != "helics" or shape.hosted == 1)]


def _lockstep_steps(options: Options, names: Sequence[str]) -> int:
    return sum((1 + options.rounds) * len(_means(names, shape)) for shape in options.shapes)


def _turns(options: Options, names: Sequence[str]) -> int:
    return (1 + options.rounds) * len(_peers(names))


def _peers(names: Sequence[str]) -> list[str]:
    """Who sends messages as fast as it can."""
    return [name for name in names if name in CONTESTANTS]


GROUPS: Final = {
    "1to1": Group(_one_to_one, _turns, lambda options, steps: steps * (options.seconds + 0.3)),
    "1to8": Group(_one_to_eight, _turns, lambda options, steps: steps * (options.seconds + 0.6)),
    "rtt": Group(_rtt, _turns, lambda options, steps: steps * (options.pings * 1e-4 + 0.3)),
    "overload": Group(_overload, _overload_steps, lambda options, _: 3.0 + options.overload * 6e-4),
    "joins": Group(_joins, _join_steps, lambda options, _: options.joins * 5e-3),
    "lockstep": Group(_lockstep, _lockstep_steps, lambda options, steps: steps * (options.turn_s + 2.0)),
    "counters": Group(_counters, _one, lambda options, _: options.blocks * 15e-3),
    "scrape": Group(_scrape, _one, lambda options, _: 6.0 + options.scrapes * 0.4),
    "curve": Group(_curve, _curve_steps, lambda options, steps: steps * (options.seconds + 0.3)),
    "memory": Group(_memory, _one, lambda _options, _steps: 2.0),
}


def run(
    options: Options, only: Sequence[str] = (), contestants: Sequence[str] = (), progress: Progress = _say
) -> Figures:
    """Measure.

    Args:
        options: How much.
        only: Groups; all, if none is named.
        contestants: Whom to compare us with, all that are installed, if none is named.
        progress: Is told each step.
    Returns: The figures, ``not_measured`` (what and why), and where and with what they were taken.
    Raises: ExtraMissing: a contestant is asked for by name and is not installed.
    """
    missing = {name: f"{dist} is not installed" for name, dist in EXTRAS.items() if find_spec(name) is None}
    for name in missing:
        if name in contestants:
            raise ExtraMissing(f"{missing[name]}: pip install 'edgerig[dev]' brings it")
    names = [name for name in dict.fromkeys((*CONTESTANTS, *MEANS)) if name not in missing]
    if contestants:
        names = [name for name in names if name in {"edgerig", *contestants}]
    groups = {name: group for name, group in GROUPS.items() if name in (only or GROUPS)}
    counts = {name: max(1, group.steps(options, names)) for name, group in groups.items()}
    steps = Steps({name: group.due_s(options, counts[name]) for name, group in groups.items()}, counts, progress)
    figures: Figures = {}
    for name, group in groups.items():
        steps.begin(name)
        figures |= group.measure(options, names, steps)
    return figures | {"not_measured": missing, **_where(options)}


def _where(options: Options) -> Figures:
    """What must be known to judge the figures."""
    versions = {name: metadata.version(name) for name in VERSIONS if _is_installed(name)}
    return {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "machine": {
            "processors": os.cpu_count(),
            "load_1min": os.getloadavg()[0],
            "platform": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": versions,
    }


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
