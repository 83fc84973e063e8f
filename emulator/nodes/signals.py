"""What the ledger tells agents that learn, beyond the reward: what each service they deployed was worth by itself.

An agent declares that it wants this by subscribing its topic; whoever does not costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from bus.messages import DeploymentInForce, Peer
from bus.node import Node
from bus.publisher import Publisher
from emulator import records
from emulator.model.offloading import Bools, Floats, Network

Gains = Callable[[Network, Floats, Bools], Floats]
"""Tasks (edge, slot, service) and deployments (edge, service) to gains (edge, service), seconds per task."""


class GainSignals:
    """Gathers what a frame's gains follow from, and tells each agent its own row."""

    def __init__(self, node: Node, network: Network, gains: Gains) -> None:
        self._node = node
        self._network = network
        self._gains = gains
        self._publishers: dict[int, Publisher] = {}
        self._topics = {f"/ledger/marginal_gains/{m}": m for m in range(network.edges)}
        self.begin_again()

    def begin_again(self) -> None:
        """Forget the frame; who wants to be told is still there."""
        self._tasks: list[Floats] = []
        self._deployed = np.zeros((self._network.edges, self._network.services), dtype=np.bool_)

    def want(self, peer: Peer) -> None:
        """A process joined: publish what its nodes subscribe."""
        self.publish({record.topic for node in peer.nodes for record in node.subscribes})

    def publish(self, wanted: Iterable[str]) -> None:
        """Publish those topics of ours, from now on, that nobody wanted before."""
        for topic in sorted(self._topics.keys() & set(wanted)):
            m = self._topics[topic]
            if m not in self._publishers:
                self._publishers[m] = self._node.publisher(topic)

    def slot(self, tasks: Floats) -> None:
        """A slot counts, with these tasks, shape (edge, service)."""
        if self._publishers:
            self._tasks.append(tasks)

    def decided(self, in_force: Sequence[DeploymentInForce]) -> None:
        """A frame begins, with what edge servers say they deploy; of who says nothing it is nothing."""
        self._deployed = np.zeros_like(self._deployed)
        for message in in_force:
            self._deployed[message.edge] = records.deployed_from(message.services, self._network.services)

    def close(self, frame: int, slot: int, attempt: int) -> None:
        """A frame is over: everyone who wants to know hears, also whose edge server did not take part."""
        tasks, self._tasks = self._tasks, []
        if not tasks or not any(publisher.heard for publisher in self._publishers.values()):
            return
        gains_s = self._gains(self._network, np.stack(tasks, axis=1), self._deployed)
        for m, publisher in self._publishers.items():
            message = records.marginal_gains(m, frame, self._deployed[m], gains_s[m])
            publisher.publish(message, slot=slot, attempt=attempt)
