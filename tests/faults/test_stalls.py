"""A slot that stands still: who holds it is named within a second, and the stages follow one another."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from live_run import SMALL, LiveRun, finished

from bus.client import Client
from bus.errors import BusError
from bus.messages import ClockStatus, Query

pytestmark = pytest.mark.processes

PATIENT = SMALL + "[deadlines]\nliveliness_s = 60.0\nhub_s = 60.0\nask_again_s = 1.5\ndump_s = 2.5\n"


def clock(run: LiveRun) -> ClockStatus | None:
    try:
        with Client(run.address, 10.0) as client:
            return client.call("clock_status", Query(), ClockStatus)
    except BusError:
        return None


def held(run: LiveRun, stage: str) -> ClockStatus:
    def there() -> Any:
        status = clock(run)
        return status if status is not None and status.stage == stage else None

    return run.until(there, f"stage {stage!r}")


@pytest.mark.parametrize("victim", ["edge-1", "agent-0", "cloud"])
def test_whoever_stands_still_is_named_at_once_with_those_who_wait(live: Callable[..., LiveRun], victim: str) -> None:
    run = live(PATIENT)
    run.until(lambda: run.slot() >= 3, "slot 3")
    pid = run.kill(victim, signal.SIGSTOP)
    status = held(run, "said")
    age_s = status.age_s
    first = status.holders[0]
    assert (first.process, first.state, first.cause) == (victim, "silent", True)
    assert first.behind
    assert not any(holder.cause for holder in status.holders[1:])
    # Asked 0.5 s into the slot, answered within 0.3 s; the rest is how long this machine took to come round to us.
    assert age_s < 1.0 or age_s < 0.9 + 20 * _lag_s()
    shown = finished("clock", "status", "--run", str(run.out))
    assert shown.returncode == 1
    assert f"held by {victim} does not answer" in shown.stdout
    run.signal(pid, signal.SIGCONT)
    run.go_on()
    assert any("stands since" in note and victim in note for note in run.stop()["notes"])


def _lag_s() -> float:
    """How late this machine wakes a sleeper."""
    before = time.monotonic()
    finished("--version")
    return time.monotonic() - before


def test_a_longer_stall_is_asked_again_written_down_with_stacks_and_survived(live: Callable[..., LiveRun]) -> None:
    run = live(PATIENT)
    run.until(lambda: run.slot() >= 3, "slot 3")
    pid = run.kill("edge-1", signal.SIGSTOP)
    slot = held(run, "dumped").slot
    document = json.loads((run.out / f"stall-{slot}.json").read_text())
    assert document["slot"] == slot
    assert document["holders"][0]["process"] == "edge-1"
    run.signal(pid, signal.SIGCONT)
    run.go_on()
    notes = run.stop()["notes"]
    assert [any(word in note for note in notes) for word in ("stands since", "asked everyone", "what is known")] == [
        True, True, True,
    ]  # fmt: skip
    assert "most recent call first" in (run.out / "logs" / "edge-1.log").read_text()


def test_a_stall_that_does_not_end_ends_the_run_and_says_who(live: Callable[..., LiveRun]) -> None:
    run = live(PATIENT + "give_up_s = 3.0\n")
    run.until(lambda: run.slot() >= 3, "slot 3")
    run.kill("edge-1", signal.SIGSTOP)
    assert run.wait() == 3
    assert "edge-1 does not answer" in run.stderr()
    assert run.summary()["slots"] >= 3


def test_all_is_well_in_a_run_that_goes_on(live: Callable[..., LiveRun]) -> None:
    run = live()
    run.until(lambda: run.slot() >= 3, "slot 3")
    shown = finished("clock", "status", "--run", str(run.out), "--json")
    document = json.loads(shown.stdout)
    assert document["phase"] == "running"
    assert document["clock"] == "lockstep"
    assert document["late_slots"] == 0
    run.stop()
