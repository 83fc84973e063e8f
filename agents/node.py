"""An agent as a node: observations in, decisions out, once a frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from agents.frames import FrameFollower
from agents.lessons import Lessons
from agents.policy import LearningPolicy, Observation, Policy, Reward
from agents.state_giving import StateGiver
from agents.study import HEADROOM, QUICK_S
from bus.codec import Header
from bus.gather import Absent
from bus.messages import Deployment, FrameReward
from bus.node import Node
from emulator import records
from emulator.model.offloading import Floats, Network

INPUT_SHARE = 0.2
"""Share of a slot after which, on the wall clock, it decides on what has come."""


class AgentNode:
    """Decides deployments of one edge server.

    It follows frames, not slots, so that it sleeps while slots pass. A frame's first slot may be computed again with
    another roster; it then decides again on what it is shown again.
    """

    def __init__(
        self,
        node: Node,
        edge: int,
        network: Network,
        slots_per_frame: int,
        policy: Policy,
        slot_wall_s: float | None,
    ) -> None:
        self.name = node.name
        self._node = node
        self._edge = edge
        self._network = network
        self._slots_per_frame = slots_per_frame
        self._policy = policy
        self._deadline_s = None if slot_wall_s is None else INPUT_SHARE * slot_wall_s
        self._now = (-1, 0)
        self._unrewarded: Callable[[], None] | None = None
        self._observed: dict[int, Observation] = {}
        wall = slot_wall_s is not None
        self._lessons = Lessons(node, edge, policy, wall=wall) if isinstance(policy, LearningPolicy) else None
        self._slowest_s = 0.0
        self._shown = range(network.edges) if policy.observes == "network" else [edge]
        self._deployment = node.publisher(f"/agent/{edge}/deployment")
        for m in self._shown:
            node.collect("observation", f"/edge/{m}/frame_observation", f"/edge/{m}")
        self._giver = StateGiver(node, lambda: self._policy)
        self._follower = FrameFollower(node, slots_per_frame, self._begin)
        node.subscribe("/ledger/frame_reward", self._on_reward)

    def begin_again(self, policy: Policy) -> None:
        """Back to the initial state with a policy that has learned nothing; the roster stays until the next comes."""
        self._policy = policy
        if self._lessons is not None and isinstance(policy, LearningPolicy):
            self._lessons.begin_again(policy)
        self._follower.begin_again()
        self._giver.through = -1
        self._unrewarded = None
        self._observed = {}

    def _begin(self, slot: int, attempt: int, members: frozenset[str]) -> None:
        self._node.begin(slot, attempt)
        self._now = (slot, attempt)
        self._unrewarded = None
        own = f"/edge/{self._edge}"
        if own not in members or self.name not in members:
            if self._lessons is not None:
                self._lessons.undecided(slot // self._slots_per_frame)
            return
        edges = [m for m in self._shown if f"/edge/{m}" in members]
        self._node.gather(
            "observation",
            [f"/edge/{m}" for m in edges],
            slot,
            attempt,
            lambda messages: self._decide(slot, attempt, edges, messages),
            deadline_s=self._deadline_s,
        )

    def _decide(self, slot: int, attempt: int, edges: list[int], messages: list[Any]) -> None:
        frame = slot // self._slots_per_frame
        if self._deadline_s is None and frame - 1 in self._observed:
            # In lockstep what a frame was worth is known before the next is decided, however late it was repaired.
            self._unrewarded = partial(self._decide, slot, attempt, edges, messages)
            return
        observation = Observation(frame, self._counts(edges, messages))
        answer = partial(self._answer, slot, attempt, observation)
        if self._lessons is None:
            self._observed[frame] = observation
            answer()
            return
        self._lessons.seen(observation)
        if self._deadline_s is None:
            self._lessons.when_learned(frame - 1, answer)
        else:  # slots of the wall clock wait for nobody
            answer()

    def _answer(self, slot: int, attempt: int, observation: Observation) -> None:
        if (slot, attempt) != self._now:
            return  # learning took longer than the attempt
        if self._slowest_s > QUICK_S:
            # The loop stands still while a policy thinks; who says so beforehand is not taken for dead.
            self._node.process.busy(HEADROOM * self._slowest_s)
        start_s = perf_counter()
        wanted = self._policy.decide(observation)
        self._slowest_s = max(self._slowest_s, perf_counter() - start_s)
        row = wanted[self._edge] if self._policy.observes == "network" else wanted
        if self._lessons is not None and self._follower.decides(self._edge):
            self._lessons.decided(observation, row)
        elif self._lessons is not None:
            self._lessons.undecided(observation.frame)  # what a frame was worth is another one's doing
        message = Deployment(self._edge, observation.frame, records.services_of(row))
        into_ns = self._node.reached_ns("observation")
        links = self._node.process.links
        t_sim_ns = slot * links.clock.slot_ns + into_ns if links is not None and into_ns else 0
        self._deployment.publish(message, slot=slot, attempt=attempt, t_sim_ns=t_sim_ns)

    def _counts(self, edges: list[int], messages: list[Any]) -> Floats:
        """Counts as the policy wants them; an edge server that shows nothing saw nothing."""
        counts = {m: msg.counts.numpy() for m, msg in zip(edges, messages, strict=True) if not isinstance(msg, Absent)}
        if self._policy.observes == "local":
            return counts.get(self._edge, np.zeros((0, self._network.services)))
        slots = max((len(rows) for rows in counts.values()), default=0)
        everyone = np.zeros((self._network.edges, slots, self._network.services))
        for m, rows in counts.items():
            everyone[m, slots - len(rows) :] = rows
        return everyone

    def _on_reward(self, reward: FrameReward, _header: Header) -> None:
        if self._lessons is not None:
            self._lessons.rewarded(reward)
            return
        observation = self._observed.pop(reward.frame, None)
        self._observed = {frame: seen for frame, seen in self._observed.items() if frame > reward.frame}
        if observation is not None and not isinstance(self._policy, LearningPolicy):
            self._policy.after_frame(
                observation, Reward(reward.frame, reward.reward_s, reward.delay_s, reward.all_cloud_s)
            )
        self._giver.through = reward.frame
        if self._unrewarded is not None:
            decide, self._unrewarded = self._unrewarded, None
            decide()
