"""Where an edge server's schedule comes from: the scheduler, or its own solution when there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from bus.gather import Absent
from bus.messages import Schedule
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator import records
from emulator.model import scheduling
from emulator.model.offloading import Bools, Network, frame_costs
from emulator.nodes.deadlines import SCHEDULE, SCHEDULER_INPUT
from emulator.nodes.edge_plan import Plan, PlanReader, plan_of

Then = Callable[[Plan | None], None]
"""Gets the edge server's part of the schedule; None when none came in time."""


class ScheduleSource:
    """Gives one edge server its part of the slot's schedule."""

    def __init__(
        self,
        node: Node,
        driver: SlotDriver,
        edge: int,
        network: Network,
        backend: Literal["numpy", "numba"],
        reader: PlanReader,
        alone: bool,
    ) -> None:
        """Follow the scheduler, or everyone when the scenario has none (``alone``)."""
        self._node = node
        self._driver = driver
        self._edge = edge
        self._network = network
        self._backend: Literal["numpy", "numba"] = backend
        self._reader = reader
        self._listens = False
        self._kept = np.zeros((network.edges, network.services), dtype=np.bool_)
        self._next: Bools = self._kept
        if alone:
            self._listen()
        else:
            node.collect("schedule", "/scheduler/schedule", "/scheduler")

    def commit(self) -> None:
        """The slot computed last counts."""
        self._kept = self._next

    def begin_again(self) -> None:
        """Back to the initial state: nobody has deployed anything."""
        self._kept = self._next = np.zeros_like(self._kept)

    def ask(self, now: Now, then: Then) -> None:
        """Hand over the slot's plan when it is known."""
        self._next = self._kept
        if "/scheduler" in now.members:
            self._node.gather(
                "schedule",
                ("/scheduler",),
                now.slot,
                now.attempt,
                lambda messages: then(self._read(messages[0])),
                deadline_s=self._driver.left_s(SCHEDULE),
            )
        else:
            self._solve(now, then)

    def _read(self, message: Any) -> Plan | None:
        return self._reader.plan(message, self._edge) if isinstance(message, Schedule) else None

    def _listen(self) -> None:
        """Follow every cell and edge server; from now on, since the scheduler may come back and go again."""
        if not self._listens:
            self._listens = True
            for m in range(self._network.edges):
                self._node.collect("arrivals", f"/cell/{m}/arrivals", f"/cell/{m}")
                self._node.collect("in_force", f"/edge/{m}/deployment_in_force", f"/edge/{m}")

    def _solve(self, now: Now, then: Then) -> None:
        """Every edge server solves the same problem from the same messages, so all find the same shares."""
        self._listen()
        edges = [m for m in range(self._network.edges) if f"/edge/{m}" in now.members]
        cells = [m for m in edges if f"/cell/{m}" in now.members]
        tasks = np.zeros((self._network.edges, self._network.services))
        deployed = self._kept.copy()
        deployed[[m for m in range(self._network.edges) if m not in edges]] = False

        def arrived(messages: list[Any]) -> None:
            for m, message in zip(cells, messages, strict=True):
                if not isinstance(message, Absent):
                    tasks[m] = message.tasks.numpy()
            self._next = deployed
            costs = frame_costs(self._network, deployed, cloud="/cloud" in now.members)
            then(plan_of(scheduling.solve_shares(tasks, costs, backend=self._backend)[1], self._edge))

        def known(messages: list[Any]) -> None:
            for m, message in zip(edges, messages, strict=True):
                if not isinstance(message, Absent):
                    deployed[m] = records.deployed_from(message.services, self._network.services)
            self._gather("arrivals", [f"/cell/{m}" for m in cells], now, arrived)

        if now.first or now.changed:
            self._gather("in_force", [f"/edge/{m}" for m in edges], now, known)
        else:
            self._gather("arrivals", [f"/cell/{m}" for m in cells], now, arrived)

    def _gather(self, kind: str, sources: list[str], now: Now, then: Callable[[list[Any]], None]) -> None:
        left_s = self._driver.left_s(SCHEDULER_INPUT)
        self._node.gather(kind, sources, now.slot, now.attempt, then, deadline_s=left_s)
