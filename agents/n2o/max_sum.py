"""Max-sum with damping: nearly exact on grids, from what neighbours say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from agents.n2o.letters import Letter, Singles, relative, whole
from agents.n2o.tables import Floats, Ints, LocalTable
from emulator.model.graph import Graph

DAMPING: Final = 0.4


class MaxSum:
    """One edge server hosts its own rental, a variable, and its table, a factor over itself and its neighbours.

    A letter has both of a round's messages: what the factor says of the neighbour's variable, and what the own variable
    says to the neighbour's factor. Between the own variable and factor nothing has to travel.
    Source: ours: max-sum (max-product in logarithms) on the factor graph of N2O problem P2.
    """

    def __init__(self, graph: Graph, edge: int, table: LocalTable, damping: float = DAMPING) -> None:
        """Begin with no messages.

        Args:
            graph: Who is whose neighbour.
            edge: Whose part this is.
            table: Its table.
            damping: Share of the message before in the next one, in [0, 1).
        """
        self._neighbours = graph.neighbours[edge]
        self._table = table
        self._damping = damping
        nothing = np.zeros((table.states, table.actions))
        self._of_us = dict.fromkeys(self._neighbours, nothing)  # what their factors say of our variable
        self._to_us = dict.fromkeys(self._neighbours, nothing)  # what their variables say to our factor
        self._sent: dict[int, Singles] = {}

    def outgoing(self) -> dict[int, Letter]:
        """See ``Orchestrator``."""
        heard = self._heard()
        total = self._with_all(heard)
        own = self._best_by(total, 0) - heard
        letters, keep = {}, np.float32(self._damping)
        for k, other in enumerate(self._neighbours):
            of_them = self._best_by(total, 1 + k) - self._to_us[other]
            to_them = own + heard - self._of_us[other]
            values = np.concatenate([relative(of_them), relative(to_them)], axis=1)
            if other in self._sent:
                values = keep * self._sent[other] + (np.float32(1.0) - keep) * values
            self._sent[other] = values
            letters[other] = Letter(values)
        return letters

    def take(self, received: Mapping[int, Letter]) -> None:
        """See ``Orchestrator``; of whom nothing came the last word holds."""
        for other in self._neighbours:
            letter = received.get(other)
            if letter is not None:
                of_us, to_us = np.split(letter.values, 2, axis=1)
                self._of_us[other], self._to_us[other] = whole(of_us), whole(to_us)

    def rented(self) -> Ints:
        """See ``Orchestrator``."""
        return np.argmax(self._best_by(self._with_all(self._heard()), 0), axis=1)

    def _heard(self) -> Floats:
        """What all other factors say of our variable, which is what it says to our own factor."""
        heard: Floats = np.zeros((self._table.states, self._table.actions))
        for other in self._neighbours:
            heard = heard + self._of_us[other]
        return heard

    def _with_all(self, heard: Floats) -> Floats:
        """The table with what every variable says to it."""
        total = self._table.values + self._along(heard, 0)
        for k, other in enumerate(self._neighbours):
            total = total + self._along(self._to_us[other], 1 + k)
        return total

    def _along(self, values: Floats, place: int) -> Floats:
        shape = [self._table.states] + [1] * self._table.places
        shape[1 + place] = self._table.actions
        return values.reshape(shape)

    def _best_by(self, total: Floats, place: int) -> Floats:
        """The best for each rental of one place, shape (state, actions)."""
        return total.max(axis=tuple(1 + k for k in range(self._table.places) if k != place))
