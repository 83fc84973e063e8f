"""States that are handed over at one edge server: when, how long anybody waits for it, and who is asked what meanwhile.

In lockstep the slot waits, for the deadline at most, and then goes on cold or with the one before. On the wall clock
the one before decides meanwhile, and the one that comes after a share of the slot, with the state or without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bus import agent_state
from bus.messages import BeatAck
from bus.node import Node
from bus.slots import SlotDriver
from bus.swap_messages import StateDue, StateHanded
from emulator.nodes.asked_state import AskedState
from emulator.nodes.handover import Handover, Outcome, Party
from emulator.nodes.takeover import Takeover, Turn

HAND_OVER: Final = 0.1
"""Share of a slot after which, on the wall clock, the one that comes is asked without a state: it is to decide, too."""

LOOK_S: Final = 0.1
"""How often one looks whether the one before is still there."""


class Handing:
    """Those of one edge server, one after the other.

    Args:
        node: The edge server's.
        edge: Its number.
        driver: Its process's place in time.
        takeover: Of its decisions.
        party: Who an instance is; None: no agent at this gateway.
        ask: Shows a turn's observation to an instance: message, turn, instance.
    """

    def __init__(
        self,
        node: Node,
        edge: int,
        driver: SlotDriver,
        takeover: Takeover,
        party: Callable[[int], Party | None],
        ask: Callable[[Any, Turn, int], None],
    ) -> None:
        self._node = node
        self._edge = edge
        self._driver = driver
        self._takeover = takeover
        self._party = party
        self._ask = ask
        self._forget()

    def begin_again(self) -> None:
        """Time begins again at frame 0."""
        if self._now is not None:
            self._now.cancel()
        self._forget()

    def _forget(self) -> None:
        self._now: Handover | None = None
        self._outcome: Outcome | None = None
        self._begun = self._asked = self._settled = False
        self._wanted: tuple[Any, Turn] | None = None

    def ask(self, message: Any, turn: Turn) -> None:
        """Let those decide who are to: before somebody decides for the first time, a state may go over to it."""
        comes = self._party(turn.bound)
        if self._now is not None and self._now.epoch != turn.epoch:
            self._now.cancel()
            self._forget()  # that binding is over, whatever came of it
        if self._now is None:
            if not turn.takes_over or comes is None or not comes.format or not turn.frame:
                self._ask_both(message, turn)
                return
            process = self._node.process
            party = self._party(turn.held) or self._ours(turn.held, comes.format)
            self._now = Handover(turn.epoch, turn.frame - 1, party, comes, process.clock, self._over)
        self._wanted = message, turn
        if self._driver.paced and not self._settled:
            self._takeover.asked(there=comes is not None)
        self.look()

    def _ours(self, instance: int, state_format: str) -> Party | None:
        """The one before as a process of ours, which is no agent at this gateway."""
        process = self._node.process
        peer = process.membership.peers.get(instance)
        if peer is None or not peer.call_endpoint:
            return None
        asked = AskedState(process, peer, self._edge, waits=not self._driver.paced, hear=self.hear)
        return asked.party(state_format)

    def _ask_both(self, message: Any, turn: Turn) -> None:
        self._ask(message, turn, turn.held)
        self._ask(message, turn, turn.bound)
        self._takeover.asked(there=self._party(turn.bound) is not None)

    def look(self) -> None:
        """Begin, go on, or wait: in lockstep the one before must know first what its last frame was worth."""
        now, wanted = self._now, self._wanted
        if now is None or wanted is None:
            return
        message, turn = wanted
        if not self._begun:
            if not self._driver.paced and now.giver is not None and now.giver.awaits(now.frame):
                return
            self._begun = True
            self._ask_hub(now)
        if self._settled:
            self._go_on(message, turn)
        elif self._asked:  # what it is shown now must not be in the state that it gives
            self._ask(message, turn, turn.held)

    def _left_s(self) -> float:
        share_s = self._driver.left_s(HAND_OVER)
        return agent_state.DEADLINE_S if share_s is None else min(agent_state.DEADLINE_S, share_s)

    def _ask_hub(self, now: Handover) -> None:
        """Whoever asked for the swap may not want a state to go over; on the wall clock the hub is not waited for."""
        process, due = self._node.process, StateDue(self._edge, now.taker.instance)

        def told(answer: Any) -> None:
            if now is not self._now or now.stage == "over":
                return
            if isinstance(answer, BeatAck) and answer.known:
                now.begin(self._left_s(), process.after)
                self._asked = True
                self._watch(now)
                self.look()
            else:
                now.cancel()
                self._settle(now)

        def too_late() -> None:
            if now is self._now and not self._asked:
                now.end("too late: the hub did not say whether it shall go over")

        process.membership.ask("state_due", due, BeatAck, told)
        if self._driver.paced:
            process.after(self._left_s(), too_late)

    def hear(self, instance: int, header: Any, said: Any, problem: str) -> bool:
        """Take what an agent says of a state; False: nobody asked for that."""
        return self._now is not None and self._now.hear(instance, header, said, problem)

    def gone(self, instance: int) -> None:
        """An agent is here no more."""
        if self._now is not None:
            self._now.gone(instance)

    def _watch(self, now: Handover) -> None:
        """The roster does not tell when the one before is gone, but the graph does."""
        process = self._node.process
        if now.giver is not None and now.giver.instance not in process.membership.peers:
            now.gone(now.giver.instance)
        if now.stage != "over":
            process.after(LOOK_S, lambda: self._watch(now))

    def _over(self, outcome: Outcome) -> None:
        """It is over: in lockstep the hub is to know before anybody decides, since its digest covers it."""
        now = self._now
        if now is None:
            return
        self._outcome = outcome
        told = StateHanded(
            self._edge, now.taker.instance, now.frame, outcome.reason, outcome.size_bytes, outcome.sha256,
            outcome.took_s,
        )  # fmt: skip

        ask = self._node.process.membership.ask
        ask("state_handed", told, BeatAck, lambda _answer: self._settle(now))
        if self._driver.paced:
            self._settle(now)

    def _settle(self, now: Handover) -> None:
        if now is self._now and not self._settled:
            self._settled = True
            self._node.process.later(self.look)

    def _go_on(self, message: Any, turn: Turn) -> None:
        now, outcome = self._now, self._outcome
        self._wanted = None
        if now is None:
            return
        if outcome is not None and outcome.reason and now.taker.needs and turn.frame == now.frame + 1:
            self._ask(message, turn, turn.held)
            self._takeover.fail(turn, f"no state: {outcome.reason}")
        else:
            self._ask_both(message, turn)
