"""Routing of single tasks, and the account of how tasks ended."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model import serving
from emulator.model.offloading import Floats


def test_routing_by_hand() -> None:
    split = np.array([[0.5, 0.0], [0.25, 0.0], [0.25, 1.0]])
    uniforms = np.array([0.0, 0.49, 0.5, 0.75, 0.3, 0.99])
    flow = serving.routed(np.array([4.0, 2.0]), split, uniforms)
    assert flow.tolist() == [[2.0, 0.0], [1.0, 0.0], [1.0, 2.0]]


def test_the_last_possible_target_takes_what_rounding_leaves() -> None:
    third = 0.3333
    split = np.array([[third], [third], [third], [0.0]])
    flow = serving.routed(np.array([1.0]), split, np.array([1.0 - 2**-53]))
    assert flow[:, 0].tolist() == [0.0, 0.0, 1.0, 0.0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4))
def test_routing_keeps_every_task_and_never_uses_a_target_of_share_zero(seed: int, targets: int, services: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.random((targets, services)) * (rng.random((targets, services)) < 0.6)
    weight[rng.integers(targets)] += 0.1
    split = weight / weight.sum(axis=0)
    tasks = rng.integers(0, 20, services).astype(np.float64)
    flow = serving.routed(tasks, split, rng.random(int(tasks.sum())))
    assert (flow.sum(axis=0) == tasks).all()
    assert (flow[split == 0.0] == 0.0).all()


def test_routing_has_the_mean_of_the_shares() -> None:
    rng = np.random.default_rng(1)
    split = np.array([[0.5, 0.1], [0.2, 0.0], [0.3, 0.9]])
    tasks = np.array([200_000.0, 300_000.0])
    flow = serving.routed(tasks, split, rng.random(500_000))
    deviation = np.sqrt(tasks * split * (1.0 - split))
    assert (np.abs(flow - tasks * split) <= 4.0 * deviation).all()


EDGES = np.array([1.0, 2.0, 4.0])


def account(flow: Floats, delay: Floats, *, cloud: bool = True) -> serving.Ends:
    """One origin, the first of two edge servers, one service."""
    tasks = flow.sum(axis=0)
    return serving.ended(tasks, flow, delay, np.array([3.0]), EDGES, own=0, cloud=cloud)


def test_an_account_by_hand() -> None:
    ends = account(np.array([[2.0], [0.5], [1.5]]), np.array([[0.5], [2.0], [3.0]]))
    assert [part.tolist() for part in ends[:5]] == [[4.0], [2.0], [0.5], [1.5], [0.0]]
    assert ends.cost_s.tolist() == [2 * 0.5 + 0.5 * 2 + 1.5 * 3]
    assert ends.all_cloud_s.tolist() == [12.0]
    # A delay that equals an upper edge belongs below it.
    assert ends.histogram.tolist() == [2.0, 0.5, 1.5, 0.0]


def test_without_a_cloud_what_is_sent_up_is_dropped() -> None:
    ends = account(np.array([[2.0], [0.0], [1.5]]), np.array([[0.5], [9.0], [3.0]]), cloud=False)
    assert ends.cloud.tolist() == [0.0]
    assert ends.dropped.tolist() == [1.5]
    assert ends.cost_s.tolist() == [1.0]
    assert ends.all_cloud_s.tolist() == [6.0]
    assert ends.histogram.sum() == 2.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_every_completed_task_is_in_the_histogram_once(seed: int, cloud: bool) -> None:
    rng = np.random.default_rng(seed)
    edges, services = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    shape = (edges + 1, edges, services)
    flow = rng.random(shape) * (rng.random(shape) < 0.5)
    delay = rng.uniform(0.0, 6.0, shape)
    tasks = flow.sum(axis=0)
    ends = serving.ended(tasks, flow, delay, delay[-1], EDGES, own=np.arange(edges), cloud=cloud)
    completed = ends.local + ends.peer + ends.cloud
    assert ends.histogram.sum(axis=1) == pytest.approx(completed.sum(axis=1))
    assert completed + ends.dropped == pytest.approx(tasks)
    assert (ends.cost_s >= 0.0).all()
