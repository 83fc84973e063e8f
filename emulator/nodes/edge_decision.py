"""An edge server's deployment: asked of its agent each frame, checked, held when nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bus.gather import Absent
from bus.messages import Array, Deployment, FrameObservation
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator import records
from emulator.model.offloading import Bools, Floats, Network, refusal
from emulator.nodes.deadlines import DECISION
from emulator.nodes.decision_counts import MISSED, DecisionCounts
from emulator.scenario import Agent

Orphan = Callable[[int, Floats], Bools]
"""A policy the edge server runs itself when nobody decides: frame and counts (slot, service) to deployment."""


@dataclass(slots=True)
class DeploymentState:
    """What an edge server remembers of its decisions, as of the last committed slot."""

    in_force: Bools
    unanswered_frames: int = 0
    decided: bool = False
    seen: list[Array] = field(default_factory=list)
    last_frame: Floats = field(default_factory=lambda: np.zeros((0, 0)))


def _nothing_seen(services: int) -> DeploymentState:
    state = DeploymentState(np.zeros(services, dtype=np.bool_))
    state.last_frame = np.zeros((0, services))
    return state


class DeploymentKeeper:
    """Keeps one edge server's deployment; ``begin`` each slot, ``commit`` when it counts."""

    def __init__(
        self, node: Node, driver: SlotDriver, edge: int, network: Network, rules: Agent, orphan: Orphan | None
    ) -> None:
        self._node = node
        self._driver = driver
        self._edge = edge
        self._network = network
        self._rules = rules
        self._orphan = orphan
        self._agent = f"/agent/{edge}"
        self._kept = self._next = _nothing_seen(network.services)
        self._observation = node.publisher(f"/edge/{edge}/frame_observation")
        self._in_force = node.publisher(f"/edge/{edge}/deployment_in_force")
        self._shown: FrameObservation | None = None
        self._asked_s = 0.0
        self._counts = DecisionCounts(node, edge)
        node.collect("deployment", f"/agent/{edge}/deployment", self._agent)

    @property
    def deployed(self) -> Bools:
        """What is deployed in the slot being computed, shape (service,)."""
        return self._next.in_force

    def commit(self) -> None:
        """The slot computed last counts."""
        self._kept = self._next
        self._counts.commit()

    def begin_again(self, orphan: Orphan | None) -> None:
        """Back to the initial state: nothing is deployed, nothing was seen."""
        self._kept = self._next = _nothing_seen(self._network.services)
        self._orphan, self._shown = orphan, None
        self._counts.begin_again()

    def latest(self) -> FrameObservation | None:
        """What was shown last to whoever decides, for those who warm up; None before the first."""
        return self._shown

    def saw(self, tasks: Array) -> None:
        """Remember a slot's arrivals, shape (service,), for the next observation."""
        self._next.seen = [*self._next.seen, tasks]

    def begin(self, now: Now) -> None:
        """Start a slot from the committed state; in a frame's first slot, ask the agent."""
        kept = self._kept
        self._next = DeploymentState(kept.in_force, kept.unanswered_frames, kept.decided, kept.seen, kept.last_frame)
        self._counts.ends("")
        if now.first:
            if self._kept.seen:
                self._next.last_frame = records.stacked(self._kept.seen)
            self._next.seen = []
            self._ask(now)
        elif now.changed:
            # Whoever schedules may be new to this frame, so what is in force is said again.
            self._publish(now, "")

    def _ask(self, now: Now) -> None:
        if self._agent not in now.members:
            self._hold(now)
            return
        self._asked_s = self._node.process.clock()
        self._shown = message = records.frame_observation(self._edge, now.frame, self._next.last_frame)
        self._driver.publish(self._observation, message, now)
        if self._rules.is_lost(self._edge, now.frame):
            self._publish(now, "")
            return
        self._node.gather(
            "deployment",
            (self._agent,),
            now.slot,
            now.attempt,
            lambda messages: self._decided(now, messages[0]),
            deadline_s=self._driver.left_s(DECISION),
        )

    def _decided(self, now: Now, message: Any) -> None:
        took_s = self._node.process.clock() - self._asked_s
        reason = self._judge(now, message, took_s)
        if not isinstance(message, Absent):
            self._counts.took(took_s)
        self._counts.ends(reason)
        if not reason:
            self._driver.note(f"decision_s{self._agent}", took_s)
            self._next.in_force = records.deployed_from(message.services, self._network.services)
            self._next.unanswered_frames, self._next.decided = 0, True
            self._counts.accepted()
        self._publish(now, reason)

    def _judge(self, now: Now, message: Any, took_s: float) -> str:
        """Why a decision is refused; empty if it is accepted."""
        if isinstance(message, Absent):
            return message.reason
        if took_s > self._rules.decision_budget_s:
            return "late"
        if not isinstance(message, Deployment) or message.edge != self._edge:
            return "malformed"
        if message.frame != now.frame:
            return "stale"
        return refusal(message.services, self._edge, self._network)

    def _hold(self, now: Now) -> None:
        """Nobody decides: keep what is in force for a while, then do what the scenario says."""
        state, rule = self._next, self._rules.orphan
        state.unanswered_frames += 1
        self._counts.ends(MISSED if state.decided else "")
        if state.decided and state.unanswered_frames > self._rules.hold_decision_frames and rule != "keep":
            empty = np.zeros(self._network.services, dtype=np.bool_)
            state.in_force = empty if self._orphan is None else self._orphan(now.frame, state.last_frame)
        self._publish(now, "")

    def _publish(self, now: Now, refused: str) -> None:
        message = records.deployment_in_force(self._edge, now.frame, self._next.in_force, refused)
        # Only a frame's first slot belongs to the digest: later ones repeat it for whoever is new.
        into_ns = self._node.reached_ns("deployment")
        self._driver.publish(self._in_force, message, now, digest=now.first, into_ns=into_ns)
