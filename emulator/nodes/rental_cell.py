"""Some users of the rental world: they walk, say who is in range of whom, choose edge servers, and ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bus.gather import Absent, late
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator import rental_records
from emulator.nodes.deadlines import SCHEDULE
from emulator.rental_crowd import Crowd
from emulator.rental_plan import Plan


class RentalCellNode:
    """The users of one cell; in this world a cell is a part of all users, wherever they are."""

    def __init__(self, node: Node, driver: SlotDriver, cell: int, plan: Plan, seed: int, crowd: Crowd) -> None:
        """Look after users.

        Args:
            node: Its name on the bus.
            driver: Its process's place in time.
            cell: Its index.
            plan: The world's.
            seed: The run's.
            crowd: Its users.
        """
        self.name = node.name
        self._node = node
        self._driver = driver
        self._plan = plan
        self._edges = [f"/edge/{n}" for n in range(plan.edges)]
        self._presence = node.publisher(f"/cell/{cell}/presence")
        self._requests = [node.publisher(f"/cell/{cell}/requests/{n}") for n in range(plan.edges)]
        self._asked = node.publisher(f"/cell/{cell}/asked")
        self._late = node.process.measurements.counter("late_messages", stage="cell")
        for name in self._edges:
            node.collect("in force", f"{name}/rental_in_force", name)
        self.begin_again(seed, crowd)
        driver.add(self)

    def begin_again(self, seed: int, crowd: Crowd) -> None:
        """Back to the initial state, with other users."""
        self._seed = seed
        self._crowd = crowd

    def commit(self) -> None:
        """Where users are follows from the slot alone, and what they remember is told by the edge servers."""

    def start(self, now: Now) -> None:
        """Say who is in range, and wait for what the edge servers offer."""
        self._node.begin(now.slot, now.attempt)
        self._crowd.advance(now.slot)
        self._driver.publish(self._presence, rental_records.presence(self._crowd.in_range()[0]), now)
        there = [name for name in self._edges if name in now.members]
        self._node.gather(
            "in force",
            there,
            now.slot,
            now.attempt,
            lambda messages: self._choose(now, there, messages),
            deadline_s=self._driver.left_s(SCHEDULE),
        )

    def _choose(self, now: Now, there: Sequence[str], messages: Sequence[Any]) -> None:
        came = [message for message in messages if not isinstance(message, Absent)]
        self._late.value += late(messages)
        plan = self._plan
        row = plan.row(plan.start(self._seed, now.slot), now.slot)
        asking = self._crowd.request(rental_records.offered(came, plan.edges), np.array([row]))
        into_ns = self._node.reached_ns("in force")
        for n, name in enumerate(self._edges):
            if name in there:
                self._driver.publish(self._requests[n], rental_records.requests_to(asking, n), now, into_ns=into_ns)
        self._driver.publish(self._asked, rental_records.asked(asking, plan.edges), now)
        self._driver.finish(self, now)
