"""Ctrl-C in a reproduction: what is measured stays, and the next start goes on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch", reason="needs torch: make learn-setup")

from agents.ttosc.reproduction.measuring import Result

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120


def started(out):
    command = [sys.executable, "-m", "emulator", "reproduce", "ttosc", "fig5a", "--quick", "--out", str(out)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def made_already(line):
    return int(re.search(r"(\d+) made already", line)[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_reproduction_ends_with_130_and_goes_on(tmp_path, number):
    out = tmp_path / "out"
    with started(out) as first:
        assert made_already(first.stderr.readline()) == 0
        assert any(int(line.split(" of ")[0]) > 0 for line in iter(first.stderr.readline, ""))
        first.send_signal(number)
        _, said = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 130
    assert "goes on" in said
    files = list((out / "measurements").iterdir())
    assert files
    for file in files:
        msgspec.json.decode(file.read_bytes(), type=Result)
    with started(out) as second:
        assert made_already(second.stderr.readline()) >= len(files)
        second.send_signal(signal.SIGINT)
        second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 130
