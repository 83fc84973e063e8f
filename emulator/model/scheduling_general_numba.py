"""The general solver compiled: the algorithm of ``scheduling_general``, one service at a time, on what is in use only.

Sources are the cells with tasks, targets the hosting servers and, last, the cloud; a delay of inf marks a target that
cannot be used. The interior point and the moves take the same steps as there; results agree to the tolerance only.

Source: TTOSC P4 in flow form; see ``scheduling_general``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.model.offloading import Bools, Floats
from emulator.model.scheduling_numba import compiled

Order = NDArray[np.int64]

REQUIRED_GAP = 1e-7  # those of scheduling_general; a compiled function wants literals
AIM_GAP = 1e-11
TRACE = 1e-13
ITERATIONS = 60
SWEEPS = 5000


@compiled
def solve_matrix(
    tasks: Floats,
    hosts: Bools,
    compute_s: Floats,
    transfer_s: Floats,
    cloud_s: Floats,
    flow: Floats,
    gap: Floats,
) -> None:
    """All services of one slot: flows and their gaps, written to the last two arguments.

    Args:
        tasks: [N_m^j] shape (edge, service), as hosts, compute_s and cloud_s; those of ``FrameCosts``.
        transfer_s: [a_mn] shape (edge from, edge to, service).
        flow: [x_mn] tasks, shape (edge from, target, service), zeros.
        gap: The certificate's relative gap, shape (service,).
    Source: TTOSC P4; ``scheduling_general.solve_general``.
    """
    edges, services = tasks.shape
    places = np.empty((2, edges), dtype=np.int64)
    for j in range(services):
        count = 0
        for n in range(edges):
            if hosts[n, j]:
                places[0, count] = n
                count += 1
        serving = places[0, :count]
        sources = 0
        for m in range(edges):
            if tasks[m, j] > 0.0 and (count > 0 or cloud_s[m, j] < np.inf):
                places[1, sources] = m
                sources += 1
        asking = places[1, :sources]
        gap[j] = 0.0
        if count == 0:
            for m in asking:
                flow[m, edges, j] = tasks[m, j]
            continue
        if sources == 0:
            continue
        number = np.empty(sources)
        room = np.empty(count)
        delay = np.empty((sources, count + 1))
        for i, m in enumerate(asking):
            number[i] = tasks[m, j]
            for t, n in enumerate(serving):
                delay[i, t] = transfer_s[m, n, j]
            delay[i, count] = cloud_s[m, j]
        for t, n in enumerate(serving):
            room[t] = 0.5 / compute_s[n, j]
        part = interior_point(number, room, delay)
        gap[j] = _polish(number, room, delay, part)
        for i, m in enumerate(asking):
            for t, n in enumerate(serving):
                flow[m, n, j] = part[i, t]
            flow[m, edges, j] = part[i, count]


@compiled
def _polish(tasks: Floats, room: Floats, delay: Floats, flow: Floats) -> float:
    """``scheduling_general.solve_general`` from the interior point on, in place; returns the relative gap."""
    sources, targets = flow.shape
    floor = np.empty(len(room))
    order = np.empty(len(room), dtype=np.int64)
    best = np.empty(flow.shape)
    for m in range(sources):
        total = 0.0
        for n in range(targets):
            if flow[m, n] <= TRACE * tasks[m]:
                flow[m, n] = 0.0
            total += flow[m, n]
        for n in range(targets):
            flow[m, n] *= tasks[m] / total
            best[m, n] = flow[m, n]
    least, before = _relative_gap(room, delay, flow), np.inf
    for _ in range(SWEEPS):
        _sweep(tasks, room, delay, flow, floor, order)
        gap = _relative_gap(room, delay, flow)
        if gap <= AIM_GAP:
            return gap
        if gap < least:
            least = gap
            for m in range(sources):
                for n in range(targets):
                    best[m, n] = flow[m, n]
        if least <= REQUIRED_GAP and gap >= before * 0.999:
            break
        before = gap
    for m in range(sources):
        for n in range(targets):
            flow[m, n] = best[m, n]
    return least


@compiled
def _relative_gap(room: Floats, delay: Floats, flow: Floats) -> float:
    """``scheduling_general.relative_gap`` of one service."""
    sources, hosts = len(flow), len(room)
    price = np.zeros(hosts)
    cost = 0.0
    for n in range(hosts):
        for m in range(sources):
            price[n] += flow[m, n]
        cost += 0.5 * price[n] * price[n] / room[n]
        price[n] /= room[n]
    excess = 0.0
    for m in range(sources):
        least = delay[m, hosts]
        for n in range(hosts):
            least = min(least, delay[m, n] + price[n])
        for n in range(hosts):
            excess += flow[m, n] * (delay[m, n] + price[n] - least)
            cost += flow[m, n] * delay[m, n]
        if flow[m, hosts] > 0.0:
            excess += flow[m, hosts] * (delay[m, hosts] - least)
            cost += flow[m, hosts] * delay[m, hosts]
    return excess / max(cost, 1.0)


@compiled
def _sweep(tasks: Floats, room: Floats, delay: Floats, flow: Floats, floor: Floats, order: Order) -> None:
    """``scheduling_general.sweep`` of one service, in place."""
    hosts = len(room)
    load = np.zeros(hosts)
    for m in range(len(tasks)):
        for n in range(hosts):
            load[n] += flow[m, n]
    for m in range(len(tasks)):
        for n in range(hosts):
            load[n] = max(load[n] - flow[m, n], 0.0)
            floor[n] = delay[m, n] + load[n] / room[n]
            i = n
            while i > 0 and floor[order[i - 1]] > floor[n]:
                order[i] = order[i - 1]
                i -= 1
            order[i] = n
        wide, paid, price = 0.0, 0.0, delay[m, hosts]
        for i in range(hosts):
            n = order[i]
            wide += room[n]
            paid += room[n] * floor[n]
            price = min(price, (tasks[m] + paid) / wide)
        total = 0.0
        for n in range(hosts):
            flow[m, n] = room[n] * max(price - floor[n], 0.0)
            total += flow[m, n]
        up = max(tasks[m] - total, 0.0) if price >= delay[m, hosts] else 0.0
        flow[m, hosts] = up
        scale = tasks[m] / total if price < delay[m, hosts] and total > 0.0 else 1.0
        for n in range(hosts):
            flow[m, n] *= scale
            load[n] += flow[m, n]


@compiled
def interior_point(tasks: Floats, room: Floats, delay: Floats) -> Floats:
    """Flows close to the optimum, by a primal-dual method with Mehrotra's corrector.

    Args:
        tasks: [N_m] more than 0, shape (source,).
        room: [k_n] shape (host,), at least one.
        delay: [a_mn] and, last, [c_m], shape (source, target); inf where unusable.
    Returns: [x_mn] tasks, shape (source, target).
    Source: ``scheduling_general.interior_point``.
    """
    sources, hosts = len(tasks), len(room)
    total = 0.0
    for m in range(sources):
        total += tasks[m]
    count, width = np.empty(sources), np.empty(hosts)
    for m in range(sources):
        count[m] = tasks[m] / total
    for n in range(hosts):
        width[n] = room[n] / total
    flow, slack = np.zeros(delay.shape), np.ones(delay.shape)
    price, source = _start(count, width, delay, flow, slack)
    cells = 0.0
    for m in range(sources):
        cells += hosts + 1 if delay[m, hosts] < np.inf else hosts
    weight = np.zeros(delay.shape)
    off = np.empty((hosts, hosts))
    pivot, d_price, d_source = np.empty(hosts), np.empty(hosts), np.empty(sources)
    d_flow, d_slack, target = np.zeros(delay.shape), np.zeros(delay.shape), np.zeros(delay.shape)
    for _ in range(ITERATIONS):
        gap, cost = 0.0, 0.0
        for m in range(sources):
            for n in range(hosts + 1):
                if delay[m, n] < np.inf:
                    weight[m, n] = flow[m, n] / slack[m, n]
                    target[m, n] = -flow[m, n]
                    gap += flow[m, n] * slack[m, n]
                    cost += flow[m, n] * (delay[m, n] + (price[n] if n < hosts else 0.0))
        if gap <= 1e-14 * cost:
            break
        _factor(weight, width, off, pivot)
        _direct(
            count, delay, flow, slack, price, source, weight, off, pivot, target, d_flow, d_slack, d_price, d_source
        )
        size = _length(flow, d_flow, slack, d_slack)
        after = 0.0
        for m in range(sources):
            for n in range(hosts + 1):
                after += (flow[m, n] + size * d_flow[m, n]) * (slack[m, n] + size * d_slack[m, n])
        centre = min(max(after / gap, 0.0), 1.0) ** 3 * gap / cells
        for m in range(sources):
            for n in range(hosts + 1):
                if delay[m, n] < np.inf:
                    target[m, n] = (centre - d_flow[m, n] * d_slack[m, n]) / slack[m, n] - flow[m, n]
        _direct(
            count, delay, flow, slack, price, source, weight, off, pivot, target, d_flow, d_slack, d_price, d_source
        )
        size = 0.995 * _length(flow, d_flow, slack, d_slack)
        for m in range(sources):
            source[m] += size * d_source[m]
            for n in range(hosts + 1):
                flow[m, n] += size * d_flow[m, n]
                slack[m, n] += size * d_slack[m, n]
        for n in range(hosts):
            price[n] += size * d_price[n]
    for m in range(sources):
        for n in range(hosts + 1):
            flow[m, n] *= total
    return flow


@compiled
def _start(count: Floats, room: Floats, delay: Floats, flow: Floats, slack: Floats) -> tuple[Floats, Floats]:
    """A strictly feasible start, ``scheduling_general._start``; fills in flow and slack."""
    sources, hosts = len(count), len(room)
    whole, up = 0.0, 0.0
    for n in range(hosts):
        whole += room[n]
    for m in range(sources):
        if delay[m, hosts] < np.inf:
            up = max(up, delay[m, hosts])
    cloud = max(1.0 / (whole * up), 1.0) if up > 0.0 else 1.0
    price = np.zeros(hosts)
    for m in range(sources):
        usable = delay[m, hosts] < np.inf
        portion = count[m] / (1.0 + cloud) if usable else count[m]
        for n in range(hosts):
            flow[m, n] = portion * room[n] / whole
            price[n] += flow[m, n] / room[n]
        flow[m, hosts] = portion * cloud if usable else 0.0
    spread = 0.0
    source = np.empty(sources)
    for m in range(sources):
        source[m] = delay[m, hosts]
        for n in range(hosts):
            source[m] = min(source[m], delay[m, n] + price[n])
            spread += flow[m, n] * (delay[m, n] + price[n])
        if delay[m, hosts] < np.inf:
            spread += flow[m, hosts] * delay[m, hosts]
    for m in range(sources):
        source[m] -= spread
        for n in range(hosts):
            slack[m, n] = delay[m, n] + price[n] - source[m]
        if delay[m, hosts] < np.inf:
            slack[m, hosts] = delay[m, hosts] - source[m]
    return price, source


@compiled
def _direct(
    count: Floats,
    delay: Floats,
    flow: Floats,
    slack: Floats,
    price: Floats,
    source: Floats,
    weight: Floats,
    off: Floats,
    pivot: Floats,
    target: Floats,
    d_flow: Floats,
    d_slack: Floats,
    d_price: Floats,
    d_source: Floats,
) -> None:
    """Newton's direction, ``scheduling_general._direction``; fills in the last four arguments."""
    sources, hosts = len(count), len(pivot)
    d_price[:] = 0.0
    for m in range(sources):
        lacking, rows = count[m], 0.0
        for n in range(hosts + 1):
            if delay[m, n] < np.inf:
                left = delay[m, n] + (price[n] if n < hosts else 0.0) - source[m] - slack[m, n]
                d_slack[m, n] = left
                d_flow[m, n] = target[m, n] - weight[m, n] * left
                lacking -= flow[m, n] + d_flow[m, n]
                rows += weight[m, n]
        d_source[m] = lacking
        for n in range(hosts):
            d_price[n] += d_flow[m, n] + weight[m, n] * (lacking / rows)
    for n in range(hosts - 1):
        for i in range(n + 1, hosts):
            d_price[i] += off[i, n] * d_price[n]
    for n in range(hosts - 1, -1, -1):
        for i in range(n + 1, hosts):
            d_price[n] += off[n, i] * d_price[i]
        d_price[n] /= pivot[n]
    for m in range(sources):
        rows = 0.0
        for n in range(hosts + 1):
            rows += weight[m, n]
            if n < hosts:
                d_source[m] += weight[m, n] * d_price[n]
        d_source[m] /= rows
        for n in range(hosts + 1):
            if delay[m, n] < np.inf:
                reach = (d_price[n] if n < hosts else 0.0) - d_source[m]
                d_slack[m, n] += reach
                d_flow[m, n] -= weight[m, n] * reach


@compiled
def _factor(weight: Floats, room: Floats, off: Floats, pivot: Floats) -> None:
    """Elimination without subtraction, ``scheduling_general._factor``; fills in the last two arguments."""
    sources, hosts = len(weight), len(room)
    off[:] = 0.0
    excess = np.empty(hosts)
    for n in range(hosts):
        excess[n] = room[n]
    for m in range(sources):
        rows = 0.0
        for n in range(hosts + 1):
            rows += weight[m, n]
        for n in range(hosts):
            part = weight[m, n] / rows
            excess[n] += part * weight[m, hosts]
            for i in range(hosts):
                off[n, i] += part * weight[m, i]
    for n in range(hosts):
        pivot[n] = excess[n]
        for i in range(n + 1, hosts):
            pivot[n] += off[n, i]
        for i in range(n + 1, hosts):
            ratio = off[i, n] / pivot[n]
            for k in range(n + 1, hosts):
                off[i, k] += ratio * off[n, k]
            excess[i] += ratio * excess[n]
            off[i, n] = ratio


@compiled
def _length(flow: Floats, d_flow: Floats, slack: Floats, d_slack: Floats) -> float:
    """The longest common step, at most 1, that keeps flows and slacks from turning negative."""
    size = 1.0
    for m in range(flow.shape[0]):
        for n in range(flow.shape[1]):
            if d_flow[m, n] < 0.0:
                size = min(size, flow[m, n] / -d_flow[m, n])
            if d_slack[m, n] < 0.0:
                size = min(size, slack[m, n] / -d_slack[m, n])
    return size
