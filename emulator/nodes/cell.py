"""The users of one base station: draw what they ask for, and look after them when their edge server is gone."""

from __future__ import annotations

from typing import Any

import numpy as np

from bus.gather import Absent
from bus.messages import Array, Offload
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator import records
from emulator.assembly import CellDemand
from emulator.model import serving
from emulator.model.offloading import Floats, Network, cloud_delay
from emulator.nodes.deadlines import COMPLETED


class CellNode:
    """One cell."""

    def __init__(
        self, node: Node, driver: SlotDriver, cell: int, demand: CellDemand, network: Network, edges_s: Floats
    ) -> None:
        self.name = node.name
        self._node = node
        self._driver = driver
        self._cell = cell
        self._demand = demand
        self._edges_s = edges_s
        self._cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)[cell]
        self._targets = network.edges + 1
        self._arrivals = node.publisher(f"/cell/{cell}/arrivals")
        self._offload = node.publisher(f"/cell/{cell}/offload/cloud")
        self._outcome = node.publisher(f"/cell/{cell}/outcome")
        node.collect("completed", f"/cloud/completed/cell/{cell}", "/cloud")
        driver.add(self)

    def commit(self) -> None:
        """A cell keeps nothing."""

    def begin_again(self, demand: CellDemand) -> None:
        """Back to the initial state, with another demand."""
        self._demand = demand

    def start(self, now: Now) -> None:
        """Publish the slot's arrivals; without an edge server, send them up and account for them."""
        self._node.begin(now.slot, now.attempt)
        tasks = self._demand.counts(now.slot)
        self._driver.publish(self._arrivals, records.arrivals(tasks), now)
        if f"/edge/{self._cell}" in now.members:
            self._driver.finish(self, now)
        elif "/cloud" in now.members:
            self._driver.publish(self._offload, Offload(Array.of(tasks)), now)
            left_s = self._driver.left_s(COMPLETED)
            self._node.gather(
                "completed",
                ("/cloud",),
                now.slot,
                now.attempt,
                lambda messages: self._end(now, tasks, messages[0]),
                deadline_s=left_s,
            )
        else:
            self._end(now, tasks, Absent("no_cloud"))

    def _end(self, now: Now, tasks: Floats, completed: Any) -> None:
        flow = np.zeros((self._targets, len(tasks)))
        flow[-1] = tasks
        delay_s = np.zeros_like(flow)
        reason = completed.reason if isinstance(completed, Absent) else completed.lost
        absent = bool(reason)
        if not absent:
            delay_s[-1] = completed.delay_s.numpy()
        ends = serving.ended(tasks, flow, delay_s, self._cloud_s, self._edges_s, own=self._cell, cloud=not absent)
        self._driver.publish(self._outcome, records.outcome(ends, records.reasons_of(ends, reason)), now)
        self._driver.finish(self, now)
