"""The learned scheduler as it comes with edgerig: what it may send where, for any world, without PyTorch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.bench_scheduler import random_instance, usual_costs, usual_network, usual_tasks
from agents.ddpg.compare import compare, table
from agents.ddpg.features import instances_of, pairs_of
from agents.ddpg.scheduler import SHIPPED, Ddpg
from agents.ddpg.shares import without_crumbs
from agents.errors import AgentError
from agents.onnx_actor import SHIPPED as SHIPPED_ACTORS
from agents.schedulers import make_scheduler
from emulator.cli import run_command
from emulator.model.offloading import FrameCosts, frame_costs
from emulator.model.scheduling import schedule_cost, solve

ROOT = Path(__file__).parents[3]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def ddpg():
    return Ddpg()


def usual(seed, edges=5, services=20, matrix=False):
    rng = np.random.default_rng(seed)
    network = usual_network(rng, edges, services, matrix=matrix)
    return usual_tasks(rng, edges, services), usual_costs(rng, network)


def check_shares(split, costs, tasks):
    assert np.isfinite(split).all()
    assert (split >= 0.0).all()
    np.testing.assert_allclose(split.sum(axis=1), 1.0, atol=1e-12)
    assert not split[:, :-1][:, ~costs.hosts].any(), "nothing goes where the service is not deployed"
    nowhere = ~costs.hosts.any(axis=0) & ~np.isfinite(costs.cloud_s)
    to_cloud = (split[:, -1] > 0.0) & ~np.isfinite(costs.cloud_s) & ~nowhere & (tasks > 0.0)
    assert not to_cloud.any(), "nothing that a server could serve goes to a cloud that is not there"


@pytest.mark.parametrize("matrix", [False, True])
def test_every_row_goes_somewhere_allowed_in_worlds_of_any_kind(ddpg, matrix):
    rng = np.random.default_rng(7)
    for _ in range(150):
        tasks, costs = random_instance(rng, matrix=matrix)
        check_shares(ddpg.schedule(tasks, costs), costs, tasks)


@pytest.mark.parametrize("edges", [1, 2, 3, 9, 30])
def test_one_file_schedules_any_number_of_edge_servers(ddpg, edges):
    tasks, costs = usual(edges, edges=edges)
    split = ddpg.schedule(tasks, costs)
    check_shares(split, costs, tasks)
    over = schedule_cost(tasks[:, None] * split, costs).sum() / solve(tasks, costs).cost_s.sum()
    assert 1.0 - 1e-9 <= over < 1.2


def test_it_is_close_to_the_optimum_and_ahead_of_the_rules_in_worlds_it_was_not_trained_in(ddpg):
    total = dict.fromkeys(("exact", "ddpg", "nearest", "greedy"), 0.0)
    for seed in range(60):
        tasks, costs = usual(seed)
        for name in total:
            scheduler = ddpg if name == "ddpg" else make_scheduler(name, "numpy")
            total[name] += schedule_cost(tasks[:, None] * scheduler.schedule(tasks, costs), costs).sum()
    assert total["exact"] <= total["ddpg"] < 1.03 * total["exact"]
    assert total["ddpg"] < min(total["nearest"], total["greedy"])


def test_edge_servers_numbered_otherwise_number_the_shares_otherwise(ddpg):
    tasks, costs = usual(3, matrix=True)
    order = np.array([3, 0, 4, 2, 1])
    columns = {name: getattr(costs, name)[order] for name in ("hosts", "compute_s", "leave_s", "enter_s", "cloud_s")}
    renumbered = replace(costs, **columns, transfer_s=costs.transfer_s[np.ix_(order, order)])
    split = ddpg.schedule(tasks, costs)
    found = ddpg.schedule(tasks[order], renumbered)
    np.testing.assert_allclose(found, split[order][:, [*order, 5]], atol=1e-4)


def test_figures_have_no_unit():
    """Times ten times as long, or ten times the tasks of a tenth of the work, are the same problem."""
    tasks, costs = usual(4)
    times = ("compute_s", "leave_s", "enter_s", "cloud_s")
    longer = replace(costs, **{name: 10.0 * getattr(costs, name) for name in times})
    finer = replace(costs, compute_s=costs.compute_s / 10.0)
    services = np.arange(20)
    first = pairs_of(instances_of(tasks, costs, services))
    np.testing.assert_allclose(pairs_of(instances_of(tasks, longer, services)).figures, first.figures, rtol=1e-5)
    many = pairs_of(instances_of(10.0 * tasks, finer, services)).figures
    np.testing.assert_allclose(np.delete(many, 1, axis=3), np.delete(first.figures, 1, axis=3), rtol=1e-5)


def test_asked_again_it_answers_the_same_bits(ddpg):
    tasks, costs = usual(5)
    assert np.array_equal(ddpg.schedule(tasks, costs), Ddpg().schedule(tasks, costs))


def test_a_slot_without_tasks_is_answered(ddpg):
    _, costs = usual(6)
    check_shares(ddpg.schedule(np.zeros((5, 20)), costs), costs, np.zeros((5, 20)))


def test_without_a_cloud_hosts_serve_what_they_can(ddpg):
    network = usual_network(np.random.default_rng(1), 3, 4)
    deployed = np.array([[1, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]], dtype=np.bool_)
    split = ddpg.schedule(np.ones((3, 4)), frame_costs(network, deployed, cloud=False))
    assert (split[:, -1] == np.array([0.0, 1.0, 0.0, 0.0])).all()


def test_crumbs_go_to_the_others():
    shares = np.array([[[0.5, 0.495, 0.005], [0.0, 0.0, 1.0]]])
    assert (without_crumbs(shares)[0, 0] > 0.0).all(), "a hundredth of the largest is kept"
    shares[0, 0] = 0.6, 0.396, 0.004
    np.testing.assert_allclose(without_crumbs(shares)[0], [[0.6 / 0.996, 0.396 / 0.996, 0.0], [0.0, 0.0, 1.0]])


def test_the_shipped_file_is_small_and_says_what_it_is():
    import onnxruntime

    assert SHIPPED.stat().st_size < MEGABYTE
    facts = onnxruntime.InferenceSession(str(SHIPPED)).get_modelmeta().custom_metadata_map
    assert facts["trained"].startswith("paper-ttosc, ")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("ddpg:{}/none.onnx", "there is no such file"),
        ("ddpg:{}/text.onnx", "onnxruntime cannot read it"),
        ("ddpg:{}/actor.onnx", "is no actor of a scheduler"),
        ("ddpg:", "no such scheduler"),
        ("ddpg@edges", "edge servers only schedule exactly"),
        ("ddpg@moon", "no such scheduler"),
    ],
)
def test_what_cannot_schedule_is_one_line_and_exit_2(tmp_path, capsys, spec, said):
    (tmp_path / "text.onnx").write_text("not a model")
    shutil.copy(SHIPPED_ACTORS / "paper-ttosc" / "actor-0.onnx", tmp_path / "actor.onnx")
    command = ["sim", "paper-ttosc", "--frames", "1", "--out", str(tmp_path / "run")]
    assert run_command([*command, "--scheduler", spec.format(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_an_actor_for_other_inputs_is_refused(monkeypatch):
    monkeypatch.setattr("agents.ddpg.features.VERSION", 99)
    with pytest.raises(AgentError, match="train and export again"):
        Ddpg()


def test_a_path_with_an_at_sign_is_a_path(tmp_path, capsys):
    (tmp_path / "a@b").mkdir()
    file = tmp_path / "a@b" / "own.onnx"
    shutil.copy(SHIPPED, file)
    for place in ("", "@cloud"):
        out = tmp_path / f"run{place}"
        options = ["--frames", "1", "--scheduler", f"ddpg:{file}{place}", "--out", str(out)]
        assert run_command(["sim", "quickstart", *options]) == 0
        assert f'kind = "ddpg:{file}"' in (out / "scenario.toml").read_text()
    capsys.readouterr()


def test_it_schedules_without_pytorch():
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['onnx'] = None\n"
        "from agents.rollout import mean_delay_s\n"
        "from emulator.assembly import resolve\n"
        "from emulator.scenario_file import load\n"
        "print(mean_delay_s(resolve(load('paper-ttosc', ['frames=3', 'scheduler.kind=\"ddpg\"']))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert 0.5 < float(done.stdout) < 10.0


def test_schedulers_are_compared_on_the_same_deployments():
    found = compare(("exact", "ddpg"), ("popularity",), (101, 102), ["services.count=8"], frames=4)
    assert found.shape == (1, 2, 2)
    assert (found[0, 1] >= found[0, 0]).all()
    assert table(found, ("exact", "ddpg"), ("popularity",)).splitlines()[2].startswith("| popularity |")


@pytest.mark.processes
def test_on_the_bus_it_writes_the_tables_of_the_in_process_run_byte_for_byte(tmp_path):
    from live_run import finished

    for command in ("run", "sim"):
        done = finished(
            command, "quickstart", "--frames", "10", "--scheduler", "ddpg", "--out", str(tmp_path / command)
        )
        assert done.returncode == 0, done.stderr
    for name in ("slots.csv", "frames.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "sim" / name).read_bytes()


def test_instances_are_the_wanted_services_only():
    tasks, costs = usual(8)
    assert isinstance(costs, FrameCosts)
    some = instances_of(tasks, costs, np.array([4, 2]))
    assert np.array_equal(some.tasks, tasks.T[[4, 2]])
    assert some.transfer_s.shape == (2, 5, 5)
