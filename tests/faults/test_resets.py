"""A run that starts again in its processes: whatever went before, an episode is as if its seed had run alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from thread_run import ThreadRun, small

from bus.calls import Failure
from bus.messages import Reset, ResetStatus
from emulator import run as runs
from emulator.scenario import Link, Scenario

TABLES = ("slots.csv", "frames.csv")
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
