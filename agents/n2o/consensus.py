"""Consensus on conditional values: everyone mixes, for every server, what each of its rentals is worth to all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agents.n2o.letters import Letter, relative, whole
from agents.n2o.mixing import metropolis_weights, mixed
from agents.n2o.tables import Floats, Ints, LocalTable
from emulator.model.graph import Graph


class Consensus:
    """One server's part; what it would have all others rent is its own opinion.

    Source: ours: N2O eq. (3a) on the vectors Q_n(a_i = v | rest), for whole rentals, without a centre.
    """

    def __init__(self, graph: Graph, edge: int, table: LocalTable) -> None:
        self._scope = (edge, *graph.neighbours[edge])
        self._weights = metropolis_weights(graph, edge)
        self._table = table
        self._opinion = table.best()
        self._z: Floats = np.zeros((table.states, graph.edges, table.actions - 1))  # less that of renting nothing

    def outgoing(self) -> dict[int, Letter]:
        """See ``Orchestrator``."""
        return dict.fromkeys(self._scope[1:], Letter(self._z.reshape(len(self._z), -1).astype(np.float32)))

    def take(self, received: Mapping[int, Letter]) -> None:
        """See ``Orchestrator``."""
        said = [relative(self._table.conditional(self._opinion, place)) for place in range(self._table.places)]
        self._z = mixed(self._z.reshape(len(self._z), -1), self._weights, received).reshape(self._z.shape)
        for edge, values in zip(self._scope, said, strict=True):
            self._z[:, edge] += values
        self._opinion = np.argmax(whole(self._z[:, self._scope]), axis=2)

    def rented(self) -> Ints:
        """See ``Orchestrator``."""
        return self._opinion[:, 0].copy()
