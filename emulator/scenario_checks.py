"""What a scenario may not say although every single value of it is fine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from emulator.agent_checks import lost_contradictions
from emulator.linking import link_contradictions
from emulator.rental_checks import rental_contradictions
from emulator.scenario import Scenario
from emulator.start_order import start_contradictions

MAX_SLOTS = 2**32 - 1
"""A message's header counts slots in 32 bits."""

MAX_FLOWS = 2**31
"""Flows (edge from, target, service) of one slot, 16 GiB."""

STAGES = ("stall_s", "ask_again_s", "dump_s", "give_up_s")
"""Deadlines of one slot, in their order."""


def contradictions(scenario: Scenario) -> list[str]:
    """Every contradiction found, one line each: what, where, remedy."""
    if scenario.world == "rental":
        return rental_contradictions(scenario)
    problems = [*_sizes(scenario), *_edges(scenario), *_services(scenario), *_demand(scenario), *_deadlines(scenario)]
    if scenario.rental is not None:
        problems.append('rental: is only read with world = "rental"; set the world or leave the table out')
    problems += [*scheduler_contradictions(scenario), *lost_contradictions(scenario)]
    return [*problems, *link_contradictions(scenario), *start_contradictions(scenario)]


def _sizes(scenario: Scenario) -> Iterator[str]:
    if scenario.slots > MAX_SLOTS:
        yield f"frames: {scenario.frames} frames of {scenario.slots_per_frame} slots are more than {MAX_SLOTS} slots"
    edges, services = scenario.edges.count, scenario.services.count
    if edges * (edges + 1) * services > MAX_FLOWS:
        yield f"edges.count: {edges} edge servers and {services} services are too many for memory; take fewer of one"


def scheduler_contradictions(scenario: Scenario) -> Iterator[str]:
    """Edge servers that schedule for themselves all find the optimum, and so agree without a word."""
    scheduler = scenario.scheduler
    if scheduler.at == "edges" and scheduler.kind != "exact":
        kind = scheduler.kind
        yield f'scheduler.at: edge servers only schedule exactly; set kind = "exact", or at = "cloud" for {kind}'


def _edges(scenario: Scenario) -> Iterator[str]:
    count = scenario.edges.count
    seen: set[int] = set()
    for k, override in enumerate(scenario.edge):
        if override.index >= count:
            yield f"edge[{k}].index: is {override.index}, but edges.count is {count}; indices start at 0"
        if override.index in seen:
            yield f"edge[{k}].index: edge server {override.index} is overridden twice; join the two tables"
        seen.add(override.index)
    matrix = scenario.edges.matrix_bps
    if matrix is not None:
        if len(matrix) != count or any(len(row) != count for row in matrix):
            yield f"edges.matrix_bps: must have {count} rows of {count} rates (edges.count)"
        for k, override in enumerate(scenario.edge):
            if override.link_bps is not None:
                yield f"edge[{k}].link_bps: is not read when edges.matrix_bps is given; set the matrix's column"


def _services(scenario: Scenario) -> Iterator[str]:
    services = scenario.services
    for name in ("size_bytes", "task_bytes", "task_cycles"):
        listed = getattr(services, name)
        if listed is not None and len(listed) != services.count:
            yield f"services.{name}: has {len(listed)} values, but services.count is {services.count}"
        if listed is None and not getattr(services, f"{name}_choices"):
            yield f"services.{name}_choices: is empty; give at least one choice"
    smallest = min(services.size_bytes or services.size_bytes_choices or (0.0,))
    if scenario.edges.storage_bytes < smallest:
        yield (
            f"edges.storage_bytes: {scenario.edges.storage_bytes:g} is smaller than every service "
            f"({smallest:g} bytes at least); nothing could ever be deployed"
        )
    for k, override in enumerate(scenario.edge):
        if override.storage_bytes is not None and override.storage_bytes < smallest:
            yield f"edge[{k}].storage_bytes: {override.storage_bytes:g} is smaller than every service ({smallest:g})"


def _demand(scenario: Scenario) -> Iterator[str]:
    demand = scenario.demand
    if demand.kind == "trace" and not demand.path:
        yield "demand.path: missing; a trace needs the folder that `edgerig import` made"
    if demand.kind == "zipf" and demand.path:
        yield 'demand.path: is only read with kind = "trace"; set the kind or leave the path out'
    if demand.users_min > demand.users_max:
        yield f"demand.users_min: {demand.users_min} is more than users_max ({demand.users_max})"


def descents(stages: Mapping[str, float]) -> Iterator[str]:
    """Stages of a slot that lasts too long (seconds by name, all of ``STAGES``) that come before the one before."""
    for before, after in itertools.pairwise(STAGES):
        if stages[after] < stages[before]:
            yield f"{after}: {stages[after]:g} is less than {before} ({stages[before]:g})"


def _deadlines(scenario: Scenario) -> Iterator[str]:
    stages = {name: getattr(scenario.deadlines, name) for name in STAGES}
    yield from (f"deadlines.{problem}" for problem in descents(stages))
    if scenario.clock == "wall" and scenario.tasks == "queued" and scenario.rate > 1e4:
        yield f'rate: {scenario.rate:g} leaves no time for a slot; use clock = "lockstep"'
