"""Agents that learn on the bus in the rental world: as in one process, bit for bit, and going on after a kill."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_run import PATIENCE_S, LiveRun, finished
from thread_run import TICK, Kill, ThreadRun

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents.checkpoint import Arrays, read_arrays  # noqa: E402
from agents.errors import AgentError  # noqa: E402
from agents.learned_state import STATE, Start  # noqa: E402
from agents.n2o.checkpoint import Folder  # noqa: E402
from agents.n2o.judge import exported  # noqa: E402
from agents.n2o.learner import Learner  # noqa: E402
from agents.n2o.online import OnlineRental, start_of  # noqa: E402
from agents.n2o.online_folder import folder_of  # noqa: E402
from agents.n2o.online_log import LEARNED, read_log  # noqa: E402
from agents.n2o.presets import ONLINE, Preset  # noqa: E402
from agents.n2o.replay import Slots  # noqa: E402
from agents.n2o.team import QTeam  # noqa: E402
from agents.n2o.train import train  # noqa: E402
from agents.n2o.worlds import layout_of  # noqa: E402
from agents.rental_policy import RentalExperience, RentalObservation, RentalOutcome, RentalSetting  # noqa: E402
from emulator import run as runs  # noqa: E402
from emulator.folder import read_table, state_of  # noqa: E402
from emulator.rental_world import RentalWorld  # noqa: E402
from emulator.scenario import Scenario  # noqa: E402
from emulator.scenario_file import load, parse  # noqa: E402

SMALL = """
name = "small-rental"
world = "rental"
frames = {frames}
[edges]
count = 4
[agent]
policy = "{policy}"
[rental]
episode_slots = 5
random_start = true
[rental.demand]
load = 0.4
[rental.users]
cells = 2
[deadlines]
stop_s = 0.05
liveliness_s = 60.0
hub_s = 60.0
"""
NAME = "madql-online"
GROUPED = {"cell": [(0, 2)], "edge": [(0, 4)], "agent": [(0, 1), (1, 3)]}
APART = {"cell": [(0, 1), (1, 1)]}


def scenario_of(policy: str = NAME, frames: int = 30, more: str = "") -> Scenario:
    return runs.prepare(parse(SMALL.format(policy=policy, frames=frames) + more, origin="small"), on_bus=True)


def play(scenario: Scenario, folder: Path, **options: Any) -> ThreadRun:
    run = ThreadRun(scenario, folder, **options)
    assert run.play() == 0, run.hub.reason
    return run


def state(folder: Path, edge: int) -> Arrays:
    found = read_arrays(state_of(folder, edge) / STATE)
    assert found is not None
    return found


def assert_equal(first: Arrays, second: Arrays) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.dtype == second[name].dtype, name
        assert np.array_equal(value, second[name]), name


def trained(folder: Path, scenario: Scenario, preset: Preset) -> Folder:
    made = Folder.create(folder, scenario, preset)
    train(made)
    return made


QUICK = Preset("madql", steps=24, copies=4, batch=16, capacity_steps=8, target_steps=5)


# -- the same weights --------------------------------------------------------------------------------------------------


def alone(scenario: Scenario, slots: int) -> list[Learner]:
    """The trainer without batching: a loop over learners of one agent each."""
    world = RentalWorld(scenario)
    layouts = [layout_of(world.plan).alone(edge) for edge in range(world.edges)]
    learners = [Learner(ONLINE, layout, scenario.seed) for layout in layouts]
    for slot in range(slots):
        seen = layouts[0].scaled(world.observed)
        units = np.array([learner.decide(slot, seen[:, [edge]])[0, 0] for edge, learner in enumerate(learners)])
        played = world.step(units[None])
        after = layouts[0].scaled(world.observed)
        for edge, learner in enumerate(learners):
            rented = units[None, [edge, *world.graph.neighbours[edge]]]
            reward = played.reward[:, [edge]].astype(np.float32)
            learner.remember(Slots(seen[:, [edge]], rented, reward, after[:, [edge]], np.array([(slot + 1) % 5 == 0])))
            learner.learn(slot)
    return learners


def test_in_lockstep_each_agent_learns_what_it_would_alone_bit_for_bit(tmp_path: Path) -> None:
    scenario = scenario_of()
    run = play(scenario, tmp_path / "run", layout=APART)
    # The last slot of a run is followed by no observation, so it is not learned from.
    for edge, learner in enumerate(alone(scenario, scenario.slots - 1)):
        found = state(run.folder, edge)
        assert int(found["learned"]) == scenario.slots - 1
        for name, value in learner.arrays().items():
            assert found[name].dtype == value.dtype, name
            assert np.array_equal(found[name], value), (edge, name)
        fresh = Learner(ONLINE, layout_of(RentalWorld(scenario).plan).alone(edge), scenario.seed)
        assert not torch.equal(fresh.weights["weight_0"], learner.weights["weight_0"]), "something was learned"


AWAY = "[rental.membership]\nleave = [[8, 1]]\njoin = [[20, 1]]\n"


@pytest.mark.parametrize(("policy", "more"), [(NAME, ""), (f"1={NAME},all1", ""), ("{training}", AWAY)])
def test_grouping_changes_nothing_and_in_process_is_equal(tmp_path: Path, policy: str, more: str) -> None:
    training = trained(tmp_path / "training", scenario_of(), QUICK)
    scenario = scenario_of(policy.replace("{training}", f"{NAME}:{training.path}"), more=more)
    apart = play(scenario, tmp_path / "apart", layout=APART)
    grouped = play(scenario, tmp_path / "grouped", layout=GROUPED)
    here = runs.in_process(scenario, str(tmp_path / "here"), lambda status: None)
    for table in ("slots.csv", "edges.csv"):
        assert (tmp_path / "apart" / table).read_bytes() == (tmp_path / "here" / table).read_bytes(), table
    assert apart.ledger()["digest"] == grouped.ledger()["digest"] == here.summary["digest"]
    for edge in [1] if "all1" in policy else range(4):
        of_here = state(here.folder, edge)
        assert_equal(of_here, state(apart.folder, edge))
        assert_equal(of_here, state(grouped.folder, edge))
        logs = [(state_of(tmp_path / part, edge) / LEARNED).read_bytes() for part in ("apart", "grouped", "here")]
        assert logs[0] == logs[1] == logs[2]
        assert len(read_log(state_of(here.folder, edge) / LEARNED)) == scenario.slots - 1


def test_a_run_goes_on_from_what_the_agents_of_another_have_learned(tmp_path: Path) -> None:
    once = play(scenario_of(frames=12), tmp_path / "once", layout=GROUPED)
    twice = play(scenario_of(f"{NAME}:{once.folder}", frames=9), tmp_path / "twice", layout=GROUPED)
    before, after = (state(run.folder, 1) for run in (once, twice))
    assert (int(before["learned"]), int(after["begun_at"]), int(after["learned"])) == (11, 11, 19)
    assert int(after["replay.added"]) == int(before["replay.added"]) + 8
    assert np.array_equal(after["replay.seen"][:11], before["replay.seen"])
    assert after["preset"] == before["preset"]


def test_what_was_trained_goes_on_with_ones_own_part(tmp_path: Path) -> None:
    """Of a training of all agents in four copies: one row of weights and moments, and the newest slots of one agent."""
    scenario = scenario_of()
    saved = trained(tmp_path / "training", scenario, QUICK).saved()
    assert saved is not None
    world = RentalWorld(scenario)
    start = start_of(str(tmp_path / "training"), RentalSetting(world.plan, 2, scenario.seed))
    assert (start.steps, start.preset.copies, start.preset.method) == (24, 1, "madql")
    assert start.arrays is not None
    for name in ("weights.weight_0", "target.bias_1", "optimiser.exp_avg.weight_2"):
        assert np.array_equal(start.arrays[name][0], saved[1][name][2])
    # The ring holds 8 steps of 4 copies; 24 steps fill it three times, so its oldest slot is its first.
    assert np.array_equal(start.arrays["replay.seen"][:, 0], saved[1]["replay.seen"][:, 2])
    assert np.array_equal(start.arrays["replay.rented"], saved[1]["replay.rented"][:, [2, *world.graph.neighbours[2]]])
    assert int(start.arrays["replay.added"]) == 32
    learner = Learner(start.preset, layout_of(world.plan).alone(2), scenario.seed)
    learner.restore(start.arrays)
    seen = layout_of(world.plan).scaled(world.observed)
    assert learner.preset.epsilon_of(24) == pytest.approx(0.05)
    assert 0 <= int(learner.greedy(seen[:, [2]])[0, 0]) <= 2


def test_while_a_neighbour_is_away_it_decides_by_what_it_knows_of_one_that_rents_nothing() -> None:
    plan = RentalWorld(scenario_of(more="[rental.membership]\nleave = [[900, 1]]\n")).plan
    made = OnlineRental(RentalSetting(plan, 0, 1), Start(ONLINE))
    place = 1 + plan.graph.neighbours[0].index(1)
    others = 0
    for slot in range(850, 950):
        values = np.random.default_rng(slot).normal([2.0, 30.0, 20.0, 30.0, 12.0], [2.0, 10.0, 8.0, 6.0, 7.0])
        (table,) = made.learner.tables(layout_of(plan).scaled(values)[None, None])
        known = table.values[0, 0].numpy().reshape(3, 3, 3)
        known = np.take(known, [0], axis=place) if slot >= 900 else known
        best = int(np.unravel_index(known.argmax(), known.shape)[0])
        others += made.decide(RentalObservation(slot, values)) != best
    assert others <= 10, "but for one in thirty, which is random"


# -- what is kept ------------------------------------------------------------------------------------------------------


def agent(folder: Path, seed: int = 1, edge: int = 0, preset: Preset = ONLINE) -> OnlineRental:
    plan = RentalWorld(scenario_of()).plan
    return OnlineRental(RentalSetting(plan, edge, seed, state=folder / "state"), Start(preset))


def experience(slot: int, edge: int = 0) -> RentalExperience:
    places = 1 + len(RentalWorld(scenario_of()).graph.neighbours[edge])
    outcome = RentalOutcome(slot, np.arange(places) % 3, np.array(1.5))
    return RentalExperience(np.full(5, 2.0 + slot), outcome, np.full(5, 3.0 + slot))


def test_what_was_half_written_is_not_taken_and_does_no_harm(tmp_path: Path) -> None:
    first = agent(tmp_path)
    first.learn(experience(0))
    first.save()
    path = tmp_path / "state" / STATE
    whole = path.read_bytes()
    (tmp_path / "state" / f"{STATE}.new").write_bytes(whole[: len(whole) // 2])
    second = agent(tmp_path)
    second.resume()
    for made in (first, second):
        made.learn(experience(1))
        made.save()
    assert_equal(first.learner.arrays(), second.learner.arrays())
    assert [row.slot for row in read_log(tmp_path / "state" / LEARNED)] == [0, 1, 1]
    path.write_bytes(whole[:-100])
    with pytest.raises(AgentError, match=r"state\.npz: cannot be read"):
        agent(tmp_path).resume()


@pytest.mark.parametrize("other", [{"seed": 2}, {"edge": 1}, {"preset": QUICK}])
def test_the_state_of_another_episode_agent_or_preset_is_not_taken(tmp_path: Path, other: dict[str, Any]) -> None:
    saved = agent(tmp_path)
    saved.learn(experience(0))
    saved.save()
    same, another = agent(tmp_path), agent(tmp_path, **other)
    same.resume()
    another.resume()
    assert_equal(same.learner.arrays(), saved.learner.arrays())
    fresh = agent(tmp_path / "elsewhere", **other)
    assert_equal(fresh.learner.arrays(), another.learner.arrays())
    # The lines of another episode are not added to either.
    another.learn(experience(5, other.get("edge", 0)))
    another.save()
    assert [row.slot for row in read_log(tmp_path / "state" / LEARNED)] == [5]


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(AgentError, match=r"what was learned cannot be kept .*make room"):
        agent(tmp_path).save()


@pytest.mark.parametrize(("topic", "learned"), [("/agent/1/rental", 8), (TICK, 7)])
def test_an_agent_that_is_killed_loses_at_most_the_slot_it_was_learning_from(
    tmp_path: Path, topic: str, learned: int
) -> None:
    """Killed at slot 8: with its decision, what slot 7 taught is kept; as the slot begins, it has not been learned."""
    run = play(scenario_of(frames=14), tmp_path / "run", kills=[Kill("agent-1", 8, topic)], layout=APART)
    assert run.lost == ["agent-1"]
    back = min(found.slot for found in run.sent if found.process == "agent-1" and found.slot > 8)
    counts = [int(state(run.folder, edge)["replay.added"]) for edge in range(4)]
    assert counts == [13, learned + 13 - back, 13, 13]
    assert [row.slot for row in read_log(state_of(run.folder, 1) / LEARNED)] == [*range(learned), *range(back, 13)]
    alone_until_then = alone(scenario_of(frames=14), learned)[1].arrays()
    assert np.array_equal(state(run.folder, 1)["replay.seen"][:learned], alone_until_then["replay.seen"])


def test_a_run_shows_how_its_agents_learned(tmp_path: Path) -> None:
    scenario = scenario_of(frames=20)
    summary = runs.in_process(scenario, str(tmp_path / "here"), lambda status: None).summary
    rows, slots = read_table(tmp_path / "here" / LEARNED), read_table(tmp_path / "here" / "slots.csv")
    assert rows["slot"] == list(range(19))
    assert rows["reward"] == pytest.approx(slots["reward"][:19], rel=1e-12)
    assert set(rows["agents"]) == {4.0}
    assert summary["learning"]["slots"] == 19
    assert summary["learning"]["epsilon"] == rows["epsilon"][-1] == ONLINE.epsilon_of(18)
    if pytest.importorskip("matplotlib"):
        assert (tmp_path / "here" / "learning.png").stat().st_size > 1000


def test_what_a_run_learned_is_exported_and_orchestrated(tmp_path: Path) -> None:
    runs.in_process(scenario_of(frames=16), str(tmp_path / "here"), lambda status: None)
    folder = folder_of(tmp_path / "here")
    world = RentalWorld(scenario_of())
    layout = layout_of(world.plan)
    where, compared = exported(folder, layout)
    assert "as PyTorch within" in compared
    learners = alone(scenario_of(frames=16), 15)
    seen = np.random.default_rng(1).normal(size=(50, 4, 5)) * layout.scale + layout.centre
    wanted = np.concatenate(
        [learner.greedy(layout.scaled(seen)[:, [edge]]) for edge, learner in enumerate(learners)], axis=1
    )
    assert np.array_equal(QTeam(where, layout.graph, layout.actions).decider("madql")(seen), wanted)
    summary = runs.in_process(scenario_of(f"owner:{where}", 4), str(tmp_path / "owner"), lambda status: None).summary
    assert (summary["slots"], summary["exit_code"]) == (4, 0)
    (tmp_path / "here" / "agents" / "2" / STATE).unlink()
    with pytest.raises(AgentError, match=r"no run whose agent of edge 2 learned"):
        exported(folder_of(tmp_path / "here"), layout, tmp_path / "again")


# -- refused -----------------------------------------------------------------------------------------------------------


def test_what_it_cannot_begin_with_is_refused(tmp_path: Path) -> None:
    setting = RentalSetting(RentalWorld(scenario_of()).plan, 0, 1)
    with pytest.raises(AgentError, match=r"no run whose agent of edge 0 learned .*madql-online` makes one"):
        start_of(str(tmp_path), setting)
    central = Preset("centralized", steps=2, copies=2, hidden=(8,), capacity_steps=4)
    training = trained(tmp_path / "central", scenario_of(), central)
    with pytest.raises(AgentError, match="trained one network for all"):
        start_of(str(training.path), setting)
    other = trained(tmp_path / "other", scenario_of(), QUICK)
    nine = RentalWorld(runs.prepare(load("quickstart-rental", []), on_bus=False)).plan
    with pytest.raises(AgentError, match="learned in another world"):
        start_of(str(other.path), RentalSetting(nine, 0, 1))
    Folder.create(tmp_path / "new", scenario_of(), QUICK)
    with pytest.raises(AgentError, match="has no checkpoint yet"):
        start_of(str(tmp_path / "new"), setting)


# -- processes ---------------------------------------------------------------------------------------------------------

SLOW = """
name = "slow"
world = "rental"
frames = 100000
[edges]
count = 2
[agent]
policy = "0=all1,1=madql-online:{training}"
[rental.users]
cells = 1
[restart]
agent = "on-failure"
[deadlines]
start_s = 300.0
liveliness_s = 5.0
"""
HEAVY = Preset("madql", steps=10, copies=1, batch=8000, hidden=(256, 256), capacity_steps=10)
"""With it agent 1 learns for more than half a second from each slot, which is most of the run's time."""


def slow_run(folder: Path, live: Callable[..., LiveRun]) -> LiveRun:
    text = SLOW.format(training=folder / "training")
    scenario = parse(text, origin="slow")
    learner = Learner(HEAVY, layout_of(RentalWorld(scenario).plan), 1)
    seen = np.zeros((1, 2, 5), dtype=np.float32)
    learner.remember(Slots(seen, np.zeros((1, 2), dtype=np.int64), seen[..., 0], seen, np.ones(1, dtype=np.bool_)))
    Folder.create(folder / "training", scenario, HEAVY).save(0, learner.arrays())
    run = live(text)
    run.until(lambda: run.slot() >= 4, "slot 4", 5 * PATIENCE_S)
    return run


@pytest.mark.processes
def test_an_agent_killed_while_it_learns_goes_on_and_has_lost_one_slot_at_most(
    tmp_path: Path, live: Callable[..., LiveRun]
) -> None:
    run = slow_run(tmp_path, live)

    def kept() -> tuple[int, int]:
        found = state(run.out, 1)
        return int(found["learned"]), int(found["replay.added"]) - 1

    found, first, before = [], 0, 0
    for _ in range(2):
        run.until(lambda: run.is_busy("agent-1"), "agent 1 learns")
        pid = run.kill("agent-1", signal.SIGKILL)
        run.until(lambda: "/agent/1" not in run.members(), "agent 1 is missed")
        slots, experiences = kept()
        found.append((slots, experiences, before + slots - first))
        run.until(
            lambda pid=pid: "/agent/1" in run.members() and run.pid("agent-1") != pid, "it is back", 5 * PATIENCE_S
        )
        first, before = run.came_back("agent-1"), experiences
        run.until(lambda seen=experiences: kept()[1] > seen, "it learns on")
    assert "goes on with what it learned" in (run.out / "logs" / "agent-1.log").read_text()
    assert run.stop()["exit_code"] == 0
    timing = read_table(run.out / "timing.csv")
    died_in = [int(slot) for slot, attempts in zip(timing["slot"], timing["attempts"], strict=True) if attempts > 1]
    assert len(died_in) == 2
    lost = []
    for slot, (slots, experiences, wanted) in zip(died_in, found, strict=True):
        assert experiences == wanted, "everything up to the slot that the state tells of is in the memory"
        lost.append(slot - slots)  # slots 0 to slot - 1 were rewarded before it died
    assert set(lost) <= {0, 1}, lost
    assert 1 in lost, "it was not killed while it learned, so this says nothing"


@pytest.mark.processes
def test_processes_learn_what_one_process_does(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(
        SMALL.format(policy=NAME, frames=12).replace("stop_s = 0.05", "start_s = 300.0")
    )
    for command, out in (("run", "bus"), ("sim", "here")):
        done = finished(command, str(tmp_path / "small.toml"), "--out", str(tmp_path / out), "--json")
        assert done.returncode == 0, done.stderr
    for edge in range(4):
        assert_equal(state(tmp_path / "here", edge), state(tmp_path / "bus", edge))
    for table in ("slots.csv", "edges.csv", LEARNED):
        assert (tmp_path / "bus" / table).read_bytes() == (tmp_path / "here" / table).read_bytes(), table
    summary = json.loads((tmp_path / "bus" / "summary.json").read_text())
    assert summary["counters"]["frames_learned"] == 4 * 11
    assert summary["learning"]["slots"] == 11
