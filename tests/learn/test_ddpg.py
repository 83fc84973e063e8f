"""DDPG for schedules: the critic learns what a schedule costs, the actor climbs it, and a training can be resumed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")
pytest.importorskip("onnx", reason="needs onnx: make learn-setup")

from agents.bench_scheduler import usual_costs, usual_network, usual_tasks  # noqa: E402
from agents.checkpoint import CURVE  # noqa: E402
from agents.ddpg.export import export  # noqa: E402
from agents.ddpg.features import instances_of, load_unit, pairs_of  # noqa: E402
from agents.ddpg.folder import Folder  # noqa: E402
from agents.ddpg.learner import Learner  # noqa: E402
from agents.ddpg.networks import action_values  # noqa: E402
from agents.ddpg.presets import DEFAULT  # noqa: E402
from agents.ddpg.scheduler import Ddpg  # noqa: E402
from agents.ddpg.train import train  # noqa: E402
from agents.errors import AgentError  # noqa: E402
from emulator.assembly import resolve  # noqa: E402
from emulator.cli import run_command  # noqa: E402
from emulator.errors import RunFolderError  # noqa: E402
from emulator.model.scheduling import schedule_cost  # noqa: E402
from emulator.scenario_file import load  # noqa: E402

SMALL = ("edges.count=2", "services.count=6", "slots_per_frame=2", "edges.storage_bytes=5e8")
QUICK = replace(DEFAULT, worlds=2, hidden=8, batch=16, buffer=200, blind_slots=6)


def folder_at(path, preset=QUICK, more=()):
    return Folder.create(path, resolve(load("paper-ttosc", [*SMALL, *more])), preset)


def slot(seed, edges=5, services=20):
    rng = np.random.default_rng(seed)
    return usual_tasks(rng, edges, services), usual_costs(rng, usual_network(rng, edges, services))


def feed(learner, slots, first=0, edges=5):
    """Slots one after the other, as a training plays them; returns the critic's losses."""
    losses = []
    for number in range(first, first + slots):
        tasks, costs = slot(number, edges)
        split = learner.explore(number, tasks, costs)
        flow = tasks[:, None] * split
        # The model's cost by service, booked on the first cell: the learner adds up the cells.
        cost_s = np.zeros(tasks.shape)
        cost_s[0] = schedule_cost(flow, costs)
        learner.remember(costs, tasks, split, cost_s)
        losses.append(learner.learn(number).critic)
    return losses


def over_exact(scheduler, seeds=range(900, 910)):
    from agents.schedulers import Exact

    exact, own, best = Exact("numpy"), 0.0, 0.0
    for seed in seeds:
        tasks, costs = slot(seed)
        own += schedule_cost(tasks[:, None] * scheduler.schedule(tasks, costs), costs).sum()
        best += schedule_cost(tasks[:, None] * exact.schedule(tasks, costs), costs).sum()
    return own / best


def test_what_is_explored_keeps_to_hosts_and_sums_to_one():
    learner = Learner(DEFAULT, 5, seed=1)
    for number in (0, DEFAULT.blind_slots + 1):
        tasks, costs = slot(number)
        split = learner.explore(number, tasks, costs)
        np.testing.assert_allclose(split.sum(axis=1), 1.0, atol=1e-12)
        assert not split[:, :-1][:, ~costs.hosts].any()
        assert not np.array_equal(split, learner.explore(number + 1, tasks, costs))
        assert np.array_equal(split, learner.explore(number, tasks, costs))


def test_in_blind_slots_the_critic_learns_and_the_actor_does_not():
    learner = Learner(replace(DEFAULT, blind_slots=30), 5, seed=1)
    before = {name: tensor.detach().clone() for name, tensor in learner.actor.items()}
    losses = [loss for loss in feed(learner, 30) if np.isfinite(loss)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:3])
    for name, tensor in learner.actor.items():
        assert torch.equal(tensor, before[name]), name
    feed(learner, 1, first=30)
    assert not torch.equal(learner.actor["output"], before["output"])


def test_learning_brings_the_actor_close_to_the_optimum():
    learner = Learner(DEFAULT, 5, seed=1)
    untrained = over_exact(learner)
    feed(learner, 260)
    trained = over_exact(learner)
    assert untrained > 1.8
    assert 1.0 <= trained < 1.35


def test_the_critic_says_what_a_schedule_will_take():
    """Its estimate of schedules that nobody tried, in slots it has not seen, against the equations."""
    learner = Learner(DEFAULT, 5, seed=1)
    feed(learner, 200)
    tasks, costs = slot(950)
    asked = np.flatnonzero(tasks.sum(axis=0) > 0.0)
    instances = instances_of(tasks, costs, asked)
    pairs = pairs_of(instances)
    split = learner.explore(0, tasks, costs)  # at random, as in slot 0
    tensors = [torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in pairs]
    shares = torch.from_numpy(split.transpose(2, 0, 1)[asked].astype(np.float32))
    with torch.no_grad():
        found = action_values(learner.critic, DEFAULT.layers, *tensors, shares, torch.from_numpy(load_unit(instances)))
    unit_s = costs.cloud_s[:, asked].mean(axis=0)
    wanted = schedule_cost(tasks[:, None] * split, costs)[asked] / tasks.sum(axis=0)[asked] / unit_s
    assert np.abs(-found.numpy() - wanted).mean() < 0.1 * wanted.mean()


def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    through, halted = (folder_at(tmp_path / part) for part in ("through", "halted"))
    end = train(through, 24)
    asked = []
    first = train(halted, 24, stopped=lambda: asked.append(1) or len(asked) > 13)
    assert (first.frames, first.wanted) == (13, 24)
    assert train(halted, 24).frames == 24
    wanted, found = through.saved()[1], halted.saved()[1]
    assert wanted.keys() == found.keys()
    for key, value in wanted.items():
        assert np.array_equal(value, found[key]), key
    assert str(halted.rows(24)) == str(through.rows(24))
    assert {row.world for row in through.rows(24)} == {1, 2}
    assert end.over_exact >= 1.0
    assert (through.path / CURVE).stat().st_size > 1000


def test_a_row_of_the_log_holds_what_the_schedulers_took_on_the_same_slots(tmp_path):
    folder = folder_at(tmp_path / "run")
    train(folder, 8)
    for row in folder.rows(8):
        assert row.exact_s <= min(row.actor_s, row.nearest_s, row.tried_s) + 1e-9


def test_an_export_schedules_as_the_actor_that_it_came_from(tmp_path):
    folder = folder_at(tmp_path / "run")
    train(folder, 20)
    assert export(folder, tmp_path / "own.onnx") <= 1e-5
    learner = Learner(QUICK, 2, seed=1)
    learner.restore(folder.saved()[1])
    file = Ddpg(tmp_path / "own.onnx")
    for seed in range(5):
        tasks, costs = slot(seed, edges=2)
        np.testing.assert_allclose(file.schedule(tasks, costs), learner.schedule(tasks, costs), atol=0.02)
    with pytest.raises(RunFolderError, match="exists already"):
        export(folder, tmp_path / "own.onnx")


def test_nothing_learned_is_nothing_to_export(tmp_path):
    with pytest.raises(AgentError, match="no checkpoint"):
        export(folder_at(tmp_path / "run"), tmp_path / "own.onnx")


def test_worlds_that_cannot_be_resumed_are_refused(tmp_path):
    with pytest.raises(AgentError, match="queued"):
        train(folder_at(tmp_path / "run", more=["tasks=queued"]), 4)


def test_the_command_trains_resumes_and_exports(tmp_path, capsys):
    out = tmp_path / "run"
    options = [option for change in SMALL for option in ("--set", change)]
    command = ["train", "ddpg", "paper-ttosc", *options, "--worlds", "2", "--out", str(out)]
    assert run_command([*command, "--slots", "7"]) == 2
    assert "multiple of slots_per_frame (2)" in capsys.readouterr().err
    assert not out.exists()
    assert run_command([*command, "--slots", "6"]) == 0
    assert "x exact" in capsys.readouterr().out
    assert run_command(["train", "ddpg", "--resume", "--slots", "10", "--out", str(out)]) == 0
    assert Folder(out).saved()[0] == 5
    assert run_command(["export", "ddpg", str(out)]) == 0
    file = out / "ddpg.onnx"
    run = ["sim", "quickstart", "--frames", "1", "--scheduler", f"ddpg:{file}", "--out", str(tmp_path / "sim")]
    assert run_command(run) == 0
