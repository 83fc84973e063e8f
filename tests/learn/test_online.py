"""Agents that learn on the bus learn what agents alone in one process do, bit for bit, and go on after a kill."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_run import PATIENCE_S, LiveRun, finished
from thread_run import Kill, ThreadRun, small

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents import rollout  # noqa: E402
from agents.checkpoint import read_arrays  # noqa: E402
from agents.errors import AgentError  # noqa: E402
from agents.learned_state import STATE  # noqa: E402
from agents.policy import Observation, Setting, make_policy  # noqa: E402
from agents.rollout import scheduler_of  # noqa: E402
from agents.ttosc.checkpoint import Folder  # noqa: E402
from agents.ttosc.credit import marginal_gains  # noqa: E402
from agents.ttosc.learner import Learner  # noqa: E402
from agents.ttosc.online import OnlineAgent  # noqa: E402
from agents.ttosc.presets import PRESETS, Preset  # noqa: E402
from agents.ttosc.train import train  # noqa: E402
from emulator.assembly import build_network  # noqa: E402
from emulator.folder import read_table, state_of  # noqa: E402
from emulator.replay import total  # noqa: E402
from emulator.replay_node import NodeReplay  # noqa: E402
from emulator.scenario import Scenario  # noqa: E402
from emulator.scenario_file import parse  # noqa: E402
from emulator.world import World  # noqa: E402
from monitoring.bag_reader import Bag  # noqa: E402

LONG = 72
"""Frames until the presets' batches of 64 have been drawn a few times."""


def alone(scenario: Scenario, preset: Preset, frames: int, start: Any = None, first: int = 0) -> list[Learner]:
    """The trainer of these agents without batching: a loop over learners of one agent each, by Algorithm 1."""
    world = World(scenario)
    network, schedule = world.network, scheduler_of(scenario)
    slots, seed = scenario.slots_per_frame, scenario.seed
    learners = [Learner(preset, network, slots, seed, [m]) for m in range(network.edges)]
    if start is not None:
        for m, learner in enumerate(learners):
            learner.restore(start(m))
    for frame in range(frames):
        seen = world.counts
        deployed = np.stack([learner.decide(first + frame, seen[[m]])[0][0] for m, learner in enumerate(learners)])
        row = world.step_frame(deployed, schedule).row
        gains_s = np.where(deployed, marginal_gains(network, world.counts, deployed), 0.0)
        if preset.credit == "shared":
            gains_s[:] = 0.0
        for m, learner in enumerate(learners):
            if frame:
                learner.remember(seen[[m]], deployed[[m]], row.reward_s, gains_s[[m]], world.counts[[m]])
            learner.learn(first + frame)
    return learners


def check_states(folder: Path, learners: list[Learner], frames: int) -> None:
    for m, learner in enumerate(learners):
        state = read_arrays(state_of(folder, m) / STATE)
        assert state is not None
        assert int(state["learned"]) == frames
        for name, value in learner.arrays().items():
            assert state[name].dtype == value.dtype, name
            assert np.array_equal(state[name], value), (m, name)


def small_training(folder: Path, scenario: Scenario, preset: Preset, frames: int = 6) -> Folder:
    made = Folder.create(folder, scenario, preset)
    train(made, frames)
    return made


QUICK = Preset("quick", credit="marginal", gamma=0.9, batch=4, hidden=8, epsilon=0.3, target_frames=3, buffer=16)


# -- the same weights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_in_lockstep_each_agent_learns_what_it_would_alone_bit_for_bit(tmp_path: Path, name: str) -> None:
    scenario = small(agent={"policy": f"ttosc:{name}"}, frames=LONG, edges={"count": 2})
    run = ThreadRun(scenario, tmp_path / "run")
    assert run.play() == 0, run.hub.reason
    # The last frame of a run is never seen by an observation, so it is not learned from.
    learners = alone(scenario, PRESETS[name], LONG - 1)
    check_states(run.folder, learners, LONG - 1)
    other = Learner(PRESETS[name], build_network(scenario), 2, scenario.seed, [0])
    assert not torch.equal(other.weights["output.bias"], learners[0].weights["output.bias"]), "something was learned"


def test_agents_in_one_process_each_in_its_own_or_on_no_bus_learn_the_same(tmp_path: Path) -> None:
    training = small_training(tmp_path / "training", small(frames=6), QUICK)
    scenario = small(agent={"policy": f"ttosc:{training.path}"}, frames=20, network={"loss": 0.1})
    each, together = (
        ThreadRun(scenario, tmp_path / "a"),
        ThreadRun(scenario, tmp_path / "b", layout={"agent": [(0, 3)]}),
    )
    assert each.play() == together.play() == 0
    for _ in rollout.play(scenario, folder=tmp_path / "c"):
        pass
    for m in range(3):
        found = [read_arrays(state_of(tmp_path / part, m) / STATE) for part in ("a", "b", "c")]
        for name, value in found[0].items():
            assert all(np.array_equal(value, other[name]) for other in found[1:]), name


def test_what_was_trained_goes_on_where_it_was(tmp_path: Path) -> None:
    """From a training's folder: memory, optimiser and counters are the training's, one agent's part for each."""
    scenario = small(frames=12)
    training = small_training(tmp_path / "training", scenario, QUICK, 9)
    arrays = training.saved()[1]
    run = ThreadRun(small(agent={"policy": f"ttosc:{training.path}"}, frames=12), tmp_path / "run")
    assert run.play() == 0

    def start(m: int) -> dict[str, Any]:
        found = {}
        for name, value in arrays.items():
            agent_axis = {"replay.seen": 1, "replay.deployed": 1, "replay.gains_s": 1, "replay.seen_next": 1}.get(name)
            if name.startswith(("weights", "target")) or (name.startswith("optimiser") and ".step." not in name):
                agent_axis = 0
            found[name] = value if agent_axis is None else np.take(value, [m], axis=agent_axis)
        return found

    check_states(run.folder, alone(scenario, QUICK, 11, start, first=9), 20)


def test_a_run_goes_on_from_what_the_agents_of_another_have_learned(tmp_path: Path) -> None:
    training = small_training(tmp_path / "training", small(frames=6), QUICK)
    once = ThreadRun(small(agent={"policy": f"ttosc:{training.path}"}, frames=8), tmp_path / "once")
    twice = ThreadRun(small(agent={"policy": f"ttosc:{once.folder}"}, frames=8), tmp_path / "twice")
    assert once.play() == twice.play() == 0
    before, after = (read_arrays(state_of(run.folder, 1) / STATE) for run in (once, twice))
    assert (int(before["learned"]), int(after["begun_at"]), int(after["learned"])) == (13, 13, 20)
    assert int(after["replay.added"]) == int(before["replay.added"]) + 6
    assert after["preset"] == before["preset"]


def test_after_a_reset_agents_begin_with_what_the_run_began_with(tmp_path: Path) -> None:
    from bus.messages import Reset, ResetStatus

    training = small_training(tmp_path / "training", small(frames=6), QUICK)
    scenario = small(agent={"policy": f"ttosc:{training.path}"}, frames=9)
    answers: list[Any] = []
    asked: list[int] = []

    def reset(run: ThreadRun) -> None:
        if not asked and run.hub.phase == "running" and run.hub.status().slot >= 11:
            asked.append(1)
            asking = run.processes["agent-1"].asking(run.registry.address, "/hub")
            asking.ask("/hub", "reset", Reset(scenario.seed), ResetStatus, 60.0, answers.append)

    plain, again = ThreadRun(scenario, tmp_path / "plain"), ThreadRun(scenario, tmp_path / "again", on_turn=reset)
    assert plain.play() == again.play() == 0
    assert again.ledger()["resets"] == 1
    for m in range(3):
        wanted, found = (read_arrays(state_of(run.folder, m) / STATE) for run in (plain, again))
        for name, value in wanted.items():
            assert np.array_equal(value, found[name]), name


# -- what is kept ------------------------------------------------------------------------------------------------------


def agent(tmp_path: Path, seed: int = 1, edge: int = 0, preset: Preset = QUICK) -> OnlineAgent:
    from agents.learned_state import Start

    network = build_network(small())
    return OnlineAgent(Setting(network, 2, edge, seed, state=tmp_path / "state"), Start(preset))


def test_what_was_half_written_is_not_taken_and_does_no_harm(tmp_path: Path) -> None:
    first = agent(tmp_path)
    first.save()
    path = tmp_path / "state" / STATE
    whole = path.read_bytes()
    (tmp_path / "state" / f"{STATE}.new").write_bytes(whole[: len(whole) // 2])
    second = agent(tmp_path)
    second.resume()
    counts = np.ones((2, 6))
    assert np.array_equal(first.decide(Observation(4, counts)), second.decide(Observation(4, counts)))
    second.save()
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-100])
    with pytest.raises(AgentError, match=r"state\.npz: cannot be read"):
        agent(tmp_path).resume()


@pytest.mark.parametrize("other", [{"seed": 2}, {"edge": 1}, {"preset": PRESETS["tuned"]}])
def test_the_state_of_another_episode_agent_or_preset_is_not_taken(tmp_path: Path, other: dict[str, Any]) -> None:
    saved = agent(tmp_path)
    arrays = saved.learner.arrays()
    arrays["weights.output.bias"] += 1.0  # in place: these are the learner's own
    saved.save()
    same, another = agent(tmp_path), agent(tmp_path, **other)
    same.resume()
    another.resume()
    fresh = agent(tmp_path / "elsewhere", **other)
    assert np.array_equal(same.learner.arrays()["weights.output.bias"], arrays["weights.output.bias"])
    for name, value in fresh.learner.arrays().items():
        assert np.array_equal(value, another.learner.arrays()[name]), name


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(AgentError, match=r"what was learned cannot be kept .*make room"):
        agent(tmp_path).save()


def test_an_agent_killed_after_its_decision_loses_nothing_that_it_had_learned(tmp_path: Path) -> None:
    training = small_training(tmp_path / "training", small(frames=6), QUICK)
    scenario = small(agent={"policy": f"ttosc:{training.path}"}, frames=10)
    run = ThreadRun(scenario, tmp_path / "run", [Kill("agent-1", 8, "/agent/1/deployment")])
    assert run.play() == 0
    assert run.lost == ["agent-1"]
    states = [read_arrays(state_of(run.folder, m) / STATE) for m in range(3)]
    had = int(training.saved()[1]["replay.added"])
    assert [int(state["replay.added"]) - had for state in (states[0], states[2])] == [8, 8]
    back = min(found.slot for found in run.sent if found.process == "agent-1" and found.slot > 8) // 2
    # Frames 1 to 3 before, and from its return on to the last but one, whose next observation came.
    assert int(states[1]["replay.added"]) - had == 3 + (9 - back)


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "said"),
    [("mine", "is no preset .*no run whose agent of edge 1 learned"), ("{training}", "learned in another world")],
)
def test_what_it_cannot_begin_with_is_refused(tmp_path: Path, argument: str, said: str) -> None:
    small_training(tmp_path / "training", small(frames=6), QUICK)
    network = build_network(small(services={"count": 7}))
    with pytest.raises(AgentError, match=said):
        make_policy(f"ttosc:{argument.format(training=tmp_path / 'training')}", Setting(network, 2, 1, 1))


# -- processes ---------------------------------------------------------------------------------------------------------

SLOW = """
name = "slow"
seed = 20
frames = 100000
slots_per_frame = 2
[edges]
count = 2
storage_bytes = 1e9
[services]
count = 6
[scheduler]
backend = "numpy"
[restart]
agent = "on-failure"
[deadlines]
start_s = 300.0
liveliness_s = 2.0
[agent]
policy = "0=popularity,1=ttosc:{training}"
"""
SLOW_BATCH = 12_000
"""With it agent 1 learns for more than half a second from each frame, which is most of the run's time."""

STILL_S = 4.0


def slow_run(folder: Path, live: Callable[..., LiveRun]) -> LiveRun:
    """A run whose agent 1 has a full memory from the start, so that it learns from every frame."""
    text = SLOW.format(training=folder / "training")
    scenario = parse(text, origin="slow")
    preset = Preset("slow", credit="marginal", gamma=0.0, batch=SLOW_BATCH, buffer=SLOW_BATCH, hidden=256)
    training = Folder.create(folder / "training", scenario, preset)
    learner = Learner(preset, build_network(scenario), 2, 20)
    seen, deployed = np.ones((2, 2, 6)), np.ones((2, 6), dtype=np.bool_)
    for _ in range(SLOW_BATCH):
        learner.remember(seen, deployed, 0.0, np.zeros((2, 6)), seen)
    training.save(0, learner.arrays())
    run = live(text)
    run.until(lambda: run.slot() >= 6, "slot 6", 5 * PATIENCE_S)
    return run


def kept(run: LiveRun) -> tuple[int, int]:
    """Frames up to which agent 1 has learned as its state says, and experiences it has had in this run."""
    state = read_arrays(state_of(run.out, 1) / STATE)
    assert state is not None
    return int(state["learned"]), int(state["replay.added"]) - SLOW_BATCH


@pytest.mark.processes
def test_an_agent_killed_while_it_learns_goes_on_and_has_lost_one_frame_at_most(
    tmp_path: Path, live: Callable[..., LiveRun]
) -> None:
    run = slow_run(tmp_path, live)
    found, first, before = [], 1, 0  # frame 0 is no experience: its edge server had seen nothing
    for _ in range(3):
        run.until(lambda: run.is_busy("agent-1"), "agent 1 learns")
        pid = run.kill("agent-1", signal.SIGKILL)
        run.until(lambda: "/agent/1" not in run.members(), "agent 1 is missed")
        frames, experiences = kept(run)
        found.append((frames, experiences, before + frames - first))
        run.until(
            lambda pid=pid: "/agent/1" in run.members() and run.pid("agent-1") != pid, "it is back", 5 * PATIENCE_S
        )
        first, before = run.came_back("agent-1") // 2, experiences
        run.until(lambda seen=experiences: kept(run)[1] > seen, "it learns on")
    assert "goes on with what it learned" in (run.out / "logs" / "agent-1.log").read_text()
    assert run.stop()["exit_code"] == 0
    timing = read_table(run.out / "timing.csv")
    died_in = [int(slot) for slot, attempts in zip(timing["slot"], timing["attempts"], strict=True) if attempts > 1]
    assert len(died_in) == 3
    lost = []
    for slot, (frames, experiences, wanted) in zip(died_in, found, strict=True):
        frame, within = divmod(slot, 2)
        assert within == 0, "it learns in a frame's first slot"
        assert experiences == wanted, "everything up to the frame that the state tells of is in the memory"
        lost.append(frame - frames)  # frames 0 to frame - 1 were rewarded before it died
    assert set(lost) <= {0, 1}, lost
    assert 1 in lost, "it was not killed while it learned, so this says nothing"


@pytest.mark.processes
def test_an_agent_that_announced_to_learn_may_stand_still_for_longer_than_others(
    tmp_path: Path, live: Callable[..., LiveRun]
) -> None:
    run = slow_run(tmp_path, live)
    run.until(lambda: run.is_busy("agent-1"), "agent 1 learns")
    pid = run.kill("agent-1", signal.SIGSTOP)
    run.after(STILL_S)
    run.signal(pid, signal.SIGCONT)
    run.go_on(4)
    assert "/agent/1" in run.members()
    pid = run.kill("agent-0", signal.SIGSTOP)
    run.until(lambda: "/agent/0" not in run.members(), "agent 0, which had said nothing, is given up")
    run.signal(pid, signal.SIGCONT)
    assert run.stop()["exit_code"] == 0


@pytest.mark.processes
def test_processes_learn_what_one_process_does(tmp_path: Path) -> None:
    settings = ["--set", "edges.count=2", "--set", "deadlines.start_s=300", "--agent", "ttosc", "--frames", str(LONG)]
    for command, out in (("run", "bus"), ("sim", "here")):
        done = finished(command, "quickstart", *settings, "--out", str(tmp_path / out), "--json")
        assert done.returncode == 0, done.stderr
    for m in range(2):
        bus, here = (read_arrays(state_of(tmp_path / out, m) / STATE) for out in ("bus", "here"))
        for name, value in here.items():
            assert np.array_equal(value, bus[name]), name
    tables = [(tmp_path / out / "slots.csv").read_bytes() for out in ("bus", "here")]
    assert tables[0] == tables[1]
    summary = json.loads((tmp_path / "bus" / "summary.json").read_text())
    learning = [row for row in (tmp_path / "bus" / "messages.csv").read_text().splitlines() if ",data,learning," in row]
    assert len(learning) == 2, "one row for each agent"
    assert sum(int(row.split(",")[6]) for row in learning) == 2 * LONG
    assert summary["bytes"]["by_phase"]["learning"] >= sum(int(row.split(",")[-1]) for row in learning)
    assert summary["counters"]["frames_learned"] == 2 * (LONG - 1)


@pytest.mark.processes
def test_a_bag_of_agents_that_learned_plays_to_their_like(tmp_path: Path) -> None:
    """Ledger, one agent, and fresh agents: each says what the recorded one said, byte for byte."""
    changes = ["edges.count=2", "deadlines.start_s=300", "processes.agent=1"]
    words = [word for change in changes for word in ("--set", change)]
    done = finished(
        "run", "quickstart", *words, "--agent", "ttosc", "--frames", "4", "--record", "--out", str(tmp_path / "run"),
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bag = Bag(tmp_path / "run" / "run.mcap")
    told = 0
    for node in ("/ledger", "/agent/1"):
        with NodeReplay(bag, node) as replay:
            told += sum("marginal" in topic for turn in replay.turns for topic, _ in turn.expected)
            everything = total(list(replay.play()))
        assert everything.same, everything
    assert told == 2 * 4
    done = finished("bag", "play", str(bag.path), "--agents", "recorded", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["same"]
