"""One execution of a rental scenario in this process, from its folder to its summary."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agents import rental_rollout
from agents.policy import per_edge_specs
from agents.rental_policy import observes
from bus.messages import RunStatus
from emulator import summary
from emulator.errors import ScenarioError
from emulator.folder import TABLES, Writer
from emulator.model.rental_ledger import EpisodeRow, RentalEdgeRow, RentalRow, RentalTotals, close_slot
from emulator.rental_plan import rental_of, resolve_rental
from emulator.rental_world import Played, RentalWorld
from emulator.scenario import Scenario

INTERRUPTED = 130
RENTAL_TABLES = {
    "slots.csv": RentalRow._fields,
    "edges.csv": RentalEdgeRow._fields,
    "timing.csv": TABLES["timing.csv"],
}
"""Tables that every run of the rental world has, and their columns."""


def prepare(scenario: Scenario, *, on_bus: bool) -> Scenario:
    """Resolve a rental scenario and check what only the agents know.

    Raises: ScenarioError, AgentError: it cannot be run like this.
    """
    if on_bus:
        raise ScenarioError(f"{scenario.name}: the rental world does not run as processes yet; use `edgerig sim`")
    if scenario.link:
        raise ScenarioError(
            f"{scenario.name}: link: the rental world has no emulated links in one process; leave them out"
        )
    per_edge_specs(scenario.agent.policy, scenario.edges.count, observes)
    return resolve_rental(scenario)


def in_process(scenario: Scenario, folder: Path, on_status: Callable[[RunStatus], None]) -> dict[str, Any]:
    """Run a prepared scenario into a new folder; returns its summary.

    Raises: RunFolderError: a file cannot be written.
    """
    started_s = time.monotonic()
    writer = Writer(folder, RENTAL_TABLES)
    world = RentalWorld(scenario)
    totals = RentalTotals(world.plan.rental.episode_slots)
    decisions: list[float] = []
    refused, code = 0, 0
    try:
        before_s = time.perf_counter()
        for played in rental_rollout.play(scenario, world):
            decisions += played.decision_s
            refused += played.refused
            edges, row = rows_of(played.step)
            for edge in edges:
                writer.add("edges.csv", edge)
            writer.add("slots.csv", row)
            episode = totals.add_slot(row)
            if episode is not None:
                writer.row("episodes.csv", EpisodeRow._fields, episode)
            now_s = time.perf_counter()
            writer.timing((row.slot, 1, now_s - before_s, "", sum(played.decision_s)))
            before_s = now_s
            on_status(_status(scenario, totals, refused))
    except KeyboardInterrupt:
        code = INTERRUPTED
    writer.close()
    rental = world.plan.rental
    spec = {"world": scenario.world, "spec": rental.spec, "zero_delay_bug": rental.zero_delay_bug}
    facts = {**spec, **totals.facts(), "refused": refused, "digest": None, "notes": []}
    wall_s = time.monotonic() - started_s
    return summary.write_rental(folder, scenario, "in-process", wall_s, code, facts, np.array(decisions or [0.0]))


def rows_of(played: Played) -> tuple[list[RentalEdgeRow], RentalRow]:
    """The lines of one slot, of the world's first copy."""
    settled, now = played.settled, played.conditions
    edges = []
    for edge in range(played.units.shape[1]):
        at = 0, edge
        tasks = float(settled.tasks[at])
        edges.append(
            RentalEdgeRow(
                slot=played.slot,
                edge=edge,
                units=int(played.units[at]),
                users_in_range=int(played.observed[0, edge, 1]),
                users=int(settled.users[at]),
                tasks=tasks,
                compute_s=float(settled.compute_s[at]),
                delay_s=float(settled.wait_s[at]) / tasks if tasks else 0.0,
                reward=float(settled.reward[at]),
                bandwidth_mhz=float(now.bandwidth_mhz[at]),
                price=float(now.price[at]),
                remembered_s=float(settled.remembered.delay_s[at]),
            )
        )
    away = (played.requests.edge < 0) & (played.requests.copy == 0)
    cloud = float(played.requests.tasks[away].sum())
    return edges, close_slot(int(played.hours[0]), edges, cloud)


def _status(scenario: Scenario, totals: RentalTotals, refused: int) -> RunStatus:
    return RunStatus(
        "running",
        totals.slots - 1,
        scenario.slots,
        totals.slots - 1,
        totals.delay_s,
        rental_of(scenario).users.cloud_s,
        totals.reward,
        {"edge": totals.tasks, "cloud": totals.cloud},
        0,
        0,
        refused,
        (),
    )
