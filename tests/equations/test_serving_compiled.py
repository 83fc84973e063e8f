"""The compiled serving has the bits of the NumPy one, and all cells in one process those of one cell alone."""

import numpy as np
import pytest

pytest.importorskip("numba")

from emulator.model import serving, serving_numba
from emulator.model.ledger import Sums, sums_of
from emulator.model.offloading import Bools, Floats, FrameCosts, Network, cloud_delay, frame_costs
from emulator.model.scheduling import transfer_seconds

SHAPES = [(1, 1), (1, 20), (5, 1), (2, 7), (5, 20), (9, 33), (30, 50)]


def network_of(rng: np.random.Generator, edges: int, services: int, *, matrix: bool) -> Network:
    def between(low: float, high: float, *shape: int) -> Floats:
        return np.exp(rng.uniform(np.log(low), np.log(high), shape))

    return Network(
        storage_bytes=between(1e9, 4e9, edges),
        compute_hz=between(1e10, 1e11, edges),
        uplink_bps=between(1e7, 1e9, edges),
        link_bps=between(1e7, 1e9, edges),
        link_matrix_bps=between(1e7, 1e9, edges, edges) if matrix else None,
        cloud_bps=between(1e6, 1e7, edges),
        cloud_hz=5e10,
        service_bytes=between(1e8, 5e8, services),
        task_bytes=between(1e6, 5e6, services),
        task_cycles=between(1e9, 5e9, services),
    )


def instance(
    rng: np.random.Generator, edges: int, services: int, *, matrix: bool, whole: bool
) -> tuple[Floats, Floats, FrameCosts, Floats, Floats]:
    """Tasks, flow (edge from, target, service), costs, cloud delay and buckets; a fifth of the rows is empty."""
    network = network_of(rng, edges, services, matrix=matrix)
    deployed: Bools = rng.random((edges, services)) < rng.uniform(0.0, 1.0)
    costs = frame_costs(network, deployed)
    usable = np.concatenate(
        [np.broadcast_to(deployed, (edges, edges, services)), np.ones((edges, 1, services), dtype=np.bool_)], axis=1
    )
    usable = usable & ((rng.random(usable.shape) < 0.4) | (np.arange(edges + 1) == edges)[None, :, None])
    tasks = rng.integers(0, 12, (edges, services)) * (rng.random((edges, services)) < 0.8)
    weight = np.where(usable, rng.random(usable.shape), 0.0)
    flow = tasks[:, None] * (weight / weight.sum(axis=1, keepdims=True))
    if whole:
        flow = np.floor(flow)
        tasks = flow.sum(axis=1)
    slowest = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz).max()
    buckets = 2.0 * slowest * 2.0 ** (np.arange(-96, 1) / 8)
    return tasks.astype(np.float64), flow, costs, costs.cloud_s, buckets


def by_numpy(tasks: Floats, flow: Floats, costs: FrameCosts, cloud_s: Floats, buckets: Floats) -> serving.Ends:
    """As ``World`` does without numba, and as executors and origins do it together."""
    edges = len(tasks)
    by_target = np.ascontiguousarray(flow.swapaxes(0, 1))
    delay_s = np.empty_like(by_target)
    for n in range(edges):
        delay_s[n] = costs.transfer_into(n) + costs.compute_s[n] * serving.loads(by_target[n])
    delay_s[edges] = cloud_s
    return serving.ended(tasks, by_target, delay_s, cloud_s, buckets, own=np.arange(edges), cloud=True)


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("edges", "services"), SHAPES)
def test_compiled_serving_has_the_bits_of_numpy(edges: int, services: int, *, whole: bool, matrix: bool) -> None:
    rng = np.random.default_rng([edges, services, whole, matrix])
    compared = 0
    for _ in range(max(4, min(400, 4000 // (edges * services)))):
        tasks, flow, costs, cloud_s, buckets = instance(rng, edges, services, matrix=matrix, whole=whole)
        wanted = by_numpy(tasks, flow, costs, cloud_s, buckets)
        ends, sums = serving_numba.serve(tasks, flow, costs, transfer_seconds(costs), cloud_s, buckets)
        for name, got, want in zip(wanted._fields, ends, wanted, strict=True):
            assert got.shape == want.shape, name
            assert got.tobytes() == want.tobytes(), name
            compared += got.size
        assert sums == sums_of(wanted)
    assert compared >= 25_000


@pytest.mark.slow
def test_millions_of_values_of_the_largest_shape_agree_bit_by_bit() -> None:
    rng = np.random.default_rng(30)
    compared = 0
    while compared < 4_000_000:
        tasks, flow, costs, cloud_s, buckets = instance(rng, 30, 50, matrix=bool(compared % 2), whole=False)
        wanted = by_numpy(tasks, flow, costs, cloud_s, buckets)
        ends, sums = serving_numba.serve(tasks, flow, costs, transfer_seconds(costs), cloud_s, buckets)
        assert [part.tobytes() for part in ends] == [part.tobytes() for part in wanted]
        assert sums == sums_of(wanted)
        compared += sum(part.size for part in ends)


@pytest.mark.parametrize(("edges", "services"), SHAPES)
def test_one_origin_by_itself_has_the_bits_of_all_at_once(edges: int, services: int) -> None:
    rng = np.random.default_rng([7, edges, services])
    for _ in range(20):
        tasks, flow, costs, cloud_s, buckets = instance(rng, edges, services, matrix=False, whole=False)
        everyone = by_numpy(tasks, flow, costs, cloud_s, buckets)
        loads = [serving.loads(np.ascontiguousarray(flow[:, n])) for n in range(edges)]
        for m in range(edges):
            delay_s = np.stack([costs.transfer_into(n)[m] + costs.compute_s[n] * loads[n] for n in range(edges)])
            delay_s = np.concatenate([delay_s, cloud_s[m : m + 1]])
            alone = serving.ended(tasks[m], flow[m], delay_s, cloud_s[m], buckets, own=m, cloud=True)
            assert [part.tobytes() for part in alone] == [part[m].tobytes() for part in everyone]


def test_products_and_sums_round_apart() -> None:
    # 0.1 * 10 rounds to 1, so the sum is 0 only if nothing is fused: fused, it would be about 5.6e-17.
    tasks = np.array([[1.0]])
    flow = np.array([[[10.0], [0.0]]])
    costs = FrameCosts(
        hosts=np.array([[True]]),
        compute_s=np.array([[0.1]]),
        leave_s=np.zeros((1, 1)),
        enter_s=np.zeros((1, 1)),
        transfer_s=None,
        cloud_s=np.array([[1.0]]),
    )
    # A transfer that the model never has, to make the two roundings visible in the delay: -1 + 0.1 * 10.
    ends, _ = serving_numba.serve(tasks, flow, costs, np.array([[[-1.0]]]), costs.cloud_s, np.array([1e-300]))
    assert ends.cost_s.item() == 0.0
    assert np.longdouble(0.1) * 10 - 1 != 0.0 or np.finfo(np.longdouble).nmant == 52


def test_sums_have_a_name_for_each_of_the_first_ends() -> None:
    assert serving.Ends._fields[: len(Sums._fields)] == Sums._fields
