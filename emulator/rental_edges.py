"""The edge servers of a rental world: spectrum and price of a slot, what users remember, delay and reward.

An edge node holds one of them, an in-process world all of them, and many copies of it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emulator.model import radio
from emulator.model.graph import Floats
from emulator.model.mobility import Bools
from emulator.model.rental import Ints, averaged, compute_s, rewards, summed
from emulator.model.streams import CrowdStream, normals_from
from emulator.rental_crowd import Offer, Requests
from emulator.rental_plan import Plan


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """What a slot brings, each of shape (copy, edge): spectrum in MHz, and the price of a unit."""

    bandwidth_mhz: Floats
    price: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """What users remember of edge servers, each of shape (copy, edge): a delay in seconds, a number of users."""

    delay_s: Floats
    users: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """What a slot came to, each of shape (copy, edge).

    Attributes:
        users: Users connected.
        tasks: Tasks received.
        compute_s: Delay of a task in the server.
        wait_s: Delay, transmission included, summed over the tasks.
        reward: Local rewards r_n.
        remembered: What users remember from now on.
    """

    users: Ints
    tasks: Floats
    compute_s: Floats
    wait_s: Floats
    reward: Floats
    remembered: Remembered


class EdgeServers:
    """Some edge servers of a world, or of copies of it. Holds no state: what users remember is handed in and out."""

    def __init__(self, plan: Plan, seeds: Sequence[int], first: int = 0, edges: int | None = None) -> None:
        """Take charge of ``edges`` edge servers from ``first`` on, of all that follow if not given."""
        self.plan = plan
        self.first = first
        self.edges = plan.edges - first if edges is None else edges
        self._streams = [CrowdStream(seed, "/edge", "conditions", draws=3) for seed in seeds]

    def nothing_remembered(self) -> Remembered:
        """What users remember when an episode begins."""
        shape = len(self._streams), self.edges
        return Remembered(np.zeros(shape), np.zeros(shape))

    def conditions(self, slot: int) -> Conditions:
        """Spectrum and price of a slot."""
        values, reward = self.plan.rental.radio, self.plan.rental.reward
        drawn = np.stack([stream.uniforms(slot, self.first, self.edges) for stream in self._streams])
        normal = normals_from(drawn[..., 0], drawn[..., 1])
        bandwidth = np.maximum(
            values.bandwidth_least_mhz, values.bandwidth_mhz + values.bandwidth_deviation_mhz * normal
        )
        return Conditions(bandwidth, reward.price_low + (reward.price_high - reward.price_low) * drawn[..., 2])

    def zeroed(self, units: Ints, first_idle: Bools) -> Bools:
        """Where the published file's fault makes delays 0, shape (copy, edge).

        Args:
            units: What these edge servers rent.
            first_idle: Whether edge server 0 of the world rents nothing, shape (copy,).
        """
        bug = self.plan.rental.zero_delay_bug
        if bug == "authors":
            return np.broadcast_to(first_idle[:, None], units.shape)
        return (units == 0) & (bug == "own")

    def settle(
        self, units: Ints, before: Remembered, now: Conditions, requests: Requests, first_idle: Bools
    ) -> Settled:
        """Serve a slot.

        Args:
            units: Units of compute rented, shape (copy, edge).
            before: What users remembered.
            now: The slot's conditions.
            requests: Of users connected to these edge servers, by copy and then by user; others are passed over.
            first_idle: As in ``zeroed``.
        """
        delay, memory = self.plan.rental.delay, self.plan.rental.memory
        users, tasks, sent_s, waited_s = self._transmitted(now, requests)
        computed_s = compute_s(units, tasks, delay.tasks_per_unit, delay.most_s, delay.law)
        zero = self.zeroed(units, first_idle)
        computed_s = np.where(zero, 0.0, computed_s)
        wait_s = np.where(zero, 0.0, computed_s * tasks + waited_s)
        if memory.of == "total":
            total_s = np.where(zero, 0.0, computed_s + sent_s / np.maximum(users, 1))
            remembered_s = averaged(before.delay_s, total_s, memory.share)
        else:
            new_s = averaged(before.delay_s, computed_s, memory.share)
            remembered_s = np.where(units > 0, new_s, (1.0 - memory.forget_share) * before.delay_s)
        values = self.plan.rental.reward
        reward = rewards(
            units, tasks, wait_s, now.price, worth=values.worth, weight=values.delay_weight, scale=values.scale
        )
        crowd = averaged(before.users, users.astype(np.float64), memory.users_share)
        return Settled(users, tasks, computed_s, wait_s, reward, Remembered(remembered_s, crowd))

    def _transmitted(self, now: Conditions, requests: Requests) -> tuple[Ints, Floats, Floats, Floats]:
        """Users, tasks, seconds to send one task summed over users, and over all tasks: each (copy, edge)."""
        shape = now.price.shape
        here = (requests.edge >= self.first) & (requests.edge < self.first + self.edges)
        place = requests.copy[here] * self.edges + requests.edge[here] - self.first
        users = np.bincount(place, minlength=now.price.size)
        values, most_s = self.plan.rental.radio, self.plan.rental.delay.most_s
        send_s = radio.transmission_s(
            users[place], now.bandwidth_mhz.reshape(-1)[place], requests.per_hertz[here], values.task_mbit, most_s
        )
        asked = requests.tasks[here].astype(np.float64)
        parts = [summed(place, each, now.price.size).reshape(shape) for each in (asked, send_s, asked * send_s)]
        return users.reshape(shape), parts[0], parts[1], parts[2]


def offer_of(units: Ints, remembered: Remembered, now: Conditions) -> Offer:
    """What users get to know of edge servers."""
    return Offer(units, remembered.delay_s, remembered.users, now.bandwidth_mhz)


def observation(remembered: Remembered, in_range: Ints, now: Conditions, hour: Floats) -> Floats:
    """What edge servers observe before they decide, as ``OBSERVED`` lists it, shape (copy, edge, 5).

    Args:
        remembered: What users remember.
        in_range: Users in range.
        now: The slot's conditions.
        hour: Of the day in each copy, shape (copy,).
    """
    hours = np.broadcast_to(hour[:, None], in_range.shape)
    return np.stack([remembered.delay_s, in_range, now.bandwidth_mhz, now.price, hours], axis=-1)
