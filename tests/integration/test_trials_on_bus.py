"""Runs of a trial as processes on the bus: equal to those in one process, and rolled back by the hub."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from emulator.folder import read_table
from emulator.trials.in_process import InProcess
from emulator.trials.on_bus import OnBus
from emulator.trials.plan import Fault, Plan, load
from emulator.trials.rules import RunFigures

pytestmark = pytest.mark.processes

EXAMPLES = Path(__file__).parents[2] / "examples" / "trials"
SMALL = ("edges.count=3", "services.count=12", "slots_per_frame=2", "processes.edge=1", "processes.agent=1")
ALONE = ("processes.agent=3",)


def plan_of(name: str, frames: int, *more: str, **changes: Any) -> Plan:
    plan = load(EXAMPLES / f"{name}.toml")
    stages = tuple(msgspec.structs.replace(stage, frames=frames) for stage in plan.stage)
    return msgspec.structs.replace(plan, set=(*SMALL, *more), stage=stages, **changes)


def played(folder: Path, plan: Plan, rate: float | None = None) -> tuple[RunFigures, list[dict[str, Any]]]:
    notes: list[dict[str, Any]] = []
    return OnBus(plan, rate).into(folder).play(0, 1, notes.append), notes


def refusals(folder: Path) -> dict[int, int]:
    """Frames with decisions that were refused, and how many."""
    table = read_table(folder / "frames.csv")
    return {int(frame): int(count) for frame, count in zip(table["frame"], table["refused"], strict=True) if count}


def test_a_run_on_the_bus_is_that_of_one_process(tmp_path: Path) -> None:
    plan = plan_of("bad-candidate", 4, *ALONE, candidate="marginal-popularity")
    found, notes = played(tmp_path, plan)
    expected = InProcess(plan).play(0, 1, lambda _line: None)
    assert (found.frames, found.breach, found.missed, found.missed_outside) == (4, None, 0, 0)
    for name in ("delay", "reward"):
        assert found.run[name] == pytest.approx(expected.run[name], rel=1e-12)
        assert found.twin[name] == pytest.approx(expected.twin[name], rel=1e-12)
    assert found.run != found.twin
    assert found.series["run_reward"] == expected.series["run_reward"]
    assert [note["candidates"] for note in notes] == [[], [0, 1]]
    assert [len(found.decision_s[arm]) for arm in ("baseline", "candidate")] == [2 * 3 + 4 * 1, 4 * 2]
    for name, least, most in (("message_bytes", 150.0, 300.0), ("memory", 2e7, 4e8)):
        assert least < found.twin[name] < most
        assert least < found.run[name] < most
        assert found.run[name] != found.twin[name]


FAULTS = (Fault(kind="agent_lost", edge=0, frame=3, frames=2), Fault(kind="agent_lost", edge=2, frame=4, frames=5))
"""Of an edge server with the candidate, and of another; longer than ``hold_decision_frames``."""


def test_faults_of_the_plan_hit_a_run_on_the_bus_as_they_hit_its_twin(tmp_path: Path) -> None:
    plan = plan_of("bad-candidate", 6, candidate="marginal-popularity", fault=FAULTS)
    found, _ = played(tmp_path, plan)
    expected = InProcess(plan).play(0, 1, lambda _line: None)
    whole = InProcess(msgspec.structs.replace(plan, fault=())).play(0, 1, lambda _line: None)
    assert (found.breach, found.missed, found.missed_outside) == (None, 0, 0), "nobody was asked"
    for name, values in expected.series.items():
        assert found.series[name] == pytest.approx(values, rel=1e-12)
        assert found.series[name][:3] == pytest.approx(whole.series[name][:3], rel=1e-12)
        assert found.series[name] != pytest.approx(whole.series[name], rel=1e-6)


RENTAL = {
    "name": "rental",
    "scenario": "quickstart-rental",
    "set": ["edges.count=4"],
    "baseline": "all1",
    "candidate": "greedy-rule",
    "stage": [{"kind": "canary", "edges": [0, 1], "frames": 6}],
}


def test_a_run_of_the_rental_world_on_the_bus_is_that_of_one_process(tmp_path: Path) -> None:
    plan = msgspec.convert(RENTAL, Plan)
    plan = msgspec.structs.replace(plan, fault=FAULTS)
    found, notes = played(tmp_path, plan)
    expected = InProcess(plan).play(0, 1, lambda _line: None)
    assert (found.frames, found.breach, found.missed, found.missed_outside) == (6, None, 0, 0)
    for name, values in expected.series.items():
        assert found.series[name] == pytest.approx(values, rel=1e-12)
    assert found.series["run_reward"] != found.series["twin_reward"]
    assert found.cells == expected.cells
    assert [note["candidates"] for note in notes] == [[], [0, 1]]
    assert [len(found.decision_s[arm]) for arm in ("baseline", "candidate")] == [2 * 4 + 6 * 2 - 4, 6 * 2 - 2]
    assert 20.0 < found.twin["message_bytes"] < found.run["message_bytes"] < 200.0


@pytest.mark.parametrize(
    ("name", "guardrail", "missed"), [("bad-candidate", "infeasible", 1), ("crashing-candidate", "crash", 0)]
)
def test_the_hub_binds_the_baseline_at_the_next_frame(tmp_path: Path, name: str, guardrail: str, missed: int) -> None:
    found, notes = played(tmp_path, plan_of(name, 14))
    assert found.breach is not None
    assert found.breach["guardrail"] == guardrail
    assert found.missed_outside == 0
    assert found.missed >= missed
    frame = found.breach["frame"]
    assert found.back_frame in (frame, frame + 1), "who dies in lockstep is replaced in the very slot"
    assert notes[-1] == {"event": "bind", "stage": 0, "seed": 1, "frame": found.back_frame, "candidates": []}
    assert found.frames == found.back_frame - 2
    assert len(found.series["run_delay"]) == 16, "the run goes on with the baseline"


@pytest.mark.parametrize(
    ("name", "guardrail", "services"), [("bad", "infeasible", 12), ("crashing", "crash", 12), ("slow", "late", 20)]
)
def test_on_the_wall_clock_the_baseline_is_back_at_the_next_boundary(
    tmp_path: Path, name: str, guardrail: str, services: int
) -> None:
    """Of the slow one: 18 services are a quarter of a million subsets, long on any machine; it knows them in frame 8.

    Who dies is late first, as time does not wait for what its launcher has to say.
    """
    plan = plan_of(f"{name}-candidate", 9, f"services.count={services}", "slots_per_frame=1")
    found, notes = played(tmp_path, plan, rate=60.0)
    assert found.breach is not None
    assert found.breach["guardrail"] == guardrail
    frame, back = found.breach["frame"], found.back_frame
    assert 2 <= frame < back == frame + 1
    assert notes[-1] == {"event": "bind", "stage": 0, "seed": 1, "frame": back, "candidates": []}
    assert found.frames == back - 2
    decided = refusals(tmp_path / "runs" / "0-1")
    assert 1 <= found.missed <= 2, "in one frame, at the two edge servers of the canary at most"
    assert decided[frame] >= found.missed
    assert sum(decided.values()) == found.missed + found.missed_outside
