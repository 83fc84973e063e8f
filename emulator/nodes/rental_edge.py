"""The emulated edge server of the rental world: observes, rents what its agent says, serves who comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bus.gather import Absent, late
from bus.messages import RentalInForce, RentalOutcome
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator import rental_records
from emulator.nodes.deadlines import COMPLETED, SCHEDULE, SENSED
from emulator.nodes.rental_decision import RentalKeeper
from emulator.rental_edges import Conditions, EdgeServers, Remembered, observation
from emulator.rental_plan import Plan


class RentalEdgeNode:
    """One edge server.

    A slot: users in range -> observation -> rental -> what is in force -> users' requests -> outcome.
    """

    def __init__(
        self,
        node: Node,
        driver: SlotDriver,
        edge: int,
        plan: Plan,
        seed: int,
        keeper: RentalKeeper,
    ) -> None:
        """Make an edge server.

        Args:
            node: Its name on the bus.
            driver: Its process's place in time.
            edge: Its index.
            plan: The world's.
            seed: The run's.
            keeper: Its decisions.
        """
        self.name = node.name
        self._node = node
        self._driver = driver
        self._edge = edge
        self._plan = plan
        self._keeper = keeper
        self._cells = [f"/cell/{c}" for c in range(plan.rental.users.cells)]
        self._in_force = node.publisher(f"/edge/{edge}/rental_in_force")
        self._outcome = node.publisher(f"/edge/{edge}/rental_outcome")
        self._late = node.process.measurements.counter("late_messages", stage="edge")
        for name in self._cells:
            node.collect("presence", f"{name}/presence", name)
            node.collect("requests", f"{name}/requests/{edge}", name)
        # The published file's fault lets everybody's delay hang on what edge server 0 rents.
        count, label = node.process.measurements.counter, str(edge)
        self._tasks = count("service_tasks", edge=label, service="0")
        self._delay = count("service_delay_seconds", edge=label, service="0")
        self._completed = count("completed_tasks", edge=label)
        self._completed_s = count("completed_delay_seconds", edge=label)
        self._executed = count("executed_tasks", edge=label, target="own")
        self._ended: RentalOutcome | None = None
        self._watches_first = plan.rental.zero_delay_bug == "authors" and edge != 0
        if self._watches_first:
            node.collect("first", "/edge/0/rental_in_force", "/edge/0")
        self._begin(seed)
        driver.add(self)

    def _begin(self, seed: int) -> None:
        self._seed = seed
        self._in_range, self._refused = 0, ""
        self._servers = EdgeServers(self._plan, [seed], self._edge, 1)
        self._kept = self._next = self._servers.nothing_remembered()

    def begin_again(self, seed: int) -> None:
        """Back to the initial state: nothing is rented, nothing remembered."""
        self._keeper.begin_again()
        self._begin(seed)

    def commit(self) -> None:
        """The slot computed last counts."""
        self._kept = self._next
        self._keeper.commit()
        if self._ended is not None:
            self._tasks.value += self._ended.tasks
            self._executed.value += self._ended.tasks
            self._completed.value += self._ended.tasks
            self._completed_s.value += self._ended.wait_s
            self._delay.value += self._ended.wait_s
            self._ended = None

    def start(self, now: Now) -> None:
        """Wait for who is in range."""
        self._node.begin(now.slot, now.attempt)
        self._ended = None
        begins = self._plan.episode(now.slot) == now.slot
        remembered = self._servers.nothing_remembered() if begins else self._kept
        conditions = self._servers.conditions(now.slot)
        self._gather("presence", now, SENSED, lambda came: self._observe(now, remembered, conditions, came))

    def _gather(self, kind: str, now: Now, share: float, then: Callable[[list[Any]], None]) -> None:
        """From all cells that take part; ``then`` gets what came."""
        cells = [name for name in self._cells if name in now.members]

        def came(messages: list[Any]) -> None:
            there = [message for message in messages if not isinstance(message, Absent)]
            self._late.value += late(messages)
            then(there)

        left_s = self._driver.left_s(share)
        self._node.gather(kind, cells, now.slot, now.attempt, came, deadline_s=left_s)

    def _observe(self, now: Now, remembered: Remembered, conditions: Conditions, came: list[Any]) -> None:
        plan = self._plan
        in_range = rental_records.counted(came, plan.edges)[:, self._edge : self._edge + 1]
        hour = plan.hour(plan.row(plan.start(self._seed, now.slot), now.slot))
        values = observation(remembered, in_range, conditions, np.array([hour]))
        message = rental_records.observation(self._edge, values[0, 0])

        def decided(units: int, refused: str) -> None:
            self._rent(now, remembered, conditions, units, refused)

        self._in_range = int(in_range[0, 0])
        self._keeper.ask(now, message, decided)

    def _rent(self, now: Now, remembered: Remembered, conditions: Conditions, units: int, refused: str) -> None:
        self._refused = refused
        if self._edge in self._plan.away(now.slot):
            units = 0
        message = rental_records.in_force(self._edge, units, remembered, conditions, 0, refused)
        self._driver.publish(self._in_force, message, now, into_ns=self._node.reached_ns("rental"))

        def served(first_idle: bool) -> None:
            self._gather(
                "requests",
                now,
                COMPLETED,
                lambda came: self._serve(now, remembered, conditions, units, first_idle, came),
            )

        if self._watches_first and "/edge/0" in now.members:
            left_s = self._driver.left_s(SCHEDULE)
            self._node.gather(
                "first", ("/edge/0",), now.slot, now.attempt, lambda got: served(_idle(got)), deadline_s=left_s
            )
        else:
            served(units == 0 if self._edge == 0 else True)

    def _serve(
        self,
        now: Now,
        remembered: Remembered,
        conditions: Conditions,
        units: int,
        first_idle: bool,
        came: list[Any],
    ) -> None:
        requests = rental_records.requests_from(came, self._edge)
        settled = self._servers.settle(np.array([[units]]), remembered, conditions, requests, np.array([first_idle]))
        self._next = settled.remembered
        message = rental_records.outcome(self._edge, units, self._in_range, settled, conditions, 0, self._refused)
        self._ended = message
        self._driver.publish(self._outcome, message, now)
        self._driver.finish(self, now)


def _idle(messages: Sequence[Any]) -> bool:
    """Whether the first edge server rents nothing; one that does not say rents nothing either."""
    first = messages[0]
    return not isinstance(first, RentalInForce) or first.units == 0
