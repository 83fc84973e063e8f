"""A rental world of a few lines: an edge server's rental is worth the demand it sees, less what neighbours take."""

from __future__ import annotations

import numpy as np

from agents.n2o.layout import Layout
from emulator.model.graph import Graph
from emulator.model.streams import Stream

SQUARE = Graph(((1, 2), (0, 3), (0, 3), (1, 2)))
LINE = Graph(((1,), (0, 2), (1,)))


def layout(graph=LINE, actions=3):
    return Layout(graph, actions, (0.5,) * 5, (0.3,) * 5)


class Toy:
    """Observations are uniform; r_n = (2 o_1 - 1) a_n - 0.4 a_n (sum of neighbours' rentals) + 0.3 (o_0 - a_n)."""

    def __init__(self, copies=8, graph=LINE, episode_slots=4, seed=1):
        self.copies, self.episode_slots, self.graph = copies, episode_slots, graph
        self._stream = Stream(seed, "/toy", "seen", draws=copies * graph.edges * 5)
        self._slot = 0
        self._seen = np.zeros((copies, graph.edges, 5))
        self._near = np.array([[m in others for m in range(graph.edges)] for others in graph.neighbours], dtype=float)

    def begin(self, episode):
        self._slot = episode * (self.episode_slots + 1)
        return self._look()

    def step(self, rented):
        wanted, memory = self._seen[..., 1], self._seen[..., 0]
        rewards = (2 * wanted - 1) * rented - 0.4 * rented * (rented @ self._near) + 0.3 * (memory - rented)
        self._slot += 1
        return rewards, self._look()

    def _look(self):
        self._seen = self._stream.uniforms(self._slot)[0].reshape(self._seen.shape)
        return self._seen.copy()
