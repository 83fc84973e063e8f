"""Processes that stand still and go on: for a moment without harm, for too long given up, and never believed again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import pytest
from live_run import SMALL, LiveRun

pytestmark = pytest.mark.processes

QUICK = SMALL + "[deadlines]\nliveliness_s = 2.0\nhub_s = 8.0\n"


def stand_still(run: LiveRun, seconds: float) -> None:
    """Let wall time pass while the run goes on."""
    with pytest.raises(subprocess.TimeoutExpired):
        run.launcher.wait(seconds)


def test_a_process_that_stood_still_for_too_long_is_given_up_and_ends_with_3(live: Callable[..., LiveRun]) -> None:
    run = live(QUICK)
    run.until(lambda: run.slot() >= 3, "slot 3")
    before = run.members()
    pid = run.kill("edge-1", signal.SIGSTOP)
    run.until(lambda: "/edge/1" not in run.members(), "edge 1 is given up")
    notes = run.status().notes  # type: ignore[union-attr]
    assert any("lost /edge/1: no beat for" in note for note in notes)
    run.go_on()
    run.signal(pid, signal.SIGCONT)
    run.until(lambda: pid not in run.survivors(), "it hears that it is given up, and ends")
    assert "the hub gave /edge/1 away" in (run.out / "logs" / "edge-1.log").read_text()
    assert run.members() == before - {"/edge/1"}
    run.go_on()
    run.stop()


def test_a_hub_that_stood_still_gives_nobody_up(live: Callable[..., LiveRun]) -> None:
    run = live(QUICK)
    run.until(lambda: run.slot() >= 3, "slot 3")
    before = run.members()
    pid = run.kill("hub", signal.SIGSTOP)
    stand_still(run, 4.0)
    run.signal(pid, signal.SIGCONT)
    run.go_on()
    assert run.members() == before
    summary = run.stop()
    assert not any("lost" in note for note in summary["notes"])


def test_everybody_stood_still_as_with_a_laptop_that_slept(live: Callable[..., LiveRun]) -> None:
    run = live(QUICK)
    run.until(lambda: run.slot() >= 3, "slot 3")
    before = run.members()
    everyone = run.survivors()
    for pid in everyone:
        run.signal(pid, signal.SIGSTOP)
    stand_still(run, 10.0)  # longer than liveliness_s and hub_s
    for pid in everyone:
        run.signal(pid, signal.SIGCONT)
    run.go_on()
    assert run.members() == before
    run.stop()
