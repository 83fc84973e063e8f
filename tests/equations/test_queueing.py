"""Queued tasks: processor sharing against a fine-step simulation, conservation, and what queueing theory says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model import queueing
from emulator.model.offloading import Bools
from emulator.model.queueing import Executor, FinishedTask

ONE: Bools = np.array([True])


def admit_at(
    executor: Executor, times: list[float], cycles: float, *, transfer_s: float = 0.0, origin: int = 0
) -> None:
    tasks = np.array([float(len(times))])
    executor.admit(origin, tasks, np.array(times), 0.0, np.array([transfer_s]), np.array([cycles]))


def test_two_tasks_share_a_server_by_hand() -> None:
    executor = Executor(10.0)
    admit_at(executor, [0.0, 1.0], 20.0)
    # Alone for 1 s, then both at 5 cycles/s: the first is done at 3 s, the second alone again until 4 s.
    assert [task.delay_s for task in executor.run(0.0, 10.0, ONE)] == pytest.approx([3.0, 3.0])
    assert executor.waiting == []


def test_transfer_comes_before_compute_and_counts() -> None:
    executor = Executor(10.0)
    admit_at(executor, [0.0], 20.0, transfer_s=1.5)
    assert [task.delay_s for task in executor.run(0.0, 10.0, ONE)] == pytest.approx([3.5])


def test_a_task_outlives_its_slot() -> None:
    executor = Executor(10.0)
    admit_at(executor, [9.0], 20.0)
    assert executor.run(0.0, 10.0, ONE) == []
    assert executor.outstanding(1) == [1]
    assert [task.delay_s for task in executor.run(10.0, 20.0, ONE)] == pytest.approx([2.0])


def test_a_service_with_tasks_keeps_its_share_when_it_is_no_longer_deployed() -> None:
    executor = Executor(10.0)
    executor.admit(0, np.array([1.0, 1.0]), np.zeros(2), 0.0, np.zeros(2), np.array([10.0, 10.0]))
    finished = executor.run(0.0, 10.0, np.array([True, False]))
    assert [task.delay_s for task in finished] == pytest.approx([2.0, 2.0])


def test_a_copy_is_apart() -> None:
    executor = Executor(10.0)
    admit_at(executor, [0.0], 200.0)
    twin = executor.copy()
    executor.run(0.0, 10.0, ONE)
    assert twin.waiting[0].left_cycles == 200.0


def fine_steps(arrivals: list[tuple[float, float]], share_hz: float, until_s: float, step_s: float) -> list[float]:
    """Delay of each (ready time, cycles), by small steps in which the present share the rate; inf where not done."""
    left = [cycles for _, cycles in arrivals]
    delay = [np.inf] * len(arrivals)
    for k in range(int(until_s / step_s)):
        now_s = k * step_s
        present = [i for i, (ready_s, _) in enumerate(arrivals) if ready_s <= now_s and left[i] > 0.0]
        for i in present:
            left[i] -= share_hz * step_s / len(present)
            if left[i] <= 0.0:
                delay[i] = now_s + step_s - arrivals[i][0]
    return delay


@pytest.mark.parametrize("seed", range(6))
def test_an_executor_agrees_with_small_steps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    services, tasks = 2, 6
    at_s = rng.uniform(0.0, 4.0, (services, tasks))
    cycles = np.array([8.0, 15.0])
    executor = Executor(40.0)
    executor.admit(0, np.full(services, float(tasks)), at_s.ravel(), 0.0, np.zeros(services), cycles)
    deployed = np.ones(services, dtype=np.bool_)
    finished = executor.run(0.0, 2.0, deployed) + executor.run(2.0, 60.0, deployed)
    for j in range(services):
        got = sorted(task.delay_s for task in finished if task.service == j)
        want = sorted(fine_steps([(t, cycles[j]) for t in at_s[j].tolist()], 20.0, 12.0, 5e-4))
        assert got == pytest.approx(want, abs=0.01)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.1, 100.0))
def test_every_task_ends_once_and_work_is_conserved(seed: int, load: float) -> None:
    rng = np.random.default_rng(seed)
    origins, services, slots, slot_s = 3, 2, 5, 10.0
    executor = Executor(100.0)
    admitted = np.zeros(origins)
    finished: list[FinishedTask] = []
    cycles = np.array([20.0, 70.0])
    total_work = 0.0
    for slot in range(slots):
        for origin in range(origins):
            tasks = rng.poisson(load / 10.0, services).astype(np.float64)
            at_s = rng.random(int(tasks.sum())) * slot_s
            executor.admit(origin, tasks, at_s, slot * slot_s, rng.random(services), cycles)
            admitted[origin] += tasks.sum()
            total_work += float((tasks * cycles).sum())
        before = sum(task.left_cycles for task in executor.waiting)
        finished += executor.run(slot * slot_s, (slot + 1) * slot_s, np.array([True, False]))
        after = sum(task.left_cycles for task in executor.waiting)
        assert before - after <= 100.0 * slot_s * (1.0 + 1e-9), "more work than there is compute"
        done = [sum(task.origin == m for task in finished) for m in range(origins)]
        assert (np.array(done) + executor.outstanding(origins) == admitted).all()
    assert all(task.delay_s >= 0.0 for task in finished)
    finished += executor.run(slots * slot_s, slots * slot_s + 10.0 * total_work, np.ones(services, dtype=np.bool_))
    assert len(finished) == admitted.sum()


def test_cutting_time_into_slots_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    times = np.sort(rng.uniform(0.0, 50.0, 60)).tolist()
    whole, cut = Executor(10.0), Executor(10.0)
    for executor in (whole, cut):
        admit_at(executor, times, 7.0)
    at_once = [task.delay_s for task in whole.run(0.0, 100.0, ONE)]
    in_slots = [task.delay_s for k in range(20) for task in cut.run(5.0 * k, 5.0 * (k + 1), ONE)]
    assert in_slots == pytest.approx(at_once, abs=1e-6)


@pytest.mark.parametrize("utilisation", [0.3, 0.6])
def test_poisson_tasks_of_equal_work_take_what_processor_sharing_takes(utilisation: float) -> None:
    # M/G/1-PS is insensitive to the law of the work: mean sojourn is service time / (1 - utilisation).
    rng = np.random.default_rng(7)
    service_s, tasks, slot_s = 1.0, 30_000, 50.0
    times = np.cumsum(rng.exponential(service_s / utilisation, tasks))
    executor = Executor(10.0)
    delays: list[float] = []
    for k in range(int(times[-1] / slot_s) + 1):
        here = times[(times >= k * slot_s) & (times < (k + 1) * slot_s)] - k * slot_s
        executor.admit(0, np.array([float(len(here))]), here, k * slot_s, np.zeros(1), np.array([10.0 * service_s]))
        delays += [task.delay_s for task in executor.run(k * slot_s, (k + 1) * slot_s, ONE)]
    batches = np.array(delays[1000:29_000]).reshape(20, -1).mean(axis=1)
    error = batches.std(ddof=1) / np.sqrt(20)
    assert batches.mean() == pytest.approx(service_s / (1.0 - utilisation), abs=4.0 * error)
    assert error < 0.05 * service_s / (1.0 - utilisation)


def test_times_are_dealt_to_targets_each_once() -> None:
    flow = np.array([[2.0, 1.0], [0.0, 0.0], [0.0, 3.0]])
    at_s = np.arange(6.0)
    assert [part.tolist() for part in queueing.times_by_target(flow, at_s)] == [[0, 1, 2], [], [3, 4, 5]]


def test_finished_tasks_go_to_their_origin() -> None:
    finished = [FinishedTask(1, 0, 2.0), FinishedTask(0, 1, 3.0), FinishedTask(1, 1, 4.0)]
    service, delay_s = queueing.finished_arrays(finished, 1)
    assert (service.tolist(), delay_s.tolist()) == ([0.0, 1.0], [2.0, 4.0])
    assert queueing.finished_arrays(finished, 2)[0].size == 0


def test_an_account_of_queued_tasks_by_hand() -> None:
    ends = queueing.queued_ends(
        tasks=np.array([5.0, 2.0]),
        finished=[(0, np.array([0.0, 0.0]), np.array([0.5, 1.5])), (1, np.array([1.0]), np.array([3.0]))],
        to_cloud=np.array([1.0, 0.0]),
        dropped=np.zeros(2),
        cloud_s=np.array([4.0, 8.0]),
        edges_s=np.array([1.0, 2.0, 4.0]),
        own=0,
    )
    assert [part.tolist() for part in ends[1:4]] == [[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    assert ends.cost_s.tolist() == [0.5 + 1.5 + 4.0, 3.0]
    assert ends.all_cloud_s.tolist() == [12.0, 8.0]
    assert ends.histogram.tolist() == [1.0, 1.0, 2.0, 0.0]
