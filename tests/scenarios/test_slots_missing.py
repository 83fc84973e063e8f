"""Who is missing, and what the world does then. One thread; every slot is compared with plain loops.

cell -> arrivals -> scheduler -> schedule -> edge -> offload -> executor -> completed -> edge -> outcome -> ledger
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slot_reference import expected_rows
from thread_run import TICK, Kill, ThreadRun, small

from emulator.assembly import build_demand
from emulator.scenario import Scenario

LAST = 15


def scenario(**changes: Any) -> Scenario:
    return small(frames=8, seed=20, demand={"workload": "drift"}, **changes)


def dies(victim: str, slot: int = 5, topic: str = TICK, **more: Any) -> Kill:
    return Kill(victim, slot, topic, restart=False, **more)


def play(folder: Path, scenario: Scenario, *kills: Kill, **options: Any) -> ThreadRun:
    run = ThreadRun(scenario, folder / "run", list(kills), **options)
    assert run.play() == 0, run.hub.reason
    assert len(run.lost) == len(kills), "somebody survived"
    return run


def check_books(run: ThreadRun) -> None:
    rows, slots = expected_rows(run.scenario, run.members), run.slots()
    for name in rows[0]:
        np.testing.assert_allclose(slots[name], [row[name] for row in rows], rtol=1e-9, atol=1e-9, err_msg=name)


def check_tasks_end_once(run: ThreadRun) -> None:
    """By slot: what was in flight and came either ended or is in flight."""
    slots = run.slots()
    before = 0.0
    for k, tasks in enumerate(slots["tasks"]):
        ended = sum(slots[name][k] for name in ("local", "peer", "cloud", "dropped"))
        assert before + tasks == pytest.approx(ended + slots["in_flight"][k])
        assert min(slots[name][k] for name in ("local", "peer", "cloud", "dropped", "in_flight")) >= 0.0
        before = slots["in_flight"][k]


def check_arrivals(run: ThreadRun) -> None:
    demand = build_demand(run.scenario, range(run.scenario.edges.count))
    for slot, tasks in enumerate(run.slots()["tasks"]):
        cells = [m for m in range(len(demand)) if f"/cell/{m}" in run.members(slot)]
        assert tasks == sum(demand[m].counts(slot).sum() for m in cells)


def test_without_an_edge_server_its_cell_sends_up_and_publishes_how_it_ended(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(), dies("edge-1"))
    check_books(run)
    assert set(run.told("/cell/1/outcome")) == set(run.told("/cell/1/offload/cloud")) == set(range(5, LAST + 1))
    for message in run.told("/cell/1/outcome").values():
        np.testing.assert_array_equal(message.cloud.numpy(), message.arrived.numpy())  # type: ignore[attr-defined]


def test_without_a_cell_its_edge_server_serves_the_others(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(), dies("cell-1"), layout={"cell": [(0, 1), (1, 1), (2, 1)]})
    check_books(run)
    check_arrivals(run)
    assert all(m.arrived.numpy().sum() == 0.0 for s, m in run.told("/edge/1/outcome").items() if s >= 5)  # type: ignore[attr-defined]
    assert any(sent.topic == "/edge/1/completed/0" for sent in run.sent if sent.slot > 5)


def test_without_a_cloud_tasks_without_a_host_are_dropped(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(), dies("cloud"))
    check_books(run)
    assert sum(run.slots()["dropped"][5:]) > 0.0
    assert run.slots()["cloud"][5:] == [0.0] * (LAST - 4)
    assert sum(run.slots()["dropped"][:5]) == 0.0
    reasons = run.ledger()["dropped_by_reason"]
    assert reasons == {"no_cloud": pytest.approx(sum(run.slots()["dropped"]))}


def test_without_cloud_and_edge_server_a_cell_drops_what_it_has(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(), dies("cloud", 3), dies("edge-2", 5))
    check_books(run)
    assert set(run.ledger()["dropped_by_reason"]) == {"no_cloud"}


def test_without_a_scheduler_edge_servers_find_the_same_schedule_themselves(tmp_path: Path) -> None:
    with_one = play(tmp_path / "a", scenario(scheduler={"at": "cloud"}))
    without = play(tmp_path / "b", scenario(scheduler={"at": "edges"}))
    assert with_one.slots() == without.slots()
    check_books(without)


@pytest.mark.parametrize("victim", ["edge-1", "cloud", "agent-0", "cell-2"])
@pytest.mark.parametrize("slot", [4, 5])
def test_edge_servers_that_schedule_themselves_survive_a_death(tmp_path: Path, victim: str, slot: int) -> None:
    layout = {"cell": [(0, 1), (1, 1), (2, 1)]}
    topics = {"edge-1": "/edge/1/offload/.*", "cloud": "/cloud/completed/.*", "cell-2": "/cell/2/arrivals"}
    kill = Kill(victim, slot, topics.get(victim, TICK))
    run = play(tmp_path, scenario(scheduler={"at": "edges"}), kill, layout=layout)
    check_books(run)
    check_arrivals(run)
    assert run.members(LAST) == run.members(0)


def test_a_scheduler_lost_back_and_lost_again_leaves_no_trace_of_its_first_life(tmp_path: Path) -> None:
    kills = [Kill("cloud", 5, "/scheduler/schedule"), Kill("cloud", 13, "/scheduler/schedule")]
    run = play(tmp_path, scenario(), *kills)
    check_books(run)


@pytest.mark.parametrize("orphan", ["keep", "empty", "popularity"])
@pytest.mark.parametrize("hold", [0, 1])
def test_without_an_agent_the_decision_holds_and_then_the_orphan_rule_does(
    tmp_path: Path, orphan: str, hold: int
) -> None:
    run = play(tmp_path, scenario(agent={"orphan": orphan, "hold_decision_frames": hold}), dies("agent-1"))
    check_books(run)
    services = {slot: message.services for slot, message in run.told("/edge/1/deployment_in_force").items()}  # type: ignore[attr-defined]
    held = services[4]
    assert held
    orphaned = [services[slot] for slot in range(6 + 2 * hold, LAST, 2)]
    assert all(services[slot] == held for slot in range(6, 6 + 2 * hold, 2))
    if orphan == "popularity":
        assert any(found != held for found in orphaned)
    else:
        assert all(found == (held if orphan == "keep" else ()) for found in orphaned)


def test_an_agent_that_never_came_back_stays_out(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(), dies("agent-1"))
    assert all("/agent/1" not in run.members(slot) for slot in range(5, LAST + 1))


@pytest.mark.parametrize("tasks", ["sampled", "queued"])
@pytest.mark.parametrize(
    ("victim", "topic"),
    [
        ("edge-1", "/edge/1/offload/.*"),
        ("edge-1", "/edge/1/outcome"),
        ("edge-1", "/process/edge-1/done"),
        ("cloud", "/scheduler/schedule"),
        ("agent-1", TICK),
        ("cell-0", "/cell/2/arrivals"),
    ],
)
def test_drawn_and_queued_tasks_end_once_whoever_dies(tmp_path: Path, tasks: str, victim: str, topic: str) -> None:
    changes = {"slot_s": 1.0} if tasks == "queued" else {}
    run = play(tmp_path, scenario(tasks=tasks, **changes), Kill(victim, 5, topic))
    check_tasks_end_once(run)
    check_arrivals(run)
    assert run.members(LAST) == run.members(0)


def test_tasks_in_flight_die_with_their_edge_server_and_with_their_executor(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(tasks="queued", slot_s=0.5), dies("edge-1"))
    check_tasks_end_once(run)
    assert run.slots()["in_flight"][4] > 0.0
    assert set(run.ledger()["dropped_by_reason"]) == {"edge_lost", "executor_lost"}


def test_two_deaths_in_one_slot_cost_two_attempts(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(), *(Kill(f"edge-{m}", 5, f"/edge/{m}/outcome", turns=99) for m in (0, 1)))
    check_books(run)
    assert run.attempts(5) == 3


def test_a_death_in_the_repeated_attempt_costs_one_more(tmp_path: Path) -> None:
    kills = [Kill("edge-0", 4, "/edge/0/frame_observation"), Kill("edge-2", 4, "/edge/2/outcome", attempt=1)]
    run = play(tmp_path, scenario(), *kills)
    check_books(run)
    assert run.attempts(4) == 3
    assert run.members(4) == run.members(0) - {"/edge/0", "/edge/2"}


def test_one_after_the_other_dies_until_nobody_is_left(tmp_path: Path) -> None:
    kills = [dies(f"edge-{m}", 3 + m) for m in range(3)] + [dies("cloud", 7), dies("cell-0", 9)]
    run = ThreadRun(scenario(), tmp_path / "run", kills)
    assert run.play() == 3
    assert run.hub.reason == "nobody is left to compute slot 9"
    assert run.slots()["slot"] == list(range(9))


def test_a_process_that_joins_computes_nothing_before_it_is_admitted(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(), Kill("edge-1", 5, "/edge/1/outcome", turns=0))
    back = next(slot for slot in range(6, LAST + 1) if "/edge/1" in run.members(slot))
    between = [sent for sent in run.sent if sent.process == "edge-1" and 5 < sent.slot < back]
    assert between == []


def test_an_observation_shown_again_gets_the_same_decision(tmp_path: Path) -> None:
    run = play(tmp_path, scenario(agent={"policy": "random"}), Kill("edge-0", 4, "/edge/0/outcome"))
    decisions = [sent.message for sent in run.sent if sent.topic == "/agent/1/deployment" and sent.slot == 4]
    assert len(decisions) == 2
    assert decisions[0] == decisions[1]


def test_groups_die_together(tmp_path: Path) -> None:
    layout = {"edge": [(0, 2), (2, 1)], "agent": [(0, 3)]}
    run = play(tmp_path, scenario(), Kill("edge-0", 5, "/edge/1/outcome"), layout=layout)
    check_books(run)
    assert run.members(5) == run.members(0) - {"/edge/0", "/edge/1"}
    assert run.members(LAST) == run.members(0)
