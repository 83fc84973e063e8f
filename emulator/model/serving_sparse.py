"""Serving one slot of one edge server in plain Python, entry by entry: what ``serving`` computes, bit for bit.

A cell's tasks go to one or two targets each, so what is not 0 are some dozens of numbers, and a process that wakes for
a moment finds neither NumPy nor its arrays in its caches: a loop over the entries takes a quarter of the time there.
Every sum adds in the order in which the NumPy functions add; a test compares them bit by bit.

Source: TTOSC eq. (4)-(7); see ``serving``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Entry = tuple[int, int, float]
"""Target, service, and what goes there: a share, or tasks."""


class SparseEnds(NamedTuple):
    """How the tasks of one cell ended that were served, by service; see ``serving.Ends``."""

    local: list[float]
    peer: list[float]
    cloud: list[float]
    cost_s: list[float]
    all_cloud_s: list[float]
    histogram: list[float]


def flows(tasks: Sequence[float], shares: Iterable[Entry]) -> list[Entry]:
    """Expected tasks sent to each target.

    Args:
        tasks: [N_m^j] of one cell, by service.
        shares: [p_mn^j] those above 0.
    Returns: [x_mn = N_m p_mn] of services with tasks, in the order of ``shares``.
    Source: TTOSC section II.C, in flow form.
    """
    return [(n, j, tasks[j] * share) for n, j, share in shares if tasks[j] > 0.0]


def rows(flow: Iterable[Entry], targets: Iterable[int], services: int) -> dict[int, list[float]]:
    """Tasks by service for each of some targets.

    Args:
        flow: [x_mn] of one origin.
        targets: Those to fill in.
        services: J.
    Returns: By target, a list (service,); 0 where nothing goes.
    Source: ours: executors get dense rows.
    """
    dense = {n: [0.0] * services for n in targets}
    for n, j, tasks in flow:
        if n in dense:
            dense[n][j] = tasks
    return dense


def compute_delay(into: Sequence[Sequence[float]], compute_s: Sequence[float]) -> list[float]:
    """Expected delay of each service's tasks on an executor, compute part.

    Args:
        into: [x_mn] tasks by service from each origin, in entity order.
        compute_s: [lambda_j / f_n^j] seconds one task takes alone, by service.
    Returns: Seconds per task, by service.
    Source: TTOSC eq. (4), second term.
    """
    load = list(into[0])
    for row in into[1:]:
        load = [a + b for a, b in zip(load, row, strict=True)]
    return [seconds * tasks for seconds, tasks in zip(compute_s, load, strict=True)]


def target_delay(transfer_s: Sequence[float], compute_s: Sequence[float]) -> list[float]:
    """Expected delay of tasks from one origin on one target.

    Args:
        transfer_s: Seconds, by service.
        compute_s: Compute part under load, seconds, by service.
    Returns: Seconds per task, by service.
    Source: TTOSC eq. (4).
    """
    return [a + b for a, b in zip(transfer_s, compute_s, strict=True)]


def ended(
    flow: Iterable[Entry],
    delay_s: Mapping[int, Sequence[float]],
    cloud_s: Sequence[float],
    edges_s: Sequence[float],
    own: int,
    cloud: int,
) -> SparseEnds:
    """Account for the tasks of one cell that were served.

    Args:
        flow: [x_mn] tasks, ordered by target and service.
        delay_s: [T_mn] seconds per task by service, for each target in ``flow``.
        cloud_s: [c_m] seconds a task would take to the cloud, by service.
        edges_s: Upper edges of the delay buckets, ascending.
        own: Index of the origin among the targets.
        cloud: Index of the cloud.
    Returns: The ends; what was dropped is not among them.
    Source: TTOSC eq. (6), (7) in sums.
    """
    services = len(cloud_s)
    local, peer, sent_up = [0.0] * services, [0.0] * services, [0.0] * services
    cost_s, completed = [0.0] * services, [0.0] * services
    histogram = [0.0] * (len(edges_s) + 1)
    for n, j, tasks in flow:
        if tasks > 0.0:
            seconds = delay_s[n][j]
            if n == own:
                local[j] = tasks
            elif n == cloud:
                sent_up[j] = tasks
            else:
                peer[j] += tasks
            cost_s[j] += tasks * seconds
            completed[j] += tasks
            histogram[bisect_left(edges_s, seconds)] += tasks
    all_cloud_s = [tasks * seconds for tasks, seconds in zip(completed, cloud_s, strict=True)]
    return SparseEnds(local, peer, sent_up, cost_s, all_cloud_s, histogram)
