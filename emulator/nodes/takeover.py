"""The frame in which another agent takes over an edge server: both decide, and if the new one cannot, the old one does.

Every decision passes here, be it of an agent at the gateway or of a process of ours on the bus: the edge server gathers
only those of whom the slot's roster binds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bus.codec import Header
from bus.messages import BeatAck, Message
from bus.node import Node
from bus.slots import SlotDriver
from bus.subscription import Filing
from bus.swap_messages import BESIDE, HELD, SHADOW, SwapFailed

FALL_BACK: Final = 0.2
"""Share of a slot after which, on the wall clock, the old agent's decision is taken: just before deciding is over."""


@dataclass(slots=True)
class Turn:
    """A slot in which a decision is due.

    Attributes:
        bound, held: Instances of whoever decides, and of whoever stands by (0: nobody).
        takes_over: Whether the one who decides does so for the first time.
        spare: What the one who stands by has decided.
        over: A decision went to the edge server, or the hub will see to it.
        failed: Why the one who decides gave no valid decision; empty while that may still come.
    """

    frame: int
    slot: int
    attempt: int
    bound: int
    epoch: int
    held: int
    takes_over: bool
    spare: Message | None = None
    bad: Message | None = None
    over: bool = False
    failed: str = ""


class Takeover:
    """Those of one edge server."""

    def __init__(
        self,
        node: Node,
        edge: int,
        driver: SlotDriver,
        nothing: Callable[[int], Message],
        publish: Callable[[Message, int, int], None],
    ) -> None:
        """Watch over an edge server's decisions.

        Args:
            node: The edge server's.
            edge: Its number.
            driver: Its process's place in time.
            nothing: What stands for a decision that there is not, in a frame.
            publish: Publishes a decision: message, slot, attempt.
        """
        self._node = node
        self._edge = edge
        self._driver = driver
        self._nothing = nothing
        self._publish = publish
        self._turn: Turn | None = None
        self._since = (0, -1)  # epoch, and the frame in which it began
        self._gathers: tuple[Filing, ...] = ()
        self._early: list[tuple[Filing, Any, tuple[int, ...]]] = []

    def begin_again(self) -> None:
        """Time begins again at frame 0."""
        self._turn, self._since, self._early = None, (0, -1), []

    # -- who is heard --------------------------------------------------------------------------------------------------

    def guard(self, topic: str) -> None:
        """From now on let only those decisions into the edge server's gather that come from whoever is bound."""
        subscription = self._node.process.pubsub.subscriptions[topic]
        self._gathers = subscription.filings
        subscription.filings = tuple(partial(self._file, file) for file in self._gathers)

    def _file(self, file: Filing, message: Any, fields: tuple[int, ...]) -> None:
        # By index: version, flags, round, attempt, type, instance, slot.
        now = self._driver.now
        if fields[5] == self._node.process.instance:
            file(message, fields)  # the gateway's own, which says only what counts
        elif now is not None and (fields[6], fields[3]) > (now.slot, now.attempt):
            self._early.append((file, message, fields))  # who is bound then is not known yet
        elif fields[5] == self._bound()[0]:
            file(message, fields)
        elif self._turn is not None and (fields[6], fields[3]) == (self._turn.slot, self._turn.attempt):
            self._came_spare(fields[5], message)

    def _bound(self) -> tuple[int, int, int]:
        """Whom the present slot's roster binds, the epoch, and who stands by."""
        now = self._driver.now
        own = [] if now is None else [binding for binding in now.bindings if binding.edge == self._edge]
        held = next((binding.instance for binding in own if binding.role == HELD), 0)
        return next(((b.instance, b.epoch, held) for b in own if b.role not in BESIDE), (0, 0, held))

    def shadows(self) -> list[int]:
        """Who else is asked in the present slot."""
        now = self._driver.now
        own = [] if now is None else [binding for binding in now.bindings if binding.edge == self._edge]
        return [binding.instance for binding in own if binding.role == SHADOW]

    # -- one slot ------------------------------------------------------------------------------------------------------

    def begin(self, header: Header) -> Turn | None:
        """The edge server asks for a decision; None: that slot is over, or nobody is bound."""
        now = self._driver.now
        if now is None or (header.slot, header.attempt) != (now.slot, now.attempt):
            return None
        bound, epoch, held = self._bound()
        if epoch != self._since[0]:
            self._since = epoch, now.frame
        takes_over = bool(held) and self._since == (epoch, now.frame)
        self._turn = turn = Turn(now.frame, now.slot, now.attempt, bound, epoch, held, takes_over)
        early, self._early = self._early, []
        for file, message, fields in early:
            self._file(file, message, fields)
        return turn if bound else None

    def asked(self, *, there: bool) -> None:
        """Whoever is at the gateway was asked; there: the one who is bound is among them."""
        turn = self._turn
        if turn is None or not turn.takes_over or turn.over:
            return
        if not there:
            self.fail(turn, "gone")
        elif self._driver.paced:
            left_s = self._driver.left_s(FALL_BACK) or 0.0
            self._node.process.after(left_s, lambda: self.fail(turn, "late"))

    def answered(self, instance: int, message: Message, slot: int, attempt: int, reason: str) -> None:
        """Somebody at the gateway has decided; reason: why that is no good, if it is not."""
        turn = self._turn
        if turn is None or (turn.slot, turn.attempt) != (slot, attempt):
            return
        if instance == turn.bound:
            if turn.failed or turn.over:
                return
            if reason and turn.takes_over:
                turn.bad = message
                self.fail(turn, reason)
            else:
                self._decide(turn, message)
        elif not reason:
            self._came_spare(instance, message)

    def _came_spare(self, instance: int, message: Message) -> None:
        turn = self._turn
        if turn is not None and instance == turn.held:
            turn.spare = message
            if turn.failed and self._driver.paced:
                self._stand_in(turn, message)

    def _decide(self, turn: Turn, message: Message) -> None:
        if not turn.over:
            turn.over = True
            self._publish(message, turn.slot, turn.attempt)

    def _stand_in(self, turn: Turn, message: Message) -> None:
        """The old one's decision counts, at once: deciding may be over before a message comes round."""
        if not turn.over:
            fields = (0, 0, 0, turn.attempt, 0, self._node.process.instance, turn.slot, 0, 0, 0)
            for file in self._gathers:
                file(message, fields)
            self._decide(turn, message)

    def fail(self, turn: Turn, reason: str) -> None:
        """The new one has no valid decision: the old one's of the same frame counts.

        On the wall clock it is taken here. In lockstep the hub computes the slot again with the old one bound, so that
        the run is as if that had been so from the start.
        """
        if turn is not self._turn or turn.over or turn.failed:
            return
        turn.failed = reason
        told = SwapFailed(self._edge, turn.bound, turn.frame, reason)
        self._node.process.membership.ask("swap_failed", told, BeatAck, lambda answer: self._told(turn, answer))
        if self._driver.paced and turn.spare is not None:
            self._stand_in(turn, turn.spare)

    def _told(self, turn: Turn, answer: Any) -> None:
        """In lockstep, without an old one that could decide, what the new one said is judged like any decision."""
        known = isinstance(answer, BeatAck) and answer.known
        if turn is self._turn and not known and not self._driver.paced:
            self._decide(turn, turn.bad or self._nothing(turn.frame))
