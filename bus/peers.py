"""What the record of a process says."""

from __future__ import annotations

from bus.messages import Peer
from bus.rights import Rights


def answers_calls(peer: Peer) -> bool:
    """Whether it is a process on the bus; a foreign agent is none."""
    return bool(peer.call_endpoint)


def rights_of(peer: Peer) -> Rights:
    """What a process may publish: below the names that it holds; a guest and an operator what their records say.

    Such a record is in the graph because the hub has let it in, see ``Admission``.
    """
    names = [node.name for node in peer.nodes]
    if not (peer.guest or peer.operator):
        return Rights.of(peer.process, names)
    return Rights.of(peer.process, names, (record.topic for node in peer.nodes for record in node.publishes))


def shown_as(peer: Peer) -> str:
    """What a process is called in metrics: its node if it has but one, so that a replacement continues its series."""
    return peer.nodes[0].name if len(peer.nodes) == 1 else peer.process
