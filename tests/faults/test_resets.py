"""A run that starts again in its processes: whatever went before, an episode is as if its seed had run alone."""

from __future__ import annotations

import csv
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from live_run import PATIENCE_S, LiveRun, finished, until
from thread_run import ThreadRun, small

from bus.client import Client
from bus.messages import Failure, Query, Reset, ResetStatus
from emulator import run as runs
from emulator.assembly import build_demand
from emulator.model.streams import Stream
from emulator.scenario import Link, Scenario

TABLES = ("slots.csv", "frames.csv", "cells.csv", "services.csv")
WORLDS: dict[str, dict[str, Any]] = {
    "expected": {},
    "sampled": {"tasks": "sampled"},
    "queued": {"tasks": "queued", "slot_s": 1.0},
    "random": {"agent": {"policy": "random"}},
    "network policy": {"agent": {"policy": "marginal-greedy"}},
    "schedulers at the edges": {"scheduler": {"at": "edges"}},
    "losses below QoS": {"network": {"loss": 0.05}},
    "links": {"link": (Link("edge/*", "edge/*", latency_s=0.01, jitter_s=0.01, loss=0.2),)},
}


class Resetter:
    """Asks for resets at given slots, one after the other: (slot in which it is asked for, seed)."""

    def __init__(self, plan: list[tuple[int, int]]) -> None:
        self.plan = plan
        self.answers: list[ResetStatus | Failure] = []
        self.asked = 0

    def __call__(self, run: ThreadRun) -> None:
        hub = run.hub
        if not self.plan or self.asked > len(self.answers) or hub.phase != "running":
            return
        if hub._resets.status().done == len(self.answers) and hub.status().slot >= self.plan[0][0]:
            self.asked += 1
            asking = next(p for p in run.processes.values() if not p.closed).asking(run.registry.address, "/hub")
            asking.ask("/hub", "reset", Reset(self.plan.pop(0)[1]), ResetStatus, 60.0, self.answers.append)


def play(scenario: Scenario, folder: Path, plan: list[tuple[int, int]], **more: Any) -> ThreadRun:
    resetter = Resetter(plan)
    run = ThreadRun(scenario, folder, on_turn=resetter, **more)
    assert run.play() == 0, run.hub.reason
    assert resetter.plan == []
    assert all(isinstance(answer, ResetStatus) for answer in resetter.answers), resetter.answers
    return run


def check_last_episode(run: ThreadRun, scenario: Scenario, seed: int, folder: Path) -> None:
    """The tables and the digest are those of the same scenario in process."""
    here = runs.in_process(msgspec.structs.replace(scenario, seed=seed), str(folder), lambda _: None)
    for table in TABLES:
        assert (run.folder / table).read_bytes() == (folder / table).read_bytes()
    assert run.ledger()["digest"] == here.summary["digest"]
    assert run.ledger()["seed"] == seed


@pytest.mark.parametrize("world", WORLDS)
def test_after_resets_an_episode_is_as_if_its_seed_had_run_alone(tmp_path: Path, world: str) -> None:
    scenario = small(seed=7, **WORLDS[world])
    plan = [(0, 11), (3, 12), (7, 13), (1, 7), (5, 14)]  # in its first slot, within, in its last, ...
    run = play(scenario, tmp_path / "bus", plan)
    check_last_episode(run, scenario, 14, tmp_path / "here")
    assert run.ledger()["resets"] == 5
    rows = resets(run.folder)
    assert [(int(row["number"]), int(row["seed"])) for row in rows] == [(1, 7), (2, 11), (3, 12), (4, 13), (5, 7)]
    assert all(1 <= int(row["slots"]) <= 8 for row in rows)
    whole = rows[2]  # asked for in its last slot, so it came after all of them
    there = runs.in_process(msgspec.structs.replace(scenario, seed=12), str(tmp_path / "whole"), lambda _: None)
    assert (int(whole["slots"]), whole["digest"]) == (8, there.summary["digest"])
    assert float(whole["delay_s"]) == there.summary["delay_s"]["mean"]


def resets(folder: Path) -> list[dict[str, str]]:
    with (folder / "resets.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# -- who dies, who comes, who cannot -----------------------------------------------------------------------------------


def test_a_process_that_dies_in_a_reset_does_not_hold_it(tmp_path: Path) -> None:
    killed = False

    class Killing(Resetter):
        def __call__(self, run: ThreadRun) -> None:
            nonlocal killed
            super().__call__(run)
            if run.hub.phase == "resetting" and not killed:
                killed = True
                run.die("edge-1")

    scenario = small(seed=7)
    run = ThreadRun(scenario, tmp_path / "bus", on_turn=Killing([(2, 11)]))
    assert run.play() == 0
    assert killed
    assert any(note.startswith("lost /edge/1") for note in run.ledger()["notes"])
    assert "/edge/1" not in run.members(7)
    assert run.ledger()["resets"] == 1
    assert run.slots()["slot"] == list(range(8))
    assert run.slots()["dropped"] == [0.0] * 8
    # What the users ask for is that of the seed, whoever serves it.
    for m, demand in enumerate(build_demand(msgspec.structs.replace(scenario, seed=11), range(3))):
        assert np.array_equal(run.told(f"/cell/{m}/arrivals")[7].tasks.numpy(), demand.counts(7))


def test_a_process_that_does_not_answer_a_reset_is_lost_at_its_deadline(tmp_path: Path) -> None:
    class Pausing(Resetter):
        def __call__(self, run: ThreadRun) -> None:
            super().__call__(run)
            if run.hub.phase == "resetting":
                run.paused.add("agent-1")

    run = ThreadRun(small(seed=7, deadlines={"give_up_s": 0.5}), tmp_path / "bus", on_turn=Pausing([(2, 11)]))
    assert run.play() == 0
    assert any("/agent/1: reset 1 not done within 0.5 s" in note for note in run.ledger()["notes"])
    assert run.ledger()["resets"] == 1
    assert run.slots()["slot"] == list(range(8))


def test_who_joins_after_a_reset_with_an_older_scenario_gets_the_new_seed(tmp_path: Path) -> None:
    started = False

    class Joining(Resetter):
        def __call__(self, run: ThreadRun) -> None:
            nonlocal started
            super().__call__(run)
            if run.hub.phase == "resetting" and "cell-0" not in run.lost:
                run.die("cell-0", restart=False)
            elif run.hub._resets.status().done == 1 and run.hub.status().slot >= 1 and not started:
                started = True
                run.later(1, lambda: run.start("cell-0", "cell", 0, 3))

    scenario = small(seed=7, frames=40)
    run = ThreadRun(scenario, tmp_path / "bus", on_turn=Joining([(2, 11)]))
    assert run.play() == 0
    assert "/cell/1" in run.members(79)
    for m, demand in enumerate(build_demand(msgspec.structs.replace(scenario, seed=11), range(3))):
        assert np.array_equal(run.told(f"/cell/{m}/arrivals")[79].tasks.numpy(), demand.counts(79))


def test_a_process_that_cannot_begin_again_refuses_the_reset_and_the_run_goes_on(tmp_path: Path) -> None:
    def forgetful(run: ThreadRun) -> None:
        if "edge-2" in run.processes:
            run.processes["edge-2"].answering._methods.pop(("/process/edge-2", "halt"), None)
        resetter(run)

    resetter = Resetter([(2, 11)])
    scenario = small(seed=7)
    run = ThreadRun(scenario, tmp_path / "bus", on_turn=forgetful)
    assert run.play() == 0
    assert run.ledger()["notes"] == ["reset 1: edge-2 does not know how to begin again"]
    here = runs.in_process(scenario, str(tmp_path / "here"), lambda _: None)
    assert run.ledger()["digest"] == here.summary["digest"]
    assert "resets" not in run.ledger()


def test_a_reset_while_another_is_under_way_is_refused(tmp_path: Path) -> None:
    refused: list[str] = []

    class Twice(Resetter):
        def __call__(self, run: ThreadRun) -> None:
            super().__call__(run)
            if run.hub.phase == "resetting" and not refused:
                with pytest.raises(ValueError, match="reset 1 is under way") as error:
                    run.hub._resets.ask(Reset(3))
                refused.append(str(error.value))

    run = ThreadRun(small(seed=7), tmp_path / "bus", on_turn=Twice([(2, 11)]))
    assert run.play() == 0
    assert refused


# -- real processes ----------------------------------------------------------------------------------------------------

LONG = """
name = "long"
seed = 7
frames = 300
slots_per_frame = 5
[edges]
count = 3
storage_bytes = 1e9
[services]
count = 6
[scheduler]
backend = "numpy"
[processes]
agent = 2
"""


def belongings(run: LiveRun) -> dict[str, tuple[int, int]]:
    """Descriptors and threads of every process of a run, by its id; sockets are descriptors."""
    found = {}
    for pid in run.survivors():
        counts = (len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task")))
        found[str(pid)] = counts
    return found


def reset(client: Client, seed: int) -> ResetStatus:
    asked = client.call("reset", Reset(seed), ResetStatus)

    def done() -> ResetStatus | None:
        status = client.call("reset_status", Query(), ResetStatus)
        return status if status.done >= asked.asked else None

    status: ResetStatus = until(done, f"reset {asked.asked}", 2 * PATIENCE_S)
    assert (status.done, status.seed, status.problem) == (asked.asked, seed, "")
    return status


def check_resets(folder: Path, count: int) -> None:
    """Resets at random moments leave everything as it was, and the last episode is that of its seed."""
    draw = Stream(20, "/test", "pauses", draws=count).generator(0)
    pause = threading.Event()
    run = LiveRun(folder, LONG)
    try:
        run.go_on(3)
        with Client(run.address, PATIENCE_S) as client:
            reset(client, 1)  # opens the links over which the hub asks
            before = belongings(run)
            assert len(before) == 9  # the launcher, the hub, cells, 3 edge servers, agents in 2, the cloud
            for number in range(2, count + 1):
                pause.wait(float(draw.choice([0.0, 0.001, 0.005, 0.02])))
                status = reset(client, number)
            assert status.done == count
            until(lambda: belongings(run) == before, f"{before} again; now {belongings(run)}")
        assert run.wait(2 * PATIENCE_S) == 0, run.log()
        summary = run.summary()
        assert (summary["seed"], summary["resets"], summary["slots"]) == (count, count, 1500)
        assert [int(row["number"]) for row in resets(run.out)] == list(range(1, count + 1))
        sim = finished("sim", str(folder / "run.toml"), "--seed", str(count), "--out", str(folder / "sim"), "--json")
        assert msgspec.json.decode(sim.stdout)["digest"] == summary["digest"]
        for table in TABLES:
            assert (run.out / table).read_bytes() == (folder / "sim" / table).read_bytes()
        run.nobody_left()
    finally:
        run.close()


@pytest.mark.processes
def test_twenty_resets_of_processes_leave_nothing_behind(tmp_path: Path) -> None:
    check_resets(tmp_path, 20)


@pytest.mark.soak
def test_two_thousand_resets_of_processes_leave_nothing_behind(tmp_path: Path) -> None:
    check_resets(tmp_path, 2000)


@pytest.mark.processes
def test_the_command_resets_and_says_so(tmp_path: Path) -> None:
    run = LiveRun(tmp_path, LONG.replace("frames = 300", "frames = 100000"))
    try:
        run.go_on(3)
        done = finished("reset", "--seed", "5", "--run", str(run.out))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("reset 1: seed 5 from slot 0 on, after ")
        done = finished("reset", "--run", str(run.out), "--json")
        assert msgspec.json.decode(done.stdout)["seed"] == 6
        assert run.stop()["seed"] == 6
    finally:
        run.close()


@pytest.mark.processes
def test_a_run_on_the_wall_clock_refuses_a_reset(tmp_path: Path) -> None:
    wall = LONG.replace("slots_per_frame = 5", 'slots_per_frame = 5\nclock = "wall"\nslot_s = 0.2\nrate = 1.0')
    run = LiveRun(tmp_path, wall)
    try:
        run.go_on(1)
        done = finished("reset", "--run", str(run.out))
        assert done.returncode == 2
        assert "a run on the wall clock cannot be reset" in done.stderr
    finally:
        run.close()
