"""A distillation can be stopped in any round and goes on as if it had not been; its export decides as it does."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make learn-setup")
pytest.importorskip("onnx", reason="needs onnx: make learn-setup")

from agents.actor_files import SHARED, actor_path, read_manifest  # noqa: E402
from agents.checkpoint import CURVE  # noqa: E402
from agents.errors import AgentError  # noqa: E402
from agents.rollout import play  # noqa: E402
from agents.ttosc.checkpoint import DistilledFolder  # noqa: E402
from agents.ttosc.distill import distill, known_planner  # noqa: E402
from agents.ttosc.presets import Distillation  # noqa: E402
from agents.ttosc.student import Student, StudentShape, drawn_student, student_values  # noqa: E402
from agents.ttosc.student_export import export_student  # noqa: E402
from emulator.assembly import resolve  # noqa: E402
from emulator.cli import run_command  # noqa: E402
from emulator.scenario_file import load  # noqa: E402

SMALL = ("edges.count=3", "services.count=6", "slots_per_frame=2", "edges.storage_bytes=5e8")
FEATURES = np.random.Generator(np.random.Philox(key=9)).random((4, 3, 6, 22)).astype(np.float32)


def quick(**changes):
    return Distillation("marginal-greedy", **{"rounds": 4, "steps": 5, "batch": 8, "hidden": 8, **changes})


def folder_at(path, how=None, frames=40, more=()):
    return DistilledFolder.create(
        path, resolve(load("paper-ttosc", [*SMALL, f"frames={frames}", *more])), how or quick()
    )


def stopping_in_round(number):
    """Stops once a round was told."""
    told = []
    return lambda: any(f"round {number} " in text for text in told), told.append


@pytest.mark.parametrize("worlds", [0, 5])
def test_a_distillation_that_was_stopped_ends_as_one_that_was_not(tmp_path, worlds):
    how = quick(worlds=worlds)
    through, halted = (folder_at(tmp_path / part, how, frames=12) for part in ("through", "halted"))
    whole = distill(through)
    stopped, tell = stopping_in_round(2)
    first = distill(halted, stopped=stopped, tell=tell)
    assert (first.rounds, first.wanted) == (2, 4)
    again = distill(halted)
    assert again.delay_s == whole.delay_s
    assert again.beside_s == whole.beside_s
    wanted, found = through.saved()[1], halted.saved()[1]
    assert wanted.keys() == found.keys()
    for key, value in wanted.items():
        assert np.array_equal(value, found[key]), key
    assert halted.rows(4) == through.rows(4)
    assert (tmp_path / "halted" / CURVE).stat().st_size > 1000


def test_stopped_before_the_first_round_it_begins_anew(tmp_path):
    folder = folder_at(tmp_path / "run")
    assert distill(folder, stopped=lambda: True).rounds == 0
    assert distill(folder).rounds == 4


def test_who_is_done_has_nothing_left_to_do(tmp_path):
    folder = folder_at(tmp_path / "run")
    assert distill(folder) == distill(folder)


def test_it_ends_better_than_it_began_and_than_popularity(tmp_path):
    folder = folder_at(tmp_path / "run", quick(rounds=15, steps=40, hidden=16), frames=150)
    end = distill(folder)
    rows = folder.rows(15)
    assert rows[-1].held_out_s < rows[0].held_out_s
    assert end.delay_s < end.beside_s["popularity"]
    assert end.counted == 30


def test_the_export_plays_the_frames_that_were_held_out_as_the_distillation_priced_them(tmp_path):
    folder = folder_at(tmp_path / "run", quick(rounds=8, steps=20))
    end = distill(folder)
    assert export_student(folder, tmp_path / "onnx") <= 1e-5
    agent = msgspec.structs.replace(folder.scenario().agent, policy=f"onnx:{tmp_path / 'onnx'}")
    delays = [frame.step.row.delay_s for frame in play(msgspec.structs.replace(folder.scenario(), agent=agent))]
    assert np.mean(delays[-end.counted :]) == pytest.approx(end.delay_s)


def test_an_actor_for_any_world_is_one_file_and_runs_in_other_worlds_of_other_sizes(tmp_path):
    folder = folder_at(tmp_path / "run", quick(worlds=5), frames=12)
    distill(folder)
    out = tmp_path / "onnx"
    assert export_student(folder, out) <= 1e-5
    manifest = read_manifest(out)
    assert (manifest.edges, manifest.services) == ("any", "any")
    assert [path.name for path in out.glob("*.onnx")] == [SHARED]
    assert actor_path(out, 4) == out / SHARED
    for change in ("world_seed=7", "services.count=9", "edges.count=4", "slots_per_frame=3"):
        scenario = resolve(load("paper-ttosc", [*SMALL, "frames=5", f'agent.policy="onnx:{out}"', change]))
        frames = [played.step.row for played in play(scenario)]
        assert all(row.delay_s > 0.0 and not row.refused for row in frames)


def test_an_actor_of_one_world_has_a_file_for_each_server(tmp_path):
    folder = folder_at(tmp_path / "run")
    distill(folder)
    export_student(folder, tmp_path / "onnx")
    assert sorted(path.name for path in (tmp_path / "onnx").glob("*.onnx")) == [f"actor-{m}.onnx" for m in range(3)]


def test_without_offsets_values_move_with_their_services():
    weights = drawn_student(StudentShape(8, None), seed=1)
    order = np.array([3, 0, 5, 1, 4, 2])
    with torch.no_grad():
        values = student_values(weights, torch.from_numpy(FEATURES)).numpy()
        moved = student_values(weights, torch.from_numpy(FEATURES[:, :, order])).numpy()
    assert np.allclose(moved, values[:, :, order], atol=1e-6)


def test_offsets_begin_at_nothing_and_are_learned():
    student = Student(quick(), (3, 6), seed=1)
    assert not student.weights["own.value"].detach().numpy().any()
    wanted = np.tile(np.arange(6, dtype=np.float32), (4, 3, 1))
    losses = [student.learn(number, FEATURES, wanted) for number in range(4)]
    assert losses[-1] < losses[0]
    assert student.weights["own.value"].detach().numpy().any()


def test_a_teacher_must_see_more_than_its_pupils():
    with pytest.raises(AgentError, match="own cell only"):
        known_planner("popularity")
    with pytest.raises(AgentError, match="no such policy"):
        known_planner("nobody")


@pytest.mark.parametrize(
    ("how", "more", "said"),
    [
        (quick(worlds=3), (), "worlds are too few"),
        (quick(), ("frames=5",), "frames are too few"),
        (quick(), ("tasks=queued",), "queued"),
    ],
)
def test_what_cannot_be_learned_from_is_said_before_anything_is_drawn(tmp_path, how, more, said):
    with pytest.raises(AgentError, match=said):
        distill(folder_at(tmp_path / "run", how, more=more))


def test_the_command_distils_resumes_and_exports(tmp_path, capsys):
    out = tmp_path / "run"
    options = [option for change in SMALL for option in ("--set", change)]
    command = ["distill", "ttosc", "paper-ttosc", *options, "--teacher", "ils:1", "--frames", "20", "--rounds", "2"]
    assert run_command([*command, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "x popularity" in said.out
    assert "left" in said.err
    assert run_command(["distill", "ttosc", "--resume", "--out", str(out)]) == 0
    assert run_command(["export", "ttosc", str(out)]) == 0
    assert "distilled from ils:1" in read_manifest(out / "onnx").trained


def test_a_folder_of_a_training_is_not_one_of_a_distillation(tmp_path, capsys):
    out = tmp_path / "run"
    folder_at(out)
    assert run_command(["train", "ttosc", "--resume", "--frames", "9", "--out", str(out)]) == 2
    assert "cannot be read" in capsys.readouterr().err
