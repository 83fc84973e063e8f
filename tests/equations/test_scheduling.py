from dataclasses import replace

import numpy as np
import pytest

from agents.bench_scheduler import random_instance, usual_costs, usual_network, usual_tasks
from agents.errors import AgentError, SolverFailed
from agents.schedulers import Cvxpy, Exact, make_scheduler
from emulator.model import scheduling_general
from emulator.model.offloading import frame_costs
from emulator.model.scheduling import (
    certificate_gap,
    deployment_costs,
    dual_value,
    from_sparse,
    resolve_backend,
    schedule_cost,
    shares,
    solve,
    solve_shares,
    to_sparse,
    total_cost,
    transfer_seconds,
)

numba = pytest.importorskip("numba")


def _usual(seed, matrix=False, edges=5, services=20):
    rng = np.random.default_rng(seed)
    network = usual_network(rng, edges, services, matrix=matrix)
    return usual_tasks(rng, edges, services), usual_costs(rng, network), network


@pytest.mark.parametrize("matrix", [False, True])
def test_cost_and_loads_equal_those_of_an_independent_solver(matrix):
    pytest.importorskip("cvxpy")
    reference = Cvxpy()
    for seed in range(6):
        tasks, costs, _ = _usual(seed, matrix)
        flow = reference.flow(tasks, costs)
        ours = solve(tasks, costs)
        np.testing.assert_allclose(ours.cost_s, schedule_cost(flow, costs), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(ours.load, flow[:, :-1].sum(axis=0), rtol=1e-3, atol=1e-3)
        assert (ours.cost_s <= schedule_cost(flow, costs) + 1e-6).all()


def test_independent_solver_agrees_on_unlike_clouds_links_and_servers():
    pytest.importorskip("cvxpy")
    rng, compared = np.random.default_rng(3), 0
    while compared < 10:
        tasks, costs = random_instance(rng)
        if tasks.max() > 1000:  # beyond the reference's accuracy
            continue
        compared += 1
        served = np.where((costs.hosts.any(axis=0) | np.isfinite(costs.cloud_s)), tasks, 0.0)
        theirs = schedule_cost(Cvxpy().flow(served, costs), costs)
        np.testing.assert_allclose(solve(tasks, costs).cost_s, theirs, rtol=2e-6, atol=2e-6)


def test_a_matrix_that_is_pooled_gives_the_pooled_optimum():
    rng = np.random.default_rng(8)
    for _ in range(60):
        tasks, costs = random_instance(rng)
        general = solve(tasks, replace(costs, transfer_s=transfer_seconds(costs)))
        pooled = solve(tasks, costs)
        scale = np.maximum(pooled.cost_s, 1.0)
        assert (np.abs(general.cost_s - pooled.cost_s) <= 1e-7 * scale).all()


def test_any_feasible_schedule_costs_at_least_the_dual_value_of_any_loads():
    rng = np.random.default_rng(2)
    for _ in range(50):
        tasks, costs = random_instance(rng)
        best = solve(tasks, costs)
        bound = dual_value(tasks, costs, best.load * rng.uniform(0.5, 1.5, best.load.shape))
        assert (bound <= best.cost_s + 1e-9 * np.maximum(best.cost_s, 1.0)).all()


def test_a_worse_schedule_shows_in_its_certificate():
    tasks, costs, _ = _usual(1)
    best = solve(tasks, costs)
    worse = np.zeros(best.flow.shape)
    worse[:, -1] = tasks
    gap = certificate_gap(tasks, costs, replace(best, flow=worse))
    asked = tasks.sum(axis=0) > 0
    assert (gap[asked] >= (schedule_cost(worse, costs) - best.cost_s)[asked] - 1e-9).all()
    assert gap.max() > 1.0


def test_total_cost_is_the_cost_of_the_schedule():
    rng = np.random.default_rng(5)
    for matrix in (False, True):
        tasks, costs = random_instance(rng, matrix=matrix)
        np.testing.assert_allclose(total_cost(tasks, costs), solve(tasks, costs).cost_s, rtol=1e-7)


@pytest.mark.parametrize("cloud", [True, False])
def test_costs_of_many_deployments_equal_those_solved_one_by_one(cloud):
    rng = np.random.default_rng(4)
    network = usual_network(rng, 4, 6)
    network = replace(network, uplink_bps=np.array([np.inf, 1e7, 5e7, 2e7]))
    demand = usual_tasks(rng, 4, 6) / 3.0
    deployments = rng.random((20, 4, 6)) < rng.random((20, 1, 1))
    deployments[0] = False
    batch = deployment_costs(network, demand, deployments, cloud=cloud)
    one_by_one = [total_cost(demand, frame_costs(network, deployed, cloud=cloud)).sum() for deployed in deployments]
    np.testing.assert_allclose(batch, one_by_one, rtol=1e-12)


def test_costs_of_many_deployments_know_a_matrix_of_links():
    rng = np.random.default_rng(4)
    network = usual_network(rng, 3, 4, matrix=True)
    demand = usual_tasks(rng, 3, 4)
    deployments = rng.random((5, 3, 4)) < 0.5
    one_by_one = [total_cost(demand, frame_costs(network, deployed)).sum() for deployed in deployments]
    np.testing.assert_allclose(deployment_costs(network, demand, deployments), one_by_one, rtol=1e-9)


def test_the_kernel_of_one_service_costs_what_the_schedule_costs():
    from emulator.model.scheduling_numba import pooled_service_cost

    rng = np.random.default_rng(6)
    for _ in range(100):
        tasks, costs = random_instance(rng)
        room = np.divide(0.5, costs.compute_s, out=np.zeros(tasks.shape), where=costs.hosts)
        columns = [tasks, costs.hosts, room, costs.leave_s, costs.enter_s, costs.cloud_s]
        each = [
            pooled_service_cost(*(np.ascontiguousarray(values[:, j]) for values in columns))
            for j in range(tasks.shape[1])
        ]
        expected = solve(tasks, costs).cost_s
        assert (np.abs(np.array(each) - expected) <= 1e-12 * np.maximum(expected, 1.0)).all()


def test_the_sparse_form_brings_back_every_row_with_tasks():
    tasks, costs, _ = _usual(7)
    _, split = solve_shares(tasks, costs)
    sparse = to_sparse(split, tasks)
    back = from_sparse(sparse, *tasks.shape)
    asked = np.broadcast_to((tasks > 0)[:, None], split.shape)
    assert np.array_equal(back[asked], split[asked])
    assert not back[~asked].any()
    assert np.array_equal(to_sparse(back, tasks)[3], sparse[3])
    service, source, target, share = sparse
    assert (share > 0).all()
    assert [column.dtype for column in sparse] == [np.uint16, np.uint16, np.uint16, np.float64]
    keys = list(zip(service.tolist(), source.tolist(), target.tolist(), strict=True))
    assert keys == sorted(keys)


def test_a_sparse_form_beyond_the_network_is_refused():
    tasks, costs, _ = _usual(7)
    service, source, target, share = to_sparse(solve_shares(tasks, costs)[1], tasks)
    with pytest.raises(ValueError, match="beyond 2 edge servers"):
        from_sparse((service, source, target, share), 2, 20)
    with pytest.raises(ValueError, match="differ in length"):
        from_sparse((service[1:], source, target, share), 5, 20)


def test_equal_input_gives_equal_bits():
    tasks, costs, _ = _usual(9)
    for backend in ("numpy", "numba"):
        first, again = (solve_shares(tasks, costs, backend=backend)[1] for _ in range(2))
        assert np.array_equal(first, again)


def test_a_solver_that_misses_its_tolerance_says_which_service_and_by_how_much(monkeypatch):
    tasks, costs, _ = _usual(3, matrix=True)
    monkeypatch.setattr(scheduling_general, "SWEEPS", 0)
    monkeypatch.setattr(scheduling_general, "ITERATIONS", 1)
    with pytest.raises(ValueError, match=r"service \d+ has gap"):
        solve(tasks, costs)
    with pytest.raises(SolverFailed, match="gap"):
        Exact("numpy").schedule(tasks, costs)


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="fortran"):
        resolve_backend("fortran")


@pytest.mark.parametrize("name", ["exact", "cvxpy", "nearest", "greedy"])
def test_every_scheduler_sends_every_row_somewhere_allowed(name):
    scheduler = make_scheduler(name, "numpy")
    for seed in range(3):
        tasks, costs, _ = _usual(seed)
        split = scheduler.schedule(tasks, costs)
        np.testing.assert_allclose(split.sum(axis=1), 1.0, atol=1e-12)
        assert not split[:, :-1][:, ~costs.hosts].any()
        cost = schedule_cost(tasks[:, None] * split, costs)
        best = solve(tasks, costs).cost_s
        assert (cost >= best - 1e-6).all()


def test_nearest_stays_at_home_where_it_can():
    tasks, costs, _ = _usual(0)
    split = make_scheduler("nearest").schedule(tasks, costs)
    for m in range(5):
        assert (split[m, m][costs.hosts[m]] == 1.0).all()


def test_without_a_cloud_the_rules_use_hosts_wherever_there_are_any():
    rng = np.random.default_rng(1)
    network = usual_network(rng, 3, 4)
    deployed = np.array([[1, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]], dtype=np.bool_)
    costs = frame_costs(network, deployed, cloud=False)
    for name in ("nearest", "greedy", "exact"):
        split = make_scheduler(name, "numpy").schedule(np.ones((3, 4)), costs)
        assert (split[:, -1] == np.array([0.0, 1.0, 0.0, 0.0])).all()


def test_an_unknown_scheduler_is_refused_by_name():
    with pytest.raises(AgentError, match="'fastest'"):
        make_scheduler("fastest")


def test_shares_are_flows_over_tasks():
    tasks, costs, _ = _usual(2)
    schedule, split = solve_shares(tasks, costs)
    np.testing.assert_allclose(tasks[:, None] * split, schedule.flow, atol=1e-12)
    assert np.array_equal(split, shares(tasks, schedule.flow, costs.hosts))
