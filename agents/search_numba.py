"""The moves of a deployment search compiled: ``search.NumpyMoves`` with tables that are kept from step to step.

Only what a move changed is priced again: all servers' entries of the services that gained or lost a host or a share,
and one server's entries where its count changed.

Source: ours; see ``search``.
"""

from __future__ import annotations

import numpy as np

from agents.search import NONE, TOLERANCE, Move, Terms
from emulator.model.offloading import Bools, Floats
from emulator.model.scheduling_numba import compiled, pooled_service_cost


class NumbaMoves:
    """Prices moves by the compiled pooled solver."""

    def __init__(self, terms: Terms) -> None:
        services, edges = terms.tasks.shape
        self._terms = terms
        # Plain arrays: a cached signature with a class of ours would not survive that class being renamed.
        self._cells = np.stack([terms.tasks, terms.leave_s, terms.cloud_s], axis=1)
        self._task = np.stack([terms.cycles, terms.bits], axis=1)
        self._rates = np.stack([terms.compute_hz, terms.link_bps])
        self._now = np.zeros(services)
        self._tables = np.zeros((3, edges, services))
        self._seen = np.zeros((edges, services), dtype=np.bool_)
        self._priced = np.zeros(1, dtype=np.bool_)

    def steepest(self, deployed: Bools, swaps: bool) -> Move:
        """See ``search.Moves``."""
        stale = changed(deployed, self._seen, self._priced)
        refresh(self._cells, self._task, self._rates, deployed, *stale, self._now, self._tables)
        sizes, storage = self._terms.sizes, self._terms.storage
        return Move(*choose(sizes, storage, deployed, self._now, self._tables, swaps))


@compiled
def changed(deployed: Bools, seen: Bools, priced: Bools) -> tuple[Floats, Bools, Bools]:
    """What has to be priced again between one deployment and the next.

    Args:
        deployed: Shape (edge, service).
        seen: What the tables were priced for, the same shape; becomes ``deployed``.
        priced: Whether they were priced at all, shape (1,); becomes true.
    Returns: Services by server, shape (edge,); servers whose count changed, shape (edge,); services that gained or
        lost a host or a share, shape (service,).
    Source: ours.
    """
    edges, services = deployed.shape
    counts = np.zeros(edges)
    servers = np.zeros(edges, dtype=np.bool_)
    columns = np.zeros(services, dtype=np.bool_)
    for n in range(edges):
        before = 0.0
        for j in range(services):
            counts[n] += deployed[n, j]
            before += seen[n, j]
        servers[n] = counts[n] != before or not priced[0]
        for j in range(services):
            if deployed[n, j] != seen[n, j] or not priced[0] or (servers[n] and deployed[n, j]):
                columns[j] = True
            seen[n, j] = deployed[n, j]
    priced[0] = True
    return counts, servers, columns


@compiled
def refresh(
    cells: Floats,
    task: Floats,
    rates: Floats,
    deployed: Bools,
    counts: Floats,
    servers: Bools,
    columns: Bools,
    now: Floats,
    tables: Floats,
) -> None:
    """Prices again what ``changed`` found.

    Args:
        cells: Tasks, sender's part of the transfer and delay of the cloud, shape (service, 3, edge).
        task: Cycles and bits of a task, shape (service, 2).
        rates: Compute and link of a server, shape (2, edge).
        deployed: Shape (edge, service).
        counts: Services by server, shape (edge,).
        servers: Whose entries are stale, shape (edge,).
        columns: Services whose entries are all stale, shape (service,).
        now: Cost of each service, shape (service,), task-seconds.
        tables: Flipped, more and fewer, shape (3, edge, service), task-seconds.
    Source: ours; ``search.NumpyMoves``.
    """
    edges, services = deployed.shape
    hosts = np.empty(edges, dtype=np.bool_)
    split = np.maximum(counts, 1.0)
    pace = np.empty((2, edges))
    for j in range(services):
        for n in range(edges):
            hosts[n] = deployed[n, j]
        if columns[j]:
            now[j] = _price(cells[j], task[j], rates, hosts, split, pace)
        for n in range(edges):
            if columns[j] or servers[n]:
                here = hosts[n]
                hosts[n] = not here
                tables[0, n, j] = _price(cells[j], task[j], rates, hosts, split, pace)
                hosts[n] = True
                split[n] = counts[n] + 1.0
                tables[1, n, j] = _price(cells[j], task[j], rates, hosts, split, pace)
                if here:
                    split[n] = max(counts[n] - 1.0, 1.0)
                    tables[2, n, j] = _price(cells[j], task[j], rates, hosts, split, pace)
                hosts[n] = here
                split[n] = max(counts[n], 1.0)


@compiled
def _price(cells: Floats, task: Floats, rates: Floats, hosts: Bools, split: Floats, pace: Floats) -> float:
    """Cost of one service, by who hosts it and how many services each server splits between, task-seconds."""
    for n in range(len(hosts)):
        if hosts[n]:
            pace[0, n] = 0.5 / (task[0] / (rates[0, n] / split[n]))
            pace[1, n] = task[1] * (split[n] / rates[1, n])
    return pooled_service_cost(cells[0], hosts, pace[0], cells[1], pace[1], cells[2])


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
    change = np.empty((edges, services))
    _flips(deployed, now, tables, change)
    moved = tables[0] - now
    room = storage.copy()
    least = np.inf
    for n in range(edges):
        for j in range(services):
            if deployed[n, j]:
                room[n] -= sizes[j]
        for j in range(services):
            if not deployed[n, j] and sizes[j] > room[n]:
                change[n, j] = np.inf
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


@compiled
def slot_flips(
    tasks: Floats, leave_s: Floats, cloud_s: Floats, task: Floats, rates: Floats, deployed: Bools
) -> tuple[Floats, Floats]:
    """What ``search.NumpyMoves.flips`` tells of one slot, for many slots under one deployment.

    Args:
        tasks: Shape (slot, service, edge).
        leave_s, cloud_s: Sender's part of the transfer and delay of the cloud, shape (service, edge), seconds.
        task: Cycles and bits of a task, shape (service, 2).
        rates: Compute and link of a server, shape (2, edge).
        deployed: Shape (edge, service).
    Returns: Changes by dropping what is deployed and deploying what is not, shape (slot, edge, service), and the cost
        as it is, shape (slot,); task-seconds.
    Source: ours; ``search.NumpyMoves``.
    """
    slots, services, edges = tasks.shape
    changes, cost_s = np.empty((slots, edges, services)), np.empty(slots)
    servers, columns = np.ones(edges, dtype=np.bool_), np.ones(services, dtype=np.bool_)
    counts, cells = np.zeros(edges), np.empty((services, 3, edges))
    for n in range(edges):
        for j in range(services):
            counts[n] += deployed[n, j]
    cells[:, 1], cells[:, 2] = leave_s, cloud_s
    now, tables = np.zeros(services), np.zeros((3, edges, services))
    for slot in range(slots):
        cells[:, 0] = tasks[slot]
        refresh(cells, task, rates, deployed, counts, servers, columns, now, tables)
        _flips(deployed, now, tables, changes[slot])
        cost_s[slot] = now.sum()
    return changes, cost_s


@compiled
def _flips(deployed: Bools, now: Floats, tables: Floats, change: Floats) -> None:
    """Fills in the changes of the cost by each drop and add, shape (edge, service)."""
    edges, services = deployed.shape
    for n in range(edges):
        diluted, relieved = 0.0, 0.0
        for j in range(services):
            if deployed[n, j]:
                diluted += tables[1, n, j] - now[j]
                relieved += tables[2, n, j] - now[j]
        for j in range(services):
            if deployed[n, j]:
                change[n, j] = relieved - (tables[2, n, j] - now[j]) + (tables[0, n, j] - now[j])
            else:
                change[n, j] = diluted + (tables[1, n, j] - now[j])
