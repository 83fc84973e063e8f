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
        self._costs_of: tuple[Bools, bool] | None = None
        self._members: frozenset[str] = frozenset()
        self._edge_servers: list[int] = []
        self._cells: list[int] = []
        self._publisher = node.publisher("/scheduler/schedule")
        for m in range(network.edges):
            node.collect("arrivals", f"/cell/{m}/arrivals", f"/cell/{m}")
            node.collect("in_force", f"/edge/{m}/deployment_in_force", f"/edge/{m}")
        driver.add(self)

    def commit(self) -> None:
        """The slot computed last counts."""
        self._kept = self._next

    def begin_again(self, schedule: Schedule) -> None:
        """Back to the initial state: nobody has deployed anything."""
        self._schedule = schedule
        self._kept = self._next = np.zeros_like(self._kept)
        self._costs = self._costs_of = None

    def start(self, now: Now) -> None:
        """Wait for who takes part; deployments are said in a frame's first slot and whenever the roster changed."""
        self._node.begin(now.slot, now.attempt)
        if now.members is not self._members:
            self._look_up(now.members)
        edges, cells = self._edge_servers, self._cells
        if not (now.first or now.changed):
            kept = self._kept
            self._gather("arrivals", cells, "/cell/", now, lambda got: self._solve(now, kept, cells, got))
            return
        deployed = np.zeros_like(self._kept)
        deployed[edges] = self._kept[edges]

        def known(messages: list[Any]) -> None:
            for m, message in zip(edges, messages, strict=True):
                if not isinstance(message, Absent):
                    deployed[m] = records.deployed_from(message.services, self._network.services)
            self._gather("arrivals", cells, "/cell/", now, lambda got: self._solve(now, deployed, cells, got))

        self._gather("in_force", edges, "/edge/", now, known)

    def _look_up(self, members: frozenset[str]) -> None:
        """Who takes part; once for each roster. A cell without an edge server sends its tasks up by itself."""
        self._members = members
        self._edge_servers = [m for m in range(self._network.edges) if f"/edge/{m}" in members]
        self._cells = [m for m in self._edge_servers if f"/cell/{m}" in members]

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
        known = self._costs_of
        if self._costs is None or known is None or known[1] != cloud or not _same(known[0], deployed):
            self._costs = frame_costs(self._network, deployed, cloud=cloud)
        self._costs_of = (deployed, cloud)
        return self._costs


def _same(known: Bools, deployed: Bools) -> bool:
    """Whether two deployments are equal; an array in force is never changed in place."""
    return known is deployed or np.array_equal(known, deployed)
