"""The theorems' rates on functions for which they are meant: concave ones, where the error can be measured exactly.

The theorems assume that -Q + psi / beta(0) is convex. Learned Q-networks are not; here each server has a concave
quadratic of its own and its neighbours' rentals, so that whatever error is left is the algorithm's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.mixing import metropolis_weights
from emulator.model.graph import Graph, grid_positions, linked, within
from emulator.model.streams import Stream

MOST: Final = 2.0
"""[K] the box of rentals is [0, K]."""

GAMMA: Final = 1.0
"""[gamma_n] of these functions, common to all; the centre is the middle of the box."""

ROUNDS: Final = 3000
FAILING: Final = (0.0, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, eq=False)
class Problem:
    """Sum of concave quadratics -w_ni (a_i - t_ni)^2 / 2 over each server n and everyone i in its scope.

    Attributes:
        weights: [w_ni], 0 out of scope, shape (server, rental).
        targets: [t_ni] in the box, same shape.
    """

    weights: Floats
    targets: Floats

    @property
    def best(self) -> Floats:
        """The maximum's rentals, shape (rental,): each coordinate stands alone, and within the box."""
        found: Floats = (self.weights * self.targets).sum(axis=0) / self.weights.sum(axis=0)
        return found

    def value(self, rentals: Floats) -> Floats:
        """The objective, mean over servers, at rentals of shape (copy, rental), shape (copy,)."""
        away = rentals[:, None, :] - self.targets
        total: Floats = -0.5 * (self.weights * away**2).sum(axis=(1, 2)) / len(self.weights)
        return total

    def slopes(self, copies: Floats) -> Floats:
        """Slopes of each server's function at its own copy of everyone's rentals, shape (server, rental)."""
        return -self.weights * (copies - self.targets)


def problem(graph: Graph, seed: int) -> Problem:
    """A problem whose functions depend on a server and its neighbours in a graph.

    Source: ours: strongly concave in scope, so that Theorem 2's conditions hold for any gamma.
    """
    scope = np.eye(graph.edges)
    for edge, others in enumerate(graph.neighbours):
        scope[edge, list(others)] = 1.0
    drawn = Stream(seed, "/theory", "targets", draws=2 * graph.edges**2).uniforms(0)[0]
    strong, targets = drawn.reshape(2, graph.edges, graph.edges)
    return Problem(scope * (0.5 + strong), MOST * targets)


def mixing(graph: Graph) -> Floats:
    """[W] Metropolis weights with a weight of one's own, shape (server, server)."""
    found = np.zeros((graph.edges, graph.edges))
    for edge in range(graph.edges):
        for other, weight in metropolis_weights(graph, edge).items():
            found[edge, other] = weight
    found[np.diag_indices(graph.edges)] = 1.0 - found.sum(axis=1)
    return found


def gap(weights: Floats) -> float:
    """[1 - sigma_2(W)].

    Source: N2O Theorem 2.
    """
    return float(1.0 - np.linalg.svd(weights, compute_uv=False)[1])


def failing(weights: Floats, share: float, seed: int) -> Callable[[int], Floats]:
    """[W(tau)] weights of each round when links fail for both ends; their weight goes to both ends' own.

    Source: N2O section IV.C (independent, doubly stochastic).
    """
    stream = Stream(seed, "/theory", "links", draws=len(weights) ** 2)
    above = np.triu(np.ones_like(weights), 1)

    def at(round_: int) -> Floats:
        if not share:
            return weights
        kept = above * (stream.uniforms(round_)[0].reshape(weights.shape) >= share)
        found: Floats = weights * (kept + kept.T)
        found[np.diag_indices(len(weights))] = 1.0 - found.sum(axis=1)
        return found

    return at


def expected_gap(weights: Floats, share: float) -> float:
    """[1 - lambda_2(E[W(tau)^T W(tau)])] with links that fail for both ends.

    Source: N2O Theorem 3; ours: for W(tau) = I - sum of kept links' Laplacians, each kept with probability q,
        E[W^2] = I - 2 q L + q^2 L^2 + q (1 - q) sum of w^2 M^2.
    """
    keep, size = 1.0 - share, len(weights)
    laplacian = np.diag((weights - np.diag(np.diag(weights))).sum(axis=1)) - (weights - np.diag(np.diag(weights)))
    single = weights - np.diag(np.diag(weights))
    squares = 2.0 * (np.diag((single**2).sum(axis=1)) - single**2)  # of each link's own Laplacian, added up
    mean = np.eye(size) - 2.0 * keep * laplacian + keep**2 * laplacian @ laplacian + keep * (1.0 - keep) * squares
    return float(1.0 - np.sort(np.linalg.eigvalsh(mean))[-2])


@dataclass(frozen=True, eq=False)
class Measured:
    """What dual averaging came to, after each round.

    Attributes:
        error: How far the worst server's running average is from the maximum, shape (round,).
        apart: Largest distance of a server's z from the mean of all, shape (round,).
    """

    error: Floats
    apart: Floats


def run(task: Problem, weights_at: Callable[[int], Floats], rounds: int, gamma: float = GAMMA) -> Measured:
    """Dual averaging with every server's copy of all rentals.

    Args:
        task: What is maximised.
        weights_at: Round to W.
        rounds: How many.
        gamma: Of psi.
    Source: N2O eq. (3) and Algorithm 1, beta(tau) = tau ** -1/2; the error: Theorem 1's left side, the worst i.
    """
    size = len(task.weights)
    z, point, total = np.zeros((size, size)), np.full((size, size), 0.5 * MOST), np.zeros((size, size))
    best = float(task.value(task.best[None])[0])
    error, apart = np.empty(rounds), np.empty(rounds)
    for round_ in range(1, rounds + 1):
        total += point
        z = weights_at(round_) @ z - task.slopes(point)
        point = np.clip(0.5 * MOST - round_**-0.5 / gamma * z, 0.0, MOST)
        error[round_ - 1] = best - task.value(total / round_).min()
        apart[round_ - 1] = np.linalg.norm(z - z.mean(axis=0), axis=1).max()
    return Measured(error, apart)


def bound(rounds: Floats, size: int, steepest: float, spectral_gap: float) -> Floats:
    """Theorem 2's rate without its constant: L^2 log(T sqrt N) / (sqrt T (1 - sigma_2))."""
    return steepest**2 * np.log(rounds * np.sqrt(size)) / (np.sqrt(rounds) * spectral_gap)


def exponent(error: Floats, first: int) -> float:
    """Slope of log error over log T from a round on; -1/2 is Theorem 2's, but for the logarithm."""
    rounds = np.arange(first, len(error) + 1)
    return float(np.polyfit(np.log(rounds), np.log(np.maximum(error[first - 1 :], 1e-15)), 1)[0])


def rounds_to(error: Floats, part: float) -> float:
    """Rounds until the error stays below a part of the first one; nan if it does not."""
    above = np.flatnonzero(error > part * error[0])
    last = 0 if not len(above) else int(above[-1]) + 1
    return float("nan") if last == len(error) else float(last + 1)


def grid(side: int) -> Graph:
    """A square grid."""
    return within(grid_positions(side, side, 1.0), 1.0)


def ring(size: int) -> Graph:
    """A ring."""
    return linked(size, [(edge, (edge + 1) % size) for edge in range(size)])


def line(size: int) -> Graph:
    """A line."""
    return linked(size, [(edge, edge + 1) for edge in range(size - 1)])


def complete(size: int) -> Graph:
    """Everyone is everyone's neighbour."""
    return linked(size, [(one, other) for one in range(size) for other in range(one + 1, size)])


def topologies(size: int) -> dict[str, Graph]:
    """Graphs of a square number of servers, from a small gap to a large one."""
    side = round(size**0.5)
    return {"line": line(size), "ring": ring(size), "grid": grid(side), "complete": complete(size)}
