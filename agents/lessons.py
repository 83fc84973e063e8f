"""How an agent that learns comes to its experiences: parts that come one by one, learned beside the loop once whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agents.policy import Experience, LearningPolicy, Observation, Reward
from agents.study import Study
from bus.messages import DeploymentInForce, FrameReward, MarginalGains
from bus.node import Node
from emulator.model.offloading import Bools, Floats
from emulator.records import deployed_from


@dataclass(slots=True)
class _Lesson:
    """What is known yet of one frame."""

    observation: Observation
    deployed: Bools
    reward: Reward | None = None
    seen_next: Floats | None = None
    gains_s: Floats | None = None


class Lessons:
    """Puts experiences together and has the policy learn from them, in the order of frames.

    An experience is whole with the reward, the signals that the policy declares, and what its edge server saw in the
    frame, which comes as the observation of the next.
    """

    def __init__(self, node: Node, edge: int, policy: LearningPolicy, *, wall: bool = False) -> None:
        """Listen to what the policy wants to know.

        Args:
            node: The agent's.
            edge: Its edge server.
            policy: Who learns.
            wall: Whether slots end by the clock, so that a decision may come too late to be obeyed.
        """
        self._policy = policy
        self._study = Study(node, edge, policy)
        self._open: dict[int, _Lesson] = {}
        self._in_force: dict[int, tuple[int, ...]] = {}
        self._waiting: Callable[[], None] | None = None
        self._wants_gains = "marginal_gains" in policy.signals
        if self._wants_gains:
            node.subscribe(f"/ledger/marginal_gains/{edge}", self._on_gains)
        elif wall:
            node.subscribe(f"/edge/{edge}/deployment_in_force", self._on_in_force)

    def begin_again(self, policy: LearningPolicy) -> None:
        """Go on with a policy that has learned nothing, once the thread is done with the one before."""
        self._study.begin_again()
        self._policy = policy
        self._open.clear()
        self._in_force.clear()
        self._waiting = None

    # -- what comes in -------------------------------------------------------------------------------------------------

    def decided(self, observation: Observation, deployed: Bools) -> None:
        """A frame was decided; decided again, it is the last time that counts."""
        self._open[observation.frame] = _Lesson(observation, deployed)
        # Who decides too late may have been told what is in force instead before it decided.
        self._put_in_force(observation.frame)

    def undecided(self, frame: int) -> None:
        """A frame goes on without our edge server."""
        self._open.pop(frame, None)

    def rewarded(self, reward: FrameReward) -> None:
        """A frame was worth so much."""
        lesson = self._open.get(reward.frame)
        if lesson is not None:
            lesson.reward = Reward(reward.frame, reward.reward_s, reward.delay_s)
            self._look(reward.frame, lesson)

    def _on_in_force(self, in_force: DeploymentInForce) -> None:
        self._in_force[in_force.frame] = in_force.services
        self._put_in_force(in_force.frame)

    def _put_in_force(self, frame: int) -> None:
        lesson, services = self._open.get(frame), self._in_force.get(frame)
        if lesson is not None and services is not None:
            lesson.deployed = deployed_from(services, len(lesson.deployed))

    def _on_gains(self, gains: MarginalGains) -> None:
        lesson = self._open.get(gains.frame)
        if lesson is not None:
            lesson.deployed = deployed_from(gains.services, len(lesson.deployed))
            lesson.gains_s = np.zeros(len(lesson.deployed))
            lesson.gains_s[lesson.deployed] = gains.gain_s.numpy()
            self._look(gains.frame, lesson)

    def seen(self, observation: Observation) -> None:
        """What our edge server saw in the frame before the one that begins; older frames will never be whole."""
        last = observation.frame - 1
        self._open = {frame: lesson for frame, lesson in self._open.items() if frame >= last}
        self._in_force = {frame: services for frame, services in self._in_force.items() if frame >= last}
        lesson = self._open.get(last)
        if lesson is not None:
            lesson.seen_next = observation.counts
            self._look(last, lesson)

    # -- learning ------------------------------------------------------------------------------------------------------

    def when_learned(self, frame: int, then: Callable[[], None]) -> None:
        """Call once all of a frame's experience is here and learned from; at once if there is none."""
        if frame in self._open:
            self._waiting = then
        else:
            self._study.when_idle(then)

    def _look(self, frame: int, lesson: _Lesson) -> None:
        if lesson.reward is None or lesson.seen_next is None or (self._wants_gains and lesson.gains_s is None):
            return
        del self._open[frame]
        experience = Experience(
            frame, lesson.observation.counts, lesson.deployed, lesson.reward, lesson.seen_next, lesson.gains_s
        )
        self._learn(experience)
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._study.when_idle(waiting)

    def _learn(self, experience: Experience) -> None:
        policy = self._policy

        def work() -> None:
            policy.learn(experience)
            policy.save()

        self._study.take(work, policy)
