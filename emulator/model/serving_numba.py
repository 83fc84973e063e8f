"""Serving one slot compiled: what ``World`` computes with ``serving`` and ``ledger``, bit for bit, in one pass.

Every sum adds in the order in which the NumPy functions add and nothing is fused, so a world that runs compiled has
the numbers of edge servers that each compute their own row with NumPy. A test compares them bit by bit.

Source: TTOSC eq. (4)-(7); see ``serving``.
"""

from __future__ import annotations

import numpy as np

from emulator.model.ledger import Sums
from emulator.model.offloading import Floats, FrameCosts
from emulator.model.scheduling_numba import compiled
from emulator.model.serving import Ends


def serve(
    tasks: Floats, flow: Floats, costs: FrameCosts, transfer_s: Floats, cloud_s: Floats, edges_s: Floats
) -> tuple[Ends, Sums]:
    """Serve a slot's tasks by their expected delays, and account for them.

    Args:
        tasks: [N_m^j] shape (edge, service).
        flow: [x_mn] tasks, at least 0, shape (edge from, target, service), the cloud last.
        costs: Seconds per task of the frame's deployment.
        transfer_s: [a_mn] shape (edge from, edge to, service), diagonal 0: ``scheduling.transfer_seconds(costs)``.
        cloud_s: [c_m] seconds, shape (edge, service), finite.
        edges_s: Upper edges of the delay buckets, ascending, shape (bucket - 1,).
    Returns: What ``serving.ended`` and ``ledger.sums_of`` return for all origins, where there is a cloud.
    Source: TTOSC eq. (4)-(7).
    """
    edges, services = tasks.shape
    # A slot keeps its arrays; one allocation for those of the same shape.
    parts = np.zeros((6, edges, services))
    histogram = np.zeros((edges, len(edges_s) + 1))
    sums = np.empty(len(Sums._fields))
    _serve(tasks, flow, costs.compute_s, transfer_s, cloud_s, edges_s, parts, histogram, sums)
    local, peer, cloud, dropped, cost_s, all_cloud_s = parts
    return Ends(tasks, local, peer, cloud, dropped, cost_s, all_cloud_s, histogram), Sums(*sums.tolist())


@compiled
def _serve(
    tasks: Floats,
    flow: Floats,
    compute_s: Floats,
    transfer_s: Floats,
    cloud_s: Floats,
    edges_s: Floats,
    parts: Floats,
    histogram: Floats,
    sums: Floats,
) -> None:
    """Fill in how tasks ended; ``parts`` and ``histogram`` are zeros as in ``serve``."""
    edges, services = tasks.shape
    _serve_edges(flow, compute_s, transfer_s, edges_s, parts, histogram)
    for m in range(edges):
        for j in range(services):
            served = flow[m, edges, j]
            if served > 0.0:
                parts[2, m, j] = served
                parts[4, m, j] += served * cloud_s[m, j]
                histogram[m, _bucket(edges_s, cloud_s[m, j])] += served
            completed = flow[m, 0, j]
            for n in range(1, edges + 1):
                completed += flow[m, n, j]
            parts[5, m, j] = completed * cloud_s[m, j]
    sums[0] = _sum(tasks)
    for k in range(len(parts)):
        sums[k + 1] = _sum(parts[k])


@compiled
def _serve_edges(
    flow: Floats, compute_s: Floats, transfer_s: Floats, edges_s: Floats, parts: Floats, histogram: Floats
) -> None:
    """Serve what stays or goes to an edge server, receiver by receiver."""
    edges, services = compute_s.shape
    load = np.empty(services)
    for n in range(edges):
        for j in range(services):
            load[j] = flow[0, n, j]
        for m in range(1, edges):
            for j in range(services):
                load[j] += flow[m, n, j]
        for m in range(edges):
            part = parts[0] if m == n else parts[1]
            for j in range(services):
                served = flow[m, n, j]
                if served > 0.0:
                    delay_s = transfer_s[m, n, j] + compute_s[n, j] * load[j]
                    part[m, j] += served
                    parts[4, m, j] += served * delay_s
                    histogram[m, _bucket(edges_s, delay_s)] += served


@compiled
def _bucket(edges_s: Floats, delay_s: float) -> int:
    """The first bucket whose upper edge is not below a delay."""
    low, high = 0, len(edges_s)
    while low < high:
        middle = (low + high) // 2
        if edges_s[middle] < delay_s:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _sum(values: Floats) -> float:
    """The sum of values of shape (edge, service), in the order of memory."""
    total = 0.0
    for m in range(values.shape[0]):
        for j in range(values.shape[1]):
            total += values[m, j]
    return total
