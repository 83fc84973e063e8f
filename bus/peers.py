"""What the record of a process says."""

from __future__ import annotations

from bus.messages import Peer
from bus.rights import Rights


def rights_of(peer: Peer) -> Rights:
    """What a process may publish, by the names that it holds."""
    return Rights.of(peer.process, (node.name for node in peer.nodes))
