"""The offloading world's equations (1)-(9), each a pure function of arrays.

Axes are ``edge`` (M), ``service`` (J) and, for where a task is served, ``target`` (M + 1, the last one is the cloud).
Arrays are float64 and C-contiguous. Functions are elementwise over every axis but the one they sum over, and the sums
over edge servers add in entity order, so a process that holds one row gets the same bits as a world that holds all.

Source: TTOSC (Li et al.), section II; the receiver-side split of the links and the default figures are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BITS_PER_BYTE = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What an offloading world is built of; symbols in brackets are the paper's.

    Attributes:
        storage_bytes: [C_m] storage of each edge server, shape (edge,), bytes.
        compute_hz: [F_m] compute of each edge server, shape (edge,), cycles/s.
        uplink_bps: Sending rate of each edge server, not split, shape (edge,), bit/s; inf where it does not limit.
        link_bps: [B_n] receiving rate of each edge server, split over its services, shape (edge,), bit/s.
        link_matrix_bps: [B_mn] rate from m into n, split over n's services, shape (edge, edge), bit/s; None when
            ``uplink_bps`` and ``link_bps`` say it all (the pooled case).
        cloud_bps: [R_mc] rate of one task from each edge server to the cloud, shape (edge,), bit/s.
        cloud_hz: [f_c] compute the cloud gives each task, cycles/s.
        service_bytes: [V_j] storage a service takes, shape (service,), bytes.
        task_bytes: [S_j] size of one task, shape (service,), bytes.
        task_cycles: [lambda_j] work of one task, shape (service,), cycles.
    """

    storage_bytes: Floats
    compute_hz: Floats
    uplink_bps: Floats
    link_bps: Floats
    link_matrix_bps: Floats | None
    cloud_bps: Floats
    cloud_hz: float
    service_bytes: Floats
    task_bytes: Floats
    task_cycles: Floats

    @property
    def edges(self) -> int:
        """M, the number of edge servers."""
        return len(self.storage_bytes)

    @property
    def services(self) -> int:
        """J, the number of services."""
        return len(self.service_bytes)


@dataclass(frozen=True, slots=True, eq=False)
class FrameCosts:
    """What scheduling needs to know of one frame's deployment: seconds per task, nothing else.

    Attributes:
        hosts: Whether a server deploys a service, shape (edge, service).
        compute_s: [lambda_j / f_n^j] seconds one task takes alone on its share, shape (edge, service); 0 where not
            hosted. Under load L a task takes ``compute_s * L``.
        leave_s: [al_m] transfer part that depends on the sender, shape (edge, service).
        enter_s: [b_n] transfer part that depends on the receiver, shape (edge, service); 0 where not hosted.
        transfer_s: [a_mn] seconds from m into n, shape (edge from, edge to, service), diagonal 0; None in the pooled
            case, where it is ``leave_s[m] + enter_s[n]`` off the diagonal.
        cloud_s: [c_m] seconds a task takes when sent to the cloud, shape (edge, service); inf without a cloud.
    """

    hosts: Bools
    compute_s: Floats
    leave_s: Floats
    enter_s: Floats
    transfer_s: Floats | None
    cloud_s: Floats

    def transfer(self, sender: int, receiver: int) -> Floats:
        """Seconds a task takes from one server into another.

        Args:
            sender: Index of the sending edge server.
            receiver: Index of the receiving one, not the same.
        Returns: Seconds, shape (service,).
        Source: TTOSC eq. (4), first term.
        """
        if self.transfer_s is None:
            return self.leave_s[sender] + self.enter_s[receiver]
        return self.transfer_s[sender, receiver]

    def transfer_into(self, receiver: int) -> Floats:
        """Seconds a task takes from every server into one.

        Args:
            receiver: Index of the receiving edge server.
        Returns: Seconds, shape (edge from, service); 0 in the receiver's own row.
        Source: TTOSC eq. (4), first term.
        """
        if self.transfer_s is None:
            seconds = self.leave_s + self.enter_s[receiver]
        else:
            seconds = self.transfer_s[:, receiver].copy()
        seconds[receiver] = 0.0
        return seconds


def fits(deployed: Bools, service_bytes: Floats, storage_bytes: float) -> bool:
    """Whether one edge server's deployment keeps within its storage.

    Args:
        deployed: Shape (service,).
        service_bytes: Shape (service,), bytes.
        storage_bytes: Bytes.
    Source: TTOSC eq. (1).
    """
    return bool(service_bytes[deployed].sum() <= storage_bytes)


def refusal(services: tuple[int, ...], edge: int, network: Network) -> str:
    """Why an edge server refuses a deployment; empty if it accepts.

    Args:
        services: Indices, ascending.
        edge: The edge server.
        network: The world.
    Returns: ``malformed``, ``infeasible`` or nothing.
    Source: TTOSC eq. (1), (10b).
    """
    if list(services) != sorted(set(services)) or (
        services and not 0 <= services[0] <= services[-1] < network.services
    ):
        return "malformed"
    deployed = np.zeros(network.services, dtype=np.bool_)
    deployed[list(services)] = True
    return "" if fits(deployed, network.service_bytes, float(network.storage_bytes[edge])) else "infeasible"


def equal_share(capacity: Floats, deployed: Bools) -> Floats:
    """Capacity that each deployed service gets when a server splits it equally.

    Args:
        capacity: Of each server, shape (edge,), any unit.
        deployed: Shape (edge, service).
    Returns: Shape (edge, service), the unit of ``capacity``; 0 where not deployed.
    Source: TTOSC section V.A ("equally to the deployed services").
    """
    count = deployed.sum(axis=-1).astype(np.float64)
    share = capacity / np.maximum(count, 1.0)
    return np.where(deployed, share[..., None], 0.0)


def compute_seconds(share_hz: Floats, task_cycles: Floats) -> Floats:
    """Seconds one task takes alone on a service's share of compute.

    Args:
        share_hz: [f_n^j] shape (edge, service), cycles/s; 0 where not deployed.
        task_cycles: [lambda_j] shape (service,), cycles.
    Returns: Shape (edge, service), seconds; 0 where not deployed.
    Source: TTOSC eq. (4), second term, with one task.
    """
    return np.divide(task_cycles, share_hz, out=np.zeros_like(share_hz), where=share_hz > 0.0)


def compute_delay(load: Floats, compute_s: Floats) -> Floats:
    """Expected delay of one service's tasks on a server, compute part.

    Args:
        load: [L_n^j] tasks routed to the server in the slot, any shape.
        compute_s: Seconds one task takes alone, the same shape.
    Returns: Seconds per task, the same shape.
    Source: TTOSC eq. (4), second term: lambda_j / (f_n^j / L_n^j).
    """
    return compute_s * load


def entering_bps(network: Network, edge: int) -> float:
    """The rate at which an edge server receives, not split: the mean over senders where each has its own.

    Args:
        network: The world.
        edge: The receiver.
    Returns: bit/s; inf where there is nobody to receive from.
    Source: ours: what an actor is told of the link; delays never use it.
    """
    if network.link_matrix_bps is None:
        return float(network.link_bps[edge])
    return float(np.delete(network.link_matrix_bps[:, edge], edge).mean()) if network.edges > 1 else np.inf


def cloud_delay(task_bytes: Floats, task_cycles: Floats, cloud_bps: Floats, cloud_hz: float) -> Floats:
    """Expected delay of a task that is sent to the cloud.

    Args:
        task_bytes: [S_j] shape (service,), bytes.
        task_cycles: [lambda_j] shape (service,), cycles.
        cloud_bps: [R_mc] shape (edge,), bit/s.
        cloud_hz: [f_c] cycles/s.
    Returns: Seconds, shape (edge, service).
    Source: TTOSC eq. (5).
    """
    return BITS_PER_BYTE * task_bytes / cloud_bps[..., None] + task_cycles / cloud_hz


def frame_costs(network: Network, deployed: Bools, *, cloud: bool = True) -> FrameCosts:
    """Seconds per task under one frame's deployment.

    Args:
        network: The world.
        deployed: [d_m^j] shape (edge, service).
        cloud: Whether there is a cloud; without one its delay is inf.
    Returns: The costs; equation (4) is ``transfer + compute_s * load``, equation (5) is ``cloud_s``.
    Source: TTOSC eq. (4), (5); the receiver's deployed count splits its link (ours: a sender need not host j).
    """
    share_hz = equal_share(network.compute_hz, deployed)
    count = deployed.sum(axis=-1).astype(np.float64)
    task_bits = BITS_PER_BYTE * network.task_bytes
    leave_s = np.ascontiguousarray(np.broadcast_to(task_bits / network.uplink_bps[:, None], deployed.shape))
    enter_s = np.where(deployed, task_bits * (count / network.link_bps)[:, None], 0.0)
    transfer_s = None
    if network.link_matrix_bps is not None:
        transfer_s = leave_s[:, None, :] + task_bits * (count / network.link_matrix_bps)[:, :, None]
        transfer_s[np.arange(network.edges), np.arange(network.edges)] = 0.0
    cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)
    if not cloud:
        cloud_s = np.full_like(cloud_s, np.inf)
    return FrameCosts(
        hosts=deployed,
        compute_s=compute_seconds(share_hz, network.task_cycles),
        leave_s=leave_s,
        enter_s=enter_s,
        transfer_s=transfer_s,
        cloud_s=cloud_s,
    )


def ordered_sum(rows: Floats) -> Floats:
    """Sum over the first axis, strictly in its order.

    NumPy's own reduction may pair its operands by memory layout, which would give a world that holds all edge servers
    other last bits than a process that holds one.

    Args:
        rows: Shape (edge, ...).
    Returns: Shape (...).
    Source: ours: equal numbers in one process and in many.
    """
    total = rows[0].copy()
    for row in rows[1:]:
        total += row
    return total


def grand_total(values: Floats) -> float:
    """Sum of all values, strictly in the order of memory.

    Args:
        values: Any shape, not empty.
    Returns: The sum; unlike ``ndarray.sum``, whose pairing is NumPy's own business, a plain loop has the same bits.
    Source: ours: equal numbers compiled and not.
    """
    return float(values.cumsum()[-1])


def flows(tasks: Floats, shares: Floats) -> Floats:
    """Expected tasks sent from an edge server to each target.

    Args:
        tasks: [N_m^j] tasks that arrived, shape (..., service).
        shares: [p_mn^j] shape (..., target, service).
    Returns: [x_mn = N_m p_mn] shape (..., target, service).
    Source: TTOSC section II.C, in flow form.
    """
    return tasks[..., None, :] * shares


def target_delay(transfer_s: Floats, compute_s: Floats) -> Floats:
    """Expected delay of tasks from one origin on one target.

    Args:
        transfer_s: Shape (..., service), seconds.
        compute_s: Delay of the compute part under load, shape (..., service), seconds.
    Returns: Seconds per task, shape (..., service).
    Source: TTOSC eq. (4).
    """
    return transfer_s + compute_s


def origin_cost(flow: Floats, delay_s: Floats) -> Floats:
    """Total delay of the tasks of one cell, that is N_m^j T_m^j.

    Args:
        flow: [x_mn] tasks by target, shape (target, ..., service), targets in entity order, the cloud last.
        delay_s: [T_mn] seconds per task, the same shape; what no task goes to is 0.
    Returns: Task-seconds, shape (..., service).
    Source: TTOSC eq. (6), times N_m^j.
    """
    return ordered_sum(flow * delay_s)


def service_delay(tasks: Floats, cost_s: Floats) -> Floats:
    """Expected delay of a task of each service in the network.

    Args:
        tasks: [N_m^j] shape (edge, service).
        cost_s: Task-seconds by origin, shape (edge, service).
    Returns: [T^j] seconds, shape (service,); 0 for a service nobody asked for, whose weight is 0.
    Source: TTOSC eq. (7).
    """
    total = ordered_sum(tasks)
    return np.divide(ordered_sum(cost_s), total, out=np.zeros_like(total), where=total > 0.0)


def slot_delay(tasks: float, cost_s: float) -> float:
    """Expected delay of any task of one slot.

    Args:
        tasks: [N] tasks that were served, over all cells and services.
        cost_s: Their delays summed, task-seconds.
    Returns: [T] seconds per task; 0.0 in a slot without tasks.
    Source: TTOSC eq. (8); (7) into (8) collapses to total cost over total tasks.
    """
    return cost_s / tasks if tasks > 0.0 else 0.0


def slot_gain(all_cloud_s: float, delay_s: float) -> float:
    """Performance gain of one slot over sending every task to the cloud.

    Args:
        all_cloud_s: [T~] seconds per task when all go to the cloud.
        delay_s: [T] seconds per task.
    Returns: [G] seconds per task.
    Source: TTOSC section IV.C and Algorithm 1, line 8.
    """
    return all_cloud_s - delay_s


def frame_reward(gains_s: list[float]) -> float:
    """Reward all agents share for one frame: the gains of its slots, summed.

    Args:
        gains_s: [G] one for each slot of the frame.
    Returns: [R^t] seconds.
    Source: TTOSC Algorithm 1, line 9.
    """
    return sum(gains_s)


def mean_delay(delays_s: Floats) -> float:
    """Time average of the expected delay, the objective of the whole problem.

    Args:
        delays_s: [T^tau] one for each slot, shape (slot,).
    Returns: Seconds per task.
    Source: TTOSC eq. (9).
    """
    return float(np.mean(delays_s)) if len(delays_s) else 0.0


def integer_routing_term(tasks: Floats, shares: Floats, compute_s: Floats) -> float:
    """What drawing each task's target adds to the expected cost of a slot.

    Args:
        tasks: [N_m^j] whole numbers, shape (edge, service).
        shares: [p_mn^j] shape (edge, target, service).
        compute_s: [lambda_j / f_n^j] shape (edge, service), seconds.
    Returns: Task-seconds: ``sum_n (lambda/f_n) sum_m N_m p_mn (1 - p_mn)`` over all services; the cloud adds nothing.
    Source: ours: the variance of a multinomial in the quadratic term of eq. (4).
    """
    split = shares[:, :-1] * (1.0 - shares[:, :-1])
    return float((compute_s[None] * split * tasks[:, None, :]).sum())
