"""An agent that stands by, started by hand as a container would be, takes over in a live run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_run import SMALL, LiveRun, finished

pytestmark = pytest.mark.processes


@pytest.fixture
def run(tmp_path: Path) -> Iterator[LiveRun]:
    made = LiveRun(tmp_path, SMALL, "--rate", "60")
    yield made
    assert made.close() == []


def test_who_stands_by_takes_over_when_told_and_no_decision_is_missed(run: LiveRun) -> None:
    run.go_on(5)
    run.env |= {"EDGERIG_HUB": run.address, "EDGERIG_INDEX": "1", "EDGERIG_AGENT": "marginal-popularity"}
    next_one = run.helper("node", "start", "agent", "--standby")
    answers: list[subprocess.CompletedProcess[str]] = []

    def taken_over() -> bool:
        assert next_one.poll() is None, next_one.stderr.read().decode() if next_one.stderr else ""
        answers.append(finished("swap", "1", "--to", "standby", "--deadline", "60", "--json", env=run.env))
        return answers[-1].returncode == 0

    run.until(taken_over, "it has come, and takes over", 120.0)
    found = json.loads(answers[-1].stdout)
    assert (found["stage"], found["missed"], found["gap_frames"]) == ("done", 0, 0)
    assert all("names 0 of those who stand by" in each.stderr for each in answers[:-1]), answers[0].stderr
    swaps = run.stop()["swaps"]
    assert [swap["missed"] for swap in swaps] == [0]
    assert next_one.wait(60.0) == 0
