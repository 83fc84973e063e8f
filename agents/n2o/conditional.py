"""Orchestrators whose letters say what each rental of the neighbour would be worth to the sender.

Only edge server n and its neighbours have a term that a_n is in, so its owner n can add up all that depends on it, from
one hop away. Both algorithms here write the same letters; they differ in what the owner does with them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agents.n2o.letters import Letter, relative, whole
from agents.n2o.tables import Floats, Ints, LocalTable
from emulator.model.graph import Graph


class Correspondent:
    """Keeps what neighbours last said, and writes to each what its rentals are worth here."""

    def __init__(self, graph: Graph, edge: int, table: LocalTable) -> None:
        self.neighbours = graph.neighbours[edge]
        self.table = table
        self.known: Ints = table.best()  # own rental, then the neighbours': as hoped for until they are announced
        self.heard: dict[int, Floats] = {}  # what each neighbour said last of our rentals

    def outgoing(self) -> dict[int, Letter]:
        """See ``Orchestrator``."""
        own = self.known[:, 0].copy()
        return {
            other: Letter(relative(self.table.conditional(self.known, 1 + k)), own)
            for k, other in enumerate(self.neighbours)
        }

    def rented(self) -> Ints:
        """See ``Orchestrator``."""
        return self.known[:, 0].copy()

    def hear(self, received: Mapping[int, Letter]) -> None:
        """Take what came; of whom nothing came the last word holds."""
        for k, other in enumerate(self.neighbours):
            letter = received.get(other)
            if letter is not None and letter.rented is not None:
                self.heard[other] = whole(letter.values)
                self.known[:, 1 + k] = letter.rented

    def worth(self) -> Floats:
        """What each own rental is worth to oneself and all neighbours, as far as is known, shape (state, actions)."""
        total = self.table.conditional(self.known, 0)
        total = total - total[:, :1]
        for other in self.neighbours:
            if other in self.heard:
                total = total + self.heard[other]
        return total


class OwnerSide(Correspondent):
    """Owner-side dual averaging: the owner rents what was worth most over all rounds so far, late rounds first.

    A round counts by the square of its number: its letters know better than the ones before what everyone rents.
    Source: ours: N2O eq. (3) with z_n kept by its owner only, on the vectors Q_m(a_n = v | rest as announced).
    """

    def __init__(self, graph: Graph, edge: int, table: LocalTable) -> None:
        super().__init__(graph, edge, table)
        self._round = 0
        self._sum: Floats = np.zeros((table.states, table.actions))

    def take(self, received: Mapping[int, Letter]) -> None:
        """See ``Orchestrator``."""
        self.hear(received)
        self._round += 1
        self._sum += self._round**2 * self.worth()
        self.known[:, 0] = np.argmax(self._sum, axis=1)


class Polishing(Correspondent):
    """Coordinate polishing: one edge server after the other rents what is worth most while the others stand still.

    Those move together that share no table: servers of one colour, in a colouring where nobody within two hops has the
    same. A move is announced in one round and counted by neighbours in the next, so every second round is a turn.
    Without loss the objective of P2 never falls.
    Source: ours: coordinate ascent on P2.
    """

    def __init__(self, graph: Graph, edge: int, table: LocalTable) -> None:
        super().__init__(graph, edge, table)
        colours = two_hop_colours(graph)
        self._colour, self._colours = colours[edge], max(colours) + 1
        self._round = 0

    def take(self, received: Mapping[int, Letter]) -> None:
        """See ``Orchestrator``."""
        self.hear(received)
        turn, rest = divmod(self._round, 2)
        # Round 0 tells what all rent at first, round 1 what that makes each rental worth.
        if rest == 1 and turn % self._colours == self._colour and len(self.heard) == len(self.neighbours):
            worth = self.worth()
            best = np.argmax(worth, axis=1)
            now = self.known[:, 0]
            better = np.take_along_axis(worth, best[:, None], 1) > np.take_along_axis(worth, now[:, None], 1)
            self.known[:, 0] = np.where(better[:, 0], best, now)
        self._round += 1


def two_hop_colours(graph: Graph) -> list[int]:
    """A colour for each edge server, such that nobody within two hops has the same; greedy, in order.

    Source: ours: servers within two hops share a table.
    """
    colours: list[int] = []
    for edge, others in enumerate(graph.neighbours):
        near = {edge, *others, *(far for other in others for far in graph.neighbours[other])}
        taken = {colours[other] for other in near if other < edge}
        colours.append(next(colour for colour in range(graph.edges) if colour not in taken))
    return colours
