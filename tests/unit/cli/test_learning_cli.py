"""`edgerig train`, `distill` and `export`: what was done wrong is one line and exit 2, before anything is made."""

from __future__ import annotations

import importlib.util

import pytest

from emulator.cli import run_command


@pytest.fixture
def installed(monkeypatch):
    """Lets a test say which of the extra's packages there are."""
    have = importlib.util.find_spec

    def say(*names):
        def find(name, *rest):
            if name in ("torch", "onnx"):
                return have("numpy") if name in names else None
            return have(name, *rest)

        monkeypatch.setattr(importlib.util, "find_spec", find)

    return say


def one_line(capsys):
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("command", [("train", "ttosc"), ("train", "ddpg"), ("distill", "ttosc")])
def test_without_pytorch_training_names_the_extra(tmp_path, installed, capsys, command):
    installed()
    assert run_command([*command, "paper-ttosc", "--out", str(tmp_path / "run")]) == 2
    assert "'.[learn]'" in one_line(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", [("n2o", "fig5"), ("ttosc", "fig4a")])
def test_without_pytorch_a_reproduction_leaves_no_folder(tmp_path, installed, capsys, command):
    installed()
    assert run_command(["reproduce", *command, "--quick", "--out", str(tmp_path / "mine")]) == 2
    assert "'.[learn]'" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("kind", ["ttosc", "ddpg"])
def test_without_onnx_an_export_names_the_extra(tmp_path, installed, capsys, kind):
    installed("torch")
    assert run_command(["export", kind, str(tmp_path)]) == 2
    assert "'.[learn]'" in one_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "run"], "name a SCENARIO"),
        (["paper-ttosc", "--resume", "--out", "run"], "leave out SCENARIO"),
        (["no-such-scenario", "--out", "run"], "no-such-scenario"),
        (["--resume", "--out", "run"], "holds no training"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path, installed, monkeypatch, capsys, arguments, said):
    installed("torch")
    monkeypatch.chdir(tmp_path)
    assert run_command(["train", "ttosc", *arguments]) == 2
    assert said in one_line(capsys)


@pytest.mark.parametrize("command", [("train", "ttosc"), ("train", "ddpg"), ("distill", "ttosc")])
@pytest.mark.parametrize(
    ("scenario", "change", "said"),
    [
        ("quickstart-rental", [], "is of the rental world"),
        ("quickstart", ["--set", "tasks=queued"], "does not know tasks"),
    ],
)
def test_a_world_that_cannot_be_trained_in_is_refused_before_a_folder_is_made(
    tmp_path, installed, capsys, command, scenario, change, said
):
    installed("torch")
    assert run_command([*command, scenario, *change, "--out", str(tmp_path / "run")]) == 2
    assert said in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_slots_are_whole_frames(tmp_path, installed, capsys):
    installed("torch")
    assert run_command(["train", "ddpg", "quickstart", "--slots", "7", "--out", str(tmp_path / "run")]) == 2
    assert "multiple of slots_per_frame" in one_line(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "run"], "name a SCENARIO"),
        (["paper-ttosc", "--resume", "--out", "run"], "leave out SCENARIO"),
        (["paper-ttosc", "--teacher", "popularity", "--out", "run"], "own cell only"),
        (["paper-ttosc", "--teacher", "nobody", "--out", "run"], "no such policy"),
        (["--resume", "--out", "run"], "holds no training"),
    ],
)
def test_a_distillation_says_what_does_not_go_together(tmp_path, installed, monkeypatch, capsys, arguments, said):
    installed("torch")
    monkeypatch.chdir(tmp_path)
    assert run_command(["distill", "ttosc", *arguments]) == 2
    assert said in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_without_pytorch_a_distillation_names_the_extra(tmp_path, installed, capsys):
    installed()
    assert run_command(["distill", "ttosc", "paper-ttosc", "--out", str(tmp_path / "run")]) == 2
    assert "'.[learn]'" in one_line(capsys)


def test_an_existing_folder_is_left_alone(tmp_path, installed, capsys):
    installed("torch")
    (tmp_path / "run").mkdir()
    assert run_command(["train", "ttosc", "paper-ttosc", "--out", str(tmp_path / "run")]) == 2
    assert "--resume" in one_line(capsys)
    assert list((tmp_path / "run").iterdir()) == []
