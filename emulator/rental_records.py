"""The rental world's arrays as messages and back: one way to build each record, in nodes and in one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bus.messages import Array, Asked, Message, Observation, Presence, RentalInForce, RentalOutcome, Requests
from emulator.model.graph import NOBODY, Floats
from emulator.model.rental import Ints
from emulator.model.rental_ledger import RentalEdgeRow
from emulator.rental_crowd import Offer
from emulator.rental_crowd import Requests as Asking
from emulator.rental_edges import Conditions, Remembered, Settled
from emulator.rental_plan import Plan

if TYPE_CHECKING:
    from emulator.rental_world import Played


def presence(in_range: Ints) -> Presence:
    """Users of one cell in range of each edge server, shape (edge,)."""
    return Presence(Array.of(in_range.astype(np.uint16)))


def counted(messages: Sequence[Presence], edges: int) -> Ints:
    """Users in range of each edge server, of all cells that told, shape (copy 1, edge)."""
    total = np.zeros((1, edges), dtype=np.int64)
    for message in messages:
        total += message.in_range.numpy()
    return total


def observation(edge: int, values: Floats) -> Observation:
    """What an edge server observes, values of shape (5,)."""
    return Observation(edge, Array.of(np.ascontiguousarray(values)))


def in_force(
    edge: int, units: int, remembered: Remembered, now: Conditions, place: int, refused: str = ""
) -> RentalInForce:
    """What users get to know of an edge server, which stands at ``place`` in arrays of shape (copy 1, edge)."""
    return RentalInForce(
        edge,
        units,
        float(remembered.delay_s[0, place]),
        float(remembered.users[0, place]),
        float(now.bandwidth_mhz[0, place]),
        refused,
    )


def offered(messages: Sequence[RentalInForce], edges: int) -> Offer:
    """What users know of edge servers; nobody waits for one that said nothing, so its delay is without end."""
    units = np.zeros((1, edges), dtype=np.int64)
    delay_s, users, bandwidth = np.full((1, edges), np.inf), np.zeros((1, edges)), np.ones((1, edges))
    for message in messages:
        n = message.edge
        units[0, n], delay_s[0, n] = message.units, message.delay_s
        users[0, n], bandwidth[0, n] = message.users, message.bandwidth_mhz
    return Offer(units, delay_s, users, bandwidth)


def requests_to(asking: Asking, edge: int) -> Requests:
    """The part of some users' requests that goes to one edge server, in the order of the users."""
    mine = asking.edge == edge
    return Requests(
        Array.of(asking.user[mine].astype(np.uint32)),
        Array.of(asking.tasks[mine].astype(np.uint16)),
        Array.of(asking.per_hertz[mine]),
    )


def requests_from(messages: Sequence[Requests], edge: int) -> Asking:
    """What users ask of one edge server; the cells' messages in the order of their users."""
    parts = [(m.user.numpy(), m.tasks.numpy(), m.per_hertz.numpy()) for m in messages]
    user, tasks = (np.concatenate([part[k] for part in parts] or [np.zeros(0)]).astype(np.int64) for k in (0, 1))
    per_hertz = np.concatenate([part[2] for part in parts] or [np.zeros(0)])
    return Asking(np.zeros(len(user), dtype=np.int64), user, np.full(len(user), edge), tasks, per_hertz)


def asked(asking: Asking, edges: int) -> Asked:
    """Where some users sent what they asked for: sums for each edge server and, last, the cloud."""
    place = np.where(asking.edge == NOBODY, edges, asking.edge)
    tasks = np.bincount(place, weights=asking.tasks.astype(np.float64), minlength=edges + 1)
    users = np.bincount(place, minlength=edges + 1).astype(np.float64)
    return Asked(Array.of(tasks), Array.of(users))


def outcome(
    edge: int, units: int, in_range: int, settled: Settled, now: Conditions, place: int, refused: str = ""
) -> RentalOutcome:
    """What a slot came to at an edge server, which stands at ``place`` in arrays of shape (copy 1, edge)."""
    at = 0, place
    return RentalOutcome(
        edge=edge,
        units=units,
        in_range=in_range,
        users=int(settled.users[at]),
        tasks=float(settled.tasks[at]),
        compute_s=float(settled.compute_s[at]),
        wait_s=float(settled.wait_s[at]),
        price=float(now.price[at]),
        bandwidth_mhz=float(now.bandwidth_mhz[at]),
        reward=float(settled.reward[at]),
        remembered_s=float(settled.remembered.delay_s[at]),
        refused=refused,
    )


def edge_row(slot: int, message: RentalOutcome) -> RentalEdgeRow:
    """An edge server's line of edges.csv."""
    return RentalEdgeRow(
        slot=slot,
        edge=message.edge,
        units=message.units,
        users_in_range=message.in_range,
        users=message.users,
        tasks=message.tasks,
        compute_s=message.compute_s,
        delay_s=message.wait_s / message.tasks if message.tasks else 0.0,
        reward=message.reward,
        bandwidth_mhz=message.bandwidth_mhz,
        price=message.price,
        remembered_s=message.remembered_s,
    )


def sent_of(messages: Sequence[Asked], edges: int) -> Floats:
    """Tasks that the users of all cells sent to each edge server and, last, to the cloud, shape (edge + 1,)."""
    total = np.zeros(edges + 1)
    for message in messages:
        total += message.tasks.numpy()
    return total


def slot_records(played: Played, plan: Plan) -> list[tuple[str, Message]]:
    """What nodes would say of a slot that belongs to the digest, of the world's first copy."""
    said: list[tuple[str, Message]] = []
    for n in range(plan.edges):
        units, in_range = int(played.units[0, n]), int(played.observed[0, n, 1])
        said += [
            (f"/edge/{n}/observation", observation(n, played.observed[0, n])),
            (f"/edge/{n}/rental_in_force", in_force(n, units, played.before, played.conditions, n)),
            (f"/edge/{n}/rental_outcome", outcome(n, units, in_range, played.settled, played.conditions, n)),
        ]
    asking = played.requests
    for cell, (first, members) in enumerate(plan.cells()):
        mine = (asking.copy == 0) & (asking.user >= first) & (asking.user < first + members)
        part = Asking(
            asking.copy[mine], asking.user[mine], asking.edge[mine], asking.tasks[mine], asking.per_hertz[mine]
        )
        said.append((f"/cell/{cell}/asked", asked(part, plan.edges)))
    return said
