"""An edge server's slot when emulated links may withhold messages.

The same arrows as in ``EdgeNode``, but everyone tells everyone, and a place that a link left empty says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bus.gather import Absent
from bus.messages import Array
from bus.node import Node
from bus.publisher import Publisher
from bus.slots import Now, SlotDriver
from emulator.linked_serving import LinkedServing, Told, default_split, usable_split
from emulator.model.offloading import Floats, FrameCosts
from emulator.nodes.deadlines import COMPLETED, OFFLOAD, SCHEDULE
from emulator.nodes.edge_measured import EdgeMeasured
from emulator.nodes.edge_plan import Plan

ROUTED = ("deployment", "own arrivals", "schedule", "in_force", "arrivals")
"""What an edge server waits for before it sends tasks: their times are the offloads'."""


class LinkedSlot:
    """The slot of one edge server; ``start`` for each, ``commit`` when it counts."""

    def __init__(
        self,
        node: Node,
        driver: SlotDriver,
        edge: int,
        cloud: int,
        serving: LinkedServing,
        offload: Mapping[int, Publisher],
        completed: Mapping[int, Publisher],
        outcome: Publisher,
        measured: EdgeMeasured,
    ) -> None:
        self._node = node
        self._driver = driver
        self._edge = edge
        self._cloud = cloud
        self._serving = serving
        self._offload = offload
        self._completed = completed
        self._outcome = outcome
        self._measured = measured
        self._late = node.process.measurements.counter("late_messages", stage="edge")
        self.tasks = Array.of(np.zeros(0))
        """What the edge server saw arrive."""

    def commit(self) -> None:
        """The slot computed last counts."""
        self._serving.commit()

    def begin_again(self, serving: LinkedServing) -> None:
        """Back to the initial state."""
        self._serving = serving

    def start(
        self,
        now: Now,
        alive: Sequence[int],
        nothing: Array,
        costs: Callable[[], FrameCosts],
        ask: Callable[[Now, Callable[[Plan | None], None]], None],
        finish: Callable[[Now], None],
    ) -> None:
        """Compute a slot.

        Args:
            now: The slot.
            alive: Edge servers that take part.
            nothing: No tasks, shape (service,).
            costs: The costs of what is deployed, once that is known.
            ask: Hands over this edge server's part of the schedule.
            finish: Called at the end.
        """
        self._serving.begin(now.slot, alive)
        self.tasks = nothing
        self._withheld: tuple[Floats, str] | None = None
        self._plan: Plan | None = None
        self._told: Told | None = None
        self._inputs = self._outputs = 0
        self._peers = [n for n in alive if n != self._edge]
        self._costs, self._finish = costs, finish
        cell = f"/cell/{self._edge}"
        if cell in now.members:
            self._gather("own arrivals", (cell,), now, SCHEDULE, lambda got: self._arrived(now, got[0]))
        else:
            self._input(now)
        ask(now, lambda plan: self._scheduled(now, plan))

    def _gather(self, kind: str, sources: Sequence[Any], now: Now, share: float, then: Any) -> None:
        self._node.gather(kind, sources, now.slot, now.attempt, then, deadline_s=self._driver.left_s(share))

    def _arrived(self, now: Now, message: Any) -> None:
        if not isinstance(message, Absent):
            self.tasks = message.tasks
        elif message.withheld is not None:
            self._withheld = (message.withheld.tasks.numpy(), message.reason)
        self._input(now)

    def _scheduled(self, now: Now, plan: Plan | None) -> None:
        self._plan = plan
        self._input(now)

    def _input(self, now: Now) -> None:
        self._inputs += 1
        if self._inputs < 2:
            return
        costs, tasks = self._costs(), self.tasks.numpy()
        hosts = costs.hosts[self._edge]
        split = default_split(hosts, self._edge, self._cloud + 1)
        if self._plan is not None:
            split = usable_split(self._plan.split(*split.shape), hosts, self._edge, tasks)
        targets = [*self._peers, *((self._cloud,) if "/cloud" in now.members else ())]
        into_ns = self._node.reached_ns(*ROUTED)
        for target, offload in self._serving.route(tasks, split, targets).items():
            self._driver.publish(self._offload[target], offload, now, into_ns=into_ns)
        self._gather("completed", targets, now, COMPLETED, lambda got: self._answered(now, targets, got))
        self._gather("offload", self._peers, now, OFFLOAD, lambda got: self._execute(now, costs, got))

    def _execute(self, now: Now, costs: FrameCosts, messages: list[Any]) -> None:
        came, absent = [], {}
        for origin, message in zip(self._peers, messages, strict=True):
            if isinstance(message, Absent):
                absent[origin] = message.reason
                self._late.value += message.reason == "late"
            else:
                came.append((origin, message))
        self._measured.came(came)
        into_ns = self._node.reached_ns(*ROUTED, "offload")
        for origin, answer in self._serving.execute(came, absent, costs).items():
            self._driver.publish(self._completed[origin], answer, now, into_ns=into_ns)
        self._output(now, None)

    def _answered(self, now: Now, targets: list[int], messages: list[Any]) -> None:
        pairs = list(zip(targets, messages, strict=True))
        lost = {n: message.reason for n, message in pairs if isinstance(message, Absent)}
        if self._cloud not in targets:
            lost[self._cloud] = "no_cloud"
        done = [(n, message) for n, message in pairs if n not in lost]
        self._output(now, Told(done, lost, self._withheld))

    def _output(self, now: Now, told: Told | None) -> None:
        self._told = told or self._told
        self._outputs += 1
        if self._outputs < 2 or self._told is None:
            return
        outcome = self._serving.end(self._told)
        self._measured.ended(outcome)
        self._driver.publish(self._outcome, outcome, now)
        self._finish(now)
