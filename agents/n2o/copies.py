"""Copies of a rental world that are played side by side, as training and evaluation see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agents.n2o.tables import Ints

Floats = NDArray[np.float64]
Decide = Callable[[Floats], Ints]
"""Observations (copy, agent, field) to rentals (copy, agent)."""


class Copies(Protocol):
    """Many copies of one world. What an episode draws belongs to its number, so that it can be begun at any time."""

    copies: int
    episode_slots: int

    def begin(self, episode: int) -> Floats:
        """Start an episode in every copy; returns the first observations, shape (copy, agent, field)."""
        ...

    def step(self, rented: Ints) -> tuple[Floats, Floats]:
        """Play a slot: rentals (copy, agent) to rewards (copy, agent) and the next observations, new arrays."""
        ...


@dataclass(frozen=True, slots=True)
class Played:
    """What some episodes were worth.

    Attributes:
        rewards: Of each episode, summed over its slots and edge servers, shape (copy and episode,).
    """

    rewards: Floats

    @property
    def mean(self) -> float:
        """Mean reward of an episode."""
        return float(self.rewards.mean())

    @property
    def error(self) -> float:
        """Its standard error."""
        return float(self.rewards.std(ddof=1) / np.sqrt(len(self.rewards)))


def played(world: Copies, decide: Decide, episodes: int, first: int = 0) -> Played:
    """Play whole episodes.

    Args:
        world: The copies.
        decide: What is rented.
        episodes: How many, in each copy.
        first: The first one's number.
    """
    sums = []
    for episode in range(first, first + episodes):
        seen = world.begin(episode)
        total = np.zeros(world.copies)
        for _ in range(world.episode_slots):
            rewards, seen = world.step(decide(seen))
            total += rewards.sum(axis=1)
        sums.append(total)
    return Played(np.concatenate(sums))
