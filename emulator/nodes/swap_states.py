"""What the hub knows of states that are handed over at swaps: what keeps one from it, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bus.messages import BeatAck
from bus.registry import Registry
from bus.swap_messages import StateDue, StateHanded
from emulator.nodes.events import Events
from emulator.nodes.handover import NOBODY, lacks
from emulator.nodes.members import Members
from emulator.nodes.swap_book import SwapBook
from emulator.nodes.swap_request import TAKEN, Part, Request

HANDED: Final = "handed over"
COLD: Final = "cold start"
ASKED_COLD: Final = "a cold start was asked for"


class HandedStates:
    """Those of one run."""

    def __init__(
        self, registry: Registry, members: Members, book: SwapBook, note: Events, retire: Callable[[int, str], None]
    ) -> None:
        """Hear of them.

        Args:
            registry: Of the run's processes.
            members: Those of slots.
            book: Of its swaps.
            note: Takes what happens.
            retire: Lets an agent go, with the reason.
        """
        self._standbys = registry.standbys
        self._members = members
        self._book = book
        self._requests: Mapping[int, Request] = book.live
        self._note = note
        self._retire = retire
        registry.serve("state_due", StateDue, self._on_due, BeatAck)
        registry.serve("state_handed", StateHanded, self._on_handed, BeatAck)

    def lacks(self, request: Request, frame: int) -> str:
        """Why a swap that is ready must not take over at a boundary: somebody needs a state that nobody gives."""
        for part in request.parts.values() if frame else ():  # before the first frame nobody remembers anything
            wanted, needs = self._standbys.state_of(part.instance)
            if not needs:
                continue
            bound = self._members.bound(part.edge)
            why = "" if bound else NOBODY
            if bound and self._standbys.describe(bound)[0]:  # a program; what one of ours has shows when it is asked
                why = lacks(self._standbys.state_of(bound)[0], wanted)
            if request.asked.cold or why:
                return (
                    f"edge {part.edge}: {part.process} needs a state, but {ASKED_COLD if request.asked.cold else why}"
                )
        return ""

    def count(self, request: Request, part: Part) -> str:
        """The frame of a take-over counts; returns what the digest covers: that it came to be, and how."""
        wanted = self._standbys.state_of(part.instance)[0]
        if wanted and not part.state and request.frame:
            self._cold(request, part, ASKED_COLD if request.asked.cold else NOBODY)
        return ", ".join(word for word in ("bound", part.state, part.state_format) if word)

    def orphaned(self, request: Request, part: Part) -> None:
        """The one before is gone: who comes and needs its state, but has none, does not decide at all."""
        if request.stage == "taking over" and part.state != HANDED and self._standbys.state_of(part.instance)[1]:
            self._retire(part.instance, f"it needs a state, but {NOBODY}")

    def _on_due(self, asked: StateDue) -> BeatAck:
        """known: it shall."""
        found = [request for request in self._requests.values() if request.part_of(asked.instance) is not None]
        return BeatAck(any(request.stage in TAKEN and not request.asked.cold for request in found))

    def _on_handed(self, told: StateHanded) -> BeatAck:
        for request in list(self._requests.values()):
            part = request.part_of(told.instance)
            if part is None or part.state or request.stage not in TAKEN or told.frame != request.frame - 1:
                continue
            part.state_s = told.took_s
            if told.reason:
                self._cold(request, part, told.reason)
                if not self._standbys.is_there(part.before):
                    self.orphaned(request, part)
            else:
                self._handed(request, part, told)
            return BeatAck(True)
        return BeatAck(False)

    def _handed(self, request: Request, part: Part, told: StateHanded) -> None:
        part.state, part.state_format = HANDED, self._standbys.state_of(part.instance)[0]
        part.state_bytes, part.state_sha256, part.state_frame = told.size_bytes, told.sha256, told.frame
        what = f"{part.state_format}, {told.size_bytes} bytes, sha256 {told.sha256}"
        self._book.row(request, HANDED, request.frame, part, what)
        text = f": edge {part.edge}: the state after frame {told.frame} was handed over ({what})"
        self._note.swapped("swap", request, request.frame, text)

    def _cold(self, request: Request, part: Part, why: str) -> None:
        part.state, part.state_reason = COLD, why
        self._book.row(request, COLD, request.frame, part, why)
        self._note.swapped("swap", request, request.frame, f": edge {part.edge}: no state was handed over: {why}")
