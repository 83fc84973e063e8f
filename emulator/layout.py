"""Which processes a run consists of, and which nodes each of them hosts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from emulator.scenario import Processes, Scenario
from emulator.specs import programs_of

KINDS = ("cell", "edge", "agent")
"""Kinds of nodes of which there is one for each edge server; in the rental world, cells are as many as it says."""


@dataclass(frozen=True)
class Group:
    """A process, and its nodes: count of a kind from an index on (the cloud has none).

    Attributes:
        program: The manifest of the program that it is; empty for processes of ours.
    """

    name: str
    kind: str
    first: int = 0
    count: int = 0
    program: str = ""


def groups(scenario: Scenario) -> list[Group]:
    """Processes of a run besides the hub, in the order of starting."""
    plan = [Group("cloud", "cloud")] if scenario.rental is None else []
    for kind in KINDS:
        processes = getattr(scenario.processes, kind) if kind in Processes.__struct_fields__ else 0
        for first, count in shares(count_of(scenario, kind), processes):
            whole = _group(kind, first, count)
            plan += [whole] if kind != "agent" else _with_programs(scenario, whole)
    return plan


def _group(kind: str, first: int, count: int, program: str = "") -> Group:
    return Group(f"{kind}-{first}" + (f"-{first + count - 1}" if count > 1 else ""), kind, first, count, program)


def _with_programs(scenario: Scenario, group: Group) -> list[Group]:
    """A group of agents, split where some of them are programs, of which each has a process of its own."""
    programs = programs_of(scenario.agent.policy, scenario.edges.count)
    if not programs:
        return [group]
    parts: list[Group] = []
    for edge in range(group.first, group.first + group.count):
        program = str(programs.get(edge, ""))
        last = parts[-1] if parts else None
        if last is not None and not program and not last.program:
            parts[-1] = _group(group.kind, last.first, last.count + 1)
        else:
            parts.append(_group(group.kind, edge, 1, program))
    return parts


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
