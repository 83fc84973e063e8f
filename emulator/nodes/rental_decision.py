"""An edge server's rental: asked of its agent each slot, checked, held when nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bus.gather import Absent
from bus.messages import Observation, Rental
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator.nodes.deadlines import RENTED
from emulator.nodes.decision_counts import MISSED, DecisionCounts
from emulator.scenario import Agent


@dataclass(frozen=True, slots=True)
class RentalState:
    """What an edge server remembers of its decisions, as of the last committed slot."""

    units: int = 0
    unanswered_slots: int = 0
    decided: bool = False


class RentalKeeper:
    """Keeps one edge server's rental; ``ask`` each slot, ``commit`` when it counts."""

    def __init__(self, node: Node, driver: SlotDriver, edge: int, most_units: int, rules: Agent) -> None:
        self._node = node
        self._driver = driver
        self._edge = edge
        self._most_units = most_units
        self._rules = rules
        self._agent = f"/agent/{edge}"
        self._observation = node.publisher(f"/edge/{edge}/observation")
        self._counts = DecisionCounts(node, edge)
        self._asked_s = 0.0
        self.begin_again()
        node.collect("rental", f"/agent/{edge}/rental", self._agent)

    def begin_again(self) -> None:
        """Back to the initial state: nothing is rented."""
        self._kept = self._next = RentalState()
        self._shown: Observation | None = None
        self._counts.begin_again()

    def latest(self) -> Observation | None:
        """What was shown last to whoever decides, for those who warm up; None before the first."""
        return self._shown

    def commit(self) -> None:
        """The slot computed last counts."""
        self._kept = self._next
        self._counts.commit()

    def ask(self, now: Now, observed: Observation, then: Callable[[int, str], None]) -> None:
        """Have the slot's rental decided; ``then`` gets units, and why a decision was refused (empty: it was not)."""
        self._counts.ends("")
        into_ns = self._node.reached_ns("presence")
        self._shown = observed
        self._driver.publish(self._observation, observed, now, into_ns=into_ns)
        if self._agent not in now.members:
            self._hold()
            then(self._next.units, "")
            return
        if self._rules.is_lost(self._edge, now.frame):
            self._next = self._kept
            then(self._next.units, "")
            return
        self._asked_s = self._node.process.clock()
        self._node.gather(
            "rental",
            (self._agent,),
            now.slot,
            now.attempt,
            lambda messages: self._decided(now, messages[0], then),
            deadline_s=self._driver.left_s(RENTED),
        )

    def _decided(self, now: Now, message: Any, then: Callable[[int, str], None]) -> None:
        took_s = self._node.process.clock() - self._asked_s
        reason = self._judge(message, took_s)
        if not isinstance(message, Absent):
            self._counts.took(took_s)
        self._counts.ends(reason)
        if reason:
            self._next = self._kept
        else:
            self._driver.note(f"decision_s{self._agent}", took_s)
            self._next = RentalState(message.units, 0, decided=True)
            self._counts.accepted()
        then(self._next.units, reason)

    def _judge(self, message: Any, took_s: float) -> str:
        """Why a decision is refused; empty if it is accepted."""
        if isinstance(message, Absent):
            return message.reason
        if took_s > self._rules.decision_budget_s:
            return "late"
        if not isinstance(message, Rental) or message.edge != self._edge:
            return "malformed"
        return "" if 0 <= message.units <= self._most_units else "infeasible"

    def _hold(self) -> None:
        """Nobody decides: keep what is rented for a while, then do what the scenario says: keep on, or rent nothing."""
        kept, rules = self._kept, self._rules
        self._counts.ends(MISSED if kept.decided else "")
        unanswered = kept.unanswered_slots + 1
        held = unanswered <= rules.hold_decision_frames or rules.orphan == "keep"
        self._next = RentalState(kept.units if held else 0, unanswered, kept.decided)
