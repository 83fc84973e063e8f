"""What each deployed service was worth by itself, which the reward that all agents share does not tell."""

from __future__ import annotations

import numpy as np

from agents.search import NumpyMoves
from emulator.model.offloading import Bools, Floats, Network


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
