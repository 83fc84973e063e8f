"""What an edge server reads from a schedule."""

from __future__ import annotations

import numpy as np
import pytest

from bus.messages import Array, Schedule
from emulator import records
from emulator.nodes.edge_plan import Plan, PlanReader, default_plan, plan_of, usable_plan


def schedule_of(edges: int, services: int, seed: int) -> tuple[Schedule, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    tasks = rng.integers(0, 3, (edges, services)).astype(np.float64)
    weight = np.where(rng.random((edges, edges + 1, services)) < 0.4, rng.random((edges, edges + 1, services)), 0.0)
    weight[:, -1] += 0.1
    split = weight / weight.sum(axis=1, keepdims=True)
    return records.schedule(split, tasks), split, tasks


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_holds_the_own_rows_with_tasks_and_who_sends_here(seed: int) -> None:
    schedule, split, tasks = schedule_of(4, 6, seed)
    reader = PlanReader([1, 3], 4, 6)
    masked = np.where((tasks > 0.0)[:, None], split, 0.0)
    for m in (1, 3):
        plan = reader.plan(schedule, m)
        assert plan == plan_of(masked, m)
        assert plan.own == sorted(plan.own)
        assert plan.split(5, 6).tobytes() == masked[m].tobytes()


def test_each_schedule_is_read_once_for_all_hosted_edge_servers_and_the_next_one_anew() -> None:
    first, second = (schedule_of(4, 6, seed)[0] for seed in (1, 2))
    reader = PlanReader([0, 1], 4, 6)
    plans = [reader.plan(first, 0), reader.plan(second, 0), reader.plan(second, 0)]
    assert plans[0] != plans[1]
    assert plans[1] is plans[2]


@pytest.mark.parametrize(("source", "target", "service"), [(4, 0, 0), (0, 5, 0), (0, 0, 6)])
def test_an_index_beyond_the_world_is_refused(source: int, target: int, service: int) -> None:
    columns = (Array.of(np.array([index], dtype=np.uint16)) for index in (service, source, target))
    with pytest.raises(ValueError, match="an index is beyond 4 edge servers or 6 services"):
        PlanReader([0], 4, 6).plan(Schedule(*columns, Array.of(np.ones(1))), 0)


def test_columns_of_different_length_are_refused() -> None:
    one, two = (Array.of(np.zeros(count, dtype=np.uint16)) for count in (1, 2))
    with pytest.raises(ValueError, match="zip"):
        PlanReader([0], 4, 6).plan(Schedule(one, one, two, Array.of(np.ones(1))), 0)


def test_without_a_schedule_hosted_services_stay_and_the_others_go_up() -> None:
    plan = default_plan(np.array([True, False, True]), 1, 4)
    assert plan.own == [(1, 0, 1.0), (1, 2, 1.0), (4, 1, 1.0)]
    assert plan.senders is None


def test_arrays_of_numbers_cross_without_numpy_and_with_the_same_bytes() -> None:
    floats = np.array([0.1, 2.0, -0.0, 1e300])
    assert Array.of_floats(floats.tolist()) == Array.of(floats)
    assert Array.of(floats).values() == floats.tolist()
    assert Array.of(np.arange(3, dtype=np.uint16)).values() == [0, 1, 2]
    assert Array.of(np.arange(3, dtype=np.int32)).values() == [0, 1, 2]  # no cast is known: by NumPy
    with pytest.raises(ValueError, match="reshape"):
        Array("<f8", (3,), bytes(16)).values()


def test_a_plan_that_covers_all_tasks_stays_as_it_is() -> None:
    plan = Plan([(0, 0, 1.0), (2, 1, 1.0)], set())
    assert usable_plan(plan, [3.0, 2.0, 0.0], np.array([True, False, False]), 0, 4) is plan


def test_tasks_that_the_scheduler_did_not_hear_of_stay_home_where_hosted_and_go_up_else() -> None:
    plan = Plan([(2, 1, 1.0)], {3})
    usable = usable_plan(plan, [3.0, 2.0, 1.0], np.array([True, False, False]), 0, 4)
    assert usable.own == [(0, 0, 1.0), (2, 1, 1.0), (4, 2, 1.0)]
    assert usable.senders == {3}


def test_tasks_do_not_stay_at_home_where_their_service_is_not_deployed_any_more() -> None:
    plan = Plan([(0, 1, 0.5), (2, 1, 0.5)], set())
    assert usable_plan(plan, [0.0, 2.0], np.array([True, False]), 0, 4).own == [(4, 1, 1.0)]
