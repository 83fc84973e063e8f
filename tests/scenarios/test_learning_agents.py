"""What agents that learn are told, and when: with a policy that only writes down what it hears. No PyTorch here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from test_swaps import Scene
from thread_run import Kill, ThreadRun, small

from agents import policy, rollout
from agents.baselines import Ranked
from agents.policy import Experience, Observation, Setting, Signal
from agents.study import BACKLOG
from agents.ttosc.credit import marginal_gains
from bus.messages import DeploymentInForce, FrameObservation, MarginalGains
from emulator.model.offloading import Bools
from emulator.world import World


class Diary:
    """Decides like Popularity, and writes down what happens."""

    observes: Literal["local"] = "local"

    def __init__(self, setting: Setting, signals: frozenset[Signal]) -> None:
        self.signals = signals
        self.edge = setting.edge
        self.events: list[tuple[str, int]] = []
        self.learned: list[Experience] = []
        self.decided: dict[int, Bools] = {}
        self.threads: set[int] = set()
        self._policy = Ranked(setting, np.ones(setting.network.services))

    def decide(self, observation: Observation) -> Bools:
        self.events.append(("decide", observation.frame))
        self.decided[observation.frame] = self._policy.decide(observation)
        return self.decided[observation.frame]

    def learn(self, experience: Experience) -> None:
        self.threads.add(threading.get_ident())
        pause_s = DELAYS.get(experience.frame, 0.0)
        if pause_s:
            threading.Event().wait(pause_s)
        self.events.append(("learn", experience.frame))
        self.learned.append(experience)

    def save(self) -> None:
        self.events.append(("save", len(self.learned)))

    def resume(self) -> None:
        self.events.append(("resume", 0))


DIARIES: dict[int, list[Diary]] = {}
DELAYS: dict[int, float] = {}
"""Seconds that learning from a frame takes."""


@pytest.fixture(autouse=True)
def diaries() -> Iterator[None]:
    DIARIES.clear()
    DELAYS.clear()

    def kept(signals: frozenset[Signal]) -> Callable[[Setting, str], Any]:
        def make(setting: Setting, _argument: str) -> Any:
            made = Diary(setting, signals)
            DIARIES.setdefault(int(setting.edge or 0), []).append(made)
            return made

        return make

    with (
        policy.lent("diary", "local", kept(frozenset())),
        policy.lent("diary-gains", "local", kept(frozenset({"marginal_gains"}))),
    ):
        yield


def played(folder: Path, *kills: Kill, spec: str = "diary-gains", **changes: Any) -> ThreadRun:
    run = ThreadRun(small(agent={"policy": spec}, seed=20, **{"frames": 6, **changes}), folder / "run", list(kills))
    assert run.play() == 0, run.hub.reason
    return run


def sent(run: ThreadRun, kind: type[Any]) -> list[Any]:
    return [found for found in run.sent if isinstance(found.message, kind)]


def check_same(found: list[Experience], wanted: list[Experience]) -> None:
    assert [experience.frame for experience in found] == [experience.frame for experience in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.reward == theirs.reward or (
            (ours.reward.frame, ours.reward.reward_s, ours.reward.delay_s)
            == (theirs.reward.frame, theirs.reward.reward_s, theirs.reward.delay_s)
        )
        for name in ("seen", "deployed", "seen_next"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
        assert (ours.gains_s is None) == (theirs.gains_s is None)
        if ours.gains_s is not None and theirs.gains_s is not None:
            assert ours.gains_s.tobytes() == theirs.gains_s.tobytes()


@pytest.mark.parametrize("spec", ["diary", "diary-gains"])
@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_on_the_bus_agents_learn_from_what_they_learn_from_in_one_process(
    tmp_path: Path, spec: str, loss: float
) -> None:
    run = played(tmp_path, spec=spec, network={"loss": loss})
    on_bus = [DIARIES[m][0] for m in range(3)]
    DIARIES.clear()
    for _ in rollout.play(run.scenario):
        pass
    for m, diary in enumerate(on_bus):
        assert [experience.frame for experience in diary.learned] == list(range(5))
        check_same(diary.learned, DIARIES[m][0].learned)


def test_the_gains_are_those_of_the_whole_network(tmp_path: Path) -> None:
    run = played(tmp_path)
    world = World(run.scenario)
    in_force = {found.topic + str(found.message.frame): found.message for found in sent(run, DeploymentInForce)}
    for frame in range(5):
        deployed = np.zeros((3, 6), dtype=np.bool_)
        for m in range(3):
            deployed[m, list(in_force[f"/edge/{m}/deployment_in_force{frame}"].services)] = True
        gains_s = marginal_gains(world.network, world.frame_arrivals(frame), deployed)
        for m in range(3):
            experience = DIARIES[m][0].learned[frame]
            assert np.array_equal(experience.deployed, deployed[m])
            assert np.array_equal(experience.gains_s, np.where(deployed[m], gains_s[m], 0.0))
            assert np.array_equal(experience.seen_next, world.frame_arrivals(frame)[m])


def test_nobody_is_told_gains_who_does_not_want_them(tmp_path: Path) -> None:
    run = played(tmp_path, spec="diary")
    assert not sent(run, MarginalGains)
    assert not [topic for topic in run.hub_process.publishers if "marginal" in topic]
    assert all(experience.gains_s is None for experience in DIARIES[0][0].learned)


def test_each_is_told_its_own_gains_once_a_frame_and_only_those_who_want_them(tmp_path: Path) -> None:
    run = played(tmp_path, spec="1=diary-gains,2=diary,popularity")
    told = sent(run, MarginalGains)
    assert {found.topic for found in told} == {"/ledger/marginal_gains/1"}
    assert [found.message.frame for found in told] == list(range(6))
    assert [len(found.message.services) for found in told] == [
        int(DIARIES[1][0].decided[frame].sum()) for frame in range(6)
    ]


def test_in_lockstep_learning_is_kept_before_the_next_decision_and_not_in_the_loops_thread(tmp_path: Path) -> None:
    DELAYS[2] = 0.3
    played(tmp_path)
    for m in range(3):
        diary = DIARIES[m][0]
        # The first decision is the warm-up's, which leaves no trace.
        wanted = [("resume", 0), ("decide", 0), ("decide", 0)]
        for frame in range(5):
            wanted += [("learn", frame), ("save", frame + 1), ("decide", frame + 1)]
        assert diary.events == wanted
        assert threading.get_ident() not in diary.threads
        assert len(diary.threads) == 1


def test_an_attempt_more_while_an_agent_learns_teaches_nothing_twice(tmp_path: Path) -> None:
    """Another edge server dies in the first slot of a frame, while all agents learn from the frame before."""
    DELAYS[1] = 0.5
    kill = Kill("edge-2", 4, "/edge/2/frame_observation", restart=False)
    run = played(tmp_path, kill)
    assert run.attempts(4) == 2
    for m in range(2):
        assert [experience.frame for experience in DIARIES[m][0].learned] == list(range(5))
    assert [frame for event, frame in DIARIES[0][0].events if event == "learn"] == list(range(5))


def test_what_an_agent_did_without_an_edge_server_is_no_experience(tmp_path: Path) -> None:
    """Its edge server dies in frame 1 and is back later: what lies between is left out, and nobody waits for it."""
    run = played(tmp_path, Kill("edge-1", 3, "/edge/1/outcome"), frames=8)
    (diary,) = DIARIES[1]
    first_seen = min(
        found.slot for found in sent(run, FrameObservation) if found.process == "edge-1" and found.slot > 3
    )
    back = first_seen // 2
    assert back > 1
    assert [experience.frame for experience in diary.learned] == [0, *range(back, 7)]
    assert len(diary.learned[1].seen) == 0, "an edge server that begins has seen nothing"


def test_an_agent_that_dies_leaves_the_others_their_experiences(tmp_path: Path) -> None:
    run = played(tmp_path, Kill("agent-1", 4, "/agent/1/deployment"), frames=8)
    first, second = DIARIES[1]
    frames = [experience.frame for experience in first.learned + second.learned]
    assert [experience.frame for experience in first.learned] == [0, 1]
    assert frames[-1] == 6
    assert frames == sorted(frames)
    assert second.events[0] == ("resume", 0)
    assert [experience.frame for experience in DIARIES[0][0].learned] == list(range(7))
    assert run.lost == ["agent-1"]


@pytest.mark.processes
@pytest.mark.parametrize("spec", ["diary", "diary-gains"])
def test_on_the_wall_clock_decisions_do_not_wait_for_learning(tmp_path: Path, spec: str) -> None:
    """Learning from frame 0 lasts for frames; meanwhile everyone decides in time, and the rest is learned later."""
    slot_wall_s = 0.15
    DELAYS[0] = 2.5 * 2 * slot_wall_s
    run = played(tmp_path, spec=spec, clock="wall", slot_s=60.0, rate=60.0 / slot_wall_s, frames=8)
    for m in range(3):
        events = DIARIES[m][0].events
        learned = events.index(("learn", 0))
        assert {("decide", 1), ("decide", 2)} <= set(events[:learned])
        frames = [experience.frame for experience in DIARIES[m][0].learned]
        assert frames == list(range(len(frames)))
        assert len(frames) >= 6
    assert run.ledger()["late"] <= 3  # the machine itself may be late now and then


@pytest.mark.processes
@pytest.mark.parametrize("spec", ["diary", "diary-gains"])
def test_a_decision_that_came_too_late_is_not_what_the_agent_learns_from(tmp_path: Path, spec: str) -> None:
    slot_wall_s = 0.3

    def pause(run: ThreadRun) -> None:
        (run.paused.add if run.hub.status().slot == 4 and run.hub.phase == "running" else run.paused.discard)("agent-1")

    scenario = small(
        agent={"policy": spec}, seed=20, clock="wall", slot_s=60.0, rate=60.0 / slot_wall_s, frames=6,
        demand={"workload": "drift", "drift_frames": 1.0},
    )  # fmt: skip
    run = ThreadRun(scenario, tmp_path / "run", on_turn=pause)
    assert run.play() == 0
    (late,) = [
        found.message
        for found in sent(run, DeploymentInForce)
        if found.topic == "/edge/1/deployment_in_force" and found.slot == 4
    ]
    assert late.refused == "late"
    diary = DIARIES[1][0]
    (experience,) = [experience for experience in diary.learned if experience.frame == 2]
    assert np.nonzero(experience.deployed)[0].tolist() == list(late.services)
    assert not np.array_equal(diary.decided[2], experience.deployed), "or the test would say nothing"


@pytest.mark.processes
def test_learning_that_is_slower_than_frames_lets_some_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    DELAYS.update({0: 0.05 * 2 * (BACKLOG + 6)})
    begun_s = time.monotonic()
    run = played(tmp_path, clock="wall", slot_s=60.0, rate=60.0 / 0.05, frames=2 * BACKLOG + 8)
    assert time.monotonic() - begun_s < 30.0
    frames = [experience.frame for experience in DIARIES[0][0].learned]
    assert frames[:BACKLOG] == list(range(BACKLOG))
    assert len(frames) < run.scenario.frames - 1
    assert "learning is slower than frames" in caplog.text


def test_while_another_one_decides_it_decides_too_but_learns_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path, agent={"policy": "diary"}, asked={"hold_frames": -1, "at_frame": 3, "back_frame": 6})
    assert scene.play().stage == "rolled back"
    (diary,) = DIARIES[0]
    assert [experience.frame for experience in diary.learned] == [0, 1, 2, 6]
    assert [frame for event, frame in diary.events if event == "decide"] == [0, *range(8)]
    assert [experience.frame for experience in DIARIES[1][0].learned] == list(range(7))
