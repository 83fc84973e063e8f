"""The pooled solver compiled: the same algorithm as ``scheduling_pooled``, one service at a time, without temporaries.

Additions happen in the same order as there, and without fused operations, so results agree to the last bits or nearly
so. Compiled code is cached beside this file, in the user's cache directory where that is read-only, and nowhere if
neither can be written.

Source: TTOSC P4 in flow form; see ``scheduling_pooled``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from emulator.model.offloading import Bools, Floats

Compiled = TypeVar("Compiled", bound=Callable[..., object])

FAR_S = 1e30  # scheduling_pooled.FAR_S; a compiled function wants a literal


def compiled(function: Compiled) -> Compiled:
    """Compiles a function on its first call; cached on disk where that is possible.

    Args:
        function: To compile, in Numba's subset of Python.
    Returns: The same function, compiled without fused or reordered operations.
    Source: ours: numbers must not depend on who computes them.
    """
    result: Any
    try:
        result = njit(cache=True)(function)
    except RuntimeError:  # numba found no directory that it can write
        result = njit(function)
    return cast("Compiled", result)


@compiled
def pooled_service_cost(
    tasks: Floats, hosts: Bools, room: Floats, leave: Floats, enter: Floats, cloud: Floats
) -> float:
    """Total delay of one service's tasks under the optimal schedule.

    Args:
        tasks: [N_m] shape (edge,).
        hosts: Shape (edge,).
        room: [k_n = f_n / (2 lambda)] tasks per second of price, shape (edge,); read where hosted only.
        leave: Transfer part of the sender, seconds, shape (edge,).
        enter: Transfer part of the receiver, seconds, shape (edge,); read where hosted only.
        cloud: Seconds, shape (edge,); inf without a cloud.
    Returns: Task-seconds.
    Source: TTOSC P4, its optimum.
    """
    edges = len(tasks)
    cells = np.empty((_CELL_ROWS, edges))
    total = 0.0
    for m in range(edges):
        total += tasks[m]
        cells[0, m] = tasks[m]
        cells[1, m] = 0.5 / room[m] if hosts[m] else 0.0
        cells[2, m] = room[m] if hosts[m] else 0.0
        cells[3, m] = leave[m]
        cells[4, m] = enter[m] if hosts[m] else 0.0
        cells[5, m] = min(cloud[m], FAR_S)
    if total <= 0.0:
        return 0.0
    clear(cells, np.empty((3, 3 * edges)))
    cost = 0.0
    for m in range(edges):
        up = cells[9, m] if cloud[m] < np.inf else 0.0
        cost += _cell_cost(cells, m, up)
    return cost


_CELL_ROWS = 14
# Rows of `cells`: 0 tasks, 1 compute_s, 2 room, 3 leave, 4 enter, 5 cloud; results 6 keep, 7 sent, 8 taken, 9 cloud;
# scratch 10 own, 11 stops, 12 leaves, 13 flow being filled.


@compiled
def _cell_cost(cells: Floats, m: int, up: float) -> float:
    load = cells[6, m] + cells[8, m]
    here = cells[1, m] * load * load + cells[3, m] * cells[7, m]
    return here + cells[4, m] * cells[8, m] + cells[5, m] * up


@compiled
def clear(cells: Floats, events: Floats) -> None:
    """Fills in what every server keeps, sends, takes and passes to the cloud, for one service.

    Args:
        cells: Shape (14, edge): see ``_CELL_ROWS``.
        events: Scratch, shape (3, 3 * edge).
    Source: TTOSC P4 (ours: pool price; ``scheduling_pooled.pool``).
    """
    edges = cells.shape[1]
    nu = _clearing_price(cells, events)
    left = 0.0
    stopping = 0.0
    movable = 0.0
    for m in range(edges):
        tasks, room, own = cells[0, m], cells[2, m], cells[10, m]
        sent = 0.0
        if nu < cells[11, m]:
            sent = tasks - (room * nu + room * cells[3, m])
        elif nu == cells[11, m]:
            stopping += tasks - own
        away = own if nu > cells[12, m] else 0.0
        if nu == cells[12, m]:
            movable += own
        left += max((room * nu - room * cells[4, m]) - own + away, 0.0) - sent
    fill = min(max(left / stopping, 0.0), 1.0) if stopping > 0.0 else 0.0
    move = min(max(-left / movable, 0.0), 1.0) if movable > 0.0 else 0.0
    for m in range(edges):
        tasks, room, own = cells[0, m], cells[2, m], cells[10, m]
        away = own if nu > cells[12, m] else (own * move if nu == cells[12, m] else 0.0)
        stay = own - away
        if nu < cells[11, m]:
            level = room * nu + room * cells[3, m]
            cells[6, m] = level
            cells[7, m] = tasks - level
            cells[9, m] = away
        else:
            over = tasks - own
            sent = over * fill if nu == cells[11, m] else 0.0
            cells[6, m] = stay
            cells[7, m] = sent
            cells[9, m] = over - sent + away
        cells[8, m] = max((room * nu - room * cells[4, m]) - stay, 0.0)


@compiled
def _clearing_price(cells: Floats, events: Floats) -> float:
    """The pool's price, at least 0; fills in the scratch rows own, stops and leaves."""
    edges = cells.shape[1]
    at, change, slopes = events[0], events[1], events[2]
    offset, slope = 0.0, 0.0
    count = 0
    for m in range(edges):
        tasks, room, leave, cloud = cells[0, m], cells[2, m], cells[3, m], cells[5, m]
        own = min(tasks, room * cloud)
        price = cloud if tasks - own > 0.0 else tasks * (cells[1, m] * 2.0)
        cells[10, m] = own
        cells[11, m] = price - leave
        cells[12, m] = cloud + cells[4, m]
        # A source whose tasks are better off at home at price 0 never sends.
        if cells[11, m] > 0.0:
            first = tasks - room * leave
            offset += first
            slope += room
            count = _insert(events, count, cells[11, m], first, -room)
    for m in range(edges):
        room = cells[2, m]
        if room > 0.0:
            own = cells[10, m]
            price = cells[5, m] if cells[0, m] - own > 0.0 else cells[0, m] * (cells[1, m] * 2.0)
            count = _insert(events, count, price + cells[4, m], -(room * cells[4, m] + own), room)
    for m in range(edges):
        if cells[2, m] > 0.0 and cells[10, m] > 0.0:
            count = _insert(events, count, cells[12, m], cells[10, m], 0.0)
    offset = -offset
    nu = 0.0
    for i in range(count):
        nu = at[i]
        after, steeper = offset + change[i], slope + slopes[i]
        if steeper * nu + after >= 0.0 or i == count - 1:
            if slope * nu + offset > 0.0:
                nu = -offset / slope
            break
        offset, slope = after, steeper
    return max(nu, 0.0)


@compiled
def _insert(events: Floats, count: int, at: float, change: float, slope: float) -> int:
    """Puts an event in its place, behind equal ones; returns the new count."""
    i = count
    while i > 0 and events[0, i - 1] > at:
        events[0, i] = events[0, i - 1]
        events[1, i] = events[1, i - 1]
        events[2, i] = events[2, i - 1]
        i -= 1
    events[0, i] = at
    events[1, i] = change
    events[2, i] = slope
    return count + 1


@compiled
def solve_pooled(
    tasks: Floats,
    hosts: Bools,
    compute_s: Floats,
    leave_s: Floats,
    enter_s: Floats,
    cloud_s: Floats,
    load: Floats,
    cost_s: Floats,
    flow: Floats,
    split: Floats,
) -> None:
    """All services of one slot: flows, shares, loads and costs, written to the last four arguments.

    Args:
        tasks: [N_m^j] shape (edge, service), as the next five, which are those of ``FrameCosts``.
        load: Tasks, shape (edge, service).
        cost_s: Task-seconds, shape (service,).
        flow: Tasks, shape (edge from, target, service), zeros.
        split: Shares, the same shape, zeros.
    Source: TTOSC P4; ``scheduling_pooled.pool``, ``pool_flow`` and ``scheduling.shares``.
    """
    edges, services = tasks.shape
    cells = np.empty((_CELL_ROWS, edges))
    events = np.empty((3, 3 * edges))
    for j in range(services):
        total = 0.0
        for m in range(edges):
            total += tasks[m, j]
        if total > 0.0:
            for m in range(edges):
                cells[0, m] = tasks[m, j]
                cells[1, m] = compute_s[m, j]
                cells[2, m] = 0.5 / compute_s[m, j] if hosts[m, j] else 0.0
                cells[3, m] = leave_s[m, j]
                cells[4, m] = enter_s[m, j]
                cells[5, m] = min(cloud_s[m, j], FAR_S)
            clear(cells, events)
            cost = 0.0
            for m in range(edges):
                load[m, j] = cells[6, m] + cells[8, m]
                flow[m, edges, j] = cells[9, m] if cloud_s[m, j] < np.inf else 0.0
                cost += _cell_cost(cells, m, flow[m, edges, j])
            cost_s[j] = cost
            _fill(cells, flow, j)
        else:
            cost_s[j] = 0.0
            load[:, j] = 0.0
        _share(tasks, hosts, flow, split, j)


@compiled
def _fill(cells: Floats, flow: Floats, j: int) -> None:
    """Who sends how much to whom: senders fill the receivers' room in entity order."""
    edges = cells.shape[1]
    sent_before, n, room_before = 0.0, 0, 0.0
    for m in range(edges):
        sent_after = sent_before + cells[7, m]
        while sent_after > sent_before and n < edges:
            room_after = room_before + cells[8, n]
            flow[m, n, j] = max(min(sent_after, room_after) - max(sent_before, room_before), 0.0)
            if room_after > sent_after:
                break
            room_before = room_after
            n += 1
        sent_before = sent_after
        flow[m, m, j] += cells[6, m]


@compiled
def _share(tasks: Floats, hosts: Bools, flow: Floats, split: Floats, j: int) -> None:
    """Rows of shares; see ``scheduling.shares``."""
    edges = tasks.shape[0]
    for m in range(edges):
        total = 0.0
        if tasks[m, j] > 0.0:
            for n in range(edges + 1):
                total += flow[m, n, j]
        if total > 0.0:
            for n in range(edges + 1):
                if flow[m, n, j] > 0.0:
                    split[m, n, j] = flow[m, n, j] / total
        elif tasks[m, j] <= 0.0 and hosts[m, j]:
            split[m, m, j] = 1.0
        else:
            split[m, edges, j] = 1.0
