"""Drawing each task's target against the expected delays: the gap is the integer routing term, and nothing else."""

import numpy as np
import pytest

from emulator.assembly import resolve
from emulator.model import offloading, scheduling, serving
from emulator.model.offloading import Bools, Floats, FrameCosts
from emulator.scenario_file import load
from emulator.world import World


def packing(world: World, rng: np.random.Generator) -> Bools:
    """A random deployment that fills every edge server."""
    deployed = np.zeros((world.network.edges, world.network.services), dtype=np.bool_)
    for m, room in enumerate(world.network.storage_bytes.tolist()):
        for j in rng.permutation(world.network.services).tolist():
            if world.network.service_bytes[j] <= room:
                deployed[m, j] = True
                room -= float(world.network.service_bytes[j])
    return deployed


def cost(flow: Floats, costs: FrameCosts) -> Floats:
    """Task-seconds by service under eq. (4)-(6), flow of shape (edge from, target, service)."""
    edges = len(flow)
    by_target = np.ascontiguousarray(flow.swapaxes(0, 1))
    delay = np.empty_like(by_target)
    for n in range(edges):
        compute = offloading.compute_delay(serving.loads(by_target[n]), costs.compute_s[n])
        delay[n] = offloading.target_delay(costs.transfer_into(n), compute)
    delay[edges] = costs.cloud_s
    return offloading.ordered_sum(offloading.origin_cost(by_target, delay))


def repeated(costs: FrameCosts, times: int) -> FrameCosts:
    """The same frame with every service many times over, one for each draw."""
    wide = [np.tile(part, (1, times)) for part in (costs.compute_s, costs.leave_s, costs.enter_s, costs.cloud_s)]
    return FrameCosts(np.tile(costs.hosts, (1, times)), wide[0], wide[1], wide[2], None, wide[3])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_sampled_less_expected_is_the_integer_routing_term(seed: int) -> None:
    slots, draws = 1500, 200
    world = World(resolve(load("paper-ttosc", [f"seed={seed}", f"world_seed={seed}", "scheduler.backend=numpy"])))
    edges, services = world.network.edges, world.network.services
    rng = np.random.default_rng(seed)
    gap, variance, delay, term_share = np.zeros(slots), np.zeros(slots), np.zeros(slots), np.zeros(slots)
    for slot in range(slots):
        if slot % 5 == 0:
            costs = offloading.frame_costs(world.network, packing(world, rng))
            wide = repeated(costs, draws)
        tasks = world.arrivals(slot)
        total = float(tasks.sum())
        split = scheduling.solve_shares(tasks, costs)[1]
        expected = float(cost(offloading.flows(tasks, split), costs).sum())
        term = offloading.integer_routing_term(tasks, split, costs.compute_s)
        flow = np.stack(
            [
                serving.routed(
                    np.tile(tasks[m], draws), np.tile(split[m], (1, draws)), rng.random(draws * int(tasks[m].sum()))
                )
                for m in range(edges)
            ]
        )
        sampled = cost(flow, wide).reshape(draws, services).sum(axis=1)
        paired = (sampled - expected - term) / total
        gap[slot], variance[slot] = paired.mean(), paired.var(ddof=1) / draws
        delay[slot], term_share[slot] = expected / total, term / total
    # Slots differ in what is paired, so the error is that of the mean of independent means.
    error = float(np.sqrt(variance.sum())) / slots
    assert error <= 1e-4 * delay.mean()
    assert abs(gap.mean()) <= 3.0 * error
    # The check has teeth: without the term the gap would be many errors wide.
    assert term_share.mean() > 20.0 * error


def test_a_sampled_world_differs_from_the_expected_one_by_that_term() -> None:
    worlds = [
        World(resolve(load("paper-ttosc", [f"tasks={kind}", "scheduler.backend=numpy"])))
        for kind in ("expected", "sampled")
    ]
    rng = np.random.default_rng(3)
    paired = []
    for _ in range(80):
        deployed = packing(worlds[0], rng)
        steps = [
            world.step_frame(deployed, lambda tasks, costs: scheduling.solve_shares(tasks, costs)[1])
            for world in worlds
        ]
        for expected, sampled in zip(*(step.slots for step in steps), strict=True):
            assert (expected.tasks == sampled.tasks).all()
            assert all((part == np.round(part)).all() for part in sampled.ends[:5])
            term = offloading.integer_routing_term(expected.tasks, expected.split, worlds[0].costs.compute_s)
            paired.append(sampled.row.delay_s - expected.row.delay_s - term / expected.row.tasks)
    error = np.std(paired, ddof=1) / np.sqrt(len(paired))
    assert abs(np.mean(paired)) <= 3.0 * error
