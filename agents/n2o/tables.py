"""What local Q-networks say of every joint rental of an edge server and its neighbours: their tables.

A table has an axis for the states that are looked at together (one on the bus, many in evaluations), then one for the
own rental and one for each neighbour's, in the graph's order. Flat, its rows are in counting order: the last
neighbour's rental runs fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emulator.model.graph import Graph

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Valued = Callable[[Floats, Ints], NDArray[np.floating]]
"""Observations (row, field) and joint rentals (row, 1 + neighbours) to values (row,)."""


def joint_rentals(actions: int, places: int) -> Ints:
    """Every joint rental, in counting order.

    Args:
        actions: Rentals to choose from, K + 1.
        places: How many edge servers rent.
    Returns: Shape (actions ** places, places).
    Source: N2O section III.B, the localised decisions of the greedy policy, enumerated.
    """
    return np.stack(np.unravel_index(np.arange(actions**places), (actions,) * places), axis=-1)


class LocalTable:
    """[Q_n(o_n, .)] one edge server's table.

    Attributes:
        values: Shape (state, actions, ..., actions), one axis for itself and one for each neighbour.
        actions: Rentals to choose from.
        places: Itself and its neighbours.
    """

    def __init__(self, values: NDArray[np.floating], actions: int) -> None:
        """Take values, shape (state, ...), whose rows are in counting order.

        Raises: ValueError: their number is no power of ``actions``.
        """
        states, rows = len(values), values.size // max(1, len(values))
        places = round(np.log(rows) / np.log(actions)) if rows else 0
        if places < 1 or actions**places != rows:
            raise ValueError(f"a table of {rows} rows is no table of rentals 0..{actions - 1}")
        self.actions, self.places = actions, places
        self.values: Floats = np.ascontiguousarray(values, dtype=np.float64).reshape(states, *(actions,) * places)
        self._flat = self.values.reshape(states, rows)
        self._strides = actions ** np.arange(places - 1, -1, -1)
        self._steps = np.arange(actions)

    @property
    def states(self) -> int:
        """States that are looked at together."""
        return len(self.values)

    def without(self, places: Sequence[int]) -> LocalTable:
        """The table while some neighbours are away: what it says when they rent nothing; not of place 0, its own.

        Source: ours: membership; who is away takes no users, as one that rents nothing.
        """
        values: Floats = self.values
        for place in sorted(places, reverse=True):
            values = np.take(values, [0], axis=1 + place)
        return LocalTable(values.reshape(self.states, -1), self.actions)

    def at(self, rented: Ints) -> Floats:
        """[Q_n] values of joint rentals of shape (state, place), shape (state,)."""
        row = rented @ self._strides
        found: Floats = np.take_along_axis(self._flat, row[:, None], axis=1)[:, 0]
        return found

    def conditional(self, rented: Ints, place: int) -> Floats:
        """Values of each rental of one place while the others rent as given, shape (state, actions).

        Source: ours: the message of owner-side dual averaging.
        """
        stride = self._strides[place]
        row = rented @ self._strides - rented[:, place] * stride
        found: Floats = np.take_along_axis(self._flat, row[:, None] + self._steps * stride, axis=1)
        return found

    def best(self) -> Ints:
        """[alpha_n*] the joint rental that is best for this table, shape (state, place); the first of equals.

        Source: N2O section III.B.1, the greedy policy of MA-DQL; its first entry is what MA-DQL rents.
        """
        row = np.argmax(self._flat, axis=1)
        return row[:, None] // self._strides % self.actions

    def secants(self, points: Floats) -> Floats:
        """Slopes between whole rentals, at points (state, place) within the box; the others are rounded.

        At a whole rental it is the mean of the slopes on both sides.
        Source: ours: networks see whole rentals only, so what they answer between those says nothing.
        """
        near = np.clip(np.floor(points + 0.5), 0, self.actions - 1).astype(np.int64)
        slopes = np.empty_like(points)
        for place in range(self.places):
            rises = np.diff(self.conditional(near, place), axis=1)
            at = points[:, place, None]
            left = np.clip(np.ceil(at) - 1, 0, self.actions - 2).astype(np.int64)
            right = np.clip(np.floor(at), 0, self.actions - 2).astype(np.int64)
            both = np.take_along_axis(rises, left, axis=1) + np.take_along_axis(rises, right, axis=1)
            slopes[:, place] = 0.5 * both[:, 0]
        return slopes


def tabulated(value: Valued, observations: Floats, actions: int, neighbours: int) -> LocalTable:
    """The table of a Q function, all rows of all states in one batch.

    Args:
        value: The Q function.
        observations: [o_n] shape (state, field), as the Q function takes them.
        actions: Rentals to choose from.
        neighbours: How many there are.
    Source: N2O section III.B, Q_n(o_n, alpha_n; theta_n), by enumeration.
    """
    rentals = joint_rentals(actions, 1 + neighbours)
    seen = np.repeat(observations, len(rentals), axis=0)
    rows = np.tile(rentals, (len(observations), 1))
    return LocalTable(np.asarray(value(seen, rows)).reshape(len(observations), len(rentals)), actions)


def lacking(before: Sequence[int], now: Sequence[int]) -> list[int]:
    """Places in a local action, 1 for the first neighbour, of those who are no neighbours any more."""
    return [1 + place for place, other in enumerate(before) if other not in now]


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of all edge servers in the same states: problem P2.

    Attributes:
        graph: Who is whose neighbour.
        local: A table for each edge server.
    """

    graph: Graph
    local: tuple[LocalTable, ...]

    def __post_init__(self) -> None:
        for edge, (table, others) in enumerate(zip(self.local, self.graph.neighbours, strict=True)):
            if table.places != 1 + len(others) or table.actions != self.actions or table.states != self.states:
                raise ValueError(f"edge {edge}: its table does not fit {len(others)} neighbours, or not the others")

    @classmethod
    def of(cls, graph: Graph, values: Sequence[NDArray[np.floating]], actions: int) -> Tables:
        """Tables of values (state, ...) by edge server.

        Raises: ValueError: they do not fit the graph.
        """
        return cls(graph, tuple(LocalTable(each, actions) for each in values))

    @property
    def actions(self) -> int:
        """Rentals to choose from, K + 1."""
        return self.local[0].actions

    @property
    def states(self) -> int:
        """States that are looked at together."""
        return self.local[0].states

    @cached_property
    def scopes(self) -> tuple[tuple[int, ...], ...]:
        """Whose rentals each table is of, in the order of its axes."""
        return tuple((edge, *others) for edge, others in enumerate(self.graph.neighbours))

    def within(self, graph: Graph) -> Tables:
        """The tables in a graph that lacks some links: who is not linked rents nothing, for all the other knows."""
        if graph == self.graph:
            return self
        tables = zip(self.local, self.graph.neighbours, graph.neighbours, strict=True)
        return Tables(graph, tuple(table.without(lacking(before, now)) for table, before, now in tables))

    def total(self, rented: Ints) -> Floats:
        """The objective of P2 for rentals (state, edge), shape (state,).

        Source: N2O problem P2, the sum of local Q-values.
        """
        found = np.zeros(len(rented))
        for value in self.terms(rented):
            found += value
        return found

    def terms(self, rented: Ints) -> list[Floats]:
        """Each edge server's term of the objective, for rentals (state, edge), shape (state,)."""
        return [table.at(rented[:, scope]) for scope, table in zip(self.scopes, self.local, strict=True)]

    def own_best(self) -> Ints:
        """What MA-DQL rents: each the own entry of its own best joint rental, shape (state, edge).

        Source: N2O section III.B.1, pi_n(o_n; theta_n).
        """
        return np.stack([table.best()[:, 0] for table in self.local], axis=1)

    def part(self, first: int, end: int) -> Tables:
        """The same of the states [first, end)."""
        return Tables(self.graph, tuple(LocalTable(table.values[first:end], table.actions) for table in self.local))
