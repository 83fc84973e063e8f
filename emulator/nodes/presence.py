"""Which nodes are there, as whoever watches the run sees it: the gauge ``node_up``."""

from __future__ import annotations

from bus.measure import Measurements
from bus.messages import Peer
from emulator.nodes.members import Members


class Presence:
    """1 while a node is there, 0 once it is lost."""

    def __init__(self, measurements: Measurements, members: Members) -> None:
        self._measurements = measurements
        self._members = members

    def came(self, peer: Peer) -> None:
        """A process has registered."""
        for node in peer.nodes:
            self._show(node.name, 1.0)

    def take_part(self) -> None:
        """Who takes part is about to be published: some have come by a swap, or are back by one."""
        for name in self._members.names:
            self._show(name, 1.0)

    def gone(self, peer: Peer) -> None:
        """A process is lost; where another one has taken over from it, nobody is missed."""
        for node in peer.nodes:
            if self._members.by_name.get(node.name, (peer.instance, ""))[0] == peer.instance:
                self._show(node.name, 0.0)

    def _show(self, name: str, value: float) -> None:
        self._measurements.gauge("node_up", node=name).value = value
