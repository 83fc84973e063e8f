"""How much of what lies between MA-DQL's rentals and the exact maximum of P2 an orchestrator recovers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from agents.n2o.dual_averaging import Slopes
from agents.n2o.exact import maximise
from agents.n2o.network import Lost, losing, nothing_lost, orchestrated
from agents.n2o.orchestrators import Recipe
from agents.n2o.tables import Floats, Ints, Tables

SlopesOf = Callable[[int], Slopes]
"""Server to the slopes of its network, for all states."""


class Yardstick:
    """Tables with what MA-DQL gets on them and what can be got at most."""

    def __init__(self, tables: Tables, slopes: SlopesOf | None = None) -> None:
        """Solve P2 exactly in all states.

        Raises: ValueError: the graph is too dense for that.
        """
        self.tables = tables
        self.slopes = slopes
        self.floor: Floats = tables.total(tables.own_best())
        self.most: Floats = maximise(tables).value

    @property
    def floor_share(self) -> float:
        """What MA-DQL gets, as a part of the maximum; sums over states."""
        return float(self.floor.sum() / self.most.sum())

    def recovered(self, rented: Ints) -> float:
        """Share of the headroom that rentals (state, edge) recover; sums over states.

        Source: ours: (P2(a) - P2(MA-DQL)) / (max P2 - P2(MA-DQL)).
        """
        gain = self.tables.total(rented) - self.floor
        return float(gain.sum() / (self.most - self.floor).sum())

    def by_round(self, recipe: Recipe, rounds: int) -> list[float]:
        """The share after 0, 1, ... rounds without loss."""
        course = orchestrated(recipe.parts(self.tables, self.slopes), rounds)
        return [self.recovered(rented) for rented in course.rented]

    def lossy(self, recipe: Recipe, share: float, seed: int, *, first_comes: bool = False) -> float:
        """The share after the recipe's rounds when letters are lost one way, each state with draws of its own.

        Args:
            recipe: The orchestrator; without slopes of networks.
            share: Of the letters.
            seed: Of the draws.
            first_comes: Whether letters of the first round are never lost.
        """
        rented = []
        for state in range(self.tables.states):
            one = self.tables.part(state, state + 1)
            lost = losing(share, seed, state) if share else nothing_lost
            rented.append(orchestrated(recipe.parts(one), recipe.rounds, _from_round(lost, first_comes)).last)
        return self.recovered(np.concatenate(rented))


def _from_round(lost: Lost, first: bool) -> Lost:
    return lambda round_, sender, receiver: round_ >= first and lost(round_, sender, receiver)


def pooled(yardsticks: Sequence[Yardstick], share: Callable[[Yardstick], float]) -> float:
    """Mean over yardsticks, each counting as much as the others."""
    return float(np.mean([share(each) for each in yardsticks]))
