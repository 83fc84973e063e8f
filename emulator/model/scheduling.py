"""The optimal schedule of one slot (P4): which part of each cell's tasks every server, and the cloud, serves.

Per service a separable convex transport problem. Loads of hosting servers are unique, flows are not; those given here
are deterministic. Any flows carry their own proof: ``certificate_gap`` bounds their distance to the optimum.

A task that has nowhere to go (no host, no cloud) has flow 0 and cost 0, and its cell's row of shares says cloud: the
caller drops it.

Source: TTOSC P4, in flow form.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emulator.model import scheduling_general as general
from emulator.model import scheduling_pooled as pooled
from emulator.model.offloading import (
    BITS_PER_BYTE,
    Bools,
    Floats,
    FrameCosts,
    Network,
    cloud_delay,
    equal_share,
    frame_costs,
)

Backend = Literal["numpy", "numba", "auto"]
Indices = NDArray[np.uint16]
SparseShares = tuple[Indices, Indices, Indices, Floats]
"""Service, source, target and share of each entry."""


@dataclass(frozen=True, slots=True, eq=False)
class SlotSchedule:
    """An optimal schedule of one slot.

    Attributes:
        flow: [x_mn] tasks by origin and target, shape (edge from, target, service), the cloud last.
        load: [L_n] tasks served by each server, shape (edge, service).
        cost_s: Total delay of each service's tasks, shape (service,), task-seconds.
    """

    flow: Floats
    load: Floats
    cost_s: Floats


def resolve_backend(backend: Backend) -> Literal["numpy", "numba"]:
    """The backend that ``auto`` means here: numba where it is installed.

    Args:
        backend: ``numpy``, ``numba`` or ``auto``.
    Returns: ``numpy`` or ``numba``.
    Raises: ValueError: no such backend.
    Source: ours: a run records what it resolved to, since the last bits may differ.
    """
    if backend == "auto":
        return "numba" if importlib.util.find_spec("numba") else "numpy"
    if backend not in ("numpy", "numba"):
        raise ValueError(f"scheduler backend {backend!r}: choose numpy, numba or auto")
    return backend


def solve(
    tasks: Floats, costs: FrameCosts, *, backend: Backend = "numpy", form: pooled.PooledCosts | None = None
) -> SlotSchedule:
    """The optimal schedule of one slot.

    Args:
        tasks: [N_m^j] tasks that arrived, at least 0, not necessarily whole, shape (edge, service), float64.
        costs: Seconds per task of the frame's deployment; ``compute_s`` more than 0 where hosted, transfer finite.
        backend: ``numpy``, ``numba`` (needs the extra ``fast``; the same results within 1e-12) or ``auto``.
        form: ``pooled_form(costs)`` where the caller keeps it for all slots of a frame; only numpy reads it.
    Returns: Flows, loads and costs.
    Raises: ValueError: the general solver missed its tolerance, or the backend is unknown.
    Source: TTOSC P4; exact when the transfer is pooled.
    """
    if costs.transfer_s is not None:
        return _solve_matrix(tasks, costs, backend)
    if resolve_backend(backend) == "numba":
        return _solve_compiled(tasks, costs)[0]
    cells = form or pooled_form(costs)
    flows = pooled.pool(tasks, cells)
    if costs.cloud_s.max() > pooled.FAR_S:
        flows.cloud[np.isinf(costs.cloud_s)] = 0.0
    return SlotSchedule(pooled.pool_flow(flows), flows.keep + flows.taken, pooled.pool_cost(cells, flows))


def solve_shares(
    tasks: Floats, costs: FrameCosts, *, backend: Backend = "numpy", form: pooled.PooledCosts | None = None
) -> tuple[SlotSchedule, Floats]:
    """The optimal schedule of one slot and its shares, in one step.

    Args:
        tasks: As for ``solve``.
        costs: As for ``solve``.
        backend: As for ``solve``; numba fills in the shares on its way.
        form: As for ``solve``.
    Returns: The schedule, and the shares as ``shares`` gives them.
    Raises: ValueError: as ``solve``.
    Source: TTOSC P4.
    """
    if costs.transfer_s is None and resolve_backend(backend) == "numba":
        return _solve_compiled(tasks, costs)
    schedule = solve(tasks, costs, backend=backend, form=form)
    return schedule, shares(tasks, schedule.flow, costs.hosts)


def _solve_compiled(tasks: Floats, costs: FrameCosts) -> tuple[SlotSchedule, Floats]:
    from emulator.model import scheduling_numba

    edges, services = tasks.shape
    schedule = SlotSchedule(np.zeros((edges, edges + 1, services)), np.empty((edges, services)), np.empty(services))
    split = np.zeros((edges, edges + 1, services))
    scheduling_numba.solve_pooled(
        tasks,
        costs.hosts,
        costs.compute_s,
        costs.leave_s,
        costs.enter_s,
        costs.cloud_s,
        schedule.load,
        schedule.cost_s,
        schedule.flow,
        split,
    )
    return schedule, split


def _solve_matrix(tasks: Floats, costs: FrameCosts, backend: Backend) -> SlotSchedule:
    transfer_s = transfer_seconds(costs)
    if resolve_backend(backend) == "numba":
        from emulator.model import scheduling_general_numba

        edges, services = tasks.shape
        flow, gap = np.zeros((edges, edges + 1, services)), np.empty(services)
        scheduling_general_numba.solve_matrix(tasks, costs.hosts, costs.compute_s, transfer_s, costs.cloud_s, flow, gap)
    else:
        by_service, gap = general.solve_general(general.problem(tasks, costs, transfer_s))
        flow = np.ascontiguousarray(by_service.transpose(1, 2, 0))
    if not gap.max(initial=0.0) <= general.REQUIRED_GAP:  # also where it is not a number
        worst = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
        raise ValueError(f"scheduling: service {worst} has gap {gap[worst]:.1e}, more than {general.REQUIRED_GAP:.0e}")
    return SlotSchedule(flow, flow[:, :-1].sum(axis=0), schedule_cost(flow, costs))


def pooled_form(costs: FrameCosts) -> pooled.PooledCosts:
    """The pooled solver's form of a frame's costs.

    Args:
        costs: Seconds per task; the transfer is pooled.
    Returns: What every slot of the frame can be solved with.
    Source: TTOSC P4 in flow form.
    """
    return pooled.pooled_costs(costs.hosts, costs.compute_s, costs.leave_s, costs.enter_s, costs.cloud_s)


def total_cost(tasks: Floats, costs: FrameCosts) -> Floats:
    """Total delay of each service's tasks under the optimal schedule, without the schedule.

    Args:
        tasks: [N_m^j] shape (edge, service).
        costs: Seconds per task.
    Returns: Task-seconds, shape (service,).
    Source: TTOSC P4, its optimum.
    """
    if costs.transfer_s is not None:
        return solve(tasks, costs, backend="auto").cost_s
    cells = pooled_form(costs)
    flows = pooled.pool(tasks, cells)
    flows.cloud[np.isinf(costs.cloud_s)] = 0.0
    return pooled.pool_cost(cells, flows)


def shares(tasks: Floats, flow: Floats, hosts: Bools) -> Floats:
    """The part of each cell's tasks that goes to each target.

    Args:
        tasks: [N_m^j] shape (edge, service).
        flow: [x_mn] shape (edge from, target, service), the cloud last.
        hosts: Shape (edge, service).
    Returns: [p_mn^j] shape (edge from, target, service); every row sums to 1. A row without tasks says local if
        hosted, else cloud; a row whose tasks have nowhere to go says cloud.
    Source: TTOSC section II.C; the rows without tasks are ours.
    """
    edges, _, services = flow.shape
    total = flow.sum(axis=1)
    empty = total <= 0.0
    split = flow / np.where(empty, 1.0, total)[:, None]
    local = empty & hosts  # tasks that have nowhere to go are at no host
    split.reshape(-1, services)[:: edges + 2] += local
    split[:, -1] += empty > local
    return split


def transfer_seconds(costs: FrameCosts) -> Floats:
    """Seconds from every server into every server.

    Args:
        costs: Seconds per task.
    Returns: [a_mn] shape (edge from, edge to, service), diagonal 0.
    Source: TTOSC eq. (4), first term.
    """
    if costs.transfer_s is not None:
        return costs.transfer_s
    edges = len(costs.hosts)
    seconds = costs.leave_s[:, None] + costs.enter_s[None]
    seconds[np.arange(edges), np.arange(edges)] = 0.0
    return seconds


def schedule_cost(flow: Floats, costs: FrameCosts) -> Floats:
    """Total delay of each service's tasks under any schedule.

    Args:
        flow: [x_mn] tasks, shape (edge from, target, service), the cloud last.
        costs: Seconds per task.
    Returns: Task-seconds, shape (service,).
    Source: TTOSC eq. (4)-(6), times N_m and summed over m.
    """
    inside, cloud = flow[:, :-1], flow[:, -1]
    load = inside.sum(axis=0)
    sent_up = np.multiply(cloud, costs.cloud_s, out=np.zeros_like(cloud), where=cloud > 0.0)
    cost = (transfer_seconds(costs) * inside).sum(axis=(0, 1))
    return cost + (costs.compute_s * load * load + sent_up).sum(axis=0)


def dual_value(tasks: Floats, costs: FrameCosts, load: Floats) -> Floats:
    """A lower bound on the cost of every schedule.

    Args:
        tasks: [N_m^j] shape (edge, service).
        costs: Seconds per task.
        load: [L_n^j] any loads, shape (edge, service); the bound is tight at the optimal ones.
    Returns: Task-seconds, shape (service,); cells whose tasks have nowhere to go add nothing.
    Source: ours: ``g(pi) = sum_m N_m min(c_m, min_n(a_mn + pi_n)) - sum_n k_n pi_n^2 / 2`` at ``pi = L / k``.
    """
    price = 2.0 * costs.compute_s * load
    reach = np.where(costs.hosts[None], transfer_seconds(costs) + price[None], np.inf).min(axis=1)
    source = np.minimum(reach, costs.cloud_s)
    paid = np.multiply(tasks, source, out=np.zeros_like(source), where=np.isfinite(source))
    return (paid - costs.compute_s * load * load).sum(axis=0)


def certificate_gap(tasks: Floats, costs: FrameCosts, schedule: SlotSchedule) -> Floats:
    """How far a schedule can be from the optimum.

    Args:
        tasks: [N_m^j] shape (edge, service).
        costs: Seconds per task.
        schedule: Feasible flows.
    Returns: Cost of the flows less the dual bound at their own loads, shape (service,), task-seconds.
    Source: ours: weak duality; primal and dual are both computed from the flows.
    """
    load = schedule.flow[:, :-1].sum(axis=0)
    return schedule_cost(schedule.flow, costs) - dual_value(tasks, costs, load)


def deployment_costs(network: Network, demand: Floats, deployments: Bools, *, cloud: bool = True) -> Floats:
    """Total delay of a slot's tasks under each of many deployments, each scheduled optimally.

    Args:
        network: The world.
        demand: [N_m^j] tasks, also fractional, shape (edge, service).
        deployments: [d_m^j] shape (batch, edge, service).
        cloud: Whether there is a cloud.
    Returns: Task-seconds over all services, shape (batch,).
    Source: TTOSC P4, its optimum; marginals of a deployment are differences of these.
    """
    if network.link_matrix_bps is not None:
        each = (total_cost(demand, frame_costs(network, deployed, cloud=cloud)).sum() for deployed in deployments)
        return np.fromiter(each, dtype=np.float64, count=len(deployments))
    batch, edges, services = deployments.shape
    count = deployments.sum(axis=-1).astype(np.float64)
    share_hz = equal_share(network.compute_hz, deployments)
    compute_s = np.divide(network.task_cycles, share_hz, out=np.zeros(deployments.shape), where=deployments)
    task_bits = BITS_PER_BYTE * network.task_bytes
    enter_s = np.where(deployments, task_bits * (count / network.link_bps)[..., None], 0.0)
    leave_s = task_bits / network.uplink_bps[:, None]
    cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)
    if not cloud:
        cloud_s = np.full_like(cloud_s, np.inf)

    def columns(values: Floats) -> Floats:
        full = np.broadcast_to(values, (batch, edges, services))
        return np.ascontiguousarray(full.swapaxes(0, 1)).reshape(edges, batch * services)

    hosts = np.ascontiguousarray(deployments.swapaxes(0, 1)).reshape(edges, batch * services)
    cells = pooled.pooled_costs(hosts, columns(compute_s), columns(leave_s), columns(enter_s), columns(cloud_s))
    flows = pooled.pool(columns(demand), cells)
    if not cloud:
        flows.cloud[:] = 0.0
    return pooled.pool_cost(cells, flows).reshape(batch, services).sum(axis=1)


def to_sparse(split: Floats, tasks: Floats) -> SparseShares:
    """The shares that say anything, for the wire.

    Args:
        split: [p_mn^j] shape (edge from, target, service).
        tasks: [N_m^j] shape (edge, service).
    Returns: The positive shares of rows with tasks, ordered by service, source and target.
    Source: ours: most of the dense array is 0 or belongs to rows without tasks.
    """
    by_service = np.where((tasks > 0.0)[:, None], split, 0.0).transpose(2, 0, 1)
    service, source, target = np.nonzero(by_service > 0.0)
    return (
        service.astype(np.uint16),
        source.astype(np.uint16),
        target.astype(np.uint16),
        by_service[service, source, target],
    )


def from_sparse(sparse: SparseShares, edges: int, services: int) -> Floats:
    """Dense shares; rows that are not in the sparse form are 0, for no task reads them.

    Args:
        sparse: Service, source, target and share of each entry.
        edges: M.
        services: J.
    Returns: [p_mn^j] shape (edge from, target, service).
    Raises: ValueError: lengths differ or an index is out of range.
    Source: ours.
    """
    service, source, target, share = sparse
    if not len(service) == len(source) == len(target) == len(share):
        raise ValueError("sparse shares: the four columns differ in length")
    split = np.zeros((edges, edges + 1, services))
    try:
        split[source, target, service] = share  # unsigned, so that NumPy itself sees whatever is out of range
    except IndexError:
        raise ValueError(f"sparse shares: an index is beyond {edges} edge servers or {services} services") from None
    return split
