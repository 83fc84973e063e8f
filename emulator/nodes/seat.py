"""One foreign agent at one edge server: what it was asked, what it answered, what it is told. No socket here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from bus import agent_wire as wire
from bus.messages import Message

State = Literal["warm-up", "ready", "active", "standby", "shadow", "gone"]
Role = Literal["active", "standby", "shadow"]
"""Whether an agent is bound, stands by for whoever is, or only decides beside it."""
ASKED: Final = ("active", "standby", "shadow")
Say = Callable[[wire.Said, int, int], None]
"""Says something to the agent: what, epoch, frame."""


class Face(Protocol):
    """What the two worlds' edge servers ask of an agent."""

    observation: str
    decision: str
    in_force: str
    reward: str
    overheard: tuple[str, ...]
    setup: wire.Setup
    decides: type[wire.Said]

    def shown(self, message: Any, *, warm_up: bool = False) -> wire.Said:
        """An observation of the bus as the agent gets it."""
        ...

    def made_up(self, number: int) -> Any:
        """An observation for the warm-up before there was a live one."""
        ...

    def refusal(self, said: Any) -> str:
        """Why a decision is no good; empty if it is."""
        ...

    def decided(self, said: Any, frame: int) -> Message:
        """A decision as a message of the bus."""
        ...

    def numbers(self, message: Any) -> tuple[int, ...]:
        """A decision as numbers, for tables."""
        ...

    def nothing(self, frame: int) -> Message:
        """What stands for a decision that is no good: malformed to whoever judges."""
        ...

    def rewarded(self, message: Any, overheard: tuple[Any, ...] = ()) -> wire.Said:
        """A reward as the agent gets it, and what was overheard in that slot (None: nothing), topic by topic."""
        ...


@dataclass(slots=True)
class Asked:
    """A frame that the agent was asked for, and the slot's attempt that waits for it."""

    frame: int
    epoch: int
    slot: int
    attempt: int
    sent: bool = False
    over: bool = False
    answer: Message | None = None
    reason: str = ""  # why the answer is no good


class Seat:
    """The state of one foreign agent, from its Join on.

    Args:
        answered: Takes a decision: message, slot, attempt, and why it is no good, if it is not.
        told: Tells the hub that the warm-up is over; with the reason, if it failed.
        after: Calls something once, seconds from now.
    """

    def __init__(
        self,
        face: Face,
        say: Say,
        answered: Callable[[Message, int, int, str], None],
        told: Callable[[str], None],
        after: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.state: State = "warm-up"
        self._face = face
        self._say = say
        self._answered = answered
        self._told = told
        self._after = after
        self._warm = 0
        self._latest: Callable[[], Any] = _nothing
        self._asked: Asked | None = None
        self._unrewarded: set[int] = set()
        self._pending: Any = None  # an observation that waits for the reward of the frame before
        self._refused: set[tuple[int, int]] = set()

    # -- warm-up -------------------------------------------------------------------------------------------------------

    def begin(self, latest: Callable[[], Any]) -> None:
        """Set it up, and begin with its warm-up on copies of the latest observation, or on made-up ones (None)."""
        self._latest = latest
        self._say(self._face.setup, 0, 0)
        self._say(wire.State("warm-up"), 0, 0)
        self._warm_up()

    def _warm_up(self) -> None:
        number = self._warm
        if number >= self._face.setup.warmup_frames:
            self.state = "ready"
            self._say(wire.State("ready"), 0, 0)
            self._told("")
            return
        message = self._latest()
        shown = self._face.made_up(number) if message is None else message
        self._say(self._face.shown(shown, warm_up=True), 0, number)
        self._after(self._face.setup.decision_budget_s, lambda: self._cold(number))

    def _cold(self, number: int) -> None:
        if self.state == "warm-up" and self._warm == number:
            self._fail("late", f"no decision within {self._face.setup.decision_budget_s:g} s", 0)

    def _fail(self, reason: str, text: str, about: int) -> None:
        self._say(wire.Refused(reason, text, about), 0, self._warm)
        self._say(wire.Goodbye("warm_up"), 0, 0)
        self.state = "gone"
        self._told(f"its warm-up failed: {text} ({reason})")

    # -- what the edge server asks -------------------------------------------------------------------------------------

    def ask(self, message: Any, frame: int, epoch: int, slot: int, attempt: int, role: Role = "active") -> None:
        """A decision is wanted; the same frame and epoch again gets the same answer, without asking again.

        role: Whether it is bound, stands by for whoever is, or decides beside it.
        """
        if self.state not in ("ready", *ASKED):
            return
        if self.state != role:
            self.state = role
            self._say(wire.State(role), epoch, frame)
        before = self._asked
        if before is not None and (before.frame, before.epoch) == (frame, epoch):
            before.slot, before.attempt = slot, attempt
            if before.answer is not None:
                self._answered(before.answer, slot, attempt, before.reason)
            return
        self._asked = asked = Asked(frame, epoch, slot, attempt)
        self._pending = message
        if self._face.setup.clock == "wall" or frame - 1 not in self._unrewarded:
            self._send(asked)

    def _send(self, asked: Asked) -> None:
        asked.sent = True
        message, self._pending = self._pending, None
        self._unrewarded = {frame for frame in self._unrewarded if frame >= asked.frame - 1} | {asked.frame}
        self._say(self._face.shown(message), asked.epoch, asked.frame)
        if self._face.setup.clock == "lockstep":
            self._after(self._face.setup.decision_budget_s, lambda: self._expire(asked))

    def _expire(self, asked: Asked) -> None:
        """In lockstep nobody else would ever close this slot."""
        if asked is self._asked and asked.answer is None and self.state == "active":
            self._answer(asked, self._face.nothing(asked.frame), "late")

    def rewarded(self, message: Any, frame: int, overheard: tuple[Any, ...] = ()) -> None:
        """A frame counts; in lockstep its reward is told before the next frame is shown."""
        if frame not in self._unrewarded:
            return
        self._unrewarded.discard(frame)
        self._say(self._face.rewarded(message, overheard), 0 if self._asked is None else self._asked.epoch, frame)
        if self._pending is not None and self._asked is not None and not self._asked.sent:
            self._send(self._asked)

    def awaits_reward(self, frame: int) -> bool:
        """Whether it is still to be told what a frame was worth."""
        return frame in self._unrewarded

    def judged(self, frame: int, refused: str) -> None:
        """The edge server has judged what was decided, or found that nothing was in time."""
        asked = self._asked
        if asked is None or asked.frame != frame or not refused:
            return
        asked.over = True
        if (asked.frame, asked.epoch) not in self._refused:
            self._refused = {(asked.frame, asked.epoch)}
            self._say(wire.Refused(refused, wire.REASONS.get(refused, refused)), asked.epoch, frame)

    # -- what the agent says -------------------------------------------------------------------------------------------

    def hear(self, header: wire.Header, said: wire.Said | None, problem: str) -> None:
        """A decision came, or something that is none (said None, and why)."""
        if self.state == "warm-up":
            self._hear_warm(header, said, problem)
            return
        asked = self._asked
        if self.state not in ASKED or asked is None or not asked.sent:
            self._refuse(header, "unasked", "nothing was asked")
        elif header.epoch != asked.epoch:
            self._refuse(header, "stale_epoch", f"epoch {header.epoch}, not {asked.epoch}")
        elif header.frame != asked.frame:
            self._refuse(header, "stale_frame", f"frame {header.frame}, not {asked.frame}")
        elif asked.over:
            self._refuse(header, "late", "the slot has gone on without it")
        elif asked.answer is not None:
            self._refuse(header, "unasked", f"frame {asked.frame} is decided already")
        else:
            self._hear_decision(asked, header, said, problem)

    def _hear_decision(self, asked: Asked, header: wire.Header, said: wire.Said | None, problem: str) -> None:
        reason = "malformed" if said is None else self._face.refusal(said)
        if reason:
            self._refused = {(asked.frame, asked.epoch)}
            self._refuse(header, reason, problem or wire.REASONS[reason])
        if said is None or reason == "out_of_range":
            self._answer(asked, self._face.nothing(asked.frame), reason)
        else:
            self._answer(asked, self._face.decided(said, asked.frame), reason)

    def _hear_warm(self, header: wire.Header, said: wire.Said | None, problem: str) -> None:
        if (header.epoch, header.frame) != (0, self._warm):
            self._refuse(header, "stale_frame", f"frame {header.frame}, not {self._warm} of the warm-up")
            return
        reason = "malformed" if said is None else self._face.refusal(said)
        if reason:
            self._fail(reason, problem or wire.REASONS[reason], header.sequence)
            return
        self._warm += 1
        self._warm_up()

    def _answer(self, asked: Asked, message: Message, reason: str) -> None:
        asked.answer, asked.reason = message, reason
        self._answered(message, asked.slot, asked.attempt, reason)

    def _refuse(self, header: wire.Header, reason: str, text: str) -> None:
        self._say(wire.Refused(reason, text, header.sequence), header.epoch, header.frame)

    # -- the end -------------------------------------------------------------------------------------------------------

    def begin_again(self, seed: int) -> None:
        """Time begins again at frame 0."""
        self._asked = self._pending = None
        self._unrewarded, self._refused = set(), set()
        self._say(wire.Reset(seed), 0, 0)

    def end(self, reason: str, *, again: bool) -> None:
        """It is not needed any more."""
        if self.state != "gone":
            self.drain()
            self._say(wire.Goodbye(reason, again), 0, 0)

    def drain(self) -> None:
        """It is not asked any more; the hub says goodbye."""
        if self.state in ASKED:
            self._say(wire.State("draining"), 0, 0)
        self.state = "gone"


def _nothing() -> None:
    """Nothing was observed."""
