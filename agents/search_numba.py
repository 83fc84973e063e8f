"""The moves of a deployment search compiled: ``search.NumpyMoves`` with tables that are kept from step to step.

Only what a move changed is priced again: all servers' entries of the services that gained or lost a host or a share,
and one server's entries where its count changed.

Source: ours; see ``search``.
"""

from __future__ import annotations

import numpy as np

from agents.search import NONE, TOLERANCE, Move, World
from emulator.model.offloading import Bools, Floats
from emulator.model.scheduling_numba import compiled, pooled_service_cost


class NumbaMoves:
    """Prices moves by the compiled pooled solver."""

    def __init__(self, world: World) -> None:
        self._world = world
        services, edges = world.tasks.shape
        self._tables = np.zeros((3, edges, services))
        self._now = np.zeros(services)
        self._seen = np.zeros((edges, services), dtype=np.bool_)
        self._priced = np.zeros(1, dtype=np.bool_)

    def steepest(self, deployed: Bools, swaps: bool) -> Move:
        """See ``search.Moves``."""
        world = self._world
        refresh(world, deployed, self._seen, self._priced, self._now, self._tables)
        return Move(*choose(world.sizes, world.storage, deployed, self._now, self._tables, swaps))


@compiled
def refresh(world: World, deployed: Bools, seen: Bools, priced: Bools, now: Floats, tables: Floats) -> None:
    """Brings the tables from one deployment to another.

    Args:
        world: The search's form of the network.
        deployed: Shape (edge, service).
        seen: What the tables were priced for; becomes ``deployed``.
        priced: Whether they were priced at all, shape (1,).
        now: Cost of each service, shape (service,), task-seconds.
        tables: Flipped, more and fewer, shape (3, edge, service), task-seconds.
    Source: ours; ``search.NumpyMoves``.
    """
    edges, services = deployed.shape
    counts = np.zeros(edges)
    row = np.zeros(edges, dtype=np.bool_)
    column = np.zeros(services, dtype=np.bool_)
    for n in range(edges):
        before = 0.0
        for j in range(services):
            counts[n] += deployed[n, j]
            before += seen[n, j]
        row[n] = counts[n] != before or not priced[0]
        for j in range(services):
            if deployed[n, j] != seen[n, j] or not priced[0] or (row[n] and deployed[n, j]):
                column[j] = True
            seen[n, j] = deployed[n, j]
    priced[0] = True
    hosts = np.empty(edges, dtype=np.bool_)
    rates = np.empty((2, edges))
    for j in range(services):
        if column[j]:
            now[j] = _price(world, deployed, counts, j, NONE, False, 1.0, hosts, rates)
        for n in range(edges):
            if column[j] or row[n]:
                here, count = deployed[n, j], counts[n]
                tables[0, n, j] = _price(world, deployed, counts, j, n, not here, max(count, 1.0), hosts, rates)
                tables[1, n, j] = _price(world, deployed, counts, j, n, True, count + 1.0, hosts, rates)
                if here:
                    tables[2, n, j] = _price(world, deployed, counts, j, n, True, max(count - 1.0, 1.0), hosts, rates)


@compiled
def _price(
    world: World,
    deployed: Bools,
    counts: Floats,
    j: int,
    changed: int,
    here: bool,
    count: float,
    hosts: Bools,
    rates: Floats,
) -> float:
    """Cost of one service with one server changed: whether it hosts, and how many services it splits between."""
    for n in range(len(counts)):
        split = counts[n]
        hosts[n] = deployed[n, j]
        if n == changed:
            hosts[n] = here
            split = count
        if hosts[n]:
            rates[0, n] = 0.5 / (world.cycles[j] / (world.compute_hz[n] / split))
            rates[1, n] = world.bits[j] * (split / world.link_bps[n])
    return pooled_service_cost(world.tasks[j], hosts, rates[0], world.leave_s[j], rates[1], world.cloud_s[j])


@compiled
def choose(
    sizes: Floats, storage: Floats, deployed: Bools, now: Floats, tables: Floats, swaps: bool
) -> tuple[int, int, int, float]:
    """The first of the best moves; adds and drops come before swaps, then by edge and service.

    Args:
        sizes: Shape (service,), whole bytes.
        storage: Shape (edge,), whole bytes.
        deployed: Shape (edge, service).
        now: Cost of each service, shape (service,), task-seconds.
        tables: Flipped, more and fewer, shape (3, edge, service), task-seconds.
        swaps: Whether to exchange services too.
    Returns: The fields of ``search.Move``.
    Source: ours; ``search.NumpyMoves``.
    """
    edges, services = deployed.shape
    total = now.sum()
    slack = TOLERANCE * total
    change = np.full((edges, services), np.inf)
    moved = tables[0] - now
    room = storage.copy()
    least = np.inf
    for n in range(edges):
        diluted, relieved = 0.0, 0.0
        for j in range(services):
            if deployed[n, j]:
                room[n] -= sizes[j]
                diluted += tables[1, n, j] - now[j]
                relieved += tables[2, n, j] - now[j]
        for j in range(services):
            if deployed[n, j]:
                change[n, j] = relieved - (tables[2, n, j] - now[j]) + moved[n, j]
            elif sizes[j] <= room[n]:
                change[n, j] = diluted + (tables[1, n, j] - now[j])
            least = min(least, change[n, j])
    if swaps:
        least = min(least, _swap(sizes, room, deployed, moved, -np.inf)[3])
    if not least < -slack:
        return NONE, NONE, NONE, total
    for n in range(edges):
        for j in range(services):
            if change[n, j] <= least + slack:
                return (n, j, NONE, total) if deployed[n, j] else (n, NONE, j, total)
    n, leaves, enters, _ = _swap(sizes, room, deployed, moved, least + slack)
    return n, leaves, enters, total


@compiled
def _swap(sizes: Floats, room: Floats, deployed: Bools, moved: Floats, enough: float) -> tuple[int, int, int, float]:
    """The first swap that changes the cost by at most ``enough``, else the best: server, out, in, change."""
    edges, services = deployed.shape
    best = (NONE, NONE, NONE, np.inf)
    for n in range(edges):
        for i in range(services):
            if deployed[n, i]:
                for j in range(services):
                    if not deployed[n, j] and sizes[j] <= room[n] + sizes[i]:
                        change = moved[n, i] + moved[n, j]
                        if change < best[3]:
                            best = (n, i, j, change)
                            if change <= enough:
                                return best
    return best
