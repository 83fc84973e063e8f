"""A local Q-network in plain NumPy: its table, and its slopes, which an ONNX file does not give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agents.n2o.dual_averaging import Slopes
from agents.n2o.tables import Floats, Ints, LocalTable, tabulated


class ReluNet:
    """Layers with ReLU between them and one output."""

    def __init__(self, weights: Sequence[NDArray[np.floating]], biases: Sequence[NDArray[np.floating]]) -> None:
        """Take matrices (in, out) and vectors (out,), layer by layer."""
        self._weights = [np.asarray(each, dtype=np.float64) for each in weights]
        self._biases = [np.asarray(each, dtype=np.float64) for each in biases]

    def values(self, inputs: Floats) -> Floats:
        """What it answers to inputs (row, in), shape (row,)."""
        found = inputs
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            found = np.maximum(found @ weight + bias, 0.0)
        answer: Floats = (found @ self._weights[-1] + self._biases[-1])[:, 0]
        return answer

    def slopes(self, inputs: Floats) -> Floats:
        """Its gradient at inputs (row, in), the same shape; at a kink that of the side where the unit is off.

        Source: N2O Algorithm 1 line 5, dQ_n/da.
        """
        found, on = inputs, []
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            found = found @ weight + bias
            on.append(found > 0.0)
            found = np.maximum(found, 0.0)
        back = np.repeat(self._weights[-1].T, len(inputs), axis=0)
        for weight, passes in zip(self._weights[-2::-1], reversed(on), strict=True):
            back = np.where(passes, back, 0.0) @ weight.T
        return back


class LocalNetwork:
    """[Q_n] a network over an observation, the own rental and each neighbour's, padded to the widest in the graph.

    Rentals are in [-1, 1]; the places of neighbours that a server lacks are 0.
    """

    def __init__(self, net: ReluNet, actions: int, neighbours: int, most_neighbours: int) -> None:
        self._net = net
        self._actions = actions
        self._places = 1 + neighbours
        self._padding = most_neighbours - neighbours

    def table(self, seen: Floats) -> LocalTable:
        """Its table for scaled observations (state, field)."""
        return tabulated(
            lambda o, rented: self._net.values(self._inputs(o, rented)), seen, self._actions, self._places - 1
        )

    def slopes(self, seen: Floats) -> Slopes:
        """Its slopes with respect to rentals, for scaled observations (state, field)."""
        first = seen.shape[1]
        scale = 2.0 / (self._actions - 1)

        def at(points: Floats) -> Floats:
            return scale * self._net.slopes(self._inputs(seen, points))[:, first : first + self._places]

        return at

    def _inputs(self, seen: Floats, rented: Floats | Ints) -> Floats:
        scaled = 2.0 * rented / (self._actions - 1) - 1.0
        return np.concatenate([seen, scaled, np.zeros((len(seen), self._padding))], axis=1)
