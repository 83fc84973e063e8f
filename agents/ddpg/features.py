"""What the learned scheduler sees of a slot: one instance a service, one row of figures a pair of cell and target.

Plain NumPy, so that training and the exported actor compute the same. Figures have no unit: times are parts of the
service's mean delay in the cloud, and what grows with the load is squeezed into 0 to 1. So one network serves every
service, every number of edge servers, and tasks large and small.

Source: ours; the state of the paper's DDPG baseline is not given.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.offloading import Bools, Floats, FrameCosts
from emulator.model.scheduling import transfer_seconds

Singles = NDArray[np.float32]

FIGURES: Final = 9
"""Figures of a pair; see ``pairs_of``."""

ACTION_FIGURES: Final = 3
"""What the critic sees in addition; see ``with_action``."""

VERSION: Final = 1
"""Of these definitions; an actor says which it was trained with."""


class Instances(NamedTuple):
    """Scheduling problems of one service and one slot each.

    Attributes:
        tasks: [N_m] shape (instance, edge).
        hosts: Shape (instance, edge).
        compute_s: Seconds a task takes alone on a server's share, shape (instance, edge).
        transfer_s: [a_mn] seconds, shape (instance, edge from, edge to).
        cloud_s: [c_m] seconds, shape (instance, edge); inf without a cloud.
    """

    tasks: NDArray[np.floating]
    hosts: Bools
    compute_s: NDArray[np.floating]
    transfer_s: NDArray[np.floating]
    cloud_s: NDArray[np.floating]


class Pairs(NamedTuple):
    """What the networks read.

    Attributes:
        figures: Shape (instance, edge from, target, figure), the cloud last.
        allowed: Where a share may be positive, shape (instance, edge from, target); at least one in each row.
        weight: Each cell's part of the service's tasks, shape (instance, edge from); sums to 1, or 0 without tasks.
    """

    figures: Singles
    allowed: Bools
    weight: Singles


def instances_of(tasks: Floats, costs: FrameCosts, services: NDArray[np.intp]) -> Instances:
    """One slot's problems.

    Args:
        tasks: [N_m^j] shape (edge, service).
        costs: Seconds per task of the frame's deployment.
        services: Which services are wanted, shape (instance,).
    Returns: One for each of them.
    Source: TTOSC P4-j: services share no capacity within a frame, so each is a problem of its own.
    """
    transfer_s = np.ascontiguousarray(transfer_seconds(costs)[:, :, services].transpose(2, 0, 1))
    return Instances(
        tasks.T[services], costs.hosts.T[services], costs.compute_s.T[services], transfer_s, costs.cloud_s.T[services]
    )


def allowed_of(hosts: Bools, cloud_s: NDArray[np.floating]) -> Bools:
    """Where tasks may go: to hosts and to a cloud; tasks that have nowhere to go are said to go to the cloud.

    Args:
        hosts: Shape (instance, edge).
        cloud_s: Shape (instance, edge).
    Returns: Shape (instance, edge from, target).
    Source: TTOSC eq. (2).
    """
    instances, edges = hosts.shape
    allowed = np.empty((instances, edges, edges + 1), dtype=np.bool_)
    allowed[:, :, :-1] = hosts[:, None]
    allowed[:, :, -1] = np.isfinite(cloud_s) | ~hosts.any(axis=1, keepdims=True)
    return allowed


def pairs_of(instances: Instances) -> Pairs:
    """The figures of every pair of cell and target.

    In this order: transfer (to the cloud: its whole delay); compute of one task; compute delay if all of the cell's
    tasks went there alone, if all cells' tasks did, and of the target's own cell's tasks there (each squeezed); the
    cell's delay in the cloud; the cell's part of the tasks; is it at home; is it the cloud.

    Args:
        instances: The problems.
    Returns: The figures, where tasks may go, and the cells' weights.
    Source: ours.
    """
    tasks, compute_s, cloud_s = instances.tasks, instances.compute_s, instances.cloud_s
    count, edges = tasks.shape
    total = tasks.sum(axis=1, keepdims=True)
    weight = tasks / np.where(total > 0.0, total, 1.0)
    unit_s = unit_seconds(instances)[:, None]
    compute = compute_s / unit_s
    cloud = np.where(np.isfinite(cloud_s), cloud_s, 0.0) / unit_s
    figures = np.zeros((count, edges, edges + 1, FIGURES), dtype=np.float32)
    inside = figures[:, :, :-1]
    inside[..., 0] = instances.transfer_s / unit_s[..., None]
    inside[..., 1] = compute[:, None]
    inside[..., 2] = _squeezed(tasks[:, :, None] * compute[:, None])
    inside[..., 3] = _squeezed(total * compute)[:, None]
    inside[..., 4] = _squeezed(tasks * compute)[:, None]
    figures[:, :, -1, 0] = cloud
    figures[..., 5] = cloud[:, :, None]
    figures[..., 6] = weight[:, :, None]
    own = np.arange(edges)
    figures[:, own, own, 7] = 1.0
    figures[:, :, -1, 8] = 1.0
    return Pairs(figures, allowed_of(instances.hosts, cloud_s), weight.astype(np.float32))


def load_unit(instances: Instances) -> Singles:
    """What a share is multiplied by to become a load: the compute delay if all tasks of the service went to a target.

    Args:
        instances: The problems.
    Returns: In the service's unit of time, shape (instance, target); 0 for the cloud.
    Source: ours.
    """
    total = instances.tasks.sum(axis=1, keepdims=True)
    unit = total * instances.compute_s / unit_seconds(instances)[:, None]
    return np.pad(unit, ((0, 0), (0, 1))).astype(np.float32)


def unit_seconds(instances: Instances) -> NDArray[np.floating]:
    """The unit of time of each problem: the mean delay in the cloud, or of one task alone where there is no cloud.

    Args:
        instances: The problems.
    Returns: Seconds, more than 0, shape (instance,).
    Source: ours: what a delay is compared with.
    """
    with_cloud = np.isfinite(instances.cloud_s)
    cloud_s = np.where(with_cloud, instances.cloud_s, 0.0).sum(axis=1) / np.maximum(with_cloud.sum(axis=1), 1)
    alone_s = (instances.transfer_s.mean(axis=1) + instances.compute_s).max(axis=1)
    unit_s = np.where(cloud_s > 0.0, cloud_s, alone_s)
    return np.where(unit_s > 0.0, unit_s, 1.0)


def _squeezed(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return values / (1.0 + values)
