"""Marginal gains against taking every service away by hand."""

from __future__ import annotations

import numpy as np
import pytest
from agents_small import network

from agents.ttosc.credit import marginal_gains
from emulator.model.offloading import frame_costs
from emulator.model.scheduling import total_cost


def delay_sum_s(world, tasks, deployed):
    """Sum over slots of seconds per task."""
    costs = frame_costs(world, deployed)
    return sum(float(total_cost(slot, costs).sum()) / slot.sum() for slot in tasks.swapaxes(0, 1) if slot.sum() > 0.0)


def drawn(*shape):
    return np.random.Generator(np.random.Philox(key=5)).integers(0, 6, shape).astype(float)


@pytest.mark.parametrize("matrix", [None, [[1.0, 5e6, 8e6], [4e6, 1.0, 9e6], [7e6, 3e6, 1.0]]])
def test_a_marginal_gain_is_the_delay_without_less_the_delay_with(matrix):
    world = network(storage=(3.0, 3.0, 3.0), sizes=(1.0,) * 5, matrix=matrix)
    tasks = drawn(3, 4, 5)
    tasks[:, 2] = 0.0  # a slot without tasks is worth nothing
    deployed = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=np.bool_)
    found = marginal_gains(world, tasks, deployed)
    for edge in range(3):
        for service in range(5):
            without, having = deployed.copy(), deployed.copy()
            without[edge, service], having[edge, service] = False, True
            wanted = delay_sum_s(world, tasks, without) - delay_sum_s(world, tasks, having)
            assert found[edge, service] == pytest.approx(wanted, abs=1e-9 if matrix is None else 1e-6)


def test_a_service_that_nobody_asks_for_costs_its_share_of_compute():
    world = network(storage=(3.0, 3.0), sizes=(1.0, 1.0, 1.0))
    tasks = np.zeros((2, 2, 3))
    tasks[:, :, 0] = 4.0
    gains = marginal_gains(world, tasks, np.array([[1, 1, 0], [0, 0, 0]], dtype=np.bool_))
    assert gains[0, 0] > 0.0
    assert gains[0, 1] < 0.0
