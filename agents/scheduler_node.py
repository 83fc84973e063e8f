"""The scheduler as a node: arrivals and deployments in, the slot's schedule out."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from bus.gather import Absent
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator import records
from emulator.model.offloading import Bools, Floats, FrameCosts, Network, frame_costs

INPUT_SHARE = 0.35
"""Share of a slot after which, on the wall clock, it schedules with what has come."""

Schedule = Callable[[Floats, FrameCosts], Floats]


class SchedulerNode:
    """Schedules tasks over edge servers and the cloud, every slot."""

    def __init__(self, node: Node, driver: SlotDriver, network: Network, schedule: Schedule) -> None:
        self.name = node.name
        self._node = node
        self._driver = driver
        self._network = network
        self._schedule = schedule
        self._kept: Bools = np.zeros((network.edges, network.services), dtype=np.bool_)
        self._next = self._kept
        self._costs: FrameCosts | None = None
        self._costs_of = b""
        self._publisher = node.publisher("/scheduler/schedule")
        for m in range(network.edges):
            node.collect("arrivals", f"/cell/{m}/arrivals", f"/cell/{m}")
            node.collect("in_force", f"/edge/{m}/deployment_in_force", f"/edge/{m}")
        driver.add(self)

    def commit(self) -> None:
        """The slot computed last counts."""
        self._kept = self._next

    def start(self, now: Now) -> None:
        """Wait for who takes part; deployments are said in a frame's first slot and whenever the roster changed."""
        self._node.begin(now.slot, now.attempt)
        edges = [m for m in range(self._network.edges) if f"/edge/{m}" in now.members]
        deployed = np.zeros_like(self._kept)
        deployed[edges] = self._kept[edges]
        # A cell without an edge server sends its tasks up by itself and is not scheduled.
        cells = [m for m in edges if f"/cell/{m}" in now.members]

        def known(messages: list[Any]) -> None:
            for m, message in zip(edges, messages, strict=True):
                if not isinstance(message, Absent):
                    deployed[m] = records.deployed_from(message.services, self._network.services)
            self._gather("arrivals", cells, "/cell/", now, lambda got: self._solve(now, deployed, cells, got))

        if now.first or now.changed:
            self._gather("in_force", edges, "/edge/", now, known)
        else:
            self._gather("arrivals", cells, "/cell/", now, lambda got: self._solve(now, deployed, cells, got))

    def _gather(self, kind: str, indices: list[int], prefix: str, now: Now, then: Callable[[list[Any]], None]) -> None:
        sources = [f"{prefix}{m}" for m in indices]
        left_s = self._driver.left_s(INPUT_SHARE)
        self._node.gather(kind, sources, now.slot, now.attempt, then, deadline_s=left_s)

    def _solve(self, now: Now, deployed: Bools, cells: list[int], messages: list[Any]) -> None:
        tasks = np.zeros((self._network.edges, self._network.services))
        for m, message in zip(cells, messages, strict=True):
            if not isinstance(message, Absent):
                tasks[m] = message.tasks.numpy()
        self._next = deployed
        start = perf_counter()
        split = self._schedule(tasks, self._frame_costs(deployed, cloud="/cloud" in now.members))
        self._driver.note("schedule_s", perf_counter() - start)
        into_ns = self._node.reached_ns("in_force", "arrivals")
        self._driver.publish(self._publisher, records.schedule(split, tasks), now, into_ns=into_ns)
        self._driver.finish(self, now)

    def _frame_costs(self, deployed: Bools, *, cloud: bool) -> FrameCosts:
        key = deployed.tobytes() + bytes([cloud])
        if self._costs is None or key != self._costs_of:
            self._costs, self._costs_of = frame_costs(self._network, deployed, cloud=cloud), key
        return self._costs
