"""What makes an offloading world another one for an actor that was trained in it."""

from __future__ import annotations

import hashlib

import numpy as np

from emulator.model.offloading import Network


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
