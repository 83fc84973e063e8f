"""Runs on the wall clock as real processes: on time, with an edge server that stands still, with one that dies."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from live_run import SMALL, LiveRun

pytestmark = pytest.mark.processes

SLOTS_PER_S = 5.0
WALL = SMALL + '[restart]\nedge = "on-failure"\n'


def wall_run(live: Callable[..., LiveRun], scenario: str = WALL) -> LiveRun:
    run = live(scenario, "--rate", str(60.0 * SLOTS_PER_S))
    run.until(lambda: run.slot() >= 2, "slot 2")
    return run


def check_tasks(run: LiveRun) -> None:
    slots = run.slots()
    for k, tasks in enumerate(slots["tasks"]):
        ended = sum(slots[name][k] for name in ("local", "peer", "cloud", "dropped"))
        assert ended == pytest.approx(tasks)


def test_slots_last_as_long_as_the_rate_says(live: Callable[..., LiveRun]) -> None:
    run = wall_run(live)
    run.go_on(10)
    summary = run.stop()
    assert summary["mode"] == "wall"
    check_tasks(run)
    wall_s = [float(line.split(",")[2]) for line in (run.out / "timing.csv").read_text().splitlines()[1:]]
    # Pinned to the run's start: a slot may begin late and be shorter by as much, all of them together are not.
    assert sum(wall_s) >= 0.99 * len(wall_s) / SLOTS_PER_S
    assert min(wall_s) >= 0.49 / SLOTS_PER_S


def test_an_edge_server_that_stands_still_costs_its_tasks_and_nothing_else(live: Callable[..., LiveRun]) -> None:
    run = wall_run(live)
    pid = run.kill("edge-1", signal.SIGSTOP)
    run.go_on(3)
    run.signal(pid, signal.SIGCONT)
    run.go_on(10)
    assert "/edge/1" in run.members()
    summary = run.stop()
    check_tasks(run)
    assert summary["late"] >= 1
    assert summary["dropped_by_reason"]["late"] > 0.0


def test_an_agent_that_stands_still_leaves_the_decision_before_in_force(live: Callable[..., LiveRun]) -> None:
    run = wall_run(live)
    pid = run.kill("agent-1", signal.SIGSTOP)
    run.go_on(8)
    run.signal(pid, signal.SIGCONT)
    run.go_on(3)
    summary = run.stop()
    check_tasks(run)
    assert summary["counters"]["decisions_refused{late}"] >= 1
    assert sum(run.slots()["local"]) > 0.0


def test_a_killed_edge_server_is_back_at_a_frames_first_slot(live: Callable[..., LiveRun]) -> None:
    run = wall_run(live, WALL.replace("frames = 100000", 'tasks = "queued"\nframes = 100000'))
    run.kill("edge-1")
    run.until(lambda: "/edge/1" not in run.members(), "edge 1 is missed")
    run.until(lambda: "/edge/1" in run.members(), "edge 1 is back")
    run.go_on(6)
    summary = run.stop()
    assert any("lost /edge/1" in note for note in summary["notes"])
    assert summary["exit_code"] == 0
