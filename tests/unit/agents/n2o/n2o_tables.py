"""Tables to orchestrate on: networks nobody trained, and a small economy in which neighbours share users."""

from __future__ import annotations

import numpy as np

from agents.n2o.tables import Tables, joint_rentals
from emulator.model.graph import Graph, grid_positions, within

ACTIONS = 3


def square(side: int) -> Graph:
    return within(grid_positions(side, side, 60.0), 60.0)


def drawn_networks(graph: Graph, states: int, seed: int, scale: float = 1.0) -> Tables:
    """Random ReLU networks 8-32-8 over five numbers and the rentals, in [-1, 1]."""
    random = np.random.default_rng(seed)
    values = []
    for others in graph.neighbours:
        rentals = joint_rentals(ACTIONS, 1 + len(others)) - 1.0
        seen = random.normal(size=(states, 5))
        rows = np.concatenate([np.repeat(seen[:, None], len(rentals), 1), np.repeat(rentals[None], states, 0)], axis=2)
        for wide in (8, 32, 8):
            weights = random.normal(size=(rows.shape[-1], wide)) * np.sqrt(2.0 / rows.shape[-1])
            rows = np.maximum(rows @ weights + 0.1 * random.normal(size=wide), 0.0)
        values.append(scale * (rows @ random.normal(size=8)))
    return Tables.of(graph, values, ACTIONS)


def stealing(graph: Graph, states: int, seed: int) -> Tables:
    """A server's reward when users between two servers are shared by those that rent: N2O's reward, one slot.

    Tasks of its own, and of each overlap with a neighbour, come if it rents, the latter by halves if both do; five a
    task less delay, less the price of what it rents: 0.1 (5 w - 0.7 w d - a p) with d = 1 / (40 a - w).
    """
    random = np.random.default_rng(seed)
    own = random.gamma(2.0, 1.5, size=(graph.edges, states))
    between = {link: random.gamma(2.0, 2.0, size=states) for link in graph.links}
    price = random.uniform(20.0, 40.0, size=(graph.edges, states))
    values = []
    for edge, others in enumerate(graph.neighbours):
        rentals = joint_rentals(ACTIONS, 1 + len(others))
        rents = rentals > 0
        tasks = np.repeat(own[edge][:, None], len(rentals), 1)
        for k, other in enumerate(others):
            shared = between[min(edge, other), max(edge, other)]
            tasks = tasks + shared[:, None] * np.where(rents[:, 1 + k], 0.5, 1.0)
        tasks = tasks * rents[:, 0]
        delay = np.minimum(1.0 / np.maximum(40.0 * rentals[:, 0] - tasks, 0.2), 5.0)
        values.append(0.1 * (5.0 * tasks - 0.7 * tasks * delay - rentals[:, 0] * price[edge][:, None]))
    return Tables.of(graph, values, ACTIONS)
