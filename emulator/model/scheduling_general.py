"""P4 with any matrix of transfer times: an interior point, then exact moves of one source at a time.

All services at once. Flows are shape (service, source, target), the cloud last. Eliminating the flows leaves one
system per service and iteration, with as many unknowns as there are servers; its matrix is diagonally dominant, so it
is eliminated without pivoting.

Source: TTOSC P4 in flow form; the algorithm is ours (docs/decisions/0007, general case).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emulator.model.offloading import Bools, Floats, FrameCosts

REQUIRED_GAP = 1e-7
"""Largest gap of a service's certificate, as a part of its cost (of one task-second if that is more)."""
AIM_GAP = 1e-11
TRACE = 1e-13
ITERATIONS = 60
SWEEPS = 5000
FAR_S = 1e30


class Problem(NamedTuple):
    """P4 of every service.

    Attributes:
        tasks: [N_m] shape (service, source); 0 where the tasks have nowhere to go.
        room: [k_n] shape (service, host), 0 where not hosted.
        delay_s: [a_mn] and, last, [c_m], shape (service, source, target).
        usable: Whether a flow may be positive, shape (service, source, target).
    """

    tasks: Floats
    room: Floats
    delay_s: Floats
    usable: Bools


def problem(tasks: Floats, costs: FrameCosts, transfer_s: Floats) -> Problem:
    """The solver's form of a slot.

    Args:
        tasks: [N_m^j] shape (edge, service).
        costs: Seconds per task.
        transfer_s: [a_mn] shape (edge from, edge to, service).
    Source: TTOSC P4 in flow form.
    """
    edges, services = tasks.shape
    room = np.zeros(tasks.shape)
    np.divide(0.5, costs.compute_s, out=room, where=costs.hosts)
    delay = np.empty((services, edges, edges + 1))
    delay[:, :, :-1] = transfer_s.transpose(2, 0, 1)
    delay[:, :, -1] = np.minimum(costs.cloud_s, FAR_S).T
    usable = np.empty(delay.shape, dtype=np.bool_)
    usable[:, :, :-1] = costs.hosts.T[:, None]
    usable[:, :, -1] = np.isfinite(costs.cloud_s).T
    count = np.where(usable.any(axis=2), tasks.T, 0.0)
    usable &= (count > 0.0)[:, :, None]
    return Problem(count, np.ascontiguousarray(room.T), delay, usable)


def solve_general(form: Problem) -> tuple[Floats, Floats]:
    """Flows of every service.

    Args:
        form: The problem.
    Returns: [x_mn] tasks, shape (service, source, target), and each service's relative gap, shape (service,).
    Source: TTOSC P4 (ours: interior point, then block-coordinate descent until the certificate says optimal).
    """
    flow = _tidy(form, interior_point(form))
    best, least = flow, relative_gap(form, flow)
    before = np.full(len(flow), np.inf)
    todo = np.arange(len(flow))
    for _ in range(SWEEPS):
        part = Problem(form.tasks[todo], form.room[todo], form.delay_s[todo], form.usable[todo])
        flow = sweep(part, flow)
        gap = relative_gap(part, flow)
        # At very high prices a move can widen the certificate, though it never costs more: keep what is proved best.
        better = (gap <= AIM_GAP) | (gap < least[todo])
        best[todo[better]], least[todo[better]] = flow[better], gap[better]
        going = (gap > AIM_GAP) & ((least[todo] > REQUIRED_GAP) | (gap < before * 0.999))
        todo, flow, before = todo[going], flow[going], gap[going]
        if not len(todo):
            break
    return best, least


def _tidy(form: Problem, flow: Floats) -> Floats:
    """Flows without the traces that an interior point leaves, every row summing to its tasks."""
    flow = np.where(flow > TRACE * form.tasks[:, :, None], flow, 0.0)
    total = flow.sum(axis=2)
    return flow * (form.tasks / _or_one(total))[:, :, None]


def relative_gap(form: Problem, flow: Floats) -> Floats:
    """The certificate of flows: ``sum x_mn (a_mn + pi_n - mu_m)`` at the prices of their loads.

    Args:
        form: The problem.
        flow: [x_mn] tasks, shape (service, source, target).
    Returns: Shape (service,), a part of the cost, or task-seconds where the cost is below 1.
    Source: ours: cost less dual bound, arranged so that nothing cancels.
    """
    inside = flow[:, :, :-1]
    load = inside.sum(axis=1)
    price = np.divide(load, form.room, out=np.zeros(load.shape), where=form.room > 0.0)
    reach = form.delay_s.copy()
    reach[:, :, :-1] += price[:, None]
    least = np.where(form.usable, reach, FAR_S).min(axis=2)
    excess = (flow * (reach - least[:, :, None])).sum(axis=(1, 2))
    cost = (flow * form.delay_s).sum(axis=(1, 2)) + 0.5 * (load * price).sum(axis=1)
    return excess / np.maximum(cost, 1.0)


def sweep(form: Problem, flow: Floats) -> Floats:
    """Every source in turn fills its targets exactly, the flows of the others being given.

    Args:
        form: The problem.
        flow: [x_mn] tasks, shape (service, source, target).
    Returns: Better flows.
    Source: ours: water-filling; the price is the least that any set of cheapest hosts would pay.
    """
    flow = flow.copy()
    room, hosted = form.room, form.room > 0.0
    load = flow[:, :, :-1].sum(axis=1)
    for m in range(flow.shape[1]):
        count, cloud = form.tasks[:, m], form.delay_s[:, m, -1]
        others = np.maximum(load - flow[:, m, :-1], 0.0)
        floor = form.delay_s[:, m, :-1] + np.divide(others, room, out=np.zeros(room.shape), where=hosted)
        floor[~hosted] = FAR_S
        order = floor.argsort(axis=1, kind="stable")
        wide = np.take_along_axis(room, order, axis=1)
        paid = np.cumsum(wide * np.take_along_axis(floor, order, axis=1), axis=1)
        wide = np.cumsum(wide, axis=1)
        price = np.divide(count[:, None] + paid, wide, out=np.full(wide.shape, np.inf), where=wide > 0.0).min(axis=1)
        price = np.minimum(price, cloud)
        taken = room * np.maximum(price[:, None] - floor, 0.0)
        taken[count <= 0.0] = 0.0
        total = taken.sum(axis=1)
        up = np.where(price >= cloud, np.maximum(count - total, 0.0), 0.0)
        # Rounding aside this factor is 1.
        taken *= np.divide(count, total, out=np.ones(total.shape), where=(price < cloud) & (total > 0.0))[:, None]
        flow[:, m, :-1] = taken
        flow[:, m, -1] = up
        load = others + taken
    return flow


def interior_point(form: Problem) -> Floats:
    """Flows close to the optimum, by a primal-dual method with Mehrotra's corrector.

    Args:
        form: The problem.
    Returns: [x_mn] tasks, shape (service, source, target), at least 0.
    Source: ours: Newton on the KKT conditions of P4, flows and source prices eliminated.
    """
    usable = form.usable
    total = np.maximum(form.tasks.sum(axis=1), 1e-300)
    count, room = form.tasks / total[:, None], form.room / total[:, None]
    cells = np.maximum(usable.sum(axis=(1, 2)), 1)
    flow, price, source, slack = _start(form, count, room)
    delay = np.where(usable, form.delay_s, 0.0)
    for _ in range(ITERATIONS):
        product = flow * slack
        gap = product.sum(axis=(1, 2))
        cost = (flow * delay).sum(axis=(1, 2)) + (flow[:, :, :-1].sum(axis=1) * price).sum(axis=1)
        running = gap > 1e-14 * cost
        if not running.any():
            break
        weight = np.where(usable, flow / slack, 0.0)
        reach = delay - source[:, :, None]
        reach[:, :, :-1] += price[:, None]
        dual_left = np.where(usable, reach - slack, 0.0)
        rows_left = count - flow.sum(axis=2)
        factor = _factor(weight, _or_one(room))
        step = _direction(weight, factor, dual_left, rows_left, -product / slack)
        d_slack = np.where(usable, dual_left + step.reach, 0.0)
        size = _length(flow, step.flow, slack, d_slack)[:, None, None]
        after = ((flow + size * step.flow) * (slack + size * d_slack)).sum(axis=(1, 2))
        centre = np.minimum(np.maximum(after / np.maximum(gap, 1e-300), 0.0), 1.0) ** 3 * gap / cells
        target = np.where(usable, centre[:, None, None] - product - step.flow * d_slack, 0.0)
        step = _direction(weight, factor, dual_left, rows_left, target / slack)
        d_slack = np.where(usable, dual_left + step.reach, 0.0)
        size = np.where(running, 0.995 * _length(flow, step.flow, slack, d_slack), 0.0)
        flow += size[:, None, None] * step.flow
        slack += size[:, None, None] * d_slack
        price += size[:, None] * step.price
        source += size[:, None] * step.source
    return flow * total[:, None, None]


def _start(form: Problem, count: Floats, room: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """A strictly feasible start: half to the cloud, the rest at equal prices; flow, price, source price and slack."""
    usable = form.usable
    whole = np.maximum(room.sum(axis=1), 1e-300)
    # As much to the servers as lifts their price to about the cloud's delay, but at most half.
    up = np.where(usable[:, :, -1], form.delay_s[:, :, -1], 0.0).max(axis=1)
    part = np.empty(usable.shape)
    part[:, :, :-1] = (room / whole[:, None])[:, None]
    part[:, :, -1] = np.maximum(1.0 / np.maximum(whole * up, 1e-300), 1.0)[:, None]
    part = np.where(usable, part, 0.0)
    part /= np.maximum(part.sum(axis=2), 1e-300)[:, :, None]
    flow = part * count[:, :, None]
    load = flow[:, :, :-1].sum(axis=1)
    price = np.divide(load, room, out=np.zeros(room.shape), where=room > 0.0)
    reach = np.where(usable, form.delay_s, np.inf)
    reach[:, :, :-1] += price[:, None]
    least = reach.min(axis=2)
    low = np.where(np.isfinite(least), least, 0.0)
    spread = np.maximum((flow * np.where(usable, reach, 0.0)).sum(axis=(1, 2)), 1e-300)
    source = low - spread[:, None]
    slack = np.where(usable, reach, 0.0) - source[:, :, None]
    return flow, price, source, np.where(usable, slack, 1.0)


class _Step(NamedTuple):
    flow: Floats
    price: Floats
    source: Floats
    reach: Floats


def _direction(weight: Floats, factor: _Factor, dual_left: Floats, rows_left: Floats, target: Floats) -> _Step:
    """Newton's direction: what flows, prices and source prices change, and what a flow's delay changes."""
    rows = _or_one(weight.sum(axis=2))
    move = target - weight * dual_left
    lacking = rows_left - move.sum(axis=2)
    right = move[:, :, :-1].sum(axis=1) + (weight[:, :, :-1] * (lacking / rows)[:, :, None]).sum(axis=1)
    price = _eliminated(factor, right)
    source = (lacking + (weight[:, :, :-1] * price[:, None]).sum(axis=2)) / rows
    reach = np.repeat(-source[:, :, None], weight.shape[2], axis=2)
    reach[:, :, :-1] += price[:, None]
    return _Step(move - weight * reach, price, source, reach)


class _Factor(NamedTuple):
    pivot: Floats
    off: Floats


def _factor(weight: Floats, room: Floats) -> _Factor:
    """Eliminates ``diag(k_n + sum_m w_mn) - sum_m w_mn w_mn' / W_m``, servers in order, for every service.

    Kept as what is off the diagonal and what each row has in excess of it, every step adds positive numbers only, so
    nothing cancels however unlike the weights are (Grassmann, Taksar and Heyman's way of eliminating).
    """
    hosts = weight.shape[2] - 1
    part = weight / _or_one(weight.sum(axis=2))[:, :, None]
    off = np.zeros((len(weight), hosts, hosts))
    for m in range(weight.shape[1]):
        off += weight[:, m, :-1, None] * part[:, m, None, :-1]
    excess = room + (weight[:, :, :-1] * part[:, :, -1:]).sum(axis=1)
    pivot = np.empty(room.shape)
    for n in range(hosts):
        pivot[:, n] = excess[:, n] + off[:, n, n + 1 :].sum(axis=1)
        ratio = off[:, n + 1 :, n] / pivot[:, n, None]
        off[:, n + 1 :, n + 1 :] += ratio[:, :, None] * off[:, n, None, n + 1 :]
        excess[:, n + 1 :] += ratio * excess[:, n, None]
        off[:, n + 1 :, n] = ratio
    return _Factor(pivot, off)


def _eliminated(factor: _Factor, right: Floats) -> Floats:
    """Solves the system that was eliminated."""
    value, hosts = right.copy(), right.shape[1]
    for n in range(hosts - 1):
        value[:, n + 1 :] += factor.off[:, n + 1 :, n] * value[:, n, None]
    for n in reversed(range(hosts)):
        value[:, n] += (factor.off[:, n, n + 1 :] * value[:, n + 1 :]).sum(axis=1)
        value[:, n] /= factor.pivot[:, n]
    return value


def _or_one(value: Floats) -> Floats:
    """The value, 1 where it is 0: a divisor."""
    return np.where(value > 0.0, value, 1.0)


def _length(flow: Floats, d_flow: Floats, slack: Floats, d_slack: Floats) -> Floats:
    """The longest common step, at most 1, that keeps flows and slacks from turning negative, shape (service,)."""
    least = np.ones(len(flow))
    for value, change in ((flow, d_flow), (slack, d_slack)):
        down = change < 0.0
        ratio = np.divide(value, -change, out=np.full(value.shape, np.inf), where=down)
        least = np.minimum(least, ratio.min(axis=(1, 2)))
    return least
