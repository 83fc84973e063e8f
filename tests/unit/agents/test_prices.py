"""What a distillation prices: both backends against each other and against taking services away by hand."""

from __future__ import annotations

import numpy as np
import pytest
from agents_small import network

from agents.ttosc.credit import marginal_gains, pricer_of
from emulator.model.offloading import frame_costs
from emulator.model.scheduling import total_cost

DEPLOYED = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=np.bool_)
MATRIX = [[1.0, 5e6, 8e6], [4e6, 1.0, 9e6], [7e6, 3e6, 1.0]]


def frame(slots=4):
    tasks = np.random.Generator(np.random.Philox(key=7)).integers(0, 6, (3, slots, 5)).astype(float)
    tasks[:, 2] = 0.0
    return tasks


def mean_delay_s(world, tasks, deployed):
    costs = frame_costs(world, deployed)
    return sum(float(total_cost(slot, costs).sum()) for slot in tasks.swapaxes(0, 1)) / tasks.sum()


@pytest.mark.parametrize(("backend", "matrix"), [("numpy", None), ("numba", None), ("numba", MATRIX)])
def test_a_gain_is_what_the_frames_mean_delay_changes_by(backend, matrix):
    world = network(storage=(3.0, 3.0, 3.0), sizes=(1.0,) * 5, matrix=matrix)
    tasks = frame()
    gains, delay_s = pricer_of(world, backend)(tasks, DEPLOYED)
    assert delay_s == pytest.approx(mean_delay_s(world, tasks, DEPLOYED))
    for edge in range(3):
        for service in range(5):
            without, having = DEPLOYED.copy(), DEPLOYED.copy()
            without[edge, service], having[edge, service] = False, True
            wanted = mean_delay_s(world, tasks, without) - mean_delay_s(world, tasks, having)
            assert gains[edge, service] == pytest.approx(wanted, abs=1e-9 if matrix is None else 1e-6)


def test_in_a_frame_of_one_slot_it_is_the_marginal_gain():
    world = network(storage=(3.0, 3.0, 3.0), sizes=(1.0,) * 5)
    tasks = frame(slots=3)[:, :1]
    gains, _ = pricer_of(world, "numpy")(tasks, DEPLOYED)
    assert np.allclose(gains, marginal_gains(world, tasks, DEPLOYED), atol=1e-12)


def test_a_frame_without_tasks_is_worth_nothing():
    world = network(storage=(3.0, 3.0, 3.0), sizes=(1.0,) * 5)
    for backend in ("numpy", "numba"):
        gains, delay_s = pricer_of(world, backend)(np.zeros((3, 2, 5)), DEPLOYED)
        assert delay_s == 0.0
        assert not gains.any()
