"""Agents that learn on the bus in the rental world: as in one process, bit for bit, and going on after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from thread_run import ThreadRun

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents.checkpoint import Arrays, read_arrays  # noqa: E402
from agents.n2o.checkpoint import Folder  # noqa: E402
from agents.n2o.learner import Learner  # noqa: E402
from agents.n2o.online import STATE  # noqa: E402
from agents.n2o.online_log import LEARNED, read_log  # noqa: E402
from agents.n2o.presets import ONLINE, Preset  # noqa: E402
from agents.n2o.replay import Slots  # noqa: E402
from agents.n2o.train import train  # noqa: E402
from agents.n2o.worlds import layout_of  # noqa: E402
from emulator import run as runs  # noqa: E402
from emulator.folder import state_of  # noqa: E402
from emulator.rental_world import RentalWorld  # noqa: E402
from emulator.scenario import Scenario  # noqa: E402
from emulator.scenario_file import parse  # noqa: E402

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
        assert int(found["slots"]) == scenario.slots - 1
        for name, value in learner.arrays().items():
            assert found[name].dtype == value.dtype, name
            assert np.array_equal(found[name], value), (edge, name)
        fresh = Learner(ONLINE, layout_of(RentalWorld(scenario).plan).alone(edge), scenario.seed)
        assert not torch.equal(fresh.weights["weight_0"], learner.weights["weight_0"]), "something was learned"


@pytest.mark.parametrize("policy", [NAME, f"1={NAME},all1", "{training}"])
def test_grouping_changes_nothing_and_in_process_is_equal(tmp_path: Path, policy: str) -> None:
    training = trained(tmp_path / "training", scenario_of(), QUICK)
    scenario = scenario_of(policy.replace("{training}", f"{NAME}:{training.path}"))
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
