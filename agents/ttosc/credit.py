"""What each deployed service was worth by itself, which the reward that all agents share does not tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from agents.search import NumpyMoves, terms_of
from emulator.model.offloading import Bools, Floats, Network

Pricer = Callable[[Floats, Bools], tuple[Floats, float]]
"""A frame's tasks (edge, slot, service) and a deployment to what ``frame_gains`` returns."""


def marginal_gains(network: Network, tasks: Floats, deployed: Bools) -> Floats:
    """How much longer a frame's tasks would have taken without each service of each server, all else the same.

    Every slot is scheduled anew without the service, and what is left on its server gets its share of compute and link.
    So a service that nobody needs has a gain below 0.

    Args:
        network: The world.
        tasks: [N_m^j] tasks of the frame, shape (edge, slot, service).
        deployed: [d_m^j] shape (edge, service).
    Returns: Seconds per task, summed over slots as the reward is, shape (edge, service); what deploying it would have
        gained where it was not deployed, storage or not.
    Source: ours: the exact difference of eq. (8) between two deployments.
    """
    gains = np.zeros(deployed.shape)
    for slot in range(tasks.shape[1]):
        total = float(tasks[:, slot].sum())
        if total > 0.0:
            change_s = NumpyMoves(network, tasks[:, slot]).flips(deployed)
            gains += np.where(deployed, change_s, -change_s) / total
    return gains


def pricer_of(network: Network, backend: Literal["numpy", "numba"]) -> Pricer:
    """What every service of every server is worth in a frame, deployed or not, and the frame's delay.

    Args:
        network: The world.
        backend: Who computes it; links given pair by pair take NumPy.
    Returns: A function of a frame's tasks (edge, slot, service) and a deployment (edge, service); it returns the gains
        of shape (edge, service) and the mean delay, both in seconds per task of the whole frame.
    Source: ours; as ``marginal_gains``, with the frame's tasks as the weight of its slots, so that the sum of what
        is saved is the change of the frame's mean delay.
    """
    if backend == "numba" and network.link_matrix_bps is None:
        return _compiled(network)

    def price(tasks: Floats, deployed: Bools) -> tuple[Floats, float]:
        changes, cost_s = np.zeros(deployed.shape), 0.0
        for slot in tasks.swapaxes(0, 1):
            moves = NumpyMoves(network, slot)
            changes += moves.flips(deployed)
            cost_s += moves.steepest(deployed, swaps=False).cost_s
        return _per_task(changes, cost_s, tasks, deployed)

    return price


def _compiled(network: Network) -> Pricer:
    from agents.search_numba import slot_flips

    terms = terms_of(network, np.zeros((network.edges, network.services)))
    task, rates = np.stack([terms.cycles, terms.bits], axis=1), np.stack([terms.compute_hz, terms.link_bps])

    def price(tasks: Floats, deployed: Bools) -> tuple[Floats, float]:
        by_slot = np.ascontiguousarray(tasks.transpose(1, 2, 0))
        changes, cost_s = slot_flips(by_slot, terms.leave_s, terms.cloud_s, task, rates, deployed)
        return _per_task(changes.sum(axis=0), float(cost_s.sum()), tasks, deployed)

    return price


def _per_task(changes: Floats, cost_s: float, tasks: Floats, deployed: Bools) -> tuple[Floats, float]:
    total = max(float(tasks.sum()), 1.0)
    return np.where(deployed, changes, -changes) / total, cost_s / total
