"""A training in the rental world can be stopped after any episode, or killed, and goes on as if it had not been."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents.checkpoint import CHECKPOINT, CURVE  # noqa: E402
from agents.errors import AgentError  # noqa: E402
from agents.n2o import train as training  # noqa: E402
from agents.n2o.checkpoint import Folder  # noqa: E402
from agents.n2o.presets import Preset  # noqa: E402
from agents.n2o.train import train  # noqa: E402
from emulator.cli import run_command  # noqa: E402
from emulator.scenario_file import load  # noqa: E402

STEPS = 42
WORLD = 'name = "small"\nworld = "rental"\nedges = {count = 4}\n[rental]\nspec = "P"\n[rental.users]\nin_range = 4.0\n'


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(WORLD)
    return path


def folder_at(path, scenario, method="madql"):
    small = (16, 8) if method == "centralized" else (8, 32, 8)
    preset = Preset(method, steps=STEPS, copies=3, batch=8, capacity_steps=15, target_steps=7, hidden=small)
    return Folder.create(path, load(str(scenario)), preset)


def stopping_after(episodes):
    asked = []

    def stopped():
        asked.append(1)
        return len(asked) > episodes

    return stopped


def same(first, second):
    wanted, found = first.saved()[1], second.saved()[1]
    assert wanted.keys() == found.keys()
    for key, value in wanted.items():
        assert np.array_equal(value, found[key]), key
    assert first.rows(STEPS) == second.rows(STEPS)


@pytest.mark.parametrize("method", ["madql", "centralized"])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path, scenario, method):
    through, halted = (folder_at(tmp_path / part, scenario, method) for part in ("through", "halted"))
    end = train(through)
    assert end.steps == STEPS
    assert np.isfinite(end.reward.mean)
    first = train(halted, stopped=stopping_after(4))
    assert (first.steps, first.reward) == (24, None)
    assert train(halted).reward.mean == end.reward.mean
    same(through, halted)
    assert (through.path / CURVE).exists()
    assert [row.steps for row in through.rows(STEPS)] == [6, 12, 18, 24, 30, 36, 42]


def test_what_was_written_after_the_last_checkpoint_is_done_again(tmp_path, scenario):
    """As a kill between two checkpoints leaves it: the log is ahead, the next checkpoint half written."""
    through, killed = folder_at(tmp_path / "through", scenario), folder_at(tmp_path / "killed", scenario)
    train(killed, stopped=stopping_after(2))
    kept = (killed.path / CHECKPOINT).read_bytes()
    train(killed, stopped=stopping_after(3))
    (killed.path / CHECKPOINT).write_bytes(kept)
    (killed.path / f"{CHECKPOINT}.new").write_bytes(kept[:100])
    train(through)
    train(killed)
    same(through, killed)


def test_how_often_is_saved_changes_nothing(tmp_path, scenario, monkeypatch):
    seldom, often = folder_at(tmp_path / "seldom", scenario), folder_at(tmp_path / "often", scenario)
    train(seldom)
    monkeypatch.setattr(training, "SAVE_S", 0.0)
    monkeypatch.setattr(training, "TELL_S", 0.0)
    told = []
    train(often, tell=told.append)
    same(seldom, often)
    assert [progress.steps for progress in told] == [6, 12, 18, 24, 30, 36, 42]
    assert told[-1].left_s == 0.0 < told[0].left_s


def test_the_command_trains_several_seeds_and_goes_on(tmp_path, scenario, capsys):
    out = tmp_path / "runs"
    command = ["train", "n2o", str(scenario), "--steps", "12", "--seeds", "2", "--out", str(out)]
    assert run_command(command) == 0
    assert capsys.readouterr().out.count("reward of an episode") == 2
    assert [Folder(out / f"seed-{seed}").scenario().seed for seed in (1, 2)] == [1, 2]
    assert run_command(["train", "n2o", "--resume", "--out", str(out)]) == 0
    assert Folder(out / "seed-2").saved()[0] == 12
    assert run_command(command) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "x"], "name a SCENARIO"),
        (["--resume", "--steps", "3", "--out", "x"], "--resume"),
        (["--resume", "--out", "x"], "edgerig train n2o"),
        (["paper-ttosc", "--out", "x"], "no rental world"),
        (["SMALL", "--method", "centralized", "--set", "edges.count=16", "--out", "x"], "up to 9"),
    ],
)
def test_what_cannot_be_is_a_line_and_exit_code_two(tmp_path, scenario, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert run_command(["train", "n2o", *(str(scenario) if word == "SMALL" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_an_offloading_world_is_refused(tmp_path):
    folder = Folder.create(tmp_path / "run", load("paper-ttosc"), Preset("madql"))
    with pytest.raises(AgentError, match="no rental world"):
        train(folder)
