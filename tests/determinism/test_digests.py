"""Equal numbers: however a run's nodes share processes, and in process, the tables are equal byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from live_run import finished
from thread_run import ThreadRun, small

from emulator import run as runs
from emulator.scenario import EdgeOverride, Scenario

APART: dict[str, list[tuple[int, int]]] = {"cell": [(0, 1), (1, 1), (2, 1)]}
GROUPED: dict[str, list[tuple[int, int]]] = {"cell": [(0, 3)], "edge": [(0, 3)], "agent": [(0, 3)]}
TABLES = ("slots.csv", "frames.csv", "cells.csv", "services.csv")

WORLDS: dict[str, dict[str, Any]] = {
    "expected": {},
    "sampled": {"tasks": "sampled"},
    "queued": {"tasks": "queued", "slot_s": 1.0},
    "periodic": {"demand": {"workload": "periodic", "period_frames": 3.0}},
    "drift": {"demand": {"workload": "drift", "drift_frames": 4.0}},
    "redrawn": {"demand": {"redraw": 0.8, "stickiness": 0.9}},
    "overrides": {"edge": (EdgeOverride(index=1, storage_bytes=5e8), EdgeOverride(index=2, link_bps=1e7))},
    "uplinks": {"edge": (EdgeOverride(index=0, uplink_bps=2e7),)},
    "matrix": {"edges": {"matrix_bps": ((1.0, 5e7, 1e7), (2e7, 1.0, 3e7), (4e7, 6e7, 1.0))}},
    "nearest": {"scheduler": {"kind": "nearest"}},
    "random": {"agent": {"policy": "random"}},
    "network policy": {"agent": {"policy": "marginal-greedy"}},
    "mixed policies": {"agent": {"policy": "0=random,2=cloud-only,popularity"}},
}  # fmt: skip


def play(scenario: Scenario, folder: Path, layout: dict[str, list[tuple[int, int]]]) -> ThreadRun:
    run = ThreadRun(scenario, folder, layout=layout)
    assert run.play() == 0
    return run


@pytest.mark.parametrize("world", WORLDS)
def test_grouping_changes_nothing_and_in_process_is_equal(tmp_path: Path, world: str) -> None:
    scenario = small(seed=7, **WORLDS[world])
    apart = play(scenario, tmp_path / "apart", APART)
    grouped = play(scenario, tmp_path / "grouped", GROUPED)
    here = runs.in_process(scenario, str(tmp_path / "here"), lambda status: None)
    assert apart.ledger()["digest"] == grouped.ledger()["digest"] == here.summary["digest"]
    for table in TABLES:
        assert (tmp_path / "apart" / table).read_bytes() == (tmp_path / "grouped" / table).read_bytes()
        assert (tmp_path / "apart" / table).read_bytes() == (tmp_path / "here" / table).read_bytes()


def test_another_seed_is_another_digest(tmp_path: Path) -> None:
    found = {
        runs.in_process(small(seed=seed), str(tmp_path / str(seed)), lambda status: None).summary["digest"]
        for seed in range(4)
    }
    assert len(found) == 4


def test_with_a_scheduler_at_the_edges_the_tables_are_the_same(tmp_path: Path) -> None:
    scenario = small(seed=7)
    play(scenario, tmp_path / "cloud", APART)
    play(small(seed=7, scheduler={"at": "edges"}), tmp_path / "edges", APART)
    for table in TABLES:
        assert (tmp_path / "cloud" / table).read_bytes() == (tmp_path / "edges" / table).read_bytes()


@pytest.mark.processes
@pytest.mark.parametrize("tasks", ["expected", "sampled", "queued"])
def test_run_and_sim_of_the_paper_write_the_same_tables(tmp_path: Path, tasks: str) -> None:
    same = ("paper-ttosc", "--seed", "7", "--frames", "40", "--json", "--set", f"tasks={tasks}")
    if tasks == "queued":
        same = (*same, "--set", "slot_s=1.0")  # so that tasks outlive their slot
    digests = set()
    folders = []
    grouped = ("--set", "processes.edge=1", "--set", "processes.agent=1", "--set", "processes.cell=2")
    for command, more in (("run", ()), ("run", grouped), ("sim", ())):
        folders.append(tmp_path / str(len(folders)))
        done = finished(command, *same, "--out", str(folders[-1]), *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        summary = msgspec.json.decode(done.stdout)
        digests.add(summary["digest"])
        assert summary["slots"] == 200
    assert len(digests) == 1
    for table in TABLES:
        assert len({(folder / table).read_bytes() for folder in folders}) == 1
