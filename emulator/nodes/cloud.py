"""The cloud: executes whatever is sent up, each task on its own resources."""

from __future__ import annotations

from typing import Any

import numpy as np

from bus.gather import Absent
from bus.messages import Array, Completed
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator.model.offloading import Network, cloud_delay
from emulator.nodes.deadlines import OFFLOAD, SCHEDULE


class CloudNode:
    """The cloud's executor."""

    def __init__(self, node: Node, driver: SlotDriver, network: Network) -> None:
        self.name = node.name
        self._node = node
        self._driver = driver
        self._network = network
        cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)
        self._answers = [Completed(Array.of(seconds)) for seconds in cloud_s]  # what it takes never changes
        self._members: frozenset[str] = frozenset()
        self._edge_servers: list[int] = []
        self._orphans: list[int] = []
        edges = range(network.edges)
        # Cells ask only when their edge server is gone, so what edge servers get does not go to them as well.
        self._completed = {f"/edge/{m}": node.publisher(f"/cloud/completed/{m}") for m in edges}
        self._completed |= {f"/cell/{m}": node.publisher(f"/cloud/completed/cell/{m}") for m in edges}
        for m in range(network.edges):
            node.collect("offload", f"/edge/{m}/offload/cloud", f"/edge/{m}")
            node.collect("offload", f"/cell/{m}/offload/cloud", f"/cell/{m}")
        node.collect("schedule", "/scheduler/schedule", "/scheduler")
        driver.add(self)

    def commit(self) -> None:
        """The cloud keeps nothing."""

    def start(self, now: Now) -> None:
        """Learn from the schedule who sends, and wait for them and for cells without an edge server."""
        self._node.begin(now.slot, now.attempt)
        if now.members is not self._members:
            self._look_up(now.members)
        there, orphans = self._edge_servers, self._orphans
        if "/scheduler" not in now.members or now.linked:
            # Edge servers that schedule for themselves, or that emulated links may leave without a schedule, tell the
            # cloud every slot whether they send or not.
            self._expect(now, there, orphans)
            return

        def scheduled(messages: list[Any]) -> None:
            senders = there
            if not isinstance(messages[0], Absent):
                targets = messages[0].target.numpy()
                sources = set(messages[0].source.numpy()[targets == self._network.edges].tolist())
                senders = [m for m in there if m in sources]
            self._expect(now, senders, orphans)

        self._node.gather(
            "schedule",
            ("/scheduler",),
            now.slot,
            now.attempt,
            scheduled,
            deadline_s=self._driver.left_s(SCHEDULE),
        )

    def _look_up(self, members: frozenset[str]) -> None:
        """Who takes part; once for each roster."""
        self._members = members
        edges = range(self._network.edges)
        self._edge_servers = [m for m in edges if f"/edge/{m}" in members]
        self._orphans = [m for m in edges if f"/cell/{m}" in members and f"/edge/{m}" not in members]

    def _expect(self, now: Now, senders: list[int], orphans: list[int]) -> None:
        sources = [f"/edge/{m}" for m in senders] + [f"/cell/{m}" for m in orphans]
        self._node.gather(
            "offload",
            sources,
            now.slot,
            now.attempt,
            lambda messages: self._execute(now, sources, senders + orphans, messages),
            deadline_s=self._driver.left_s(OFFLOAD),
        )

    def _execute(self, now: Now, sources: list[str], origins: list[int], messages: list[Any]) -> None:
        into_ns = self._node.reached_ns("offload")
        for source, origin, message in zip(sources, origins, messages, strict=True):
            if not isinstance(message, Absent):
                self._driver.publish(self._completed[source], self._answers[origin], now, into_ns=into_ns)
            elif now.linked:
                answer = Completed(Array.of(np.zeros(0)), lost=message.reason)
                self._driver.publish(self._completed[source], answer, now, into_ns=into_ns)
        self._driver.finish(self, now)
