"""What a service-shared actor reads of one service: what its own cell asked for lately, and what the service costs.

The same features describe every service of every world, so one small network can value them all. Nothing of another
cell is in them: what the others will deploy is only to be guessed, by a convention that all can compute (``Home``).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from emulator.model.offloading import BITS_PER_BYTE, Floats, Network, cloud_delay, entering_bps

MEMORIES: Final = (0.3, 0.1, 0.03)
"""Weight of the last frame in each of the averages that an actor keeps of its own cell's tasks."""

AVERAGES: Final = 1 + len(MEMORIES)
"""The last frame itself, and the averages."""

STATE: Final = 2 * len(MEMORIES)
"""Rows of an actor's state: the sums, and how much weight they hold so far."""

FACTS: Final = 8
"""Features of a service that do not change; see ``facts_of``."""

PLAIN: Final = 1e-6
"""Tasks a slot that count as none in a division."""

INPUTS: Final = FACTS + 3 * AVERAGES + 2
"""Features of a service in all."""


def facts_of(network: Network, edge: int) -> Floats:
    """What does not change about each service, seen from one edge server.

    Args:
        network: The world.
        edge: The server.
    Returns: Shape (service, FACTS): share of the storage, seconds of the whole server's compute for a task, seconds of
        its whole link, seconds in the cloud (each in a unit that makes it about 1), and the server's place in the order
        in which all servers are the service's home: whether first, second, third, and its rank of 0..1.
    Source: ours; the order, (edge - service) mod M, only breaks the tie between servers that see the same.
    """
    cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)[edge]
    return facts_from(
        network.service_bytes, float(network.storage_bytes[edge]), network.task_bytes, network.task_cycles,
        float(network.compute_hz[edge]), entering_bps(network, edge), cloud_s, edge, network.edges,
    )  # fmt: skip


def facts_from(
    service_bytes: Floats,
    storage_bytes: float,
    task_bytes: Floats,
    task_cycles: Floats,
    compute_hz: float,
    link_bps: float,
    cloud_s: Floats,
    edge: int,
    edges: int,
) -> Floats:
    """The same of what one edge server knows of itself.

    Args:
        service_bytes, task_bytes, task_cycles: [V_j], and of a task, shape (service,).
        storage_bytes, compute_hz: Of the server.
        link_bps: See ``entering_bps``.
        cloud_s: Seconds that a task takes in the cloud, shape (service,).
        edge, edges: The server, and how many there are.
    Returns: Shape (service, FACTS).
    Source: ours; as ``facts_of``.
    """
    rank = (edge - np.arange(len(service_bytes))) % edges
    return np.stack(
        [
            4.0 * service_bytes / storage_bytes,
            10.0 * task_cycles / compute_hz,
            BITS_PER_BYTE * task_bytes / link_bps,
            0.1 * cloud_s,
            *(rank == place for place in range(3)),
            rank / max(edges - 1, 1),
        ],
        axis=1,
    )


def blank_state(services: int) -> Floats:
    """The state of an actor that has seen nothing, shape (STATE, service)."""
    return np.zeros((STATE, services))


def state_after(state: Floats, mean: Floats) -> Floats:
    """The state once a frame was seen.

    Args:
        state: Before, shape (..., STATE, service).
        mean: Tasks a slot in that frame, shape (..., service).
    Returns: Shape (..., STATE, service).
    Source: ours: averages that forget, with the weight they hold beside them, so that the first frames are not taken
        for small ones.
    """
    weights = np.repeat(np.array(MEMORIES), 2)[:, None]
    added = np.stack([mean, np.ones_like(mean)] * len(MEMORIES), axis=-2)
    return (1.0 - weights) * state + weights * added


def averages_of(state: Floats, mean: Floats) -> Floats:
    """The last frame and the averages that include it, tasks a slot.

    Args:
        state: With that frame in it, shape (..., STATE, service).
        mean: Tasks a slot in the last frame, shape (..., service).
    Returns: Shape (..., AVERAGES, service).
    Source: ours.
    """
    averages = state[..., ::2, :] / np.maximum(state[..., 1::2, :], PLAIN)
    return np.concatenate([mean[..., None, :], averages], axis=-2)


def features_of(averages: Floats, facts: Floats) -> Floats:
    """Everything the network reads of each service.

    Args:
        averages: Tasks a slot, shape (..., AVERAGES, service).
        facts: Shape (..., service, FACTS), with the same axes in front.
    Returns: Shape (..., service, INPUTS): the facts; for each average its root, its share of all services' and the
        seconds that the cloud would spend on it; and the root of the cell's own tasks, short and long.
    Source: ours: a root makes the scatter of a count the same whether it is large or small.
    """
    total = averages.sum(axis=-1, keepdims=True)
    per_service = averages.swapaxes(-1, -2)
    share = (averages / np.maximum(total, PLAIN)).swapaxes(-1, -2)
    cell = np.sqrt(np.broadcast_to(total, averages.shape)).swapaxes(-1, -2)
    parts = [facts, np.sqrt(per_service), 4.0 * share, facts[..., 3:4] * per_service, 0.25 * cell[..., [1, -1]]]
    return np.concatenate(parts, axis=-1)
