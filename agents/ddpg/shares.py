"""From a slot to the actor's shares, and from these to a schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.ddpg.features import Pairs, Singles, instances_of, pairs_of
from emulator.model.offloading import Floats, FrameCosts

LEAST_SHARE: Final = 0.01
"""Shares below this part of the row's largest are given to the others: a softmax never says 0, and each target costs a
message."""

Actor = Callable[[Pairs], Singles]
"""From pairs to shares, shape (instance, edge from, target), 0 where not allowed."""


def split_by(actor: Actor, tasks: Floats, costs: FrameCosts) -> Floats:
    """A slot's schedule as an actor decides it.

    Args:
        actor: Answers for services that anybody asked for.
        tasks: [N_m^j] shape (edge, service).
        costs: Seconds per task of the frame's deployment.
    Returns: [p_mn^j] shape (edge from, target, service); the rows of other services say local if hosted, else cloud.
    Source: ours.
    """
    edges, services = tasks.shape
    split = np.zeros((edges, edges + 1, services))
    own = np.arange(edges)
    split[own, own] = costs.hosts
    split[:, -1] = ~costs.hosts
    asked = np.flatnonzero(tasks.any(axis=0))
    if len(asked):
        shares = actor(pairs_of(instances_of(tasks, costs, asked)))
        split[:, :, asked] = without_crumbs(shares).transpose(1, 2, 0)
    return split


def without_crumbs(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """Drops what is negligible and makes every row sum to 1.

    Args:
        shares: Shape (instance, edge from, target).
    Returns: The same shape, float64.
    Source: ours: sparse schedules are small messages; TTOSC eq. (3).
    """
    kept = np.where(shares >= LEAST_SHARE * shares.max(axis=2, keepdims=True), shares, 0.0).astype(np.float64)
    return kept / kept.sum(axis=2, keepdims=True)
