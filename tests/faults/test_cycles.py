"""Runs that start and stop again and again leave nothing behind: no process, thread, socket or file descriptor."""

from __future__ import annotations

import os
import threading
import uuid
from pathlib import Path

import pytest
from live_run import MARK, marked, until

from emulator import run as runs
from emulator.scenario_file import parse

SCENARIO = """
name = "cycles"
frames = 2
slots_per_frame = 3
[edges]
count = 5
storage_bytes = 1e9
[services]
count = 6
[scheduler]
backend = "numpy"
[processes]
agent = 4
"""
PROCESSES = 12  # hub, cells, 5 edge servers, 4 of agents, cloud


def resources() -> dict[str, int]:
    return {"descriptors": len(os.listdir("/proc/self/fd")), "threads": threading.active_count(), "tasks": _tasks()}


def _tasks() -> int:
    """Threads as the kernel counts them: those of ZeroMQ, too."""
    return len(os.listdir("/proc/self/task"))


def cycle(folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    mine = os.getpid()
    alive: list[int] = []
    scenario = runs.prepare(parse(SCENARIO, origin="cycles"), on_bus=True)
    result = runs.on_bus(
        scenario, str(folder / str(number)), lambda _: None, lambda _: alive.append(len(set(marked(mark)) - {mine}))
    )
    assert (result.code, result.summary["slots"]) == (0, 6), result.summary
    # Not all of them: a run of six slots may be ending while the machine's processes are listed.
    assert alive
    assert 0 < alive[0] <= PROCESSES
    assert len(list((folder / str(number) / "logs").glob("*.log"))) == PROCESSES
    until(lambda: not set(marked(mark)) - {mine}, "every process of the run is gone")


def check(folder: Path, monkeypatch: pytest.MonkeyPatch, cycles: int) -> None:
    cycle(folder, 0, monkeypatch)  # what is loaded once stays
    before = resources()
    for number in range(1, cycles):
        cycle(folder, number, monkeypatch)
        until(lambda: resources() == before, f"{before} again after cycle {number}; now {resources()}")


@pytest.mark.processes
def test_a_few_starts_and_stops_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(tmp_path, monkeypatch, 4)


@pytest.mark.soak
def test_two_hundred_starts_and_stops_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(tmp_path, monkeypatch, 200)
