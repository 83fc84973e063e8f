"""The kill matrix in one thread: each kind of process dies in each stage of a slot, and the run goes on by the rules.

Every case checks the same: the run ends well; every task ends once (the ledger stops a run otherwise); arrivals are
those of a run without deaths; the roster leaves the victim out from that slot on and has it back at a frame's first
slot; each slot's numbers equal an independent computation of the world as it was then.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slot_reference import expected_rows
from thread_run import TICK, Kill, ThreadRun, small

from emulator.assembly import build_demand
from emulator.scenario import Scenario

FIRST, WITHIN = 4, 5
"""A frame's first slot, and one within it (two slots a frame)."""

IN_EVERY_SLOT = {
    "cell-0": {
        "before the tick": (TICK, 1),
        "after the first cell's arrivals": ("/cell/0/arrivals", 1),
        "after all arrivals": ("/cell/2/arrivals", 1),
        "after it is done": ("/process/cell-0/done", 1),
    },
    "edge-1": {
        "before the tick": (TICK, 1),
        "after its first offload": ("/edge/1/offload/.*", 1),
        "after its last offload": ("/edge/1/offload/.*", -1),
        "after its first answer": ("/edge/1/completed/.*", 1),
        "after its outcome": ("/edge/1/outcome", 1),
        "after it is done": ("/process/edge-1/done", 1),
    },
    "agent-1": {"before the tick": (TICK, 1)},
    "cloud": {
        "before the tick": (TICK, 1),
        "after the schedule": ("/scheduler/schedule", 1),
        "after its first answer": ("/cloud/completed/.*", 1),
        "after its last answer": ("/cloud/completed/.*", -1),
        "after it is done": ("/process/cloud/done", 1),
    },
}
IN_A_FIRST_SLOT = {
    "edge-1": {
        "after the observation": ("/edge/1/frame_observation", 1),
        "after the deployment in force": ("/edge/1/deployment_in_force", 1),
    },
    "agent-1": {"after its decision": ("/agent/1/deployment", 1)},
}


def cases() -> list[Any]:
    found = []
    for slot, stages in ((FIRST, IN_EVERY_SLOT), (WITHIN, IN_EVERY_SLOT), (FIRST, IN_A_FIRST_SLOT)):
        for victim, topics in stages.items():
            for stage, (topic, count) in topics.items():
                where = "first slot" if slot == FIRST else "within a frame"
                found.append(pytest.param(victim, slot, topic, count, id=f"{victim}, {where}, {stage}"))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> ThreadRun:
    run = ThreadRun(scenario(), tmp_path_factory.mktemp("undisturbed"))
    assert run.play() == 0
    return run


def scenario(**changes: Any) -> Scenario:
    return small(frames=8, seed=20, demand={"workload": "drift"}, **changes)  # a seed that has every stage


def count_of(run: ThreadRun, victim: str, slot: int, topic: str, count: int) -> int:
    """The count-th such publication; -1: the last one of the undisturbed run."""
    if topic == TICK:
        return count
    sent = sum(1 for s in run.sent if s.process == victim and s.slot == slot and re.fullmatch(topic, s.topic))
    assert sent >= count, f"slot {slot} of the undisturbed run has no {topic}; choose another seed"
    return sent if count < 0 else count


def check_books(run: ThreadRun) -> None:
    """Each slot's numbers are those of the world as it was then; arrivals are what the streams say."""
    rows, slots = expected_rows(run.scenario, run.members), run.slots()
    assert slots["slot"] == list(range(run.scenario.slots))
    for name in rows[0]:
        np.testing.assert_allclose(slots[name], [row[name] for row in rows], rtol=1e-9, atol=1e-9, err_msg=name)


def check_arrivals(run: ThreadRun) -> None:
    demand = build_demand(run.scenario, range(run.scenario.edges.count))
    for m, cell in enumerate(demand):
        for slot, message in run.told(f"/cell/{m}/arrivals").items():
            assert message.tasks.numpy().tolist() == cell.counts(slot).tolist()  # type: ignore[attr-defined]


def check_rosters(run: ThreadRun, victim: str, slot: int) -> None:
    names = {f"/{victim.replace('-', '/')}"} if victim.startswith(("edge", "agent")) else None
    full = run.members(0)
    if names is None:
        names = {"/cloud", "/scheduler"} if victim == "cloud" else {name for name in full if name.startswith("/cell")}
    names &= full
    assert run.lost == [victim]
    out = [s for s in range(run.scenario.slots) if run.members(s) != full]
    # Who died when its part was done may see that slot committed; it is missed in the next one.
    assert out[0] in (slot, slot + 1)
    assert out == list(range(out[0], out[-1] + 1))
    assert all(run.members(s) == full - names for s in out)
    assert run.members(run.scenario.slots - 1) == full, "it never came back"
    assert (out[-1] + 1) % run.scenario.slots_per_frame == 0
    assert run.attempts(out[0]) == 2
    assert sum(run.attempts(s) - 1 for s in range(run.scenario.slots)) == 1


@pytest.mark.parametrize(("victim", "slot", "topic", "count"), cases())
def test_a_death_in_any_stage_costs_one_attempt_and_nothing_else(
    tmp_path: Path, undisturbed: ThreadRun, victim: str, slot: int, topic: str, count: int
) -> None:
    count = count_of(undisturbed, victim, slot, topic, count)
    run = ThreadRun(scenario(), tmp_path / "run", [Kill(victim, slot, topic, count)])
    assert run.play() == 0
    check_rosters(run, victim, slot)
    check_arrivals(run)
    check_books(run)


def test_a_run_without_deaths_equals_the_independent_computation(undisturbed: ThreadRun) -> None:
    check_books(undisturbed)
    check_arrivals(undisturbed)
    assert all(undisturbed.attempts(s) == 1 for s in range(undisturbed.scenario.slots))
