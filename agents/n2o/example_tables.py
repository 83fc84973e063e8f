"""Tables to orchestrate on: drawn networks, a small economy in which neighbours share users, and trained networks.

What is trained comes with edgerig: nine networks of spec P and what they saw. On these MA-DQL has nine tenths of the
maximum, on the others a third to two thirds.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from agents.n2o.dual_averaging import Slopes
from agents.n2o.relu_net import LocalNetwork, ReluNet
from agents.n2o.tables import Floats, Tables, joint_rentals
from emulator.model.graph import Graph, grid_positions, within
from emulator.model.streams import Stream

ACTIONS: Final = 3
FIELDS: Final = 5
HIDDEN: Final = (8, 32, 8)
TRAINED: Final = "trained_grid9.npz"
SPACING_M: Final = 60.0
DRAWS: Final = 1 << 20
"""Uniforms that belong to one server; they are drawn by a generator that may run on."""


def square(side: int) -> Graph:
    """A square grid with links between next neighbours."""
    return within(grid_positions(side, side, SPACING_M), SPACING_M)


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks of all servers, and states that they see.

    Attributes:
        graph: Who is whose neighbour.
        nets: One for each server.
        seen: What each observes, as its network takes it, shape (edge, state, field).
    """

    graph: Graph
    nets: tuple[LocalNetwork, ...]
    seen: Floats

    @cached_property
    def tables(self) -> Tables:
        """What all networks say."""
        return Tables(self.graph, tuple(net.table(seen) for net, seen in zip(self.nets, self.seen, strict=True)))

    def slopes(self, edge: int) -> Slopes:
        """Slopes of a server's network."""
        return self.nets[edge].slopes(self.seen[edge])


def networks_of(graph: Graph, nets: Sequence[ReluNet], seen: Floats) -> Networks:
    """Networks whose inputs are padded to the most neighbours of the graph."""
    most = max(len(those) for those in graph.neighbours)
    padded = [LocalNetwork(net, ACTIONS, len(those), most) for net, those in zip(nets, graph.neighbours, strict=True)]
    return Networks(graph, tuple(padded), seen)


def drawn_networks(graph: Graph, states: int, seed: int) -> Networks:
    """Networks of the paper's size with random weights, and random observations.

    Args:
        graph: Who is whose neighbour.
        states: How many observations.
        seed: Of weights and observations.
    """
    most = max(len(those) for those in graph.neighbours)
    nets = [_drawn(_generator(seed, edge, "weights"), FIELDS + 1 + most) for edge in range(graph.edges)]
    seen = [_generator(seed, edge, "observations").normal(size=(states, FIELDS)) for edge in range(graph.edges)]
    return networks_of(graph, nets, np.stack(seen))


def trained_networks() -> Networks:
    """Nine trained networks on a 3 x 3 grid, and 96 states of the slots in which MA-DQL rents with them.

    Made by ``edgerig train n2o paper-n2o --set edges.count=9 --seed 1``: spec P, 6000 steps.
    """
    with np.load(Path(__file__).with_name(TRAINED)) as stored:
        nets = [
            ReluNet([stored[f"weight_{k}"][edge] for k in range(4)], [stored[f"bias_{k}"][edge] for k in range(4)])
            for edge in range(9)
        ]
        seen = stored["seen"].astype(np.float64).transpose(1, 0, 2)
    return networks_of(square(3), nets, seen)


def _generator(seed: int, edge: int, purpose: str) -> np.random.Generator:
    return Stream(seed, f"/agent/{edge}", f"drawn {purpose}", draws=DRAWS).generator(0)


def _drawn(random: np.random.Generator, inputs: int) -> ReluNet:
    widths = (inputs, *HIDDEN, 1)
    shapes = list(itertools.pairwise(widths))
    weights = [random.normal(size=shape) * np.sqrt(2.0 / shape[0]) for shape in shapes]
    weights[-1] = random.normal(size=shapes[-1])
    biases = [0.1 * random.normal(size=shape[1]) for shape in shapes]
    return ReluNet(weights, biases)


def economy(graph: Graph, states: int, seed: int) -> Tables:
    """A server's reward when the users between two servers are shared by those that rent.

    Tasks of its own, and of each overlap with a neighbour, come if it rents, the latter by halves if both do; five a
    task less delay, less the price of what it rents: 0.1 (5 w - 0.7 w d - a p) with d = 1 / (40 a - w).

    Args:
        graph: Who shares users with whom.
        states: How many.
        seed: Of tasks and prices.
    """

    def random(entity: str) -> np.random.Generator:
        return Stream(seed, entity, "drawn economy", draws=DRAWS).generator(0)

    between = {link: random(f"/link/{link[0]}/{link[1]}").gamma(2.0, 2.0, size=states) for link in graph.links}
    values = []
    for edge, others in enumerate(graph.neighbours):
        draw = random(f"/edge/{edge}")
        own, price = draw.gamma(2.0, 1.5, size=states), draw.uniform(20.0, 40.0, size=states)
        rentals = joint_rentals(ACTIONS, 1 + len(others))
        rents = rentals > 0
        tasks = np.repeat(own[:, None], len(rentals), 1)
        for k, other in enumerate(others):
            shared = between[min(edge, other), max(edge, other)]
            tasks = tasks + shared[:, None] * np.where(rents[:, 1 + k], 0.5, 1.0)
        tasks = tasks * rents[:, 0]
        delay_s = np.minimum(1.0 / np.maximum(40.0 * rentals[:, 0] - tasks, 0.2), 5.0)
        values.append(0.1 * (5.0 * tasks - 0.7 * tasks * delay_s - rentals[:, 0] * price[:, None]))
    return Tables.of(graph, values, ACTIONS)
