"""Lockstep of one hub and N nodes, by three means: our API, *bare* sockets, and HELICS.

A tick: the hub tells every process; every node says one sample, each to the next node in a ring, and waits for the one
of the node before it; every process acknowledges; the hub goes on when all have.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, cast

from bus.bench_crew import Crew, Line, settle
from bus.bench_rates import Figures, Step, ratio, shuffled

HUB: Final = "hub"
START_S: Final = 90.0
WARM_UP_S: Final = 0.3

MEANS: Final = {
    "edgerig": "bus.bench_lockstep_node:ends",
    "bare": "bus.bench_lockstep_bare:ends",
    "helics": "bus.bench_helics:ends",
}
"""Where each contestant's ``ends`` is: it makes a process's end from its shape and its number (-1: the hub)."""


@dataclass(frozen=True)
class Shape:
    """How many nodes there are, and in how many processes; each process hosts as many."""

    nodes: int
    processes: int

    @property
    def hosted(self) -> int:
        """Nodes of each process."""
        return self.nodes // self.processes

    def nodes_of(self, process: int) -> range:
        """The nodes that a process hosts."""
        return range(process * self.hosted, (process + 1) * self.hosted)

    def before(self, node: int) -> int:
        """Whose sample a node waits for."""
        return (node - 1) % self.nodes

    @property
    def label(self) -> str:
        """As in keys: ``64``, or ``64_by_8`` with 8 nodes in each process."""
        return f"{self.nodes}" if self.hosted == 1 else f"{self.nodes}_by_{self.hosted}"


class End(Protocol):
    """One process's end of a lockstep."""

    def offer(self) -> str:
        """Where it can be reached."""
        ...

    def link(self, offers: Mapping[str, str]) -> None:
        """Connect; the hub returns when everyone is there and the first tick may be given."""
        ...


class Follower(End, Protocol):
    """The end of a process of nodes."""

    def follow(self) -> None:
        """Do as the hub tells, for ever."""
        ...


class Conductor(End, Protocol):
    """The hub's end."""

    def conduct(self, seconds: float) -> int:
        """Give ticks for so long; returns how many were acknowledged by everyone."""
        ...


@dataclass(frozen=True)
class Turn:
    """Ticks, seconds, and CPU seconds of all processes."""

    ticks: int
    seconds: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Ticks a second."""
        return self.ticks / self.seconds


class Lockstep:
    """The processes of one contestant, kept between turns; between them everyone waits for the hub's next tick."""

    def __init__(self, means: str, shape: Shape) -> None:
        self.means = means
        names = [HUB, *(f"node-{k}" for k in range(shape.processes))]
        arguments = {name: (MEANS[means], shape, k - 1) for k, name in enumerate(names)}
        self._crew = Crew(_main, arguments)

    def __enter__(self) -> Self:
        crew = self._crew.__enter__()
        try:
            # HELICS's broker has to be there before the others ask for it: the hub first, then everyone.
            crew.tell("offer", HUB)
            offers = {HUB: crew.hear(HUB, START_S)}
            others = [name for name in crew.names if name != HUB]
            crew.tell("offer", *others)
            offers |= {name: crew.hear(name, START_S) for name in others}
            crew.tell(offers)
            crew.hear(HUB, START_S)
            self.turn(WARM_UP_S)
        except BaseException:
            crew.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._crew.end()

    def turn(self, seconds: float) -> Turn:
        """Let the hub give ticks for so long."""
        before = self._crew.cpu_s()
        self._crew.tell(seconds, HUB)
        ticks, elapsed = self._crew.hear(HUB, START_S + seconds)
        return Turn(ticks, elapsed, self._crew.cpu_s() - before)


def _main(line: Line, where: str, shape: Shape, number: int) -> None:
    """One process."""
    module, name = where.split(":")
    ends: Callable[[Shape, int], Conductor | Follower] = getattr(importlib.import_module(module), name)
    line.word()
    end = ends(shape, number)
    line.answer(end.offer())
    end.link(line.word())
    settle()
    if number >= 0:
        cast("Follower", end).follow()
    line.answer("linked")
    hub = cast("Conductor", end)
    while True:
        seconds = line.word()
        start = time.perf_counter()
        ticks = hub.conduct(seconds)
        line.answer((ticks, time.perf_counter() - start))


def turns(
    means: Sequence[str], shape: Shape, *, rounds: int, seconds: float, seed: int, step: Step
) -> dict[str, list[Turn]]:
    """Let each contestant tick in turns; a turn per round, by contestant."""
    found: dict[str, list[Turn]] = {name: [] for name in means}
    with ExitStack() as stack:
        teams = {}
        for name in means:
            teams[name] = stack.enter_context(Lockstep(name, shape))
            step(f"{name}: {shape.nodes} nodes in {shape.processes} processes are linked")
        for k in range(rounds):
            for name in shuffled(means, seed, k):
                turn = teams[name].turn(seconds)
                found[name].append(turn)
                step(f"lockstep {shape.label}, round {k + 1} of {rounds}: {name} {turn.per_s:,.0f} ticks/s")
    return found


def told(found: Mapping[str, Sequence[Turn]], shape: Shape) -> Figures:
    """The figures of a shape: rates, CPU by node and tick, and ours over each other contestant."""
    figures: Figures = {}
    for name, turns_of_one in found.items():
        cpu_us = [1e6 * turn.cpu_s / turn.ticks / shape.nodes for turn in turns_of_one]
        figures[f"lockstep_ticks_per_s_{shape.label}_{name}"] = statistics.median(turn.per_s for turn in turns_of_one)
        figures[f"lockstep_cpu_us_{shape.label}_{name}"] = statistics.median(cpu_us)
    ours = [turn.per_s for turn in found["edgerig"]]
    for name, turns_of_one in found.items():
        if name != "edgerig":
            figures |= ratio(f"lockstep_over_{name}_{shape.label}", ours, [turn.per_s for turn in turns_of_one])
    return figures


def sample_topic(node: int) -> str:
    """What a node says each tick."""
    return f"/bench/{node}/sample"
