"""Exported actors: they run without PyTorch, in the world of their training, the same in process and on the bus."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from agents.actor_files import MANIFEST, actor_path, read_manifest
from agents.errors import AgentError
from agents.onnx_actor import SHIPPED, OnnxActor, shipped_for
from agents.policy import Observation, Reward, Setting, make_policy
from agents.rollout import play
from emulator.assembly import build_network, resolve
from emulator.cli import run_command
from emulator.model.world_digest import world_digest
from emulator.scenario_file import load

ROOT = Path(__file__).parents[3]
NAMES = sorted(path.parent.name for path in SHIPPED.glob(f"*/{MANIFEST}"))


def setting_of(name="paper-ttosc", edge=0, *, changes=()):
    scenario = resolve(load(name, list(changes)))
    return Setting(build_network(scenario), scenario.slots_per_frame, edge, scenario.seed, scenario=scenario.name)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(SHIPPED / "paper-ttosc", tmp_path / "actors")
    return tmp_path / "actors"


def mean_delay(name, policy, seed):
    scenario = resolve(load(name, [f"seed={seed}", "frames=100", f'agent.policy="{policy}"']))
    return np.mean([played.step.row.delay_s for played in play(scenario)])


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_actor_beats_popularity_on_arrivals_it_has_not_seen(name):
    assert mean_delay(name, "onnx", seed=99) < mean_delay(name, "popularity", seed=99)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_actor_is_for_the_scenario_of_its_name(name):
    assert shipped_for(setting_of(name)).name == name
    assert read_manifest(SHIPPED / name).trained.startswith(name)


def test_every_server_has_an_actor_of_its_own():
    counts = np.ones((5, 20))
    found = {tuple(OnnxActor(setting_of(edge=m), SHIPPED / "paper-ttosc").values(counts)) for m in range(5)}
    assert len(found) == 5


def test_asked_again_it_answers_the_same_and_fits_the_storage():
    setting = setting_of(edge=2)
    actor = make_policy("onnx", setting)
    for frame in range(20):
        drawn = np.random.Generator(np.random.Philox(key=frame)).integers(0, 12, (5, 20)).astype(float)
        first = actor.decide(Observation(frame, drawn))
        assert np.array_equal(first, actor.decide(Observation(frame, drawn)))
        assert setting.network.service_bytes[first].sum() <= setting.network.storage_bytes[2]


def test_while_nothing_is_known_it_packs_at_random():
    setting = setting_of()
    unseen = Observation(0, np.zeros((0, 20)))
    assert np.array_equal(make_policy("onnx", setting).decide(unseen), make_policy("random", setting).decide(unseen))


def test_slots_that_were_not_seen_count_as_empty():
    actor = OnnxActor(setting_of(), SHIPPED / "paper-ttosc")
    late = np.full((2, 20), 3.0)
    assert np.array_equal(actor.values(late), actor.values(np.concatenate([np.zeros((3, 20)), late])))


def test_any_figure_of_the_world_makes_it_another():
    network = setting_of().network
    digests = {world_digest(network, 5), world_digest(network, 6)}
    for name in ("storage_bytes", "compute_hz", "uplink_bps", "link_bps", "cloud_bps", "service_bytes", "task_cycles"):
        value = getattr(network, name).copy()
        value[-1] = 1e7 if np.isinf(value[-1]) else value[-1] * 1.5
        digests.add(world_digest(dataclasses.replace(network, **{name: value}), 5))
    digests.add(world_digest(dataclasses.replace(network, cloud_hz=1e9), 5))
    digests.add(world_digest(dataclasses.replace(network, link_matrix_bps=np.ones((5, 5))), 5))
    assert len(digests) == 11


@pytest.mark.parametrize(("changes", "said"), [(["world_seed=2"], "sizes, rates"), (["services.count=10"], "J=10")])
def test_an_actor_is_refused_in_another_world(changes, said, copy, monkeypatch):
    setting = setting_of(changes=changes)
    with pytest.raises(AgentError, match=said):
        OnnxActor(setting, SHIPPED / "paper-ttosc")
    monkeypatch.setattr("agents.onnx_actor.SHIPPED", copy.parent)
    with pytest.raises(AgentError, match="no shipped actor fits"):
        make_policy("onnx", setting)


@pytest.mark.parametrize(
    ("name", "changes"),
    [("paper-ttosc", ["world_seed=2"]), ("paper-ttosc", ["edges.count=9"]), ("drift", []), ("small-trace", [])],
)
def test_where_no_actor_knows_the_scenario_one_for_any_world_is_taken(name, changes):
    folder = shipped_for(setting_of(name, changes=changes))
    assert read_manifest(folder).services == "any"
    scenario = resolve(load(name, [*changes, "frames=3", 'agent.policy="onnx"']))
    assert all(not played.step.row.refused for played in play(scenario))


def test_an_actor_of_any_world_follows_users_who_drift_where_one_of_a_fixed_world_does_not():
    delays = {spec: mean_delay("drift", spec, seed=5) for spec in ("onnx", f"onnx:{SHIPPED / 'paper-ttosc'}")}
    assert delays["onnx"] < 0.85 * mean_delay("drift", "popularity", seed=5)
    assert delays["onnx"] < delays[f"onnx:{SHIPPED / 'paper-ttosc'}"]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_cell_asked_for_before_is_remembered_once_a_frame_is_committed(name):
    actor, fresh = (OnnxActor(setting_of(name), SHIPPED / name) for _ in range(2))
    before, now = np.zeros((5, 20)), np.ones((5, 20))
    before[:, 3] = 9.0
    assert np.array_equal(actor.values(now), fresh.values(now))
    actor.decide(Observation(1, before))
    assert np.array_equal(actor.values(now), fresh.values(now)), "deciding alone leaves no trace"
    actor.after_frame(Observation(1, before), Reward(1, 0.0, 0.0))
    assert not np.array_equal(actor.values(now), fresh.values(now))


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_that_was_not_seen_is_not_remembered(name):
    actor, fresh = (OnnxActor(setting_of(name), SHIPPED / name) for _ in range(2))
    actor.after_frame(Observation(1, np.zeros((0, 20))), Reward(1, 0.0, 0.0))
    assert np.array_equal(actor.values(np.ones((5, 20))), fresh.values(np.ones((5, 20))))


def test_five_decisions_take_little():
    """0.5 ms on an idle core; the bound is far above, for machines that are busy with other tests."""
    actors = [OnnxActor(setting_of(edge=edge), SHIPPED / "paper-ttosc") for edge in range(5)]
    seen = Observation(1, np.full((5, 20), 2.0))
    seconds = []
    for _ in range(50):
        start = time.thread_time()
        for actor in actors:
            actor.decide(seen)
        seconds.append(time.thread_time() - start)
    assert np.median(seconds) < 0.005


def test_an_actor_for_any_world_is_not_refused(copy):
    text = (copy / MANIFEST).read_text()
    (copy / MANIFEST).write_text(text.replace("services = 20", 'services = "any"'))
    OnnxActor(setting_of(changes=["world_seed=2"]), copy)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "edgerig export ttosc"),
        (lambda folder: (folder / MANIFEST).write_text("version = ["), "cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("version = 1\n"), "missing required field"),
        (lambda folder: actor_path(folder, 0).unlink(), "no such file"),
        (lambda folder: actor_path(folder, 0).write_bytes(b"not a model"), "onnxruntime cannot read it"),
    ],
)
def test_a_spoiled_folder_is_one_line_and_exit_2(copy, spoil, said, capsys):
    spoil(copy)
    code = run_command(["sim", "paper-ttosc", "--frames", "1", "--agent", f"onnx:{copy}", "--out", str(copy / "run")])
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert said in lines[-1]


def test_a_manifest_of_another_version_is_refused(copy):
    text = (copy / MANIFEST).read_text()
    (copy / MANIFEST).write_text(text.replace("version = 1", "version = 2"))
    with pytest.raises(AgentError, match="version 2"):
        read_manifest(copy)


def test_an_actor_decides_without_pytorch():
    program = (
        "import sys, numpy\n"
        "sys.modules['torch'] = sys.modules['onnx'] = None\n"
        "from agents.rollout import mean_delay_s\n"
        "from emulator.assembly import resolve\n"
        "from emulator.scenario_file import load\n"
        "print(mean_delay_s(resolve(load('paper-ttosc', ['frames=3', 'agent.policy=\"onnx\"']))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert 0.5 < float(done.stdout) < 10.0


@pytest.mark.processes
def test_on_the_bus_it_writes_the_tables_of_the_in_process_run_byte_for_byte(tmp_path):
    from live_run import finished

    spec = f"onnx:{SHIPPED / 'paper-ttosc'}"
    for command in ("run", "sim"):
        arguments = ("paper-ttosc", "--frames", "20", "--agent", spec, "--out", str(tmp_path / command))
        done = finished(command, *arguments)
        assert done.returncode == 0, done.stderr
    for table in ("slots.csv", "frames.csv"):
        assert (tmp_path / "run" / table).read_bytes() == (tmp_path / "sim" / table).read_bytes()
    assert msgspec.json.decode((tmp_path / "run" / "summary.json").read_bytes())["refused"] == 0
