"""The books of a run on the bus: collects how each slot ended, and writes it down when the hub commits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bus.codec import Header
from bus.digest import Entry
from bus.gather import Absent
from bus.messages import Arrivals, DeploymentInForce, Outcome
from bus.node import Node
from bus.slots import Now
from emulator import records
from emulator.folder import Writer
from emulator.model import ledger
from emulator.model.breakdown import Breakdown, CellRow, ServiceRow
from emulator.model.ledger import FrameRow, SlotRow, Sums, Totals
from emulator.model.offloading import Floats, Network
from emulator.model.serving import Ends
from emulator.nodes.books import Standing
from emulator.nodes.deadlines import OUTCOME
from emulator.nodes.signals import GainSignals

BOOKED_SLOTS = 256
"""Arrivals that are later than so many slots of the wall clock are not told from those that were in time."""


class Ended(NamedTuple):
    """How a slot ended: messages by cell (None where nobody tells), and deployments said in a frame's first slot."""

    now: Now
    outcomes: list[Any]
    in_force: list[Any]
    arrived: dict[int, Floats]


class LedgerNode:
    """Collects outcomes; ``commit`` closes the slot.

    On the wall clock an outcome may not come in time, or leave out tasks that came too late to an edge server. What the
    cells told of then ends here, dropped(late), so that no task is forgotten and none ends twice.
    """

    def __init__(
        self,
        node: Node,
        network: Network,
        edges_s: Floats,
        slots_per_frame: int,
        writer: Writer,
        *,
        wall: bool = False,
        outlive: bool = False,
    ) -> None:
        """Write to a folder.

        Args:
            node: The ledger's node.
            network: The world.
            edges_s: Upper edges of the delay buckets.
            slots_per_frame: K.
            writer: Of the run folder.
            wall: Whether slots end by the clock.
            outlive: Whether tasks may outlive their slot (queued tasks).
        """
        self._node = node
        self._slots_per_frame = slots_per_frame
        self._network = network
        self._writer = writer
        self.on_complete: Callable[[], None] = _nothing
        self._edges_s = edges_s
        self._buckets = len(edges_s) + 1
        self._members: frozenset[str] = frozenset()
        self._sources: list[str] = []
        self._there: list[str] = []
        self._edge_servers: list[str] = []
        self._gone = np.zeros(network.edges, dtype=np.bool_)
        self._gone_of: frozenset[str] = frozenset()
        self._wall = wall
        self._outlive = outlive
        self.signals: GainSignals | None = None
        """Tells agents that learn more than the reward; None: nobody is told."""
        self.begin_again()
        self.reward = node.publisher("/ledger/frame_reward")
        count = node.process.measurements
        self._tasks = {t: count.counter("tasks", target=t) for t in ("local", "peer", "cloud", "dropped")}
        self._delay = count.histogram("task_delay_seconds", edges_s[3::4].tolist())
        count.before_snapshot(self._show_delays)
        self._slot_gauge, self._frame_gauge = count.gauge("slot"), count.gauge("frame")
        self._reward_gauge, self._reward_sum = count.gauge("frame_reward_seconds"), count.counter("reward_seconds")
        self._mean_gauge = count.gauge("slot_delay_seconds", scheme="run")
        self._cloud_gauge = count.gauge("slot_delay_seconds", scheme="all_cloud")
        for m in range(network.edges):
            node.collect("outcome", f"/edge/{m}/outcome", f"/edge/{m}")
            node.collect("outcome", f"/cell/{m}/outcome", f"/cell/{m}")
            node.collect("in force", f"/edge/{m}/deployment_in_force", f"/edge/{m}")
            if wall:
                node.subscribe(f"/cell/{m}/arrivals", partial(self._on_arrivals, m))

    def standing(self) -> Standing:
        """How the run stands."""
        totals = self.totals
        completed = max(totals.completed, 1e-300)
        mean_s = totals.cost_s / completed if totals.completed else 0.0
        all_cloud_s = totals.all_cloud_s / completed if totals.completed else 0.0
        return Standing(mean_s, all_cloud_s, totals.reward_s, dict(totals.tasks))

    def begin_again(self, _seed: int = 0) -> None:
        """Open new books, at slot 0; metrics go on."""
        self.totals = Totals(self._edges_s)
        self._breakdown = Breakdown(self._network.edges, self._network.services)
        self.late = 0
        self.refused = 0
        self.complete = False
        self._now: Now | None = None
        self._in_flight = np.zeros(self._network.edges)
        self._in_flight_before = 0.0
        self._arrived: dict[int, Floats] = {}
        self._booked: dict[int, Floats] = {}  # slot to arrived tasks by cell, of the last slots
        self._overdue = np.zeros((self._network.edges, self._network.services))
        self._outcomes: list[Any] = []
        self._in_force: list[Any] = []
        self._rows: list[SlotRow] = []
        self._deployed = 0
        self._frame_refused = 0
        if self.signals is not None:
            self.signals.begin_again()

    def start(self, now: Now, left_s: Any) -> None:
        """Wait for how the slot ends in every cell; ``left_s`` as ``SlotDriver.left_s``."""
        self._node.begin(now.slot, now.attempt)
        self._now, self.complete = now, False
        self._outcomes, self._in_force, self._arrived = [], [], {}
        if now.members is not self._members:
            self._look_up(now)
        sources, there = self._sources, self._there

        def ended(messages: list[Any]) -> None:
            if len(messages) < len(sources):
                came = dict(zip(there, messages, strict=True))
                messages = [came.get(source) for source in sources]
            self._outcomes = messages
            if now.first:
                self._gather("in force", self._edge_servers, now, left_s, decided)
            else:
                self._completed()

        def decided(messages: list[Any]) -> None:
            self._in_force = messages
            self._completed()

        self._gather("outcome", there, now, left_s, ended)

    def _completed(self) -> None:
        self.complete = True
        self.on_complete()

    def _on_arrivals(self, m: int, message: Arrivals, header: Header) -> None:
        if self._now is not None and header.slot == self._now.slot:
            self._arrived[m] = message.tasks.numpy()
        elif header.slot in self._booked:
            # It tells of a slot that is closed: what is not in the books of that one is late in this one.
            tasks, booked = message.tasks.numpy(), self._booked[header.slot][m]
            self._overdue[m] += tasks * max(0.0, 1.0 - booked / max(float(tasks.sum()), 1.0))
            self.late += 1

    def _gather(self, kind: str, sources: list[str], now: Now, left_s: Any, then: Any) -> None:
        self._node.gather(kind, sources, now.slot, now.attempt, then, deadline_s=left_s(OUTCOME))

    def _look_up(self, now: Now) -> None:
        """Who tells how each cell's tasks ended; once for each roster."""
        self._members = now.members
        self._sources = [self._source(m, now) for m in range(self._network.edges)]
        self._there = [source for source in self._sources if source]
        self._edge_servers = [source for source in self._there if source.startswith("/edge/")]

    def _source(self, m: int, now: Now) -> str:
        """Who tells how cell m's tasks ended: its edge server, the cell itself without one, or nobody."""
        names = (f"/edge/{m}", f"/cell/{m}")
        return next((name for name in names if name in now.members), "")

    def ended(self) -> Ended:
        """What is known of the slot; to be taken before the next one starts."""
        if self._now is None:
            raise RuntimeError("ended() before start()")
        return Ended(self._now, self._outcomes or [None] * self._network.edges, self._in_force, self._arrived)

    def commit(self, ended: Ended) -> tuple[SlotRow, FrameRow | None]:
        """Write a slot down; at a frame's end, close the frame.

        Raises: Broken: tasks were lost or ended twice. RunFolderError: a table cannot be written.
        """
        now = ended.now
        outcomes = [self._valid(message) for message in ended.outcomes]
        ends = records.ends_from(outcomes)
        in_flight = np.array([message.in_flight for message in outcomes])
        reasons = [message.reasons for message in outcomes if message.reasons]
        gone = self._without_edge_server(now)
        lost = float(self._in_flight[gone].sum()) if self._in_flight_before else 0.0
        if lost:
            # Tasks that were in flight when their edge server died end here; which service they were for died with it.
            dropped = ends.dropped.copy()
            dropped[gone, 0] += self._in_flight[gone]
            ends = ends._replace(dropped=dropped)
            reasons.append({"edge_lost": lost})
        if self._wall:
            ends, in_flight, late = self._reconciled(ended, ends, in_flight, gone)
            reasons.append({"late": late} if late else {})
        after, sums = float(in_flight.sum()), ledger.sums_of(ends)
        row = ledger.settle(now.slot, now.frame, ends, after, self._in_flight_before, sums=sums)
        self._in_flight, self._in_flight_before = in_flight, after
        self._book(row, ends, sums, reasons)
        self._frame(ended)
        if self.signals is not None:
            self.signals.slot(ends.arrived)
        return row, self._close_frame(now) if (len(self._rows) and self.ends_frame(now)) else None

    def close(self, ended: Ended) -> list[Entry]:
        """``commit``, and tell everyone the reward at a frame's end; returns what of that belongs to the digest."""
        _row, frame = self.commit(ended)
        if frame is None:
            return []
        reward = records.frame_reward(frame)
        self.reward.publish(reward, slot=ended.now.slot, attempt=ended.now.attempt)
        return [records.digest_entry(self.reward.topic, reward)]

    def refusals(self, ended: Ended) -> dict[int, str]:
        """Why an edge server refused its agent's decision, by edge server; in a frame's first slot."""
        return {said.edge: said.refused for said in ended.in_force if isinstance(said, DeploymentInForce)}

    def _without_edge_server(self, now: Now) -> NDArray[np.bool_]:
        """Cells whose edge server does not take part, shape (edge,); found out once for each roster."""
        if now.members is not self._gone_of:
            self._gone_of = now.members
            self._gone = np.array([f"/edge/{m}" not in now.members for m in range(self._network.edges)])
        return self._gone

    def ends_frame(self, now: Now) -> bool:
        """Whether a slot is its frame's last."""
        return (now.slot + 1) % self._slots_per_frame == 0

    def _valid(self, message: Any) -> Outcome:
        if isinstance(message, Outcome):
            return message
        if isinstance(message, Absent):
            self.late += 1
        zeros = np.zeros(self._network.services)
        empty = Ends(zeros, zeros, zeros, zeros, zeros, zeros, zeros, np.zeros(self._buckets))
        return records.outcome(empty, {})

    def _reconciled(
        self, ended: Ended, ends: Ends, in_flight: Floats, gone: NDArray[np.bool_]
    ) -> tuple[Ends, Floats, float]:
        """Let every task that a cell told of end or stay in flight; returns also how many are dropped(late)."""
        arrived, dropped, in_flight = ends.arrived.copy(), ends.dropped.copy(), in_flight.copy()
        before_late = float(dropped.sum())
        for m, message in enumerate(ended.outcomes):
            unseen = np.maximum(ended.arrived.get(m, arrived[m]) - arrived[m], 0.0) + self._overdue[m]
            arrived[m] += unseen
            if self._outlive and not gone[m] and not isinstance(message, Outcome):
                # Its edge server works on; what became of these tasks is seen from its next outcome.
                in_flight[m] = self._in_flight[m] + unseen.sum()
                continue
            dropped[m] += unseen
            if self._outlive:
                over = float((ends.local[m] + ends.peer[m] + ends.cloud[m]).sum() + dropped[m].sum())
                gap = float(self._in_flight[m] + arrived[m].sum()) - over - in_flight[m]
                # Which service they were for is not known; less than none: tasks whose arrival nobody told in time.
                dropped[m, 0] += max(gap, 0.0)
                arrived[m, 0] += max(-gap, 0.0)
        self._booked[ended.now.slot] = (arrived - self._overdue).sum(axis=1)
        self._booked.pop(ended.now.slot - BOOKED_SLOTS, None)
        self._overdue = np.zeros_like(self._overdue)
        return ends._replace(arrived=arrived, dropped=dropped), in_flight, float(dropped.sum()) - before_late

    def _book(self, row: SlotRow, ends: Ends, sums: Sums, reasons: list[dict[str, float]]) -> None:
        self._writer.slot(row)
        self.totals.add_slot(row, ends, sums=sums)
        self._breakdown.add(ends)
        self._rows.append(row)
        total = self.totals.reasons
        for reason, count in (pair for each in reasons for pair in each.items()):
            total[reason] = total.get(reason, 0.0) + count
        for target, counter in self._tasks.items():
            counter.value += getattr(row, target)
        self._slot_gauge.value, self._frame_gauge.value = row.slot, row.frame
        self._mean_gauge.value, self._cloud_gauge.value = row.delay_s, row.all_cloud_delay_s

    def _show_delays(self) -> None:
        """The totals' fine buckets as the coarse ones of the metric."""
        fine, counts = self.totals.histogram, self._delay.counts
        counts[:] = [float(fine[4 * k : 4 * k + 4].sum()) for k in range(len(counts))]
        self._delay.total = self.totals.cost_s

    def _frame(self, ended: Ended) -> None:
        if ended.now.first:
            said = [message for message in ended.in_force if isinstance(message, DeploymentInForce)]
            self._deployed = sum(len(message.services) for message in said)
            self._frame_refused = sum(1 for message in said if message.refused)
            self.refused += self._frame_refused
            if self.signals is not None:
                self.signals.decided(said)

    def end(self) -> None:
        """Write down what the services came to."""
        self._writer.rows("services.csv", ServiceRow._fields, self._breakdown.services())

    def _close_frame(self, now: Now) -> FrameRow:
        frame = ledger.close_frame(self._rows, self._deployed, self._frame_refused)
        self._rows = []
        self._writer.frame(frame)
        self._writer.rows("cells.csv", CellRow._fields, self._breakdown.close_frame(frame.frame))
        self.totals.add_frame(frame)
        self._reward_gauge.value = frame.reward_s
        self._reward_sum.value += max(0.0, frame.reward_s)
        if self.signals is not None:
            self.signals.close(now.frame, now.slot, now.attempt)
        return frame


def _nothing() -> None:
    """Nobody wants to know."""
