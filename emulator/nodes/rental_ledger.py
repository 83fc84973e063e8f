"""The ledger of the rental world: closes every slot, keeps tables and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from bus.digest import Entry
from bus.gather import Absent
from bus.messages import Asked, RentalOutcome
from bus.node import Node
from bus.slots import Now
from emulator import rental_records
from emulator.folder import Writer
from emulator.model.rental_ledger import EpisodeRow, RentalTotals, close_slot
from emulator.nodes.books import Standing
from emulator.nodes.deadlines import OUTCOME
from emulator.rental_plan import Plan


class RentalEnded(NamedTuple):
    """What is known of a slot when it is closed."""

    now: Now
    outcomes: Sequence[Any]
    asked: Sequence[Any]


class RentalLedgerNode:
    """Waits for how each slot ends at every edge server, and writes it down when the hub commits it."""

    def __init__(self, node: Node, plan: Plan, seed: int, writer: Writer) -> None:
        """Keep books.

        Args:
            node: Its name on the bus.
            plan: The world's.
            seed: The run's.
            writer: Of the run folder.
        """
        self._node = node
        self._writer = writer
        self._plan = plan
        self._seed = seed
        self._edges = [f"/edge/{n}" for n in range(plan.edges)]
        self._cells = [f"/cell/{c}" for c in range(plan.rental.users.cells)]
        self.on_complete: Callable[[], None] = lambda: None
        self.begin_again(seed)
        count = node.process.measurements
        self._tasks = {t: count.counter("tasks", target=t) for t in ("edge", "cloud", "dropped")}
        self._slot_gauge, self._frame_gauge = count.gauge("slot"), count.gauge("frame")
        self._mean_gauge = count.gauge("slot_delay_seconds", scheme="run")
        self._reward_gauge = count.gauge("slot_reward")
        self._edge_rewards = [count.gauge("edge_reward", edge=str(n)) for n in range(plan.edges)]
        self._edge_units = [count.gauge("rented_units", edge=str(n)) for n in range(plan.edges)]
        for name in self._edges:
            node.collect("outcome", f"{name}/rental_outcome", name)
        for name in self._cells:
            node.collect("asked", f"{name}/asked", name)

    def begin_again(self, seed: int) -> None:
        """Open new books, at slot 0; metrics go on."""
        self._seed = seed
        self.totals = RentalTotals(self._plan.rental.episode_slots)
        self.late = 0
        self.refused = 0
        self.complete = False
        self._now: Now | None = None
        self._got: dict[str, Sequence[Any]] = {}

    def standing(self) -> Standing:
        """How the run stands."""
        totals = self.totals
        return Standing(totals.delay_s, self._plan.rental.users.cloud_s, totals.reward, totals.by_target())

    def start(self, now: Now, left_s: Callable[[float], float | None]) -> None:
        """Wait for how the slot ends; ``left_s`` as ``SlotDriver.left_s``."""
        self._node.begin(now.slot, now.attempt)
        self._now, self.complete, self._got = now, False, {}
        for kind, names in (("outcome", self._edges), ("asked", self._cells)):
            there = [name for name in names if name in now.members]
            took = partial(self._take, kind)
            self._node.gather(kind, there, now.slot, now.attempt, took, deadline_s=left_s(OUTCOME))

    def _take(self, kind: str, messages: Sequence[Any]) -> None:
        self._got[kind] = messages
        if len(self._got) == 2:
            self.complete = True
            self.on_complete()

    def ended(self) -> RentalEnded:
        """What is known of the slot; to be taken before the next one starts."""
        if self._now is None:
            raise RuntimeError("ended() before start()")
        return RentalEnded(self._now, self._got.get("outcome", ()), self._got.get("asked", ()))

    def refusals(self, ended: RentalEnded) -> dict[int, str]:
        """Why an edge server refused its agent's decision, by edge server."""
        return {told.edge: told.refused for told in ended.outcomes if isinstance(told, RentalOutcome)}

    def ends_frame(self, _now: Now) -> bool:
        """Whether somebody must know of the slot before the next begins: no, each edge server tells its own agent."""
        return False

    def end(self) -> None:
        """Nothing is left to be written: edge servers have their line in every slot, and there are no services."""

    def close(self, ended: RentalEnded) -> list[Entry]:
        """Write a slot down; all that belongs to the digest was said by nodes.

        Raises: Broken: tasks came from nowhere. RunFolderError: a table cannot be written.
        """
        self.late += sum(isinstance(message, Absent) for message in (*ended.outcomes, *ended.asked))
        slot, plan = ended.now.slot, self._plan
        outcomes = [message for message in ended.outcomes if isinstance(message, RentalOutcome)]
        edges = [rental_records.edge_row(slot, message) for message in outcomes]
        asked = [message for message in ended.asked if isinstance(message, Asked)]
        *sent, cloud = rental_records.sent_of(asked, plan.edges).tolist()
        if len(asked) < len(ended.asked):
            # What a cell sent is not known when its report is late; what came of it is, and must have been sent.
            for each in edges:
                sent[each.edge] = max(sent[each.edge], each.tasks)
        hour = plan.hour(plan.row(plan.start(self._seed, slot), slot))
        row = close_slot(slot, hour, edges, cloud, dict(enumerate(sent)))
        self._writer.add("slots.csv", row)
        for edge in edges:
            self._writer.add("edges.csv", edge)
        episode = self.totals.add_slot(row)
        if episode is not None:
            self._writer.row("episodes.csv", EpisodeRow._fields, episode)
        self.refused += sum(bool(message.refused) for message in outcomes)
        for target, count in (("edge", row.tasks), ("cloud", row.cloud), ("dropped", row.dropped)):
            self._tasks[target].value += count
        self._slot_gauge.value = self._frame_gauge.value = slot
        self._mean_gauge.value, self._reward_gauge.value = row.delay_s, row.reward
        for edge in edges:
            self._edge_rewards[edge.edge].value, self._edge_units[edge.edge].value = edge.reward, float(edge.units)
        return []
