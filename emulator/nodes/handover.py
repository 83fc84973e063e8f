"""One state on its way from the agent before to the one that takes over: asked for, checked, given. No socket.

asking --pieces, all of them and as they should be--> giving --StateResult--> over
Whatever else happens ends it with a reason: then the one that takes over starts cold, or does not take over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from bus import agent_wire as wire
from bus.agent_state import Pieces, StateError, pieces_of
from emulator.nodes.seat import Say

NOBODY: Final = "nobody is there who could give it"


@dataclass(frozen=True, slots=True)
class Party:
    """One of the two agents.

    Attributes:
        instance: Its lease.
        format: Of the state that it gives and takes; empty: none.
        needs: It does not take over without.
        say: Says something to it.
        awaits: Whether it is still to be told what a frame was worth.
    """

    instance: int
    format: str
    needs: bool
    say: Say
    awaits: Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: reason is empty if the state is in place. took_s: wall seconds."""

    reason: str
    size_bytes: int = 0
    sha256: str = ""
    took_s: float = 0.0


def lacks(given: str, wanted: str) -> str:
    """Why the agent before has nothing for the one that comes; empty: it has. Both are formats, empty: none."""
    if not given:
        return "the one before gives no state"
    return "" if given == wanted else f"the one before gives a state of the format {given!r}, not {wanted!r}"


class Handover:
    """That of one take-over.

    Args:
        epoch: That began with it.
        frame: After which the state is taken.
        giver, taker: Who gives (None: nobody), and who takes.
        clock: Wall seconds.
        over: Told once how it ended.
    """

    def __init__(
        self,
        epoch: int,
        frame: int,
        giver: Party | None,
        taker: Party,
        clock: Callable[[], float],
        over: Callable[[Outcome], None],
    ) -> None:
        self.stage: Literal["asking", "giving", "over"] = "asking"
        self.epoch, self.frame = epoch, frame
        self.giver, self.taker = giver, taker
        self._clock, self._over = clock, over
        self._pieces = Pieces(taker.format)
        self._size_bytes, self._sha256 = 0, ""
        self._began_s = clock()

    def begin(self, deadline_s: float, after: Callable[[float, Callable[[], None]], object]) -> None:
        """Ask for the state; after the deadline, in wall seconds, it is over."""
        self._began_s = self._clock()
        reason = NOBODY if self.giver is None else lacks(self.giver.format, self.taker.format)
        if reason or self.giver is None:
            self.end(reason)
            return
        after(deadline_s, lambda: self.end(f"too late: {self._lacking()} within {deadline_s:.3g} s"))
        self.giver.say(wire.StateQuery(self.taker.format, deadline_s), self.epoch, self.frame)

    def _lacking(self) -> str:
        return "it was not given" if self.stage == "asking" else "it was given, but not taken"

    def hear(self, instance: int, header: wire.Header, said: wire.Said | None, problem: str) -> bool:
        """Take what an agent says of a state (None: nothing that can be read); False: nobody asked for that."""
        giver = self.giver is not None and instance == self.giver.instance
        awaited = giver if self.stage == "asking" else self.stage == "giving" and instance == self.taker.instance
        if not awaited or (header.epoch, header.frame) != (self.epoch, self.frame):
            return False
        if said is None:
            self.end(f"malformed: {problem}")
        elif isinstance(said, wire.StateResult):
            word = "the one before gives none" if giver else "the one that comes does not take it"
            self.end("" if said.done and not giver else f"{word}: {said.reason[:200]}")
        elif isinstance(said, wire.StatePiece) and giver:
            self._take(said)
        else:
            return False
        return True

    def _take(self, piece: wire.StatePiece) -> None:
        try:
            state = self._pieces.add(piece)
            if state is None:
                return
            self.stage, self._size_bytes, self._sha256 = "giving", piece.size_bytes, piece.sha256
            for own in pieces_of(state, self.taker.format):
                self.taker.say(own, self.epoch, self.frame)
        except StateError as error:
            self.end(str(error))

    def gone(self, instance: int) -> None:
        """An agent is no more."""
        if self.giver is not None and instance == self.giver.instance and self.stage == "asking":
            self.end("the one before is gone")
        elif instance == self.taker.instance:
            self.end("the one that comes is gone")

    def cancel(self) -> None:
        """Nobody wants to know any more."""
        self.stage = "over"

    def end(self, reason: str) -> None:
        """It is over, if it was not."""
        if self.stage != "over":
            self.stage = "over"
            self._pieces = Pieces("")  # it may be large
            took_s = self._clock() - self._began_s
            size_bytes, sha256 = (0, "") if reason else (self._size_bytes, self._sha256)
            self._over(Outcome(reason, size_bytes, sha256, took_s))
