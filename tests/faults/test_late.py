"""The wall clock: who is late is counted, and each task is completed or dropped(late), never forgotten. One thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from thread_run import TICK, Kill, ThreadRun, small

from bus.messages import Array
from emulator.assembly import build_demand, build_network, delay_edges
from emulator.model.offloading import frame_costs
from emulator.nodes.edge_plan import Plan
from emulator.nodes.edge_serving import Answers, Queued
from emulator.scenario import Scenario
from emulator.world import routing_stream, times_stream

# Real time passes here, so these run by themselves, and a slot is long against what a busy machine takes away.
pytestmark = pytest.mark.processes
SLOT_WALL_S = 0.25


def scenario(**changes: Any) -> Scenario:
    slot_s = changes.pop("slot_s", 60.0)
    found = {"frames": 4, "seed": 20, "clock": "wall", "slot_s": slot_s, "rate": slot_s / SLOT_WALL_S}
    return small(**{**found, **changes})


class Pause:
    """One process stands still from a slot on, for some slots."""

    def __init__(self, name: str, first: int, slots: int) -> None:
        self.name = name
        self.first = first
        self.end = first + slots

    def __call__(self, run: ThreadRun) -> None:
        now = run.hub.status().slot
        if self.first <= now < self.end and run.hub.phase == "running":
            run.paused.add(self.name)
        else:
            run.paused.discard(self.name)


def play(folder: Path, scenario: Scenario, *kills: Kill, pause: Pause | None = None) -> ThreadRun:
    run = ThreadRun(scenario, folder / "run", list(kills), on_turn=pause)
    assert run.play() == 0, run.hub.reason
    return run


def check_tasks(run: ThreadRun, *, cells_always: bool = True) -> None:
    """Every task that a cell told of is in the books, and ended once or is in flight."""
    slots = run.slots()
    assert slots["slot"] == list(range(run.scenario.slots))
    before = 0.0
    for k, tasks in enumerate(slots["tasks"]):
        ended = sum(slots[name][k] for name in ("local", "peer", "cloud", "dropped"))
        assert before + tasks == pytest.approx(ended + slots["in_flight"][k])
        assert min(slots[name][k] for name in ("local", "peer", "cloud", "dropped", "in_flight")) >= 0.0
        before = slots["in_flight"][k]
    if cells_always:
        demand = build_demand(run.scenario, range(3))
        told = sum(cell.counts(slot).sum() for cell in demand for slot in range(run.scenario.slots))
        assert sum(slots["tasks"]) == pytest.approx(told)


def has_caught_up(run: ThreadRun) -> bool:
    """Whether the last slots are served again; the machine itself may be late in one of them."""
    return min(run.slots()["dropped"][6:]) == 0.0


@pytest.mark.parametrize("tasks", ["sampled", "queued"])
def test_nobody_late_is_nothing_dropped(tmp_path: Path, tasks: str) -> None:
    run = play(tmp_path, scenario(tasks=tasks))
    check_tasks(run)
    assert run.ledger()["late"] == 0
    assert sum(run.slots()["dropped"]) == 0.0


@pytest.mark.parametrize(("tasks", "slots"), [("expected", 3), ("queued", 1), ("queued", 3)])
def test_tasks_of_an_edge_server_that_stands_still_are_dropped_late(tmp_path: Path, tasks: str, slots: int) -> None:
    run = play(tmp_path, scenario(tasks=tasks, slot_s=1.0), pause=Pause("edge-1", 3, slots))
    check_tasks(run)
    ledger = run.ledger()
    assert ledger["late"] >= 1
    assert ledger["dropped_by_reason"]["late"] > 0.0
    assert has_caught_up(run)
    assert run.members(7) == run.members(0)


@pytest.mark.parametrize(("tasks", "victim"), [("expected", "cloud"), ("queued", "cloud"), ("queued", "cell-0")])
def test_whoever_stands_still_no_task_is_forgotten(tmp_path: Path, tasks: str, victim: str) -> None:
    run = play(tmp_path, scenario(tasks=tasks, slot_s=1.0), pause=Pause(victim, 4, 2))
    check_tasks(run, cells_always=victim != "cell-0")
    assert has_caught_up(run)


@pytest.mark.parametrize(
    ("tasks", "victim"),
    [("expected", "edge-1"), ("expected", "cell-0"), ("queued", "edge-1"), ("queued", "cloud"), ("queued", "agent-1")],
)
def test_a_death_is_gone_on_without_from_the_next_slot(tmp_path: Path, tasks: str, victim: str) -> None:
    run = play(tmp_path, scenario(tasks=tasks, slot_s=1.0), Kill(victim, 3, TICK, restart=False))
    check_tasks(run, cells_always=victim != "cell-0")
    assert all(run.attempts(slot) == 1 for slot in range(8))
    assert run.members(5) != run.members(0)


def test_a_slow_agent_leaves_the_decision_before_in_force(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(), pause=Pause("agent-1", 4, 1))
    check_tasks(run)
    said = run.told("/edge/1/deployment_in_force")
    assert said[4].refused == "late"  # type: ignore[attr-defined]
    assert said[4].services == said[2].services  # type: ignore[attr-defined]


def test_after_a_scheduler_died_edge_servers_know_at_once_what_is_deployed(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(slots_per_frame=6, frames=2), Kill("cloud", 7, TICK, restart=False))
    out = next(slot for slot in range(12) if "/scheduler" not in run.members(slot))
    assert out % 6
    assert out in run.told("/edge/0/deployment_in_force")
    assert sum(run.slots()["local"][out:]) > 0.0


def test_a_task_that_was_given_up_does_not_end_again_when_its_executor_answers(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(tasks="queued", slot_s=0.5), pause=Pause("edge-1", 3, 2))
    check_tasks(run)
    for m in range(3):
        for message in run.told(f"/edge/{m}/outcome").values():
            assert message.in_flight >= 0.0  # type: ignore[attr-defined]


def test_tasks_that_came_too_late_to_an_executor_do_not_stay_in_flight_for_ever() -> None:
    world = small(edges={"count": 2}, tasks="queued", slot_s=0.001)
    network, deployed = build_network(world), np.ones((2, 6), dtype=bool)
    costs, edges_s, nobody = frame_costs(network, deployed), delay_edges(network), Answers([], {})
    serving = [
        Queued(m, network, edges_s, routing_stream(world, m), times_stream(world, m), world.slot_s) for m in (0, 1)
    ]
    plan = Plan([(1, j, 1.0) for j in range(6)], set())  # all of edge server 0's tasks go to edge server 1
    tasks = Array.of(np.array([2.0, 1.0, 0.0, 0.0, 0.0, 0.0]))
    ends = []
    for slot, in_time in enumerate((True, False, True)):
        for each in serving:
            each.begin(slot, [0, 1])
        offload = serving[0].route(tasks, plan, [])[1]
        serving[1].route(Array.of(np.zeros(6)), plan, [])
        serving[0].execute([], costs)
        answer = serving[1].execute([(0, offload)] if in_time else [], costs)[0]
        ends.append(serving[0].end(Answers([(1, answer)], {}), costs))
        serving[1].end(nobody, costs)
        for each in serving:
            each.commit()
    assert [outcome.reasons for outcome in ends] == [{}, {"late": 3.0}, {}]
    assert [outcome.in_flight for outcome in ends] == [3.0, 3.0, 6.0]
