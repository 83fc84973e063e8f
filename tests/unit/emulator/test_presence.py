"""Which nodes are shown to be there: whoever has a name now, be it by a swap."""

from __future__ import annotations

import pytest

from bus.measure import Measurements
from bus.messages import NodeRecord, Peer
from emulator.nodes.members import Members
from emulator.nodes.presence import Presence

OURS = Peer("agent-3", 1, 11, "here", "", "", "", (NodeRecord("/agent/3"),))
NEXT = Peer("agent-next", 2, 12, "here", "", "", "", (NodeRecord("/agent/3"),))


class Watched:
    """An agent of ours that takes part, while another one has come to stand by."""

    def __init__(self) -> None:
        self.measurements, self.members = Measurements(), Members()
        self.presence = Presence(self.measurements, self.members)
        self.presence.came(OURS)
        self.members.admit(OURS)

    def swap(self, peer: Peer, held: int) -> None:
        self.members.bind(3, peer.instance, peer.process, held)
        self.presence.take_part()

    def lose(self, peer: Peer) -> None:
        self.presence.gone(peer)
        self.members.lose(peer)

    @property
    def is_up(self) -> float:
        return self.measurements.gauge("node_up", node="/agent/3").value


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_who_is_lost_is_missed_until_somebody_comes(watched: Watched) -> None:
    assert watched.is_up == 1.0
    watched.lose(OURS)
    assert watched.is_up == 0.0
    watched.presence.came(NEXT)
    assert watched.is_up == 1.0


def test_one_who_was_swapped_out_is_not_missed_as_he_ends(watched: Watched) -> None:
    watched.swap(NEXT, OURS.instance)
    watched.lose(OURS)
    assert watched.is_up == 1.0


def test_a_candidate_that_dies_is_missed_until_those_before_decide_again(watched: Watched) -> None:
    watched.swap(NEXT, OURS.instance)
    watched.lose(NEXT)
    assert watched.is_up == 0.0
    watched.swap(OURS, 0)
    assert watched.is_up == 1.0
