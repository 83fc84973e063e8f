"""Search over deployments of the whole network: steepest add, drop and swap, and restarts from perturbations.

One driver serves both backends; they differ in who prices the moves, so they make the same ones. A move on one server
touches few services: adding or dropping there changes the share of all that this server deploys (equal split), a swap
changes two. The price of every move is therefore a sum over four small tables (``NumpyMoves``).

Source: ours (docs/decisions/0005): the paper solves this problem by learning; the search is what that is held to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np

from agents.errors import SolverFailed
from emulator.model.offloading import BITS_PER_BYTE, Bools, Floats, FrameCosts, Network, cloud_delay
from emulator.model.scheduling import total_cost

NONE = -1
TOLERANCE = 1e-9
"""Moves that differ by less, relative to the whole cost, are equal: the first is taken, and none that gains less."""

KICKS = 4
"""Random changes between two climbs."""

Kicks = Floats
"""Uniforms in [0, 1) that decide the perturbations, shape (restart, kick, 3): server, service, whom to evict first."""


class Move(NamedTuple):
    """A change on one server; ``NONE`` where nothing leaves or nothing enters.

    Attributes:
        edge: The server; ``NONE`` if no move improves.
        leaves: Service dropped.
        enters: Service added.
        cost_s: Cost of the deployment before the move, task-seconds.
    """

    edge: int
    leaves: int
    enters: int
    cost_s: float


class Moves(Protocol):
    """Prices the moves from a deployment."""

    def steepest(self, deployed: Bools, swaps: bool) -> Move:
        """The move that saves most, of those that fit the storage.

        Args:
            deployed: Shape (edge, service).
            swaps: Whether to exchange services too, not only to add and to drop.
        """
        ...


class Terms(NamedTuple):
    """The numbers the search needs, per service in rows; a service's row is contiguous.

    Attributes:
        tasks: [N_m^j] expected tasks of a slot, shape (service, edge).
        cycles, bits: Work and size of a task, shape (service,).
        compute_hz, link_bps: Of a server, shape (edge,), split over its services.
        leave_s: Transfer part of the sender, shape (service, edge), seconds.
        cloud_s: Delay of the cloud, shape (service, edge), seconds.
        sizes: Storage a service takes, rounded up to whole bytes, shape (service,).
        storage: Of a server, rounded down to whole bytes, shape (edge,).
    """

    tasks: Floats
    cycles: Floats
    bits: Floats
    compute_hz: Floats
    link_bps: Floats
    leave_s: Floats
    cloud_s: Floats
    sizes: Floats
    storage: Floats


def terms_of(network: Network, demand: Floats) -> Terms:
    """The search's form of a network and an expected demand.

    Sums of whole bytes are exact in every order, so what fits here fits on the edge server.

    Args:
        network: The world.
        demand: [N_m^j] tasks, also fractional, shape (edge, service).
    """
    cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)
    bits = BITS_PER_BYTE * network.task_bytes
    return Terms(
        tasks=np.ascontiguousarray(demand.T),
        cycles=network.task_cycles,
        bits=bits,
        compute_hz=network.compute_hz,
        link_bps=network.link_bps,
        leave_s=bits[:, None] / network.uplink_bps,
        cloud_s=np.ascontiguousarray(cloud_s.T),
        sizes=np.ceil(network.service_bytes),
        storage=np.floor(network.storage_bytes),
    )


class NumpyMoves:
    """Prices all moves at once, with one call of the batched solver.

    The tables, each entry the cost of one service's tasks with one server ``n`` changed: *now* (nothing changed),
    *flipped* (``n`` deploys it or no longer does, its count as now), *more* (``n`` deploys it, one service more there)
    and *fewer* (one service fewer there).
    """

    def __init__(self, network: Network, demand: Floats) -> None:
        self._terms = terms_of(network, demand)
        self._matrix_bps = network.link_matrix_bps
        edges = network.edges
        width = (1 + 3 * edges) * network.services
        by_edge = self._terms.tasks.T, self._terms.leave_s.T, self._terms.cloud_s.T
        tiled = (np.broadcast_to(rows[:, None], (edges, 1 + 3 * edges, network.services)) for rows in by_edge)
        self._tasks, self._leave_s, self._cloud_s = (np.ascontiguousarray(rows).reshape(edges, width) for rows in tiled)

    def steepest(self, deployed: Bools, swaps: bool) -> Move:
        """See ``Moves``."""
        tables = self._tables(deployed)
        now, flipped, *_ = tables
        used = np.where(deployed, self._terms.sizes, 0.0).sum(axis=1)
        room = self._terms.storage - used
        change = _flips(deployed, *tables)
        change[~deployed & (self._terms.sizes > room[:, None])] = np.inf
        total = float(now.sum())
        changes = [change.ravel()]
        if swaps:
            moved = flipped - now
            exchange = moved[:, :, None] + moved[:, None, :]
            allowed = deployed[:, :, None] & ~deployed[:, None, :]
            allowed &= self._terms.sizes <= (room[:, None] + self._terms.sizes)[:, :, None]
            changes.append(np.where(allowed, exchange, np.inf).ravel())
        return _chosen(np.concatenate(changes), deployed, total)

    def flips(self, deployed: Bools) -> Floats:
        """What dropping each deployed service, or deploying each other one, would change; whether or not it fits.

        Args:
            deployed: Shape (edge, service).
        Returns: Task-seconds, shape (edge, service); less than 0 where the change saves delay.
        """
        return _flips(deployed, *self._tables(deployed))

    def _tables(self, deployed: Bools) -> tuple[Floats, Floats, Floats, Floats]:
        """Now, shape (service,); flipped, more and fewer, shape (edge, service); task-seconds."""
        edges, services = deployed.shape
        count = deployed.sum(axis=1).astype(np.float64)
        hosts = np.repeat(deployed[:, None], 1 + 3 * edges, axis=1)
        counts = np.repeat(np.maximum(count, 1.0)[:, None], 1 + 3 * edges, axis=1)
        own = np.arange(edges)
        hosts[own, 1 + own] ^= True
        hosts[own, 1 + edges + own] = True
        counts[own, 1 + edges + own] = count + 1.0
        counts[own, 1 + 2 * edges + own] = np.maximum(count - 1.0, 1.0)
        try:
            cost_s = total_cost(self._tasks, self._costs(hosts, counts)).reshape(1 + 3 * edges, services)
        except ValueError as error:
            raise SolverFailed(f"search of a deployment: {error}") from error
        return cost_s[0], cost_s[1 : 1 + edges], cost_s[1 + edges : 1 + 2 * edges], cost_s[1 + 2 * edges :]

    def _costs(self, hosts: Bools, counts: Floats) -> FrameCosts:
        """Seconds per task; hosts of shape (edge, variant, service), counts of shape (edge, variant)."""
        terms, shape = self._terms, self._tasks.shape
        share_hz = (terms.compute_hz[:, None] / counts)[..., None]
        enter_s = terms.bits * (counts / terms.link_bps[:, None])[..., None]
        transfer_s = None
        if self._matrix_bps is not None:
            enter = terms.bits * (counts / self._matrix_bps[:, :, None])[..., None]
            transfer_s = self._leave_s[:, None] + enter.reshape(shape[0], *shape)
            transfer_s[np.arange(shape[0]), np.arange(shape[0])] = 0.0
        return FrameCosts(
            hosts=hosts.reshape(shape),
            compute_s=np.where(hosts, terms.cycles / share_hz, 0.0).reshape(shape),
            leave_s=self._leave_s,
            enter_s=np.where(hosts, enter_s, 0.0).reshape(shape),
            transfer_s=transfer_s,
            cloud_s=self._cloud_s,
        )


def _flips(deployed: Bools, now: Floats, flipped: Floats, more: Floats, fewer: Floats) -> Floats:
    """Changes of the cost by adds and drops, from the four tables: others on the server gain or lose a share."""
    diluted = np.where(deployed, more - now, 0.0).sum(axis=1)
    relieved = np.where(deployed, fewer - now, 0.0)
    add = diluted[:, None] + (more - now)
    drop = relieved.sum(axis=1)[:, None] - relieved + (flipped - now)
    return np.where(deployed, drop, add)


def _chosen(changes: Floats, deployed: Bools, total: float) -> Move:
    """The first of the best changes; adds and drops come before swaps, then by edge and service."""
    slack = TOLERANCE * total
    least = changes.min()
    if not least < -slack:
        return Move(NONE, NONE, NONE, total)
    edges, services = deployed.shape
    at = int(np.argmax(changes <= least + slack))
    if at >= deployed.size:
        edge, leaves, enters = np.unravel_index(at - deployed.size, (edges, services, services))
        return Move(int(edge), int(leaves), int(enters), total)
    edge, service = divmod(at, services)
    if deployed[edge, service]:
        return Move(edge, service, NONE, total)
    return Move(edge, NONE, service, total)


def moves_of(network: Network, demand: Floats, backend: Literal["numpy", "numba"]) -> Moves:
    """Who prices the moves; links given pair by pair are priced by NumPy's columns and the general solver."""
    if backend == "numba" and network.link_matrix_bps is None:
        from agents.search_numba import NumbaMoves

        return NumbaMoves(terms_of(network, demand))
    return NumpyMoves(network, demand)


def climb(moves: Moves, start: Bools, *, swaps: bool) -> tuple[Bools, float]:
    """Take the steepest move until none improves.

    Args:
        moves: Prices.
        start: Shape (edge, service); must fit.
        swaps: Whether to exchange services too.
    Returns: A deployment that no such move improves, shape (edge, service), and its cost, task-seconds.
    Source: ours.
    """
    deployed = start.copy()
    while True:
        edge, leaves, enters, cost_s = moves.steepest(deployed, swaps)
        if edge == NONE:
            return deployed, cost_s
        if leaves != NONE:
            deployed[edge, leaves] = False
        if enters != NONE:
            deployed[edge, enters] = True


def iterate(moves: Moves, starts: Sequence[Bools], kicks: Kicks, network: Network) -> tuple[Bools, float]:
    """Climb from every start, then perturb the best and climb again, once for each row of kicks; keep what is better.

    Args:
        moves: Prices.
        starts: Each of shape (edge, service); must fit. From an empty one the result is never worse than the marginal
            greedy deployment, for adds and drops come before swaps.
        kicks: What to perturb.
        network: Sizes and storage.
    Returns: The best deployment found, shape (edge, service), and its cost, task-seconds.
    Source: ours (iterated local search).
    """
    best, best_s = starts[0], np.inf
    for start in starts:
        found, found_s = climb(moves, climb(moves, start, swaps=False)[0], swaps=True)
        if found_s < best_s * (1.0 - TOLERANCE):
            best, best_s = found, found_s
    for each in kicks:
        found, found_s = climb(moves, perturbed(best, each, network), swaps=True)
        if found_s < best_s * (1.0 - TOLERANCE):
            best, best_s = found, found_s
    return best, best_s


def perturbed(deployed: Bools, kicks: Floats, network: Network) -> Bools:
    """A deployment with random services dropped, or deployed and others evicted until they fit.

    Args:
        deployed: Shape (edge, service).
        kicks: Uniforms, shape (kick, 3).
        network: Sizes and storage.
    Source: ours.
    """
    edges, services = deployed.shape
    changed = deployed.copy()
    sizes, storage = np.ceil(network.service_bytes).tolist(), np.floor(network.storage_bytes).tolist()
    for edge_draw, service_draw, first_draw in kicks.tolist():
        edge, service = int(edge_draw * edges), int(service_draw * services)
        row = changed[edge]
        if row[service] or sizes[service] > storage[edge]:
            row[service] = False
            continue
        room = storage[edge] - sum(sizes[i] for i in np.flatnonzero(row).tolist())
        candidate = int(first_draw * services)
        while room < sizes[service]:
            if row[candidate]:
                row[candidate] = False
                room += sizes[candidate]
            candidate = (candidate + 1) % services
        row[service] = True
    return changed
