"""Ctrl-C, as a person types it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents.n2o.checkpoint import Folder as RentalFolder
from agents.ttosc.checkpoint import Folder

ROOT = Path(__file__).parents[2]
SMALL = ("edges.count=2", "services.count=6", "slots_per_frame=2", "edges.storage_bytes=5e8")
PATIENCE_S = 120


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_ends_with_130_and_can_be_resumed(tmp_path, number):
    out = tmp_path / "run"
    options = [option for change in SMALL for option in ("--set", change)]
    command = [sys.executable, "-m", "emulator", "train", "ttosc", "paper-ttosc", *options]
    with subprocess.Popen(
        [*command, "--frames", "1000000", "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as training:
        assert "left" in training.stderr.readline(), "the first progress line"
        training.send_signal(number)
        said, _ = training.communicate(timeout=PATIENCE_S)
    assert training.returncode == 130
    assert "--resume goes on" in said
    frames = Folder(out).saved()[0]
    assert f"after {frames} of 1000000 frames" in said
    assert len(Folder(out).rows(1_000_000)) == frames > 0
    resumed = [sys.executable, "-m", "emulator", "train", "ttosc", "--resume", "--out", str(out)]
    done = subprocess.run(
        [*resumed, "--frames", str(frames + 2)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert Folder(out).saved()[0] == frames + 2


def test_an_interrupted_training_in_the_rental_world_ends_with_130_and_can_be_resumed(tmp_path):
    out, world = tmp_path / "run", tmp_path / "small.toml"
    world.write_text('name = "small"\nworld = "rental"\nedges = {count = 4}\n[rental.users]\nin_range = 4.0\n')
    with subprocess.Popen(
        [sys.executable, "-m", "emulator", "train", "n2o", str(world), "--steps", "1000000", "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as training:
        assert "left" in training.stderr.readline(), "the first progress line"
        training.send_signal(signal.SIGINT)
        said, _ = training.communicate(timeout=PATIENCE_S)
    assert training.returncode == 130
    assert "--resume goes on" in said
    folder = RentalFolder(out)
    steps = folder.saved()[0]
    assert f"after {steps} of 1000000 steps" in said
    assert steps % 6 == 0 < steps
    assert folder.rows(steps // 6)[-1].steps == steps
