"""How tasks of one slot are routed and what became of them, for one edge server or for all at once.

Axes: ``target`` first (edge servers, then the cloud), then optionally ``edge`` (the origin), then ``service``. A
process that hosts one origin passes arrays without the edge axis; the arithmetic per origin is the same, bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.offloading import Floats, ordered_sum, origin_cost


class Ends(NamedTuple):
    """How the tasks of a slot ended, by origin and service, shape (..., service).

    Attributes:
        arrived, local, peer, cloud, dropped: Tasks.
        cost_s: Task-seconds of the completed ones.
        all_cloud_s: Task-seconds had the completed ones gone to the cloud.
        histogram: Completed tasks by delay bucket, shape (..., bucket).
    """

    arrived: Floats
    local: Floats
    peer: Floats
    cloud: Floats
    dropped: Floats
    cost_s: Floats
    all_cloud_s: Floats
    histogram: Floats


def routed(tasks: Floats, split: Floats, uniforms: Floats) -> Floats:
    """Draw a target for each task of one origin.

    Args:
        tasks: Whole numbers of tasks, shape (service,).
        split: [p_mn^j] shape (target, service).
        uniforms: At least one number in [0, 1) for each task, shape (task,).
    Returns: Whole numbers of tasks by target, shape (target, service).
    Source: TTOSC section II.C: p is the probability that a task is sent to a target.
    """
    service = np.repeat(np.arange(len(tasks)), tasks.astype(np.int64))
    cumulative = np.cumsum(split, axis=0)
    # The last possible target takes what rounding leaves of the probability.
    last = len(split) - 1 - np.argmax(split[::-1] > 0.0, axis=0)
    target = (uniforms[: len(service), None] >= cumulative.T[service]).sum(axis=1)
    target = np.minimum(target, last[service])
    flat = np.bincount(target * len(tasks) + service, minlength=split.size)
    return flat.reshape(split.shape).astype(np.float64)


def loads(flow: Floats) -> Floats:
    """Tasks each executor serves.

    Args:
        flow: By origin first, shape (edge from, ..., service).
    Returns: Shape (..., service).
    Source: TTOSC section II.D, the denominator of f_m'^j.
    """
    return ordered_sum(flow)


def histogram(flow: Floats, delay_s: Floats, edges_s: Floats) -> Floats:
    """Tasks by delay bucket and origin.

    Args:
        flow: Tasks, shape (target, ..., service) with at most one axis between.
        delay_s: Seconds per task, the same shape.
        edges_s: Upper edges of the buckets, ascending, shape (bucket - 1,).
    Returns: Shape (..., bucket); a delay equal to an edge falls below it.
    Source: ours: the paper reports means only.
    """
    origins = flow.shape[1:-1]
    buckets = len(edges_s) + 1
    place = np.nonzero(flow > 0.0)
    index = np.searchsorted(edges_s, delay_s[place], side="left")
    if origins:
        index += place[1] * buckets
    count = origins[0] if origins else 1
    flat = np.bincount(index, weights=flow[place], minlength=count * buckets)
    return flat.astype(np.float64, copy=False).reshape(*origins, buckets)


def ended(
    tasks: Floats,
    flow: Floats,
    delay_s: Floats,
    cloud_s: Floats,
    edges_s: Floats,
    *,
    own: int | NDArray[np.int64],
    cloud: bool,
) -> Ends:
    """Account for the tasks of a slot, once all executors answered.

    Args:
        tasks: [N_m^j] shape (..., service).
        flow: [x_mn] shape (target, ..., service).
        delay_s: [T_mn] shape (target, ..., service); read only where a task went.
        cloud_s: [c_m] seconds a task would take to the cloud, shape (..., service), whether there is one or not.
        edges_s: Upper edges of the delay buckets.
        own: Index of the origin among the targets, or all of them.
        cloud: Whether there is a cloud; without one, what is sent up is dropped.
    Returns: How each task ended, once: it stayed, went to another edge server or to the cloud, or was dropped.
    Source: TTOSC eq. (6), (7) in sums; design rule: a dropped task has gain 0, T covers completed tasks.
    """
    served = flow if cloud else np.concatenate([flow[:-1], np.zeros_like(flow[-1:])])
    delay = np.where(served > 0.0, delay_s, 0.0)
    place = own if flow.ndim == 2 else (own, own)
    local = served[place]
    among_edges = served[:-1].copy()
    among_edges[place] = 0.0
    completed = ordered_sum(served)
    dropped = np.zeros_like(tasks) if cloud else flow[-1]
    return Ends(
        arrived=tasks,
        local=local,
        peer=ordered_sum(among_edges),
        cloud=served[-1],
        dropped=dropped,
        cost_s=origin_cost(served, delay),
        all_cloud_s=completed * cloud_s,
        histogram=histogram(served, delay, edges_s),
    )
