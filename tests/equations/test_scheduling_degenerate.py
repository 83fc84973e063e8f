from dataclasses import replace

import numpy as np
import pytest

from emulator.model.offloading import FrameCosts
from emulator.model.scheduling import certificate_gap, schedule_cost, shares, solve_shares, transfer_seconds

KINDS = ["numpy", "numba", "numpy matrix", "numba matrix"]


@pytest.fixture(params=KINDS)
def run(request):
    """Solves with one backend, checks what always holds, and returns loads, shares, flow and cost."""
    backend, _, matrix = request.param.partition(" ")
    if backend == "numba":
        pytest.importorskip("numba")

    def solved(tasks, costs):
        if matrix:
            costs = replace(costs, transfer_s=transfer_seconds(costs))
        schedule, split = solve_shares(tasks, costs, backend=backend)
        scale = np.maximum(schedule.cost_s, 1.0)
        assert (np.abs(certificate_gap(tasks, costs, schedule)) <= (1e-7 if matrix else 1e-9) * scale).all()
        assert (np.abs(schedule_cost(schedule.flow, costs) - schedule.cost_s) <= 1e-12 * scale).all()
        np.testing.assert_allclose(split.sum(axis=1), 1.0, atol=1e-14)
        assert (schedule.flow >= 0).all()
        assert not schedule.flow[:, :-1][:, ~costs.hosts].any()
        return schedule.load, split, schedule.flow, schedule.cost_s

    return solved


def costs_of(hosts, compute_s=1.0, leave_s=0.0, enter_s=1.0, cloud_s=10.0):
    hosts = np.asarray(hosts, dtype=np.bool_)

    def full(value):
        return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), hosts.shape))

    return FrameCosts(
        hosts,
        np.where(hosts, full(compute_s), 0),
        full(leave_s),
        np.where(hosts, full(enter_s), 0),
        None,
        full(cloud_s),
    )


def column(*values):
    return np.array(values, dtype=np.float64)[:, None]


def test_a_row_without_tasks_is_local_where_hosted_and_else_cloud(run):
    _, split, flow, _ = run(column(0, 0, 3), costs_of(column(1, 0, 1)))
    assert split[0, :, 0].tolist() == [1, 0, 0, 0]
    assert split[1, :, 0].tolist() == [0, 0, 0, 1]
    assert not flow[:2].any()


def test_a_service_without_tasks_costs_nothing(run):
    load, _, flow, cost = run(np.zeros((3, 2)), costs_of([[1, 0], [0, 0], [1, 0]]))
    assert not load.any()
    assert not flow.any()
    assert cost.tolist() == [0, 0]


def test_without_any_host_all_goes_to_the_cloud(run):
    load, _, flow, cost = run(column(4, 2), costs_of(column(0, 0), cloud_s=column(10, 20)))
    assert flow[:, -1, 0].tolist() == [4, 2]
    assert cost[0] == pytest.approx(80)
    assert not load.any()


def test_a_server_that_hosts_nothing_only_sends(run):
    load, _, flow, _ = run(np.full((3, 2), 4.0), costs_of([[1, 1], [0, 0], [1, 0]]))
    assert not load[1].any()
    assert not flow[:, 1].any()


def test_a_server_never_pays_for_its_own_tasks(run):
    _, split, _, cost = run(column(2, 0), costs_of(column(1, 0), enter_s=100.0))
    assert split[0, 0, 0] == 1
    assert cost[0] == pytest.approx(4)  # 2 tasks of 2 seconds


def test_sources_that_are_indifferent_to_the_cloud_split_between_pool_and_cloud(run):
    load, _, flow, cost = run(column(0, 9, 9), costs_of(column(1, 0, 0)))
    assert load[0, 0] == pytest.approx(4.5)  # 1 + 2 L = 10
    assert flow[:, -1, 0].sum() == pytest.approx(13.5)
    assert cost[0] == pytest.approx(4.5 * (4.5 + 1) + 135)


def test_a_host_whose_own_tasks_prefer_the_cloud_makes_room_for_others(run):
    # The host's cloud is near, the other cell's is far: the host's tasks leave, the other's come in.
    load, _, flow, cost = run(column(3, 50), costs_of(column(1, 0), enter_s=1.0, cloud_s=column(2, 21)))
    assert load[0, 0] == pytest.approx(10)  # 1 + 2 L = 21
    assert flow[0, -1, 0] == pytest.approx(3)
    assert cost[0] == pytest.approx(6 + 100 + 10 + 40 * 21)


def test_a_host_at_the_edge_of_preferring_the_cloud_splits_its_own_tasks(run):
    # 4 tasks want in at up to price 9; the host's own leave for the cloud at price 8, so that L stays at 4.
    load, _, flow, _ = run(column(3, 3), costs_of(column(1, 0), enter_s=1.0, cloud_s=column(8, 100)))
    assert load[0, 0] == pytest.approx(4)
    assert flow[0, -1, 0] == pytest.approx(2)


def test_ties_everywhere_are_solved(run):
    load, _, _, cost = run(np.full((4, 3), 2.0), costs_of(np.ones((4, 3)), enter_s=0.0, cloud_s=4.0))
    np.testing.assert_allclose(load, 2)
    np.testing.assert_allclose(cost, 16)


def test_free_links_equalise_prices(run):
    load, _, _, _ = run(column(6, 0), costs_of(column(1, 1), enter_s=0.0, cloud_s=100.0))
    np.testing.assert_allclose(load, 3)


def test_a_limited_uplink_keeps_tasks_at_home(run):
    load, _, _, _ = run(column(6, 0), costs_of(column(1, 1), leave_s=column(4, 0), enter_s=0.0, cloud_s=100.0))
    np.testing.assert_allclose(load[:, 0], [4, 2])  # 2 L0 = 2 L1 + 4


def test_loads_below_one_task_are_allowed(run):
    load, _, _, cost = run(column(0.25, 0), costs_of(column(1, 0)))
    assert load[0, 0] == pytest.approx(0.25)
    assert cost[0] == pytest.approx(0.0625)


def test_fractions_of_tasks_scale(run):
    whole, _, _, cost = run(column(6, 2, 1), costs_of(column(1, 1, 0), compute_s=2.0))
    part, _, _, small = run(column(0.6, 0.2, 0.1), costs_of(column(1, 1, 0), compute_s=20.0))
    np.testing.assert_allclose(part * 10, whole, rtol=1e-6)
    np.testing.assert_allclose(small * 10, cost, rtol=1e-6)


def test_huge_numbers_of_tasks_go_to_the_cloud_but_for_what_fits(run):
    load, _, flow, _ = run(column(1e9, 5e8), costs_of(column(1, 0), cloud_s=column(10, 10)))
    assert load[0, 0] == pytest.approx(5, rel=1e-9)  # 2 L = 10
    np.testing.assert_allclose(flow.sum(axis=1)[:, 0], [1e9, 5e8], rtol=1e-15)


def test_without_a_cloud_everything_goes_to_hosts(run):
    load, split, flow, _ = run(column(1000, 500), costs_of(column(1, 0), cloud_s=np.inf))
    assert load[0, 0] == pytest.approx(1500, rel=1e-12)
    assert not flow[:, -1].any()
    assert not split[:, -1].any()


def test_without_host_and_cloud_tasks_are_left_to_the_caller(run):
    load, split, flow, cost = run(np.full((2, 2), 5.0), costs_of([[0, 1], [0, 0]], cloud_s=np.inf))
    assert not flow[..., 0].any()
    assert cost[0] == 0
    assert (split[:, -1, 0] == 1).all()
    assert load[0, 1] == pytest.approx(10)


def test_a_cloud_that_only_some_cells_reach(run):
    _, split, flow, cost = run(column(3, 4), costs_of(column(0, 0), cloud_s=column(2, np.inf)))
    assert flow[:, -1, 0].tolist() == [3, 0]
    assert cost[0] == pytest.approx(6)
    assert (split[:, -1, 0] == 1).all()


def test_a_network_of_one_server(run):
    load, _, flow, _ = run(column(9), costs_of(column(1)))
    assert load[0, 0] == pytest.approx(5)
    assert flow[0, 1, 0] == pytest.approx(4)


def test_shares_of_a_flow_of_nothing_are_whole():
    split = shares(np.zeros((2, 1)), np.zeros((2, 3, 1)), np.array([[True], [False]]))
    assert split[:, :, 0].tolist() == [[1, 0, 0], [0, 0, 1]]
