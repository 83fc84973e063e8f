"""Equations (1)-(9) against the paper's formulas computed naively, by loops over every m, n and j."""

import itertools
import math

import numpy as np
import pytest

from emulator.model import offloading, serving
from emulator.model.ledger import settle
from emulator.model.offloading import Bools, Floats, Network

BITS = 8.0


def two_servers(**changes: object) -> Network:
    """M=2, J=2 with round figures: a task of service 0 is 1 Mb and 1e9 cycles, of service 1 is 2 Mb and 4e9 cycles."""
    figures: dict[str, object] = {
        "storage_bytes": np.array([3e8, 1e8]),
        "compute_hz": np.array([1e10, 2e10]),
        "uplink_bps": np.array([np.inf, np.inf]),
        "link_bps": np.array([1e7, 2e7]),
        "link_matrix_bps": None,
        "cloud_bps": np.array([1e6, 2e6]),
        "cloud_hz": 5e9,
        "service_bytes": np.array([1e8, 2e8]),
        "task_bytes": np.array([1.25e5, 2.5e5]),
        "task_cycles": np.array([1e9, 4e9]),
    }
    return Network(**{**figures, **changes})  # type: ignore[arg-type]


BOTH_AND_ONE: Bools = np.array([[True, True], [True, False]])


def test_eq_1_a_deployment_keeps_within_storage() -> None:
    sizes = np.array([1e8, 2e8])
    assert offloading.fits(np.array([True, True]), sizes, 3e8)
    assert not offloading.fits(np.array([True, True]), sizes, 3e8 - 1)
    assert offloading.fits(np.array([False, False]), sizes, 0.0)


@pytest.mark.parametrize(
    ("services", "edge", "reason"),
    [
        ((0, 1), 0, ""),
        ((0, 1), 1, "infeasible"),
        ((), 1, ""),
        ((1, 0), 0, "malformed"),
        ((0, 0), 0, "malformed"),
        ((2,), 0, "malformed"),
        ((-1,), 0, "malformed"),
    ],
)
def test_an_edge_server_says_why_it_refuses(services: tuple[int, ...], edge: int, reason: str) -> None:
    assert offloading.refusal(services, edge, two_servers()) == reason


def test_compute_is_split_equally_over_deployed_services() -> None:
    share = offloading.equal_share(np.array([1e10, 2e10]), BOTH_AND_ONE)
    assert share.tolist() == [[5e9, 5e9], [2e10, 0.0]]
    assert offloading.compute_seconds(share, np.array([1e9, 4e9])).tolist() == [[0.2, 0.8], [0.05, 0.0]]


def test_eq_4_and_5_by_hand() -> None:
    costs = offloading.frame_costs(two_servers(), BOTH_AND_ONE)
    # Into server 0 its 1e7 bit/s are split over two services, into server 1 its 2e7 bit/s serve one.
    assert costs.transfer_into(0) == pytest.approx(np.array([[0.0, 0.0], [0.2, 0.4]]))
    assert costs.transfer_into(1) == pytest.approx(np.array([[0.05, 0.0], [0.0, 0.0]]))
    assert costs.cloud_s == pytest.approx(np.array([[1.2, 2.8], [0.7, 1.8]]))
    assert offloading.compute_delay(np.array([3.0]), costs.compute_s[0, :1]) == pytest.approx([0.6])
    assert offloading.target_delay(np.array([0.2]), np.array([0.6])) == pytest.approx([0.8])


def test_the_slower_of_the_uplinks_adds_to_the_transfer() -> None:
    costs = offloading.frame_costs(two_servers(uplink_bps=np.array([1e6, np.inf])), BOTH_AND_ONE)
    assert costs.transfer_into(1)[0, 0] == pytest.approx(1.0 + 0.05)
    assert costs.transfer_into(0)[0, 0] == 0.0
    assert costs.transfer_into(0)[1, 0] == pytest.approx(0.2)


def test_a_rate_matrix_replaces_the_receivers_rate() -> None:
    rates = np.array([[1.0, 4e6], [1e6, 1.0]])
    costs = offloading.frame_costs(two_servers(link_matrix_bps=rates), BOTH_AND_ONE)
    assert costs.transfer_into(0) == pytest.approx(np.array([[0.0, 0.0], [2.0, 4.0]]))
    assert costs.transfer_into(1)[0, 0] == pytest.approx(0.25)


def test_without_a_cloud_its_delay_is_infinite() -> None:
    assert np.isinf(offloading.frame_costs(two_servers(), BOTH_AND_ONE, cloud=False).cloud_s).all()


def naive_delays(network: Network, deployed: Bools, tasks: Floats, p: Floats) -> tuple[Floats, Floats, float]:
    """[T_m^j], [T^j] and [T] as the paper writes them, eq. (4)-(8), one scalar at a time."""
    M, J = tasks.shape
    T_mj, T_j = np.zeros((M, J)), np.zeros(J)
    for m, j in itertools.product(range(M), range(J)):
        for n in range(M):
            if p[m, n, j] == 0.0:
                continue
            count = sum(deployed[n])
            f = network.compute_hz[n] / count / sum(tasks[i, j] * p[i, n, j] for i in range(M))
            link = network.link_bps[n] if network.link_matrix_bps is None else network.link_matrix_bps[m, n]
            transfer = (
                BITS * network.task_bytes[j] / (link / count) + BITS * network.task_bytes[j] / network.uplink_bps[m]
            )
            T_mn = (0.0 if m == n else transfer) + network.task_cycles[j] / f
            T_mj[m, j] += p[m, n, j] * T_mn
        T_mc = BITS * network.task_bytes[j] / network.cloud_bps[m] + network.task_cycles[j] / network.cloud_hz
        T_mj[m, j] += p[m, M, j] * T_mc
    total = sum(tasks[m, j] for m in range(M) for j in range(J))
    for j in range(J):
        N_j = sum(tasks[m, j] for m in range(M))
        T_j[j] = sum(tasks[m, j] * T_mj[m, j] for m in range(M)) / N_j if N_j else 0.0
    T = sum(sum(tasks[m, j] for m in range(M)) * T_j[j] for j in range(J)) / total
    return T_mj, T_j, T


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_eq_6_to_8_equal_the_papers_formulas(seed: int, *, matrix: bool) -> None:
    rng = np.random.default_rng(seed)
    M, J = int(rng.integers(1, 6)), int(rng.integers(1, 8))
    network = two_servers(
        storage_bytes=np.full(M, 1e9),
        compute_hz=rng.uniform(1e10, 1e11, M),
        uplink_bps=rng.uniform(1e7, 1e8, M),
        link_bps=rng.uniform(1e7, 1e8, M),
        link_matrix_bps=rng.uniform(1e7, 1e8, (M, M)) if matrix else None,
        cloud_bps=rng.uniform(1e6, 1e7, M),
        service_bytes=np.full(J, 1e8),
        task_bytes=rng.uniform(1e6, 5e6, J),
        task_cycles=rng.uniform(1e9, 5e9, J),
    )
    deployed: Bools = rng.random((M, J)) < 0.6
    usable = np.concatenate([np.broadcast_to(deployed, (M, M, J)), np.ones((M, 1, J), dtype=np.bool_)], axis=1)
    weight = np.where(usable, rng.random(usable.shape), 0.0)
    p = weight / weight.sum(axis=1, keepdims=True)
    tasks = rng.integers(0, 9, (M, J)).astype(np.float64)
    tasks[0, 0] += 1.0  # a slot without any task has no T

    T_mj, T_j, T = naive_delays(network, deployed, tasks, p)

    costs = offloading.frame_costs(network, deployed)
    flow = np.ascontiguousarray(offloading.flows(tasks, p).swapaxes(0, 1))
    delay = np.empty_like(flow)
    for n in range(M):
        delay[n] = offloading.target_delay(
            costs.transfer_into(n), offloading.compute_delay(serving.loads(flow[n]), costs.compute_s[n])
        )
    delay[M] = costs.cloud_s
    delay = np.where(flow > 0.0, delay, 0.0)
    cost = offloading.origin_cost(flow, delay)
    assert cost == pytest.approx(tasks * T_mj, rel=1e-12)
    assert offloading.service_delay(tasks, cost) == pytest.approx(T_j, rel=1e-12)
    assert offloading.slot_delay(tasks.sum(), cost.sum()) == pytest.approx(T, rel=1e-12)

    buckets = np.array([1.0, 10.0])
    ends = serving.ended(tasks, flow, delay, costs.cloud_s, buckets, own=np.arange(M), cloud=True)
    row = settle(0, 0, ends)
    assert row.delay_s == pytest.approx(T, rel=1e-12)
    # All in the cloud is the same formula with p_mc = 1.
    to_cloud = np.zeros_like(p)
    to_cloud[:, M] = 1.0
    assert row.all_cloud_delay_s == pytest.approx(naive_delays(network, deployed, tasks, to_cloud)[2], rel=1e-12)
    assert row.gain_s == pytest.approx(row.all_cloud_delay_s - T, rel=1e-9)


def test_eq_7_into_8_collapses_to_total_cost_over_total_tasks() -> None:
    tasks = np.array([[2.0, 0.0, 1.0], [3.0, 0.0, 4.0]])
    cost = np.array([[4.0, 0.0, 1.0], [3.0, 0.0, 12.0]])
    by_service = offloading.service_delay(tasks, cost)
    assert by_service.tolist() == [1.4, 0.0, 2.6]
    weighted = sum(by_service * tasks.sum(axis=0)) / tasks.sum()
    assert offloading.slot_delay(10.0, 20.0) == pytest.approx(weighted) == 2.0


def test_a_slot_without_tasks_has_delay_zero() -> None:
    assert offloading.slot_delay(0.0, 0.0) == 0.0
    assert offloading.service_delay(np.zeros((2, 1)), np.zeros((2, 1))).tolist() == [0.0]


def test_eq_9_reward_and_gain_by_hand() -> None:
    assert offloading.mean_delay(np.array([1.0, 2.0, 6.0])) == 3.0
    assert offloading.mean_delay(np.zeros(0)) == 0.0
    assert offloading.slot_gain(12.5, 2.0) == 10.5
    assert offloading.frame_reward([1.0, 2.0, 4.0]) == 7.0


def test_sums_add_in_order() -> None:
    # 1e16 + 1 rounds to 1e16: only the order of memory gives 0 here, pairs would give 2.
    values = np.array([[1e16, 1.0], [1.0, -1e16]])
    assert offloading.grand_total(values) == 0.0
    assert offloading.ordered_sum(np.array([[1e16], [1.0], [-1e16]])).tolist() == [0.0]
    many = np.random.default_rng(0).random((30, 50))
    total = 0.0
    for value in many.ravel().tolist():
        total += value
    assert offloading.grand_total(many) == total


def test_what_integer_routing_adds_is_the_variance_of_the_loads() -> None:
    tasks = np.array([[3.0], [2.0]])
    p = np.array([[[0.25], [0.5], [0.25]], [[0.0], [1.0], [0.0]]])
    compute_s = np.array([[2.0], [10.0]])
    assert offloading.integer_routing_term(tasks, p, compute_s) == 2.0 * 3 * 0.25 * 0.75 + 10.0 * 3 * 0.5 * 0.5

    def cost(load: tuple[float, float]) -> float:
        return 2.0 * load[0] ** 2 + 10.0 * load[1] ** 2

    # Every way to route three tasks of cell 0, with its probability.
    expected = 0.0
    for targets in itertools.product(range(3), repeat=3):
        chance = math.prod(p[0, n, 0] for n in targets)
        expected += chance * cost((targets.count(0), targets.count(1) + 2.0))
    assert expected - cost((0.75, 3.5)) == pytest.approx(offloading.integer_routing_term(tasks, p, compute_s))
