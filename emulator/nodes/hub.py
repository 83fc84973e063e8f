"""The hub: gives names and time, declares deaths, commits slots, and keeps the run's books."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from bus.diagnosis import document
from bus.link_table import role_of
from bus.messages import (
    ClockStatus,
    Done,
    Message,
    Peer,
    Query,
    RunStatus,
    Setup,
    Shutdown,
    Stop,
    Stopped,
    Tick,
)
from bus.node import Node
from bus.peers import answers_calls
from bus.process import Process
from bus.registry import Registry
from bus.slots import Now
from bus.wiring import RECORDER
from emulator.errors import RunFolderError
from emulator.folder import Writer
from emulator.model.ledger import Broken
from emulator.nodes.books import Books, Ledger
from emulator.nodes.changes import Changes
from emulator.nodes.deciders import Deciders
from emulator.nodes.events import Events
from emulator.nodes.hub_links import HandLinks
from emulator.nodes.members import Members
from emulator.nodes.presence import Presence
from emulator.nodes.progress import run_status
from emulator.nodes.reports import Reports
from emulator.nodes.resets import Resets, takes_part
from emulator.nodes.roles import ACTING, IN_ROSTERS
from emulator.nodes.stalls import LOOK_S, LOST, StallWatch
from emulator.nodes.wall import clock_of
from emulator.scenario import Scenario
from emulator.start_order import held_back

_log = logging.getLogger("hub")

INTERRUPTED = 130
MOST_ATTEMPTS = 255
"""Of one slot; the header has a byte for it, and each costs a process."""


class Hub:
    """Conducts one run; ``run`` returns its exit code."""

    def __init__(
        self,
        process: Process,
        registry: Registry,
        node: Node,
        ledger: Ledger,
        scenario: Scenario,
        scenario_text: str,
        writer: Writer,
    ) -> None:
        self._process = process
        self._node = node
        self._ledger = ledger
        self._scenario = scenario
        self._writer = writer
        wall_s = scenario.slot_s / scenario.rate
        self._note = Events(writer, lambda: max(0, self._next_slot() - 1), scenario.slots_per_frame)
        self._wall = clock_of(scenario, process, self._note)
        self._books = Books(ledger, writer)
        ledger.on_complete = lambda: process.later(self._maybe_commit)
        self._members = Members()
        Deciders(process.measurements, self._members, registry.standbys)
        self._now: Now | None = None
        self._tick_s = 0.0
        self._attempts = 0
        self._done: dict[str, Done] = {}
        self._followed: set[str] = set()
        self._reports = Reports(process, registry, self._next_slot)
        self._late_slots = 0
        self._stalls = StallWatch(
            process, registry, scenario.deadlines, self._unacknowledged, self._note, self._dump, self._end
        )
        self._stalls.declare(node)
        self.phase = "starting"
        self.code = 0
        self.reason = ""
        self._tick = node.publisher("/hub/tick")
        self._frame = node.publisher("/hub/frame")
        self._roster_topic = node.publisher("/hub/roster")
        self._shutdown = node.publisher("/hub/shutdown")
        self._presence = Presence(process.measurements, self._members)
        self._slots_late = process.measurements.counter("slots_late")
        self._registry = registry
        registry.states.takes_part = lambda name: name in self._members.names if role_of(name) in IN_ROSTERS else None
        self._links = HandLinks(registry, scenario, writer, self._next_slot, self._note)
        self._resets = Resets(process, registry, scenario, writer, lambda: self.phase, self._note, self._end)
        self._changes = Changes(
            process, node, registry, self._members, scenario, writer, lambda: (self.phase, self._now), self._note,
            self._attempt_again, self._joiners, self._end,
        )  # fmt: skip
        self._setup = Setup(scenario_text, wall_s if self._wall is not None else 0.0)
        self._registry.serve("setup", Query, lambda _: self._setup, Setup)
        self._registry.serve("run_status", Query, lambda _: self.status(), RunStatus)
        self._registry.serve("stop", Stop, self._on_stop, Stopped)
        self._registry.serve("clock_status", Query, lambda _: self.clock_status(), ClockStatus)
        node.timer(LOOK_S, self._watch)

    def run(self) -> int:
        """Start when everyone is there, run all slots, end.

        However it ends, everyone is told and the books are closed as far as the disk allows.
        """
        try:
            if self._await_everyone():
                self._start()
                self._process.spin(lambda: self.phase == "ending")
        except RunFolderError as error:
            self._end(2, str(error))
        except Broken as error:
            self._end(4, f"invariant broken: {error}")
        if self._process.stopping and self.phase != "ending":
            self._end(INTERRUPTED, "interrupted")
        try:
            self._close()
        except RunFolderError as error:
            self.code, self.reason = self.code or 2, self.reason if self.code else str(error)
        return self.code

    # -- start ---------------------------------------------------------------------------------------------------------

    def _await_everyone(self) -> bool:
        deadline_s = self._scenario.deadlines.start_s
        everyone = self._process.spin(lambda: self.phase == "ending" or not self._registry.missing(), deadline_s)
        if self.phase == "ending":
            return False
        if not everyone and not self._process.stopping:
            missing = "; ".join([*held_back(self._scenario, self._registry), *self._registry.missing()][:8])
            self._end(3, f"not everyone came within {deadline_s:g} s (deadlines.start_s): {missing}")
        return everyone and self.phase != "ending"

    def _start(self) -> None:
        self.phase = "running"
        self._process.settle()
        for peer in self._registry.peers():
            self._members.admit(peer)
        self._begin(0)

    # -- members -------------------------------------------------------------------------------------------------------

    def on_join(self, peer: Peer) -> None:
        """The registry knows a new process."""
        _log.info("%s joins (%s)", peer.process, ", ".join(node.name for node in peer.nodes))
        self._presence.came(peer)
        if peer.process not in self._followed and any(role_of(node.name) in ACTING for node in peer.nodes):
            self._followed.add(peer.process)
            self._node.subscribe(f"/process/{peer.process}/done", self._on_done)

    def _joiners(self) -> list[Peer]:
        """Processes that are registered, matched and not members yet."""
        members, there = self._members.instances(), self._registry
        found = [peer for peer in there.peers() if takes_part(peer) and peer.instance not in members]
        found = [peer for peer in found if not there.standbys.has(peer.instance) and there.ready(peer.instance)]
        return [peer for peer in found if self._resets.is_fresh(peer)]

    def _admit(self, joiners: list[Peer], slot: int) -> None:
        for peer in joiners:
            self._members.admit(peer)
            self._note.joined(peer, slot)

    def on_lost(self, peer: Peer, reason: str) -> None:
        """The registry declares a process lost."""
        gone = [node.name for node in peer.nodes]
        self._presence.gone(peer)
        if self.phase == "ending":
            return
        if RECORDER in gone:
            self._note.tell("lost", f"lost the recorder: {reason}; the bag ends here", [RECORDER])
        lost = self._members.lose(peer)
        self._changes.on_lost(peer, lost, reason)
        if lost:
            self._note.tell("lost", f"lost {', '.join(lost)}: {reason}", lost)
            if self.phase == "running" and self._wall is None:
                self._attempt_again()
        if self.phase == "resetting":
            self._resets.lose(peer)

    def _next_slot(self) -> int:
        return 0 if self._now is None else self._now.slot + 1

    # -- slots ---------------------------------------------------------------------------------------------------------

    def _begin(self, slot: int) -> None:
        frame, within = divmod(slot, self._scenario.slots_per_frame)
        if within == 0:
            self._admit(self._joiners(), slot)
            if not self._changes.may_begin(frame, lambda: self._begin(slot)):
                return
        if self._links.take_effect(slot) or self._members.stale:
            self._publish_roster(slot, 0)
        self._tick_s = self._process.clock()
        tick = Tick(slot, frame, self._members.roster_number)
        if within == 0:
            self._frame.publish(tick, slot=slot)
        self._tick.publish(tick, slot=slot)
        self._attempts = 0
        if self._wall is not None:  # first, since what is computed has its deadlines from here
            self._process.after(self._wall.begin(slot), lambda: self._on_wall(slot))
        self._compute(slot, 0)

    def _publish_roster(self, slot: int, attempt: int) -> None:
        self._presence.take_part()
        self._roster_topic.publish(self._members.roster(self._links.rules), slot=slot, attempt=attempt)

    def _attempt_again(self) -> None:
        """Somebody died in this slot: everyone else computes it again without them."""
        now = self._now
        if now is None or self._changes.holding or not self._changes.may_repeat(now, self._go_on_with_agents):
            return
        self._attempts += 1
        if not self._members.acting or self._attempts > MOST_ATTEMPTS:
            self._end(3, f"nobody is left to compute slot {now.slot}")
            return
        self._publish_roster(now.slot, self._attempts)
        self._compute(now.slot, self._attempts)

    def _go_on_with_agents(self) -> None:
        """Time stood within a slot for agents; only they may come to one that has begun: they follow no ticks."""
        agents = [peer for peer in self._joiners() if all(role_of(node.name) == "agent" for node in peer.nodes)]
        self._admit(agents, self._next_slot() - 1)
        self._attempt_again()

    def _compute(self, slot: int, attempt: int) -> None:
        frame, within = divmod(slot, self._scenario.slots_per_frame)
        self._now = Now(slot, frame, attempt, within == 0, self._members.names)
        self._done = {}
        self._stalls.begin(slot)
        self._node.begin(slot, attempt)
        self._ledger.start(self._now, self._left_s)
        self._process.later(self._maybe_commit)

    def _left_s(self, share: float) -> float | None:
        return None if self._wall is None else self._wall.left_s(share)

    def _on_done(self, done: Done, header: Any) -> None:
        now = self._now
        if now is None or (header.slot, header.attempt) != (now.slot, now.attempt):
            return
        if (header.instance, done.process) in self._members.owners:
            self._done[done.process] = done
            if len(self._done) >= len(self._members.acting):
                self._process.later(self._maybe_commit)

    def _maybe_commit(self) -> None:
        if self.phase != "running" or self._wall is not None or self._now is None or self._changes.holding:
            return
        if self._ledger.complete and self._done.keys() >= self._members.acting:
            self._commit()

    def _on_wall(self, slot: int) -> None:
        """The slot's time is over, whether everyone is done or not."""
        if self.phase == "running" and self._now is not None and self._now.slot == slot:
            late = bool(self._unacknowledged())
            self._late_slots += late
            self._slots_late.value += late
            self._commit()

    def _commit(self) -> None:
        """The slot counts: write it down, reward, go on."""
        now = self._now
        if now is None:
            return
        ended, done, attempts, started_s = self._ledger.ended(), self._done.values(), self._attempts + 1, self._tick_s
        swapped = self._changes.commit(now, lambda: self._ledger.refusals(ended))
        last = now.slot + 1 >= self._scenario.slots or self._resets.due
        # The tick commits; what it commits is written down while everyone works at the next slot. But whoever learns
        # shall know a frame's reward before the next frame begins, and slots of the wall clock wait for nobody.
        if self._wall is None and not last and not self._ledger.ends_frame(now):
            self._begin(now.slot + 1)
            self._books.close(ended, done, swapped)
        else:
            self._books.close(ended, done, swapped)
            if not last:
                self._begin(now.slot + 1)
        ended_s = self._process.clock() if last or self._changes.holding else self._tick_s
        self._books.time(now.slot, attempts, ended_s - started_s, done)
        if self._resets.due:
            self._reset(now.slot + 1)
        elif last:
            self._end(0, "done")

    def _reset(self, slots: int) -> None:
        """The slot that is committed was the last of its episode, unless somebody cannot be reset."""
        self.phase, self._now = "resetting", None
        self._resets.start(slots, self._books, lambda: self._begin_again(slots))

    def _begin_again(self, slots: int) -> None:
        """A reset is over: begin the new episode, or go on with the old one."""
        if self.phase != "resetting":
            return
        self.phase = "running"
        if not self._members.acting:
            self._end(LOST, "nobody is left to begin again with")
        elif self._resets.problem and slots >= self._scenario.slots:
            self._end(0, "done")
        elif self._resets.problem:
            self._begin(slots)
        else:
            self._scenario = self._resets.scenario
            self._setup = Setup(self._resets.text, 0.0)
            self._books.begin_again(self._scenario.seed)
            self._reports.begin_again(self._resets.counters)
            self._links.begin_again()
            self._members.stale = True
            self._changes.begin_again()
            self._begin(0)

    # -- watching ------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Say who is waited for when a slot lasts too long; end the run when it lasts far too long."""
        if self.phase == "running" and self._wall is None and self._now is not None and not self._changes.holding:
            self._stalls.look()

    def _unacknowledged(self) -> set[str]:
        """Processes that have not done their part of the slot."""
        if self.phase != "running":
            return set()
        if self._changes.holding:
            return self._changes.waiting()
        hub = {self._process.name} if not self._ledger.complete else set()
        return set(self._members.acting - self._done.keys()) | hub

    def _dump(self, slot: int) -> str:
        self._writer.json(f"stall-{slot}.json", document(self.clock_status()))
        return f"stall-{slot}.json"

    def clock_status(self) -> ClockStatus:
        """Where time stands, and who holds it."""
        who, held = self._unacknowledged(), self._changes.holding
        status = self._stalls.status(self.phase, self._scenario, self._now, who, self._late_slots)
        return msgspec.structs.replace(status, stage="held") if held else status

    def waiting(self) -> list[str]:
        """Who holds the slot, as sentences."""
        return self._stalls.waiting() or sorted(self._unacknowledged())

    def status(self) -> RunStatus:
        """How far the run is."""
        starting = self.phase == "starting"
        notes = (
            [*held_back(self._scenario, self._registry), *self._registry.missing()]
            if starting
            else self._note.texts[-4:]
        )
        slot = -1 if self._now is None else self._now.slot
        status = run_status(self.phase, slot, self._scenario, self._ledger, self._registry, self._members.names, notes)
        to_start = self._changes.to_start()
        return msgspec.structs.replace(status, to_start=to_start) if to_start else status

    # -- the end -------------------------------------------------------------------------------------------------------

    def _on_stop(self, stop: Stop) -> Message:
        self._end(stop.code, stop.reason)
        return Stopped(self._next_slot())

    def _end(self, code: int, reason: str) -> None:
        if self.phase == "ending":
            return
        self.phase, self.code, self.reason = "ending", code, reason
        self._resets.cancel()
        self._registry.graph_closed = True
        # Its slot is the first that does not count: who records or follows the run can tell what was committed.
        self._shutdown.publish(Shutdown(reason, code), slot=self._books.counted)

    def _close(self) -> None:
        """Wait for everyone's traffic report, then write what only the hub knows."""
        expected = {peer.process for peer in self._registry.peers() if answers_calls(peer)} - {self._process.name}
        expected &= self._members.processes() | self._changes.swaps.processes()
        self._process.stopping = False
        self._reports.gather(expected, self._scenario.deadlines.stop_s / 2.0, self._books.digest.hex())
        self._writer.messages(self._reports.links())
        self._books.end(
            self._reports.counters(),
            self._late_slots,
            notes=self._note.texts,
            exit={"code": self.code, "reason": self.reason},
            **self._resets.facts(),
            **self._changes.facts(),
        )
        self._writer.close()
