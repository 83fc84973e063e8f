"""The emulated edge server: deploys, sends its cell's tasks where the schedule says, executes what comes to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from bus.gather import Absent
from bus.messages import Array, Arrivals
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator.linked_serving import LinkedServing
from emulator.model.offloading import Bools, FrameCosts, Network, frame_costs
from emulator.nodes.deadlines import COMPLETED, OFFLOAD, SCHEDULE
from emulator.nodes.edge_decision import DeploymentKeeper, Orphan
from emulator.nodes.edge_linked import LinkedSlot
from emulator.nodes.edge_measured import EdgeMeasured
from emulator.nodes.edge_plan import Plan, default_plan, usable_plan
from emulator.nodes.edge_schedule import ScheduleSource
from emulator.nodes.edge_serving import Answers, Serving


class EdgeNode:
    """One edge server.

    A slot: deployment (first slot of a frame) -> own arrivals and schedule -> offloads out and in -> answers out and in
    -> outcome. Every arrow is a gather; nothing blocks.
    """

    def __init__(
        self,
        node: Node,
        driver: SlotDriver,
        edge: int,
        network: Network,
        keeper: DeploymentKeeper,
        source: ScheduleSource,
        serving: Serving,
        linked: LinkedServing,
    ) -> None:
        """Make an edge server.

        Args:
            node: Its name on the bus.
            driver: Its process's place in time.
            edge: Its index.
            network: The world.
            keeper: Its deployments.
            source: Where its schedules come from.
            serving: How it serves.
            linked: The same where emulated links may withhold messages.
        """
        self.name = node.name
        self._node = node
        self._driver = driver
        self._edge = edge
        self._network = network
        self._keeper = keeper
        self._source = source
        self._serving = serving
        self._cloud = network.edges
        self._costs: FrameCosts | None = None
        self._costs_of: Bools | None = None
        self._members: frozenset[str] = frozenset()
        self._alive_edges: list[int] = []
        self._no_tasks = Array.of(np.zeros(network.services))
        self._tasks = self._no_tasks
        self._plan: Plan | None = None
        self._inputs = 0
        self._outputs = 0
        self._answers: Answers | None = None
        others = [n for n in range(network.edges) if n != edge]
        self._offload = {n: node.publisher(f"/edge/{edge}/offload/{n}") for n in others}
        self._offload[self._cloud] = node.publisher(f"/edge/{edge}/offload/cloud")
        self._completed = {n: node.publisher(f"/edge/{edge}/completed/{n}") for n in others}
        self._outcome = node.publisher(f"/edge/{edge}/outcome")
        self._late = node.process.measurements.counter("late_messages", stage="edge")
        self._measured = EdgeMeasured(node, edge, network.services)
        self._linked = LinkedSlot(
            node, driver, edge, self._cloud, linked, self._offload, self._completed, self._outcome, self._measured
        )
        self._is_linked = False
        node.collect("own arrivals", f"/cell/{edge}/arrivals", f"/cell/{edge}")
        for n in others:
            node.collect("offload", f"/edge/{n}/offload/{edge}", n)
            node.collect("completed", f"/edge/{n}/completed/{edge}", n)
        node.collect("completed", f"/cloud/completed/{edge}", self._cloud)
        driver.add(self)

    def commit(self) -> None:
        """The slot computed last counts."""
        self._keeper.saw(self._linked.tasks if self._is_linked else self._tasks)
        self._keeper.commit()
        self._measured.commit(self._keeper.deployed)
        self._source.commit()
        (self._linked if self._is_linked else self._serving).commit()

    def begin_again(self, orphan: Orphan | None, serving: Serving, linked: LinkedServing) -> None:
        """Back to the initial state; what draws at random comes anew."""
        self._keeper.begin_again(orphan)
        self._source.begin_again()
        self._serving = serving
        self._linked.begin_again(linked)
        self._is_linked = False
        self._tasks, self._plan, self._answers = self._no_tasks, None, None

    def start(self, now: Now) -> None:
        """Begin a slot from the committed state."""
        self._node.begin(now.slot, now.attempt)
        self._tasks, self._plan, self._inputs, self._outputs = self._no_tasks, None, 0, 0
        self._answers = None
        self._measured.begin()
        self._is_linked = now.linked
        if now.linked:
            self._keeper.begin(now)
            self._linked.start(
                now, self._alive(now), self._no_tasks, self._frame_costs, self._source.ask, self._finish_linked
            )
            return
        self._serving.begin(now.slot, self._alive(now))
        self._keeper.begin(now)
        if f"/cell/{self._edge}" in now.members:
            self._gather(
                "own arrivals", (f"/cell/{self._edge}",), now, SCHEDULE, lambda got: self._arrived(now, got[0])
            )
        else:
            self._arrived(now, Absent("no_cell"))
        self._source.ask(now, lambda plan: self._scheduled(now, plan))

    def _finish_linked(self, now: Now) -> None:
        self._driver.finish(self, now)

    def _alive(self, now: Now) -> list[int]:
        """Edge servers that take part; looked up once for each roster."""
        if now.members is not self._members:
            self._members = now.members
            self._alive_edges = [n for n in range(self._network.edges) if f"/edge/{n}" in now.members]
        return self._alive_edges

    def _gather(self, kind: str, sources: Any, now: Now, share: float, then: Any) -> None:
        self._node.gather(kind, sources, now.slot, now.attempt, then, deadline_s=self._driver.left_s(share))

    def _arrived(self, now: Now, message: Any) -> None:
        if isinstance(message, Arrivals):
            self._tasks = message.tasks
        self._input(now)

    def _scheduled(self, now: Now, plan: Plan | None) -> None:
        if plan is None:
            self._late.value += 1.0
        self._plan = plan
        self._input(now)

    def _input(self, now: Now) -> None:
        """Both inputs of the routing are there: send, and wait for what others send."""
        self._inputs += 1
        if self._inputs < 2:
            return
        costs = self._frame_costs()
        hosts = costs.hosts[self._edge]
        plan = self._plan or default_plan(hosts, self._edge, self._cloud)
        if self._driver.paced:
            plan = usable_plan(plan, self._tasks.values(), hosts, self._edge, self._cloud)
        asked = plan.senders
        senders = [n for n in self._alive(now) if n != self._edge and (asked is None or n in asked)]
        # Without a scheduler the cloud cannot know who sends, so all edge servers tell it, every slot.
        also = () if "/scheduler" in now.members else (self._cloud,)
        for target, offload in self._serving.route(self._tasks, plan, also).items():
            if target != self._cloud or "/cloud" in now.members:
                self._driver.publish(self._offload[target], offload, now)
        self._await_answers(now, costs)
        self._gather("offload", senders, now, OFFLOAD, lambda got: self._execute(now, costs, senders, got))

    def _execute(self, now: Now, costs: FrameCosts, senders: list[int], messages: list[Any]) -> None:
        came = [(n, message) for n, message in zip(senders, messages, strict=True) if not isinstance(message, Absent)]
        self._late.value += len(senders) - len(came)
        self._measured.came(came)
        for origin, answer in self._serving.execute(came, costs).items():
            if f"/edge/{origin}" in now.members:
                self._driver.publish(self._completed[origin], answer, now)
        self._output(now, costs, None)

    def _await_answers(self, now: Now, costs: FrameCosts) -> None:
        owing = [n for n in self._serving.owes() if n != self._cloud or "/cloud" in now.members]
        self._gather("completed", owing, now, COMPLETED, lambda got: self._answered(now, costs, owing, got))

    def _answered(self, now: Now, costs: FrameCosts, owing: list[int], messages: list[Any]) -> None:
        pairs = list(zip(owing, messages, strict=True))
        lost = {n: "late" for n, message in pairs if isinstance(message, Absent)}
        if "/cloud" not in now.members:
            lost[self._cloud] = "no_cloud"
        done = [(n, message) for n, message in pairs if n not in lost]
        self._output(now, costs, Answers(done, lost))

    def _output(self, now: Now, costs: FrameCosts, answers: Answers | None) -> None:
        """Both halves of the slot are done, own tasks answered and others' served: say how it ended."""
        self._answers = answers or self._answers
        self._outputs += 1
        if self._outputs < 2 or self._answers is None:
            return
        outcome = self._serving.end(self._answers, costs)
        self._answers = None
        self._measured.ended(outcome)
        self._driver.publish(self._outcome, outcome, now)
        self._driver.finish(self, now)

    def _frame_costs(self) -> FrameCosts:
        """Costs of the deployment in force; only this server's own row is filled, and only that is read."""
        deployed = self._keeper.deployed
        if self._costs is None or self._costs_of is not deployed:
            # Decisions are never changed in place: the same array is the same deployment.
            if self._costs is None or self._costs_of is None or not np.array_equal(self._costs_of, deployed):
                matrix = np.zeros((self._network.edges, self._network.services), dtype=np.bool_)
                matrix[self._edge] = deployed
                self._costs = frame_costs(self._network, matrix)
            self._costs_of = deployed
        return self._costs
