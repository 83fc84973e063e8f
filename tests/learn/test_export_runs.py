"""An export on the bus: the numbers of the same files in one process, and the decisions of PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: make learn-setup")
pytest.importorskip("onnx", reason="needs onnx: make learn-setup")

from agents.rollout import Team, scheduler_of
from agents.ttosc.checkpoint import Folder
from agents.ttosc.export import export
from agents.ttosc.learner import Learner
from agents.ttosc.presets import preset_of
from agents.ttosc.train import train
from emulator.assembly import resolve
from emulator.cli import run_command
from emulator.scenario_file import load
from emulator.world import World

LEARNED_FRAMES = 90
PLAYED_FRAMES = 250


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Folder:
    """A training in the whole default world, long enough to have learned from batches, and its export."""
    folder = Folder.create(
        tmp_path_factory.mktemp("training") / "run",
        resolve(load("paper-ttosc", [f"frames={LEARNED_FRAMES}"])),
        preset_of("marginal"),
    )
    train(folder, LEARNED_FRAMES)
    export(folder, folder.path / "onnx")
    return folder


@pytest.mark.processes
def test_an_export_on_the_bus_gives_the_slots_of_the_same_files_in_one_process(trained, tmp_path):
    slots = {}
    for command in ("run", "sim"):
        out = tmp_path / command
        options = ["--agent", f"onnx:{trained.path / 'onnx'}", "--frames", "6", "--out", str(out)]
        assert run_command([command, "paper-ttosc", *options]) == 0
        slots[command] = (Path(out) / "slots.csv").read_bytes()
    assert slots["run"].count(b"\n") == 1 + 6 * 5
    assert slots["run"] == slots["sim"]


def test_an_export_decides_as_pytorch_in_999_of_1000_frames(trained):
    """On what the world really shows, frame after frame under the actors' own deployments."""
    changes = [f"frames={PLAYED_FRAMES}", f'agent.policy="onnx:{trained.path / "onnx"}"']
    scenario = resolve(load("paper-ttosc", changes))
    world = World(scenario)
    team, schedule = Team(scenario, world), scheduler_of(scenario)
    learner = Learner(trained.preset(), world.network, scenario.slots_per_frame, scenario.seed)
    learner.restore(trained.saved()[1])
    same = total = 0
    plans = set()
    for frame in range(PLAYED_FRAMES):
        seen = world.counts
        decided, _ = team.decide(frame, seen)
        if frame:  # before the first frame nothing was seen, and both pack at random
            wanted = learner.best(seen[:, None])[:, 0]
            same += int(np.all(decided == wanted, axis=1).sum())
            total += len(decided)
            plans.add(decided.tobytes())
        world.step_frame(decided, schedule)
    assert total == (PLAYED_FRAMES - 1) * scenario.edges.count
    assert len(plans) > 20, "decisions that never change would prove little"
    assert same / total >= 0.999
