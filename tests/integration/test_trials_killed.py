"""A trial that is interrupted, gone on with, killed, and gone on with again comes to the answer of one that was not."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from live_run import PATIENCE_S, edgerig, finished, until

pytestmark = pytest.mark.processes

PLAN = """
name = "long"
scenario = "quickstart"
set = ["edges.count=3", "services.count=6", "slots_per_frame=2", "scheduler.backend=numpy"]
baseline = "popularity"
candidate = "marginal-popularity"
seeds = "1-24"

[[stage]]
kind = "canary"
edges = [0]
frames = 10

[[stage]]
kind = "all"
frames = 40

[guardrails]
delay_worse_share = 1.0
"""


def runs_over(folder: Path) -> int:
    journal = folder / "journal.jsonl"
    return journal.read_text().count('"event": "run"') if journal.exists() else 0


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "decision_s"}


def stopped_after(folder: Path, runs: int, number: int, *arguments: str) -> int:
    child = edgerig("trial", *arguments)
    try:
        until(lambda: runs_over(folder) >= runs, f"{runs} runs")
        child.send_signal(number)
        return child.wait(PATIENCE_S)
    finally:
        child.kill()
        child.wait(PATIENCE_S)


def test_a_trial_comes_to_one_answer_however_often_it_is_stopped(tmp_path: Path) -> None:
    plan, folder = tmp_path / "TRIAL.toml", tmp_path / "stopped"
    plan.write_text(PLAN)
    assert stopped_after(folder, 2, signal.SIGINT, str(plan), "--out", str(folder)) == 130
    assert not (folder / "trial.json").exists(), "no answer yet"
    first = runs_over(folder)
    assert stopped_after(folder, first + 2, signal.SIGKILL, str(plan), "--resume", str(folder)) == -signal.SIGKILL
    assert first + 2 <= runs_over(folder) < 48
    resumed = finished("trial", str(plan), "--resume", str(folder), "--json")
    assert resumed.returncode == 0, resumed.stderr
    whole = finished("trial", str(plan), "--out", str(tmp_path / "whole"), "--json")
    assert without_times(json.loads(resumed.stdout)) == without_times(json.loads(whole.stdout))
    assert (folder / "frames.csv").read_bytes() == (tmp_path / "whole" / "frames.csv").read_bytes()

    plan.write_text(PLAN.replace("frames = 40", "frames = 41"))
    other = finished("trial", str(plan), "--resume", str(folder))
    assert other.returncode == 2
    assert "is of another trial" in other.stderr
    assert "Traceback" not in other.stderr
