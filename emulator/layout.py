"""Which processes a run consists of, and which nodes each of them hosts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from emulator.scenario import Processes, Scenario

KINDS = ("cell", "edge", "agent")
"""Kinds of nodes of which there is one for each edge server; in the rental world, cells are as many as it says."""


@dataclass(frozen=True)
class Group:
    """A process, and its nodes: count of a kind from an index on (the cloud has none)."""

    name: str
    kind: str
    first: int = 0
    count: int = 0


def groups(scenario: Scenario) -> list[Group]:
    """Processes of a run besides the hub, in the order of starting."""
    plan = [Group("cloud", "cloud")] if scenario.rental is None else []
    for kind in KINDS:
        processes = getattr(scenario.processes, kind) if kind in Processes.__struct_fields__ else 0
        for first, count in shares(count_of(scenario, kind), processes):
            name = f"{kind}-{first}" + (f"-{first + count - 1}" if count > 1 else "")
            plan.append(Group(name, kind, first, count))
    return plan


def count_of(scenario: Scenario, kind: str) -> int:
    """How many nodes of a kind there are."""
    if kind == "cell" and scenario.rental is not None:
        return scenario.rental.users.cells
    return scenario.edges.count


def pool(scenario: Scenario) -> dict[str, int | None]:
    """The names that the hub leases: how many of each kind, None for one without a number."""
    names: dict[str, int | None] = {kind: count_of(scenario, kind) for kind in KINDS}
    if scenario.rental is None:
        names["cloud"] = None
        if scenario.scheduler.at == "cloud":
            names["scheduler"] = None
    return names


def arguments_of(group: Group) -> list[str]:
    """What `edgerig node start KIND` takes for that process."""
    return ["--index", str(group.first), "--count", str(group.count)] if group.count else []


def hosted(scenario: Scenario, kind: str, first: int | None, count: int) -> list[str]:
    """The names that a process hosts; of a kind whose index is not known yet (None) all that it might."""
    if kind == "cloud":
        return ["/cloud", *(["/scheduler"] if scenario.scheduler.at == "cloud" else [])]
    if kind not in KINDS:
        return []
    indices = range(count_of(scenario, kind)) if first is None else range(first, first + count)
    return [f"/{kind}/{index}" for index in indices]


def shares(count: int, processes: int) -> list[tuple[int, int]]:
    """Spread nodes over processes as evenly as can be; 0 processes: one each."""
    processes = min(processes or count, count)
    bounds = [count * k // processes for k in range(processes + 1)]
    return [(a, b - a) for a, b in itertools.pairwise(bounds)]
