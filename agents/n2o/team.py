"""All edge servers' exported networks in one process: what they rent together, however they are orchestrated.

It needs onnxruntime, and never PyTorch.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from agents.n2o.dual_averaging import Slopes, slopes_without
from agents.n2o.exact import maximise
from agents.n2o.files import ActorNetwork, QNetwork, check_world, read_manifest
from agents.n2o.network import Course, Lost, nothing_lost, orchestrated
from agents.n2o.orchestrators import Recipe, recipe
from agents.n2o.tables import Floats, Ints, LocalTable, Tables, lacking
from emulator.model.graph import Graph

EXACT: Final = "exact"
ALIASES: Final = {
    "maxsum": "max-sum:rounds=10",
    "madql": "own",
    "n2o-average": "n2o:output=average",
    "n2o-secant": "n2o:slopes=secant,centre=shared,gamma=3",
}
"""Short names of how a team decides, beside the specs of ``agents.n2o.orchestrators``."""


class Decide(Protocol):
    """How a team decides."""

    def __call__(self, seen: Floats, lost: Lost = nothing_lost, graph: Graph | None = None) -> Ints:
        """Observations (state, edge, field), what letters are lost, who is linked now, to rentals (state, edge)."""
        ...


class Negotiate(Protocol):
    """As ``Decide``, with all that came of the rounds."""

    def __call__(self, seen: Floats, lost: Lost = nothing_lost, graph: Graph | None = None) -> Course:
        """Observations (state, edge, field), what letters are lost, who is linked now, to what came of it."""
        ...


class QTeam:
    """Local Q-networks of all edge servers."""

    def __init__(self, folder: Path, graph: Graph, actions: int) -> None:
        """Load them.

        Args:
            folder: Of an export.
            graph: Of the world they are to decide in.
            actions: Rentals to choose from there.
        Raises: AgentError: they are for another world, or cannot be read.
        """
        check_world(folder, read_manifest(folder, "q"), graph, actions)
        self.graph = graph
        self._actions = actions
        self._networks = [QNetwork(folder, edge) for edge in range(graph.edges)]

    def tables(self, observations: Floats, graph: Graph | None = None) -> Tables:
        """What all say to observations (state, edge, field), in a graph that may lack some links for now."""
        values = [network.table(observations[:, edge]) for edge, network in enumerate(self._networks)]
        whole = Tables(self.graph, tuple(LocalTable(each, self._actions) for each in values))
        return whole if graph is None else whole.within(graph)

    def decider(self, spec: str) -> Decide:
        """How they decide: observations (state, edge, field) to rentals (state, edge).

        Args:
            spec: An orchestrator's, ``exact`` for the maximum of P2, ``madql`` for nobody orchestrating, or ``maxsum``.
        Raises: AgentError: there is none of that name.
        Source: N2O problem P2, and what is said of each orchestrator.
        """
        if spec == EXACT:
            return lambda seen, lost=nothing_lost, graph=None: maximise(self.tables(seen, graph)).rented
        negotiate = self.negotiator(recipe(ALIASES.get(spec, spec)))
        return lambda seen, lost=nothing_lost, graph=None: negotiate(seen, lost, graph).last

    def negotiator(self, made: Recipe) -> Negotiate:
        """The same with all that came of the rounds, by an orchestrator."""

        def negotiate(seen: Floats, lost: Lost = nothing_lost, graph: Graph | None = None) -> Course:
            tables = self.tables(seen, graph)
            slopes = partial(self.slopes, seen, graph=tables.graph)
            return orchestrated(made.parts(tables, slopes), made.rounds, lost)

        return negotiate

    def slopes(self, seen: Floats, edge: int, graph: Graph | None = None) -> Slopes:
        """Slopes of an edge server's network in observations (state, edge, field)."""
        network = self._networks[edge]
        away = [] if graph is None else lacking(self.graph.neighbours[edge], graph.neighbours[edge])
        return slopes_without(lambda points: network.slopes(seen[:, edge], points)[1], away)


class ActorTeam:
    """Distilled actors of all edge servers."""

    def __init__(self, folder: Path, graph: Graph, actions: int) -> None:
        """Load them; as ``QTeam``."""
        check_world(folder, read_manifest(folder, "actor"), graph, actions)
        self._networks = [ActorNetwork(folder, edge) for edge in range(graph.edges)]

    def decide(self, observations: Floats) -> Ints:
        """What each rents by itself: observations (state, edge, field) to rentals (state, edge)."""
        return np.stack([net.rented(observations[:, edge]) for edge, net in enumerate(self._networks)], axis=1)
