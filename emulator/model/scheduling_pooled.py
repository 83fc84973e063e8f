"""The exact solution of P4 when transfer time is a sender's part plus a receiver's part: one price clears the pool.

Every column is one service and is solved on its own; all columns at once. With the pool's price ``nu`` known, each
server's behaviour is known: as a source it keeps tasks while ``own load / k < nu + leave``, sends the others into the
pool until ``nu + leave`` reaches its cloud delay, and as a host it takes from the pool what lifts its price to
``nu - enter``. Inflow minus outflow is a non-decreasing, piecewise linear function of ``nu`` with upward jumps where a
source turns to the cloud, so its zero is found by sorting the 3 M places where a server changes its behaviour.

Source: TTOSC P4 in flow form; the algorithm is ours. A host whose own tasks prefer the cloud to its price while others
still send to it (clouds of unequal delay) is a third kind of event, ``enter + cloud``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emulator.model.offloading import Bools, Floats

FAR_S = 1e30
"""Stands for a delay of inf inside the solvers: beyond every price that occurs, and safe to multiply by 0."""


class PooledCosts(NamedTuple):
    """The numbers of the pooled problem, each of shape (edge, column); a column is a service of one deployment.

    Attributes:
        compute_s: Seconds of one task alone, 0 where not hosted.
        room: [k_n] tasks that lift a host's price by one second, 0 where not hosted.
        leave_s: Transfer part of the sender, finite.
        enter_s: Transfer part of the receiver, finite; 0 where not hosted.
        cloud_s: Delay of the cloud; at most ``FAR_S``.
        price_s: What one own task adds to a host's price, twice ``compute_s``.
        limit: Own tasks that lift a host's price to the cloud's delay.
        leave_room, enter_room: Tasks that lift a host's price by the transfer parts.
        leaves_s: Price of the pool at which a host's own tasks leave for the cloud.
    """

    compute_s: Floats
    room: Floats
    leave_s: Floats
    enter_s: Floats
    cloud_s: Floats
    price_s: Floats
    limit: Floats
    leave_room: Floats
    enter_room: Floats
    leaves_s: Floats


class Pool(NamedTuple):
    """What every server does at the clearing price, each of shape (edge, column), tasks.

    Attributes:
        keep: Own tasks served where they arrived.
        sent: Own tasks sent to other servers.
        taken: Tasks of other servers.
        cloud: Own tasks sent to the cloud.
    """

    keep: Floats
    sent: Floats
    taken: Floats
    cloud: Floats


def pooled_costs(hosts: Bools, compute_s: Floats, leave_s: Floats, enter_s: Floats, cloud_s: Floats) -> PooledCosts:
    """The solver's form of the costs.

    Args:
        hosts: Shape (edge, column).
        compute_s: Seconds, shape (edge, column); more than 0 where hosted.
        leave_s: Seconds, shape (edge, column).
        enter_s: Seconds, shape (edge, column).
        cloud_s: Seconds, shape (edge, column); inf without a cloud.
    Returns: The costs; ``room`` is ``f_n / (2 lambda)``.
    Source: TTOSC P4 in flow form.
    """
    room = np.zeros(compute_s.shape)
    np.divide(0.5, compute_s, out=room, where=hosts)
    cloud_s = np.minimum(cloud_s, FAR_S)
    return PooledCosts(
        compute_s=compute_s,
        room=room,
        leave_s=leave_s,
        enter_s=enter_s,
        cloud_s=cloud_s,
        price_s=2.0 * compute_s,
        limit=room * cloud_s,
        leave_room=room * leave_s,
        enter_room=room * enter_s,
        leaves_s=cloud_s + enter_s,
    )


def pool(tasks: Floats, costs: PooledCosts) -> Pool:
    """The optimal flows of every column, up to who receives from whom.

    Args:
        tasks: [N_m] shape (edge, column), at least 0.
        costs: Seconds per task.
    Returns: What every server keeps, sends, takes and passes to the cloud. A column without a host sends all its
        tasks to the cloud, also where that is ``FAR_S`` away.
    Source: TTOSC P4 (ours: pool price; docs/decisions/0007).
    """
    edges = len(tasks)
    leaves = costs.leaves_s
    # Up to `own` tasks are better served at home than in the cloud; `over` is what exceeds that.
    own = np.minimum(tasks, costs.limit)
    over = tasks - own
    price = np.where(over > 0.0, costs.cloud_s, tasks * costs.price_s)
    # Where a source stops sending, where a host starts taking, where a host's own tasks leave for the cloud.
    events = np.empty((3 * edges, tasks.shape[1]))
    stops = events[:edges]
    np.subtract(price, costs.leave_s, out=stops)
    np.add(price, costs.enter_s, out=events[edges : 2 * edges])
    events[2 * edges :] = leaves
    nu = _clearing_price(tasks, costs, own, events)

    lift = costs.room * nu
    level = lift + costs.leave_room
    lift -= costs.enter_room
    sends, stopped, leaving = nu < stops, nu == stops, nu == leaves
    away = own * (nu > leaves)
    outflow = np.where(sends, tasks - level, 0.0)
    # At a jump those who are indifferent move the same part of what they can: the sources that just stop sending
    # fill what room is left; where senders have more than fits, hosts send own tasks to the cloud to make room.
    left, stopping, movable = parts = np.empty((3, *tasks.shape))
    np.multiply(over, stopped, out=stopping)
    np.multiply(own, leaving, out=movable)
    np.subtract(np.maximum(lift - own + away, 0.0), outflow, out=left)
    fill, move = _moved(parts.sum(axis=1))
    away += movable * move
    sent = outflow + stopping * fill
    stay = own - away
    return Pool(
        keep=np.where(sends, level, stay),
        sent=sent,
        taken=np.maximum(lift - stay, 0.0),
        cloud=np.where(sends, 0.0, over - sent) + away,
    )


def _moved(sums: Floats) -> Floats:
    """What part moves of those that stop sending, and of those that leave, between 0 and 1, shape (2, column).

    Args:
        sums: Room left (negative: lacking), tasks of those that stop, tasks of those that may leave, (3, column).
    """
    part = np.zeros((2, sums.shape[1]))
    whole = sums[1:] > 0.0
    np.divide(sums[0], sums[1:], out=part, where=whole)
    np.negative(part[1], out=part[1])
    np.maximum(part, 0.0, out=part)
    return np.minimum(part, 1.0, out=part)


def _clearing_price(tasks: Floats, costs: PooledCosts, own: Floats, events: Floats) -> Floats:
    """The pool's price of each column, at least 0, shape (column,)."""
    edges, columns = tasks.shape
    room = costs.room
    # A source whose tasks are better off at home at price 0 never sends: leave it out, with its large numbers.
    sends = events[:edges] > 0.0
    slope = room * sends
    first = (tasks - costs.leave_room) * sends
    # Inflow minus outflow is changes[0] + changes[1] * nu, summed over the events up to nu.
    changes = np.zeros((2, 3 * edges, columns))
    start = changes[0, edges : 2 * edges]
    changes[0, :edges] = first
    np.negative(slope, out=changes[1, :edges])
    np.add(costs.enter_room, own, out=start)
    np.negative(start, out=start)
    changes[1, edges : 2 * edges] = room
    changes[0, 2 * edges :] = own

    # A stable order keeps the sums, and so the last bits, the same on every processor.
    order = events.argsort(axis=0, kind="stable")
    flat = order * columns
    flat += np.arange(columns)
    at = events.take(flat)
    before = np.empty((2, 3 * edges + 1, columns))
    before[:, 1:] = changes.reshape(2, -1).take(flat, axis=1)
    np.negative(first.sum(axis=0), out=before[0, 0])
    slope.sum(axis=0, out=before[1, 0])
    np.cumsum(before, axis=1, out=before)

    cleared = before[1, 1:] * at + before[0, 1:] >= 0.0
    cleared[-1] = True
    flat = cleared.argmax(axis=0) * columns
    flat += np.arange(columns)
    nu = at.take(flat)
    offset, slope = before.reshape(2, -1).take(flat, axis=1)
    # Inside a segment, else in the jump at its end.
    np.divide(-offset, slope, out=nu, where=slope * nu + offset > 0.0)
    return np.maximum(nu, 0.0)


def pool_cost(costs: PooledCosts, flows: Pool) -> Floats:
    """Total delay of each column's tasks.

    Args:
        costs: Seconds per task.
        flows: Tasks.
    Returns: Task-seconds, shape (column,).
    Source: TTOSC eq. (4)-(6), times N_m and summed over m.
    """
    load = flows.keep + flows.taken
    cost = costs.compute_s * load * load
    cost += costs.leave_s * flows.sent
    cost += costs.enter_s * flows.taken
    cost += costs.cloud_s * flows.cloud
    return cost.sum(axis=0)


def pool_flow(flows: Pool) -> Floats:
    """Who sends how much to whom: senders fill the receivers' room in entity order, so few rows are split.

    Args:
        flows: Tasks.
    Returns: [x_mn] tasks, shape (edge from, target, column), the cloud last.
    Source: ours: any filling is optimal, since all pay the pool's price; this one is deterministic.
    """
    edges, columns = flows.keep.shape
    ends = np.zeros((2, edges + 1, columns))
    np.cumsum(flows.sent, axis=0, out=ends[0, 1:])
    np.cumsum(flows.taken, axis=0, out=ends[1, 1:])
    flow = np.empty((edges, edges + 1, columns))
    part = np.minimum(ends[0, 1:, None], ends[1, None, 1:])
    part -= np.maximum(ends[0, :-1, None], ends[1, None, :-1])
    np.maximum(part, 0.0, out=flow[:, :-1])
    flow.reshape(-1, columns)[:: edges + 2] += flows.keep  # the diagonal
    flow[:, -1] = flows.cloud
    return flow
