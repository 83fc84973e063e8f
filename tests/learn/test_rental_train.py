"""A training in the rental world can be stopped after any episode, or killed, and goes on as if it had not been."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents.checkpoint import CHECKPOINT, CURVE  # noqa: E402
from agents.errors import AgentError  # noqa: E402
from agents.n2o import train as training  # noqa: E402
from agents.n2o.checkpoint import Folder  # noqa: E402
from agents.n2o.exact import maximise  # noqa: E402
from agents.n2o.joint import by_max_sum, whole_tables  # noqa: E402
from agents.n2o.judge import trained_learner  # noqa: E402
from agents.n2o.presets import Distilling, Preset  # noqa: E402
from agents.n2o.team import QTeam  # noqa: E402
from agents.n2o.train import train  # noqa: E402
from agents.n2o.worlds import copies_to_judge  # noqa: E402
from emulator.cli import run_command  # noqa: E402
from emulator.scenario_file import load  # noqa: E402

STEPS = 42
WORLD = 'name = "small"\nworld = "rental"\nedges = {count = 4}\n[rental]\nspec = "P"\n[rental.users]\nin_range = 4.0\n'


@pytest.fixture(autouse=True)
def fewer_judges(monkeypatch):
    for place in ("agents.n2o.train", "emulator.cli.learning_n2o_after", "agents.n2o.teach"):
        monkeypatch.setattr(f"{place}.JUDGES", 4)


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


def test_a_coordinated_training_goes_on_as_if_it_had_not_been_stopped(tmp_path, scenario):
    through, halted = (folder_at(tmp_path / part, scenario, "coordinated") for part in ("through", "halted"))
    train(through)
    train(halted, stopped=stopping_after(4))
    train(halted)
    same(through, halted)


def test_coordinated_agents_act_by_max_sum_of_their_tables(tmp_path, scenario):
    folder = folder_at(tmp_path / "run", scenario, "coordinated")
    train(folder)
    world = copies_to_judge(folder.scenario(), 16)
    learner = trained_learner(folder, world.layout)
    seen = world.begin(0)
    scaled = world.layout.scaled(seen)
    rented = learner.greedy(scaled)
    assert np.array_equal(rented, by_max_sum(learner.nets.tables(learner.weights, scaled), world.layout))
    assert not np.array_equal(
        rented, whole_tables(learner.nets.tables(learner.weights, scaled), world.layout).own_best()
    )


def test_a_run_is_exported_evaluated_and_distilled_and_all_decide_alike(tmp_path, scenario, monkeypatch, capsys):
    """With PyTorch or without, and alone or by a team; on the smallest worlds that will do."""
    pytest.importorskip("onnx", reason="needs onnx: make learn-setup")
    monkeypatch.setattr("agents.n2o.export.TRIALS", 200)
    monkeypatch.setattr("emulator.cli.learning_n2o_after.PLAIN", Distilling(updates=20, round_slots=36))
    folder = folder_at(tmp_path / "run", scenario)
    train(folder)
    run = str(folder.path)
    assert run_command(["export", "n2o", run]) == 0
    assert "the same of 800 decisions" in capsys.readouterr().out
    assert run_command(["distill", "n2o", run, "--slots", "36", "--rounds", "1", "--teacher", "owner"]) == 0
    assert "ratio" in capsys.readouterr().out
    assert run_command(["evaluate", "n2o", run, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["by"] for row in rows] == ["madql", "owner", "maxsum", "n2o", "exact", "actors-owner"]
    world = copies_to_judge(folder.scenario(), 16)
    layout, seen = world.layout, world.begin(0)
    learner, team = trained_learner(folder, layout), QTeam(folder.path / "onnx", layout.graph, layout.actions)
    assert np.array_equal(team.decider("madql")(seen), learner.greedy(layout.scaled(seen)))
    tables = whole_tables(learner.nets.tables(learner.weights, layout.scaled(seen)), layout)
    assert np.array_equal(team.decider("exact")(seen), maximise(tables).rented)


def test_what_a_training_does_not_have_is_a_line_and_exit_code_two(tmp_path, scenario, capsys):
    pytest.importorskip("onnx", reason="needs onnx: make learn-setup")
    central = folder_at(tmp_path / "central", scenario, "centralized")
    local = folder_at(tmp_path / "local", scenario)
    for command, said in (
        (["export", "n2o", str(tmp_path / "none")], "holds no training"),
        (["export", "n2o", str(local.path)], "no checkpoint yet"),
        (["distill", "n2o", str(central.path)], "one centralised network"),
        (["evaluate", "n2o", str(central.path)], "no checkpoint yet"),
    ):
        assert run_command(command) == 2
        error = capsys.readouterr().err
        assert said in error
        assert len(error.strip().splitlines()) == 1


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
