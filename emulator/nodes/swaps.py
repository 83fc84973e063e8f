"""Swaps: other agents come to decide for edge servers, at a frame boundary, while those before stand by.

How to use it (more in docs/swap.md): call ``swap`` at the hub's address with ``Swap(edges=(1, 3), agent="popularity",
at_frame=40, hold_frames=-1)``; it answers ``SwapState``, with a number. Ask ``swap_status`` (``SwapQuery(number)`` to
``SwapStates``) until ``stage`` is ``bound``, ``done``, ``failed`` or ``rolled back``. With ``hold_frames = -1`` those
before stand by until ``swap_end`` (``SwapEnd(number, "drain")``, or ``"rollback"``, which binds them again at the next
boundary). While they stand by, a crash or a refused decision of those who came binds them again by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bus.digest import Entry
from bus.messages import BeatAck, Message, ToStart
from bus.node import Node
from bus.process import Process
from bus.registry import Registry
from bus.slots import Now
from bus.swap_messages import NotStarted, Swap, SwapEnd, SwapFailed, SwapQuery, SwapState, SwapStates
from emulator.folder import Writer
from emulator.nodes.events import Events
from emulator.nodes.members import Members
from emulator.nodes.swap_book import SwapBook
from emulator.nodes.swap_request import TAKEN, Request, facts_of
from emulator.nodes.swap_rules import check
from emulator.nodes.swap_states import HandedStates
from emulator.scenario import Scenario


class Swaps:
    """Those of one run. The hub asks ``may_begin`` at each frame boundary and tells each commit."""

    def __init__(
        self,
        process: Process,
        node: Node,
        registry: Registry,
        members: Members,
        scenario: Scenario,
        writer: Writer,
        now: Callable[[], tuple[str, Now | None, bool]],
        note: Events,
        again: Callable[[], None],
    ) -> None:
        """Let swaps be asked for.

        Args:
            process, node: The hub's.
            registry: Of its members.
            members: Those of slots, which swaps change.
            scenario: The run's.
            writer: Of the run folder.
            now: The run's phase in a word, the slot that is computed (None before the first), whether time stands.
            note: Takes what happens, for the run's notes and events.
            again: Computes the present slot again, with those who take part now.
        """
        self._process = process
        self._registry = registry
        self._standbys = registry.standbys
        self._members = members
        self._scenario = scenario
        self._book = SwapBook(writer, node)
        self._requests = self._book.live
        self._states = HandedStates(registry, members, self._book, note, self._retire)
        self._now = now
        self._note = note
        self._again = again
        self._wall = scenario.clock == "wall"
        self._decided: dict[int, int] = {}  # edge server to the last frame that it had a valid decision for
        self._go_on: Callable[[], None] | None = None
        self._boundary = 0  # the frame that time stands before
        self._held_from_s = 0.0
        self._standbys.on_lease.append(self._on_lease)
        self._standbys.on_ready.append(self._on_ready)
        self._standbys.on_gone.append(self._on_gone)
        registry.serve("swap", Swap, self.ask, SwapState)
        registry.serve("swap_status", SwapQuery, self.status, SwapStates)
        registry.serve("swap_end", SwapEnd, self._on_end, SwapState)
        registry.serve("swap_failed", SwapFailed, self._on_failed, BeatAck)

    # -- asking for one ------------------------------------------------------------------------------------------------

    def ask(self, asked: Swap) -> SwapState:
        """Somebody asks for a swap.

        Raises: ValueError: not now, or not like this.
        """
        phase, now, _ = self._now()
        frame = self._frame()
        check(asked, phase, now, self._scenario, self._registry)
        request = self._book.open(asked, frame, self._registry)
        if asked.agent:
            self._standbys.expected.update(part.process for part in request.parts.values())
        if asked.at_frame < 0:
            self._expire_in(request, asked.deadline_s)
        elif self._wall:
            slots = (asked.at_frame - frame) * self._scenario.slots_per_frame
            self._expire_in(request, asked.deadline_s + slots * self._scenario.slot_s / self._scenario.rate)
        return request.state()

    def _frame(self) -> int:
        return 0 if (now := self._now()[1]) is None else now.frame

    def _expire_in(self, request: Request, seconds: float) -> None:
        def expire() -> None:
            if request.number in self._requests and request.stage in ("starting", "warm-up"):
                self._fail(request, f"not ready within {seconds:g} s: {'; '.join(request.lacking())}")

        self._process.after(seconds, expire)

    # -- what tools see ------------------------------------------------------------------------------------------------

    def status(self, query: SwapQuery) -> SwapStates:
        """How swaps stand, and who stands by.

        Raises: LookupError: there is none of that number (any more).
        """
        states = self._book.states(query.number)
        if query.number and not states:
            raise LookupError(f"no swap {query.number} here")
        return SwapStates(states, self._standbys.all())

    def to_start(self) -> tuple[ToStart, ...]:
        """Whom the launcher shall start, until they are there."""
        return self._book.to_start()

    def facts(self) -> dict[str, Any]:
        """What the run's books say of swaps; nothing where there was none."""
        swaps = [facts_of(state) for state in self._book.states()]
        return {"swaps": swaps} if swaps else {}

    def processes(self) -> set[str]:
        """Processes that stand by, which report their traffic like those that take part."""
        return {peer.process for peer in self._registry.peers() if self._standbys.has(peer.instance)}

    # -- at a boundary -------------------------------------------------------------------------------------------------

    @property
    def holding(self) -> bool:
        """Whether time stands at a boundary until somebody is ready."""
        return self._go_on is not None

    def waiting(self) -> list[str]:
        """Who is waited for, as sentences."""
        return [sentence for request in self._requests.values() for sentence in request.lacking()]

    def may_begin(self, frame: int, go_on: Callable[[], None]) -> bool:
        """A frame is about to begin: bind whoever is ready; False: not yet, ``go_on`` is called when it is time."""
        for request in list(self._requests.values()):
            self._end_hold(request, frame)
        waits = [request for request in self._requests.values() if request.waits_at(frame)]
        if waits and not self._wall:
            if self._go_on is None:
                self._held_from_s = self._process.clock()
                for request in waits:
                    self._expire_in(request, request.asked.deadline_s)
            self._go_on, self._boundary = go_on, frame
            return False
        for request in list(self._requests.values()):
            if request.stage == "ready" and request.is_due(frame):
                if lacking := self._states.lacks(request, frame):
                    self._fail(request, lacking)
                else:
                    self._take_over(request, frame)
        return True

    def _look(self) -> None:
        """Something has changed: let time go on where it stands at a boundary, which looks for itself."""
        go_on, self._go_on = self._go_on, None
        if go_on is not None:
            held_s = self._process.clock() - self._held_from_s
            if any(request.waits_at(self._boundary) for request in self._requests.values()):
                self._go_on = go_on
                return
            for request in self._requests.values():
                if request.stage == "ready" and request.is_due(self._boundary):
                    request.held_s = held_s
            self._process.later(go_on)

    def _take_over(self, request: Request, frame: int) -> None:
        request.frame = frame
        request.title = self._book.title(request, self._standbys)
        for part in request.parts.values():
            part.before = self._members.bound(part.edge)
            part.epoch = self._members.bind(part.edge, part.instance, part.process, part.before)
            self._standbys.exchange(f"/agent/{part.edge}", part.instance, part.before)
            if part.edge in self._decided:
                request.last_decided[part.edge] = self._decided[part.edge]
        edges = ", ".join(map(str, request.parts))
        self._note.swapped("swap", request, frame, f": {request.name} decides for edge {edges} from frame {frame} on")

    def _end_hold(self, request: Request, frame: int) -> None:
        """Bind those before again, if that is due, or need them no longer."""
        if request.stage not in TAKEN:
            return
        if request.revert:
            self._bind_back(request, frame, request.revert)
        elif request.stage == "bound" and 0 <= request.asked.back_frame <= frame:
            self._bind_back(request, frame, "it was asked for")
        elif request.stage == "bound" and 0 <= request.asked.hold_frames <= frame - request.frame:
            self._drain(request, frame)

    def _drain(self, request: Request, frame: int) -> None:
        for part in request.parts.values():
            self._members.hold(part.edge, 0)
            self._standbys.let_go(f"/agent/{part.edge}")
            self._retire(part.before, "another agent has taken over")
            self._book.row(request, "done", frame, part)
        request.end = "done"
        self._over(request)

    def _bind_back(self, request: Request, frame: int, why: str) -> None:
        """Those before decide again from this frame on; where they are gone, whoever came goes on."""
        stage = request.stage
        back = [part for part in request.parts.values() if self._standbys.is_there(part.before)]
        request.end = "failed" if stage == "taking over" or not back else "rolled back"
        request.failed = "" if request.end == "rolled back" else "take-over" if stage == "taking over" else stage
        request.reason, request.back_frame = why, frame if back else -1
        for part in request.parts.values():
            if part in back:
                process = self._standbys.process(part.before)
                part.epoch = self._members.bind(part.edge, part.before, process, 0)
                self._standbys.exchange(f"/agent/{part.edge}", part.before)
                self._book.enter(request, part, frame, request.end)
            else:
                self._members.hold(part.edge, 0)
            self._book.row(request, request.end, frame, part, why)
        who = f"those before decide from frame {frame} on" if back else "nobody stands by any more"
        kind = "swap_failed" if request.end == "failed" else "swap_back"
        self._note.swapped(kind, request, frame, f" {request.end}: {why}; {who}")
        self._over(request)
        for part in back:
            self._retire(part.instance, why)

    def _retire(self, instance: int, reason: str) -> None:
        """Nobody needs an agent any more; one of ours sees that by the roster."""
        if (desk := self._registry.desk) is not None and desk.knows(instance):
            desk.retire(instance, reason)

    # -- when a slot counts --------------------------------------------------------------------------------------------

    def commit(self, now: Now, refusals: Callable[[], dict[int, str]]) -> list[Entry]:
        """A slot counts; refusals: why decisions were refused in it. Returns what the digest covers."""
        if now.first and self._book.opened:
            refused = refusals()
            self._decided.update((edge, now.frame) for edge, reason in refused.items() if not reason)
            for request in [request for request in self._requests.values() if request.stage in TAKEN]:
                self._count(request, now.frame, refused)
        return self._book.due(now) if now.first else []

    def _count(self, request: Request, frame: int, refused: dict[int, str]) -> None:
        bad = {edge: refused[edge] for edge in request.parts if refused.get(edge)}
        request.missed += len(bad)
        if frame == request.frame:
            last = [request.last_decided.get(edge, frame - 1) for edge in request.parts]
            request.gap_frames = max(frame - 1 - before for before in last)
            if not request.revert:
                request.counted = True
                for part in request.parts.values():
                    self._book.enter(request, part, frame, self._states.count(request, part))
                    self._book.row(request, "bound", frame, part)
        if bad and not request.revert:
            edge, reason = next(iter(bad.items()))
            request.revert = f"edge {edge}, frame {frame}: its decision was refused ({reason})"

    # -- what happens meanwhile ----------------------------------------------------------------------------------------

    def _on_ready(self, instance: int) -> None:
        for request in self._requests.values():
            part = request.part_of(instance)
            if part is not None and request.frame < 0:
                part.ready = True
                self._book.row(request, "ready", self._frame(), part)
        self._look()

    def on_lost(self, instance: int, reason: str) -> None:
        """A process is no more; the hub has taken it out of the slots, and computes the present one again."""
        phase, now, stands = self._now()
        for request in list(self._requests.values()):
            part = request.part_of(instance)
            if part is not None and request.frame < 0:
                self._fail(request, f"{part.process}: {reason}")
            elif part is not None:
                why = f"edge {part.edge}: {part.process} is gone ({reason})"
                if now is not None and now.first and phase == "running" and not self._wall and not stands:
                    self._bind_back(request, now.frame, why)
                else:
                    request.revert = request.revert or why
            else:
                self._lose_before(request, instance)

    def _lose_before(self, request: Request, instance: int) -> None:
        for part in request.parts.values():
            if part.before == instance != 0:
                part.before = 0
                self._members.hold(part.edge, 0)
                self._states.orphaned(request, part)
            elif request.frame < 0 and not self._members.bound(part.edge):
                request.at_once = True

    def _on_lease(self, instance: int, process: str) -> None:
        for request in self._requests.values():
            for part in request.parts.values():
                if request.frame < 0 and not part.instance and part.process == process:
                    part.instance = instance

    def _on_gone(self, instance: int, reason: str) -> None:
        """An agent is no more, perhaps one that was not in the graph yet."""
        for request in list(self._requests.values()):
            part = request.part_of(instance)
            if part is not None and request.frame < 0 and self._now()[0] != "ending":
                self._fail(request, f"{part.process}: {reason}")

    def not_started(self, told: NotStarted) -> bool:
        """The launcher could not start a process, or it has ended; whether a swap waited for it."""
        for request in list(self._requests.values()):
            if request.frame < 0 and any(part.process == told.process for part in request.parts.values()):
                self._fail(request, f"{told.process}: {told.reason}")
                return True
        return False

    def _on_failed(self, told: SwapFailed) -> BeatAck:
        """An edge server got no valid decision in the frame of a take-over.

        known: Those before decide in this very frame: in lockstep by computing the slot again, on the wall clock by
        what the edge server has of them already.
        """
        for request in list(self._requests.values()):
            part = request.part_of(told.instance)
            if part is None or request.stage not in TAKEN or told.frame != request.frame:
                continue
            why = f"edge {told.edge}, frame {told.frame}: no valid decision ({told.reason})"
            if self._wall:
                request.revert, request.counted = request.revert or why, False
                return BeatAck(True)
            if not self._standbys.is_there(part.before):
                return BeatAck(False)
            self._bind_back(request, told.frame, why)
            self._process.later(self._again)
            return BeatAck(True)
        return BeatAck(False)

    def _on_end(self, asked: SwapEnd) -> Message:
        """Somebody needs those who stand by no longer, or wants them back at the next boundary.

        Raises: ValueError: it cannot be ended like this. LookupError: no such swap is under way.
        """
        request = self._requests.get(asked.number)
        if request is None:
            raise LookupError(f"no swap {asked.number} is under way")
        if request.stage not in TAKEN:
            self._fail(request, "it was called off")
        elif asked.how == "rollback":
            request.revert, request.counted = request.revert or "it was asked for", True
        else:
            request.asked = msgspec.structs.replace(request.asked, hold_frames=0)
        return request.state()

    def give_back(self, why: str) -> None:
        """Let those who stand by decide again, at the next boundary."""
        for request in self._requests.values():
            if request.stage in TAKEN:
                request.revert = request.revert or why

    def _fail(self, request: Request, why: str) -> None:
        """It comes to nothing; whoever decides goes on."""
        stage, frame = request.stage, self._frame()
        request.end, request.failed, request.reason = "failed", stage, why
        for part in request.parts.values():
            self._book.row(request, "failed", frame, part, why)
            if request.asked.at_frame >= 0 and not self._wall:
                self._book.enter(request, part, request.asked.at_frame, "failed")
        self._note.swapped("swap_failed", request, frame, f" failed ({stage}): {why}")
        self._over(request)
        for part in request.parts.values():
            if request.asked.agent:
                self._retire(part.instance, why)
        self._look()

    def _over(self, request: Request) -> None:
        self._book.close(request)
        for part in request.parts.values():
            if part.process in self._standbys.expected:
                self._standbys.expected.discard(part.process)
                if request.frame < 0:
                    self._standbys.unwanted.add(part.process)

    def begin_again(self) -> None:
        """Time begins again at frame 0: what is bound stays, what was asked for comes to nothing."""
        self._decided = {}
        for request in list(self._requests.values()):
            if request.stage in TAKEN:
                request.frame = min(request.frame, 0)
            else:
                self._fail(request, "the run has begun again")
        self._book.begin_again()
