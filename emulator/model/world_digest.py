"""What an edge server knows of its offloading world, and what makes it another one for an actor trained in it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from emulator.model.offloading import Network, cloud_delay, entering_bps


def world_digest(network: Network, slots_per_frame: int) -> str:
    """What makes a world another for an actor: servers, links, cloud, services and the length of a frame.

    The demand is not part of it: an actor may be used where users ask for other services than in its training, and
    does worse there.

    Args:
        network: The world.
        slots_per_frame: K.
    Returns: 32 hexadecimal digits.
    Source: ours: so that an actor of one world is not taken to decide in another.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in Network.__dataclass_fields__:
        value = getattr(network, name)
        array = np.zeros(0) if value is None else np.atleast_1d(np.asarray(value, dtype="<f8"))
        digest.update(f"{name} {array.shape}\n".encode() + array.tobytes())
    digest.update(f"slots_per_frame {slots_per_frame}".encode())
    return digest.hexdigest()


def known_to(network: Network, edge: int, slots_per_frame: int) -> dict[str, Any]:
    """What an edge server tells an agent about itself and the services, by the names of the agent protocol.

    Args:
        network: The world.
        edge: The server.
        slots_per_frame: K.
    Returns: Sizes in bytes, rates in bit/s, compute in cycles/s, seconds that a task of each service takes in the
        cloud, how many edge servers there are, and the world's digest.
    Source: ours: what one server can know without asking the others.
    """
    cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)
    return {
        "edges": network.edges,
        "storage_bytes": float(network.storage_bytes[edge]),
        "service_bytes": tuple(network.service_bytes.tolist()),
        "compute_hz": float(network.compute_hz[edge]),
        "link_bps": entering_bps(network, edge),
        "task_bytes": tuple(network.task_bytes.tolist()),
        "task_cycles": tuple(network.task_cycles.tolist()),
        "cloud_s": tuple(cloud_s[edge].tolist()),
        "world_digest": world_digest(network, slots_per_frame),
    }
