"""What an agent takes for its experience when the parts come in another order than usual."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agents.lessons import Lessons
from agents.policy import Experience, Observation
from bus.messages import DeploymentInForce, FrameReward


class Pupil:
    """Keeps what it is to learn from."""

    signals: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.learned: list[Experience] = []

    def learn(self, experience: Experience) -> None:
        self.learned.append(experience)

    def save(self) -> None:
        """Keep nothing."""


class Post:
    """A node that hands over what is published."""

    def __init__(self) -> None:
        self.heard: dict[str, Any] = {}
        self.process = SimpleNamespace(
            clock=lambda: 0.0, measurements=SimpleNamespace(counter=lambda _name: SimpleNamespace(value=0.0))
        )

    def subscribe(self, topic: str, callback: Any) -> None:
        self.heard[topic] = callback


class AtOnce:
    """Works in the caller's thread."""

    pending = 0

    def __init__(self, _process: Any) -> None:
        """Nothing to prepare."""

    def run(self, work: Any, then: Any, *, busy_s: float) -> None:
        assert busy_s >= 0.0
        then(work())


@pytest.mark.parametrize("told_first", [True, False])
def test_what_is_in_force_counts_whether_it_is_heard_before_the_decision_or_after(
    monkeypatch: pytest.MonkeyPatch, told_first: bool
) -> None:
    """On the wall clock an agent that was held up may hear what is in force instead before it decides at all."""
    monkeypatch.setattr("agents.study.Background", AtOnce)
    post, pupil = Post(), Pupil()
    lessons = Lessons(post, 1, pupil, wall=True)  # type: ignore[arg-type]
    seen, decided = np.ones((2, 4)), np.array([False, True, False, True])
    in_force = DeploymentInForce(1, 2, (0, 1), "late")
    if told_first:
        post.heard["/edge/1/deployment_in_force"](in_force)
    lessons.decided(Observation(2, seen), decided)
    if not told_first:
        post.heard["/edge/1/deployment_in_force"](in_force)
    lessons.rewarded(FrameReward(2, -1.0, 1.0, 2.0))
    lessons.seen(Observation(3, seen))
    (experience,) = pupil.learned
    assert np.nonzero(experience.deployed)[0].tolist() == [0, 1]


def test_what_was_in_force_in_a_frame_before_says_nothing_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.study.Background", AtOnce)
    post, pupil = Post(), Pupil()
    lessons = Lessons(post, 1, pupil, wall=True)  # type: ignore[arg-type]
    post.heard["/edge/1/deployment_in_force"](DeploymentInForce(1, 1, (0,), "late"))
    lessons.decided(Observation(2, np.ones((2, 4))), np.array([False, True, False, True]))
    lessons.rewarded(FrameReward(2, -1.0, 1.0, 2.0))
    lessons.seen(Observation(3, np.ones((2, 4))))
    (experience,) = pupil.learned
    assert np.nonzero(experience.deployed)[0].tolist() == [1, 3]
