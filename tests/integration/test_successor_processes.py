"""An agent's process ends by SIGTERM, as a container that is stopped, and another one is started in its place."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_run import SMALL, LiveRun, finished

pytestmark = pytest.mark.processes

WAITING = SMALL + "[agent]\nsuccessor_s = 120.0\n"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[list[LiveRun]]:
    runs: list[LiveRun] = []
    yield runs
    for run in runs:
        assert run.close() == []


def replaced(run: LiveRun) -> None:
    """Another agent 1 is started, and takes part."""
    assert run.launcher.poll() is None
    run.helper("node", "start", "agent", "--agent", "1", "--hub", run.address)
    run.until(lambda: "/agent/1" in run.members(), "another one takes part")


def events(run: LiveRun, kind: str) -> list[dict[str, Any]]:
    lines = (run.out / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


def test_time_stands_for_a_successor_and_the_run_is_as_if_nobody_had_left(tmp_path: Path, made: list[LiveRun]) -> None:
    run = LiveRun(tmp_path, WAITING)
    made.append(run)
    run.until(lambda: run.slot() >= 7, "slot 7")
    run.kill("agent-1", signal.SIGTERM)
    run.until(lambda: "/agent/1" not in run.members(), "it has left")

    def held() -> str:
        told = finished("clock", "status", "--hub", run.address)
        return told.stdout if told.returncode == 1 and "held" in told.stdout else ""

    text = run.until(held, "time stands")
    assert "for somebody to hold /agent/1, which agent-1 left" in text
    stood = run.slot()
    run.after(0.5)
    assert run.slot() == stood
    replaced(run)
    run.go_on(20)
    summary = run.stop()
    assert (summary["missed"], summary["refused"]) == (0, 0)
    (gap,) = summary["gaps"]
    assert (gap["edge"], gap["left"], gap["missed"]) == (1, "agent-1", 0)
    assert gap["held_s"] >= 0.5
    frames = summary["slots"] // 5
    done = finished(
        "sim", str(tmp_path / "run.toml"), "--frames", str(frames), "--out", str(tmp_path / "sim"), "--json"
    )
    assert done.returncode == 0, done.stderr
    undisturbed = (tmp_path / "sim" / "slots.csv").read_text().splitlines()
    assert (run.out / "slots.csv").read_text().splitlines()[: len(undisturbed)] == undisturbed
    assert len(undisturbed) == 1 + 5 * frames > 1 + stood


def test_on_the_wall_clock_the_gap_is_told(tmp_path: Path, made: list[LiveRun]) -> None:
    run = LiveRun(tmp_path, WAITING, "--rate", "240")  # slots of 0.25 s
    made.append(run)
    run.until(lambda: run.slot() >= 7, "slot 7")
    run.kill("agent-1", signal.SIGTERM)
    run.until(lambda: "/agent/1" not in run.members(), "it has left")
    run.go_on(10)
    replaced(run)
    run.until(lambda: events(run, "gap"), "it has decided")
    summary = run.stop()
    (gap,) = summary["gaps"]
    (event,) = events(run, "gap")
    assert gap.items() <= event.items()
    assert (gap["edge"], gap["left"], gap["held_s"]) == (1, "agent-1", 0.0)
    assert gap["missed"] == gap["last_frame"] - gap["first_frame"] + 1 >= 2
    assert gap["first_frame"] in (gap["slot"] // 5, gap["slot"] // 5 + 1)
    assert f"frames {gap['first_frame']} to {gap['last_frame']} without a decision" in event["text"]
    assert not events(run, "waits")
