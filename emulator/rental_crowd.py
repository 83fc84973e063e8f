"""The users of a rental world: they walk, come and go, choose an edge server and ask for tasks.

A cell node holds some of them, an in-process world all of them, and many copies of it at once. Who is held together
with whom makes no difference to anybody's numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emulator.model import radio
from emulator.model.graph import NOBODY, Floats, distances
from emulator.model.mobility import Bools, placed, walked
from emulator.model.rental import Ints, chosen, poisson, willingness
from emulator.model.streams import CrowdStream, Stream
from emulator.rental_plan import Plan

STAY, PRESENCE, PLACE, STEP, CHOICE, TASKS, FADING = 0, 1, slice(2, 4), slice(4, 8), 8, 9, 10
"""Which of a user's uniforms of a slot is for what; from ``FADING`` on there is one for each edge server."""

FIRST_LOOK_BACK = 64
"""Slots that are replayed at first to find out where everybody is, after a jump to a later slot."""


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """What users know of the edge servers when they choose, each of shape (copy, edge).

    Attributes:
        units: Units of compute rented.
        delay_s: The delay they remember.
        users: The number of users they remember.
        bandwidth_mhz: Spectrum in this slot.
    """

    units: Ints
    delay_s: Floats
    users: Floats
    bandwidth_mhz: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """What users ask for in a slot; one entry for each user who is there, by copy and then by user.

    Attributes:
        copy: Of the world.
        user: Its number among all users.
        edge: Whom it is connected to; ``NOBODY``: to the cloud.
        tasks: What it asks for.
        per_hertz: bit/s/Hz of its channel to that edge server; 1 to the cloud.
    """

    copy: Ints
    user: Ints
    edge: Ints
    tasks: Ints
    per_hertz: Floats


class Crowd:
    """Some users of a world, or of copies of it: who is where, slot by slot."""

    def __init__(self, plan: Plan, seeds: Sequence[int], first: int = 0, members: int | None = None) -> None:
        """Nobody is anywhere yet: ``advance`` first.

        Args:
            plan: The world's.
            seeds: One for each copy.
            first: The first user.
            members: How many; all that follow if not given.
        """
        self.plan = plan
        self.first = first
        self.members = plan.users - first if members is None else members
        self.seeds = tuple(seeds)
        draws = FADING + (plan.edges if plan.rental.radio.channel == "rayleigh" else 0)
        self._streams = [CrowdStream(seed, "/user", "slot", draws=draws) for seed in self.seeds]
        self._numbers = [Stream(seed, "/user", "number", draws=1) for seed in self.seeds]
        self._forget()

    def _forget(self) -> None:
        shape = len(self.seeds), self.members
        self.slot = -1
        self.positions = np.zeros((*shape, 2))
        self.present = np.zeros(shape, dtype=np.bool_)
        self._known = np.zeros(shape, dtype=np.bool_)

    def advance(self, slot: int) -> None:
        """Go to a slot, any slot; to the next one is cheapest."""
        if slot == self.slot:
            return
        begin = self.plan.episode(slot)
        if self.slot != slot - 1 or begin == slot:
            self._forget()
            self._replay(begin, slot)
        self._step(slot, begin)
        self._meet()

    def _replay(self, begin: int, slot: int) -> None:
        """Find out where everybody is before a slot; who was drawn anew since then needs no older slot."""
        back = FIRST_LOOK_BACK
        while begin < slot:
            start = max(begin, slot - back)
            for each in range(start, slot):
                self._step(each, begin)
            if start == begin or self._known.all():
                return
            back *= 4
            self._forget()

    def _step(self, slot: int, begin: int) -> None:
        users, sides = self.plan.rental.users, self.plan.sides_m
        drawn = np.stack([stream.uniforms(slot, self.first, self.members) for stream in self._streams])
        fresh = drawn[..., STAY] >= users.stay_share
        if slot == begin:
            fresh[:] = True
        if users.law == "poisson":
            self.present = np.arange(self.first, self.first + self.members) < self._number(slot)[:, None]
        else:
            self.present = np.where(fresh, drawn[..., PRESENCE] * users.pool < users.mean, self.present)
        stay = ~fresh
        self.positions[stay] = walked(self.positions[stay], drawn[stay, STEP], users.step_m, sides)
        self.positions[fresh] = placed(drawn[fresh, PLACE], sides)
        self._known |= fresh
        self._drawn = drawn
        self.slot = slot

    def _number(self, slot: int) -> Ints:
        uniform = np.array([stream.uniforms(slot)[0, 0] for stream in self._numbers])
        return poisson(np.full(len(uniform), self.plan.rental.users.mean), uniform)

    def _meet(self) -> None:
        """See which edge servers are in range of whom: pairs of users who are there and edge servers."""
        flat = np.flatnonzero(self.present)
        self._copy, self._user = np.divmod(flat, self.members)
        self._uniforms = self._drawn.reshape(-1, self._drawn.shape[-1])[flat]
        self._where = self.positions.reshape(-1, 2)[flat]
        apart = distances(self._where, self.plan.sites)
        self._near = apart <= self.plan.rental.sites.range_m
        self._apart = apart

    def in_range(self) -> Ints:
        """Users in range of each edge server, shape (copy, edge)."""
        edges = self.plan.edges
        who, edge = np.nonzero(self._near)
        counted = np.bincount(self._copy[who] * edges + edge, minlength=len(self.seeds) * edges)
        return counted.reshape(-1, edges)

    def request(self, offer: Offer, rows: Ints) -> Requests:
        """Choose edge servers and draw tasks.

        Args:
            offer: What the users know of the edge servers.
            rows: Row of the plan's rates in each copy, shape (copy,).
        """
        rental = self.plan.rental
        users, demand = rental.users, rental.demand
        candidates = self._near if users.choose == "in-range" else self._near & (offer.units[self._copy] > 0)
        candidates = candidates & self.plan.there(self.slot)
        who, at = np.nonzero(candidates)
        copy = self._copy[who]
        per_hertz = self._per_hertz(who, at)
        cost = offer.delay_s[copy, at]
        if users.expect_transmission:
            cost = cost + radio.transmission_s(
                offer.users[copy, at],
                offer.bandwidth_mhz[copy, at],
                per_hertz,
                rental.radio.task_mbit,
                rental.delay.most_s,
            )
        edge = self._choose(candidates, who, at, cost)
        mine = at == edge[who]
        channel = np.ones(len(edge))
        channel[who[mine]] = per_hertz[mine]
        away = edge == NOBODY
        willing = willingness(offer.delay_s[self._copy, edge], rental.delay.most_s, demand.least_share)
        rate = self.plan.rates[rows[self._copy], self.plan.zones(self._where)] * np.where(away, 1.0, willing)
        tasks = poisson(rate, self._uniforms[:, TASKS])
        return Requests(self._copy, self._user + self.first, edge, tasks, channel)

    def _per_hertz(self, who: Ints, at: Ints) -> Floats:
        values, sites = self.plan.rental.radio, self.plan.rental.sites
        if values.channel == "none":
            return np.ones(len(who))
        gain = radio.fading(self._uniforms[who, FADING + at])
        ratio = radio.signal_to_noise(
            self._apart[who, at], gain, range_m=sites.range_m, at_range=values.at_range, nearest_m=values.nearest_m
        )
        return radio.efficiency(ratio, values.least_efficiency)

    def _choose(self, candidates: Bools, who: Ints, at: Ints, cost: Floats) -> Ints:
        users, edges = self.plan.rental.users, self.plan.edges
        clouds = 1 if users.cloud == "choice" else 0
        table = np.full((len(candidates), edges + clouds), np.inf)
        table[who, at] = cost
        if clouds:
            table[:, edges] = users.cloud_s
        choice = chosen(table, np.isfinite(table), users.temperature_s, self._uniforms[:, CHOICE])
        return np.where(choice == edges, NOBODY, choice)
