"""How neighbours' numbers are mixed, so that everybody's become the mean of all."""

from __future__ import annotations

from collections.abc import Mapping

from agents.n2o.letters import Letter
from agents.n2o.tables import Floats
from emulator.model.graph import Graph


def metropolis_weights(graph: Graph, edge: int) -> dict[int, float]:
    """[W_nm] what a server gives each neighbour's numbers; the rest is its own.

    Without a weight of its own a grid mixes nothing at all: it has two sides, and 3 x 3 has no such W.
    Source: N2O eq. (3a) asks for a doubly stochastic W on the graph; ours: Metropolis weights, B_n with n itself.
    """
    own = len(graph.neighbours[edge])
    return {other: 1.0 / (1.0 + max(own, len(graph.neighbours[other]))) for other in graph.neighbours[edge]}


def mixed(own: Floats, weights: Mapping[int, float], received: Mapping[int, Letter]) -> Floats:
    """One's own numbers and those that came, shape (state, number); the weight of who was not heard is one's own.

    Where a link fails for both ends, W stays doubly stochastic; where a letter is lost one way, it does not.
    Source: N2O eq. (3a), section IV.C for failed links.
    """
    heard = {other: weight for other, weight in weights.items() if other in received}
    total: Floats = (1.0 - sum(heard.values())) * own
    for other, weight in heard.items():
        total = total + weight * received[other].values
    return total
