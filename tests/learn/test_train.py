"""A training can be stopped at any frame and goes on as if it had not been; its export decides as it does."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")
pytest.importorskip("onnx", reason="needs onnx: make learn-setup")

from agents.actor_files import actor_path, read_manifest  # noqa: E402
from agents.checkpoint import CHECKPOINT, CURVE  # noqa: E402
from agents.errors import AgentError  # noqa: E402
from agents.onnx_actor import OnnxActor  # noqa: E402
from agents.policy import Observation, Setting  # noqa: E402
from agents.rollout import play  # noqa: E402
from agents.ttosc.checkpoint import Folder  # noqa: E402
from agents.ttosc.export import export  # noqa: E402
from agents.ttosc.learner import Learner  # noqa: E402
from agents.ttosc.presets import Preset, preset_of  # noqa: E402
from agents.ttosc.train import train  # noqa: E402
from emulator.assembly import build_network, resolve  # noqa: E402
from emulator.cli import root, run_command  # noqa: E402
from emulator.errors import RunFolderError  # noqa: E402
from emulator.scenario_file import load  # noqa: E402

SMALL = ("edges.count=2", "services.count=6", "slots_per_frame=2", "edges.storage_bytes=5e8")


def small(name="marginal", layers=1):
    return Preset(name, credit="marginal" if name == "marginal" else "shared", batch=4, hidden=8, layers=layers)


def folder_at(path, preset=None, frames=24, more=()):
    return Folder.create(path, resolve(load("paper-ttosc", [*SMALL, f"frames={frames}", *more])), preset or small())


def arrays_of(folder):
    return folder.saved()[1]


def stopping_after(frames):
    asked = []

    def stopped():
        asked.append(1)
        return len(asked) > frames

    return stopped


@pytest.mark.parametrize("name", ["marginal", "literal"])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path, name):
    through, halted = (folder_at(tmp_path / part, small(name)) for part in ("through", "halted"))
    train(through, 24)
    first = train(halted, 24, stopped=stopping_after(13))
    assert (first.frames, first.wanted) == (13, 24)
    assert train(halted, 24).frames == 24
    wanted, found = arrays_of(through), arrays_of(halted)
    assert wanted.keys() == found.keys()
    for key, value in wanted.items():
        assert np.array_equal(value, found[key]), key
    assert str(halted.rows(24)) == str(through.rows(24))  # as text, since no nan equals another


def test_more_frames_go_on_from_a_finished_training(tmp_path):
    once, twice = folder_at(tmp_path / "once"), folder_at(tmp_path / "twice")
    train(once, 24)
    train(twice, 10)
    train(twice, 24)
    for key, value in arrays_of(once).items():
        assert np.array_equal(value, arrays_of(twice)[key]), key


def test_what_was_written_after_the_last_checkpoint_is_done_again(tmp_path):
    """As a kill between two checkpoints leaves it: the log is ahead."""
    through, killed = folder_at(tmp_path / "through"), folder_at(tmp_path / "killed")
    train(killed, 9)
    kept = (killed.path / CHECKPOINT).read_bytes()
    train(killed, 15)
    (killed.path / CHECKPOINT).write_bytes(kept)
    (killed.path / f"{CHECKPOINT}.new").write_bytes(kept[:100])
    train(through, 24)
    train(killed, 24)
    assert str(killed.rows(24)) == str(through.rows(24))
    assert [row.frame for row in killed.rows(24)] == list(range(24))


def test_popularity_is_played_on_the_same_frames(tmp_path):
    end = train(folder_at(tmp_path / "run"), 12)
    same = resolve(load("paper-ttosc", [*SMALL, "frames=12", 'agent.policy="popularity"']))
    delays = [played.step.row.delay_s for played in play(same)]
    assert end.popularity_s == pytest.approx(np.mean(delays))
    assert (tmp_path / "run" / CURVE).stat().st_size > 1000


@pytest.mark.parametrize(("change", "said"), [("tasks=queued", "queued"), ("link", "links")])
def test_worlds_that_cannot_be_resumed_are_refused(tmp_path, change, said):
    more = [change] if change != "link" else ["link[0].from=edge/*", "link[0].to=cloud", "link[0].loss=0.1"]
    with pytest.raises(AgentError, match=said):
        train(folder_at(tmp_path / "run", more=more), 4)


@pytest.mark.parametrize("layers", [1, 2])
def test_an_export_decides_as_the_agents_that_it_came_from(tmp_path, layers):
    folder = folder_at(tmp_path / "run", small(layers=layers))
    train(folder, 24)
    assert export(folder, tmp_path / "onnx") <= 1e-5
    scenario = resolve(folder.scenario())
    network = build_network(scenario)
    learner = Learner(folder.preset(), network, scenario.slots_per_frame, seed=1)
    learner.restore(arrays_of(folder))
    actors = [OnnxActor(Setting(network, 2, edge, 1), tmp_path / "onnx") for edge in range(2)]
    drawn = np.random.Generator(np.random.Philox(key=2)).integers(0, 30, (2, 300, 2, 6)).astype(float)
    wanted = learner.best(drawn)
    for edge, actor in enumerate(actors):
        found = [actor.decide(Observation(1, counts)) for counts in drawn[edge]]
        assert np.array_equal(np.stack(found), wanted[edge])


def test_every_file_says_how_it_is_to_be_fed(tmp_path):
    import onnxruntime

    folder = folder_at(tmp_path / "run")
    train(folder, 6)
    export(folder, tmp_path / "onnx")
    manifest = read_manifest(tmp_path / "onnx")
    session = onnxruntime.InferenceSession(str(actor_path(tmp_path / "onnx", 1)))
    said = session.get_modelmeta().custom_metadata_map
    assert said["edge"] == "1"
    assert said["world"] == manifest.world
    assert said["services"] == "6"
    assert float(said["size_unit_bytes"]) == manifest.size_unit_bytes == 1e8
    assert "tasks / 1" in said["normalisation"]


def test_an_actor_is_refused_in_another_world_unless_it_fits_any(tmp_path):
    folder = folder_at(tmp_path / "run")
    train(folder, 6)
    out = tmp_path / "onnx"
    export(folder, out)
    network = build_network(resolve(load("paper-ttosc", [*SMALL, "world_seed=2"])))
    with pytest.raises(AgentError, match="another world"):
        OnnxActor(Setting(network, 2, 0, 1), out)
    with pytest.raises(AgentError, match="another world"):
        OnnxActor(Setting(build_network(resolve(folder.scenario())), 3, 0, 1), out)
    manifest = out / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("services = 6", 'services = "any"'))
    OnnxActor(Setting(network, 2, 0, 1), out)


def test_the_command_trains_resumes_and_exports(tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    options = [option for change in SMALL for option in ("--set", change)]
    assert run_command(["train", "ttosc", "paper-ttosc", *options, "--frames", "6", "--out", str(out)]) == 0
    assert "Popularity" in capsys.readouterr().out
    assert run_command(["train", "ttosc", "--resume", "--frames", "9", "--out", str(out)]) == 0
    assert Folder(out).saved()[0] == 9
    assert run_command(["export", "ttosc", str(out)]) == 0
    assert read_manifest(out / "onnx").trained.endswith("9 frames")


def test_several_seeds_have_a_folder_each_and_worlds_of_their_own_if_asked(tmp_path):
    options = [option for change in SMALL for option in ("--set", change)]
    command = ["train", "ttosc", "paper-ttosc", *options, "--frames", "3", "--seeds", "2", "--worlds"]
    result = CliRunner().invoke(root, [*command, "--out", str(tmp_path / "runs")])
    assert result.exit_code == 0, result.output
    scenarios = [Folder(tmp_path / "runs" / f"seed-{seed}").scenario() for seed in (1, 2)]
    assert [(each.seed, each.world_seed) for each in scenarios] == [(1, 1), (2, 2)]


def test_a_folder_is_never_written_over(tmp_path):
    folder_at(tmp_path / "run")
    with pytest.raises(RunFolderError, match="--resume"):
        folder_at(tmp_path / "run")


def test_presets_come_back_from_the_folder_as_they_were(tmp_path):
    assert folder_at(tmp_path / "run", preset_of("tuned")).preset() == preset_of("tuned")
