"""Measurements by seed, and what is compared: pairs with the same seed, and of these the episodes that both played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.reproduction.measuring import Part, Result, Store
from agents.n2o.reproduction.plan import (
    BY,
    CENTRALIZED,
    DISTILLED_MAX_SUM,
    DISTILLED_N2O,
    EXACT,
    LOCAL,
    MAX_SUM,
    N2O,
    N2O_AVERAGE,
    OWNER,
    Effort,
    WorldName,
    case_of,
    seeds_of,
)
from agents.reproduction.comparing import Compared, difference, part
from agents.reproduction.writing import compared

BY_LOCAL, BY_N2O, BY_AVERAGE, BY_OWNER, BY_MAX_SUM, BY_EXACT = (
    BY + spec for spec in (LOCAL, N2O, N2O_AVERAGE, OWNER, MAX_SUM, EXACT)
)
NAMES: Final[dict[str, str]] = {
    CENTRALIZED: "centralized DQL",
    BY_LOCAL: "MA-DQL",
    BY_N2O: "N2O, last point",
    BY_AVERAGE: "N2O, average",
    BY_OWNER: "owner-side",
    BY_MAX_SUM: "max-sum",
    BY_EXACT: "exact P2",
    DISTILLED_N2O: "distilled from N2O",
    DISTILLED_MAX_SUM: "distilled from max-sum",
    BY + "all1": "all 1",
    BY + "all2": "all 2",
    BY + "random": "random",
    BY + "greedy-rule": "greedy rule",
    BY + "0=constant:0,all1": "server 0 never, others 1",
}
"""Who decides, in the order of tables."""

Results = Sequence[Result | None]


class Pair(NamedTuple):
    """Two figures by seed, nan where a seed was not measured, each of shape (seed,)."""

    own: Floats
    base: Floats

    @property
    def ratio(self) -> Compared | None:
        """Ratio of the means."""
        return part(self.own, self.base)

    @property
    def words(self) -> str:
        """The ratio and half of its interval; without one where there is one seed."""
        both = self.own / self.base
        if measured(both) == 1:
            return f"{both[np.isfinite(both)][0]:.3f}"
        return compared(self.ratio, 3)

    @property
    def difference(self) -> Compared | None:
        """Mean of the differences."""
        return difference(self.own, self.base)


class Book:
    """What is measured, by world, number of edge servers and part."""

    def __init__(self, store: Store, effort: Effort) -> None:
        self._store = store
        self.effort = effort

    def results(self, world: WorldName, edges: int, name: str, units: int = 2) -> Results:
        """Of every seed."""
        if edges not in self.effort.steps or (name == CENTRALIZED and edges not in self.effort.central):
            return [None for _ in seeds_of(self.effort)]
        cases = [case_of(self.effort, world, edges, seed, units) for seed in seeds_of(self.effort)]
        return [self._store.get(Part(case, name)) for case in cases]

    def rewards(self, world: WorldName, edges: int, name: str, units: int = 2) -> Floats:
        """Mean reward of an episode by seed, shape (seed,)."""
        found = self.results(world, edges, name, units)
        return np.array([np.nan if each is None else each.reward for each in found])

    def pair(self, world: WorldName, edges: int, name: str, base: str, units: int = 2) -> Pair:
        """Rewards beside those of another, seed by seed."""
        return paired(self.results(world, edges, name, units), self.results(world, edges, base, units))

    def number(self, world: WorldName, edges: int, name: str, key: str, at: int = -1) -> Floats:
        """One of the other numbers by seed, shape (seed,)."""
        found = self.results(world, edges, name)
        return np.array([np.nan if each is None else each.numbers[key][at] for each in found])

    def curve(self, world: WorldName, edges: int, name: str, key: str) -> Floats:
        """All of a number's values by seed, shape (seed, value); seeds that are not measured are left out."""
        found = [each.numbers[key] for each in self.results(world, edges, name) if each is not None]
        return np.array(found) if found else np.zeros((0, 0))


def paired(own: Results, base: Results) -> Pair:
    """Mean rewards of the episodes that both played, seed by seed: as many copies and episodes as the shorter one has.

    Source: ours: all evaluations play the same copies in the same order, so these episodes are the same.
    """
    found = np.full((2, len(own)), np.nan)
    for seed, (one, other) in enumerate(zip(own, base, strict=True)):
        if one is None or other is None:
            continue
        first, second = one.by_episode, other.by_episode
        episodes, copies = np.minimum(first.shape, second.shape)
        found[:, seed] = first[:episodes, :copies].mean(), second[:episodes, :copies].mean()
    return Pair(found[0], found[1])


def measured(values: Floats) -> int:
    """How many seeds there are of something."""
    return int(np.isfinite(values).sum())
