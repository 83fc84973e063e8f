"""N2O as published, and with a common centre or slopes between whole rentals.

As published it hardly moves: each server's points are held at its own optimum, where its slope is nearly nothing, and
the mean over servers of what the others say is divided by gamma.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents.n2o.letters import Letter
from agents.n2o.mixing import metropolis_weights, mixed
from agents.n2o.tables import Floats, Ints, LocalTable
from emulator.model.graph import Graph

Slopes = Callable[[Floats], Floats]
"""[dQ_n/da] at points (state, place) in the box, in units of rentals, the same shape."""


def slopes_without(slopes: Slopes, places: Sequence[int]) -> Slopes:
    """Slopes while those at some places of a local action are away, and so rent nothing.

    Source: ours: membership.
    """
    if not places:
        return slopes

    def among_those_there(points: Floats) -> Floats:
        whole = points
        for place in sorted(places):
            whole = np.insert(whole, place, 0.0, axis=1)
        return np.delete(slopes(whole), list(places), axis=1)

    return among_those_there


Centre = Literal["own", "shared", "middle"]
Output = Literal["last", "average"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How dual averaging goes.

    Attributes:
        gamma: [gamma_n] of the auxiliary function gamma/2 |a - c|^2.
        centre: [c_n] ``own``: each server's own best joint rental, as published; ``shared``: what each server's own
            best is for itself, told to its neighbours (a byte a letter); ``middle``: half of the most.
        output: The last point, or the running average of all.
    """

    gamma: float = 10.0
    centre: Centre = "own"
    output: Output = "last"


class DualAveraging:
    """One server's part of N2O.

    Of its copy of everyone's rentals only its own and its neighbours' entries are ever read, so it keeps these. Letters
    carry z_n whole.
    Source: N2O Algorithm 1; beta(tau) = tau ** -1/2 as in Theorem 2.
    """

    def __init__(self, graph: Graph, edge: int, table: LocalTable, slopes: Slopes, settings: Settings) -> None:
        self._scope = (edge, *graph.neighbours[edge])
        self._weights = metropolis_weights(graph, edge)
        self._slopes = slopes
        self._settings = settings
        self._most = table.actions - 1
        best = table.best().astype(np.float64)
        self._centre = np.full_like(best, 0.5 * self._most) if settings.centre == "middle" else best
        self._own = table.best()[:, 0] if settings.centre == "shared" else None
        self._z: Floats = np.zeros((table.states, graph.edges))
        self._point = self._centre.copy()
        self._sum = np.zeros_like(self._point)
        self._round = 0

    def outgoing(self) -> dict[int, Letter]:
        """See ``Orchestrator``."""
        return dict.fromkeys(self._scope[1:], Letter(self._z.astype(np.float32), self._own))

    def take(self, received: Mapping[int, Letter]) -> None:
        """See ``Orchestrator``."""
        for place, other in enumerate(self._scope[1:], start=1):
            if self._own is not None and other in received and received[other].rented is not None:
                self._centre[:, place] = received[other].rented
        self._round += 1
        self._sum = self._sum + self._point
        slopes = self._slopes(self._point)
        self._z = mixed(self._z, self._weights, received)
        self._z[:, self._scope] -= slopes
        step = self._round**-0.5 / self._settings.gamma
        self._point = np.clip(self._centre - step * self._z[:, self._scope], 0.0, self._most)

    def rented(self) -> Ints:
        """See ``Orchestrator``; rounded once, here."""
        own = self._point[:, 0]
        if self._settings.output == "average" and self._round:
            own = self._sum[:, 0] / self._round
        return np.clip(np.floor(own + 0.5), 0, self._most).astype(np.int64)
