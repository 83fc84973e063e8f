"""The rental world in one process: one world, or many copies of it stepped at once for training.

    world = RentalWorld(scenario, seeds=range(16))
    while learning:
        decided = decide(world.normalised())   # (copy, edge, 5) to units 0..K, (copy, edge)
        played = world.step(decided)           # played.reward (copy, edge); played.over: the episode ended

Copy c computes what a world with seed ``seeds[c]`` alone computes, number for number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from emulator.model.graph import Floats, Graph
from emulator.model.rental import Ints, normalised
from emulator.rental_crowd import Crowd, Requests
from emulator.rental_edges import Conditions, EdgeServers, Remembered, Settled, observation, offer_of
from emulator.rental_plan import build_plan, resolve_rental
from emulator.scenario import Scenario


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """One slot of the world and of its copies.

    Attributes:
        slot: Which.
        hours: Hour of the day in each copy, shape (copy,).
        observed: What was observed before it, shape (copy, edge, 5).
        units: What was rented, shape (copy, edge).
        requests: What the users asked for.
        settled: What it came to.
        conditions: What the slot brought.
        before: What users remembered when they chose.
        over: Whether it was the last of its episode.
    """

    slot: int
    hours: Ints
    observed: Floats
    units: Ints
    requests: Requests
    settled: Settled
    conditions: Conditions
    before: Remembered
    over: bool

    @property
    def reward(self) -> Floats:
        """Local rewards r_n, shape (copy, edge)."""
        return self.settled.reward


class RentalWorld:
    """All users and edge servers of copies of one world, stepped by slot."""

    def __init__(self, scenario: Scenario, seeds: Sequence[int] | None = None) -> None:
        """Build the world of a scenario; resolves it where that was not done.

        Args:
            scenario: Of the rental world.
            seeds: One for each copy; the scenario's alone if not given.
        Raises: ScenarioError: the scenario's map, graph or trace does not fit it.
        """
        self.scenario = resolve_rental(scenario)
        self.plan = build_plan(self.scenario)
        self.reset([scenario.seed] if seeds is None else seeds)

    @property
    def graph(self) -> Graph:
        """Who is whose neighbour, in the fixed order."""
        return self.plan.graph

    @property
    def most_units(self) -> int:
        """K: decisions are 0..K."""
        return self.plan.rental.units

    @property
    def copies(self) -> int:
        """How many worlds are stepped at once."""
        return len(self.seeds)

    @property
    def edges(self) -> int:
        """N, the number of edge servers."""
        return self.plan.edges

    def reset(self, seeds: Sequence[int] | None = None) -> None:
        """Go back to the first slot, with other seeds if given."""
        if seeds is not None:
            self.seeds = tuple(int(seed) for seed in seeds)
        self._crowd = Crowd(self.plan, self.seeds)
        self._servers = EdgeServers(self.plan, self.seeds)
        self._remembered = self._servers.nothing_remembered()
        self._open(0)

    def begin(self, slot: int) -> None:
        """Go to the first slot of an episode, any episode; what it draws does not depend on the ones before.

        Raises: ValueError: no episode begins there.
        """
        if slot < 0 or self.plan.episode(slot) != slot:
            raise ValueError(f"slot {slot}: no episode begins there (they last {self.plan.rental.episode_slots} slots)")
        self._open(slot)

    def _open(self, slot: int) -> None:
        """Begin a slot: users walk, spectrum and prices are drawn, edge servers observe."""
        self.slot = slot
        if self.plan.episode(slot) == slot:
            self._remembered = self._servers.nothing_remembered()
            self._starts = [self.plan.start(seed, slot) for seed in self.seeds]
        self._crowd.advance(slot)
        self._rows = np.array([self.plan.row(start, slot) for start in self._starts])
        self.hours = np.array([self.plan.hour(row) for row in self._rows.tolist()])
        self._conditions = self._servers.conditions(slot)
        self.observed = observation(self._remembered, self._crowd.in_range(), self._conditions, self.hours)

    def normalised(self) -> Floats:
        """What edge servers observe, scaled for networks, shape (copy, edge, 5)."""
        scaling = self.plan.rental.observation
        return normalised(self.observed, np.array(scaling.centre), np.array(scaling.scale))

    def step(self, units: Ints) -> Played:
        """Play the slot; afterwards the next one has begun, after an episode's last slot that of the next episode.

        Args:
            units: Units to rent, whole numbers 0..K, shape (copy, edge).
        Raises: ValueError: another shape, or a number outside 0..K.
        """
        units = np.asarray(units)
        if units.shape != (self.copies, self.edges) or not np.issubdtype(units.dtype, np.integer):
            raise ValueError(f"units: need whole numbers of shape {(self.copies, self.edges)}, not {units.shape}")
        if units.size and not 0 <= units.min() <= units.max() <= self.most_units:
            raise ValueError(f"units: must be 0..{self.most_units}, are {units.min()}..{units.max()}")
        units = np.where(self.plan.there(self.slot), units, 0).astype(np.int64)
        requests = self._crowd.request(offer_of(units, self._remembered, self._conditions), self._rows)
        settled = self._servers.settle(units, self._remembered, self._conditions, requests, units[:, 0] == 0)
        before, self._remembered = self._remembered, settled.remembered
        over = self.plan.episode(self.slot + 1) == self.slot + 1
        played = Played(self.slot, self.hours, self.observed, units, requests, settled, self._conditions, before, over)
        self._open(self.slot + 1)
        return played


def in_episodes(scenario: Scenario, slots: int, *, random_start: bool = True) -> Scenario:
    """A scenario whose world forgets everything every ``slots`` slots, as training wants it.

    Raises: ValueError: the scenario is not of the rental world.
    """
    if scenario.rental is None:
        raise ValueError(f"{scenario.name}: is not of the rental world")
    rental = msgspec.structs.replace(scenario.rental, episode_slots=slots, random_start=random_start)
    return msgspec.structs.replace(scenario, rental=rental)
