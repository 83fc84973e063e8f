"""Serving entry by entry has the bits of the NumPy one, for every origin and executor."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.model import serving, serving_sparse
from emulator.model.offloading import Floats, cloud_delay, compute_delay, target_delay

SHAPES = [(1, 1), (1, 20), (5, 1), (2, 7), (5, 20), (9, 33), (30, 50)]


def entries(rows: Floats) -> list[serving_sparse.Entry]:
    """What is above 0 of an array (target, service), in its order."""
    target, service = rows.nonzero()
    return list(zip(target.tolist(), service.tolist(), rows[target, service].tolist(), strict=True))


def bits(values: list[float]) -> bytes:
    return np.array(values, dtype=np.float64).tobytes()


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("edges", "services"), SHAPES)
def test_an_origin_has_the_bits_of_numpy(edges: int, services: int, *, whole: bool) -> None:
    rng = np.random.default_rng([edges, services, whole])
    for _ in range(40):
        tasks = rng.integers(0, 12, services) * (rng.random(services) < 0.8).astype(np.float64)
        weight = np.where(rng.random((edges + 1, services)) < 0.5, rng.random((edges + 1, services)), 0.0)
        weight[rng.integers(edges + 1)] += 0.1
        shares = weight / weight.sum(axis=0)
        flow = tasks * shares
        if whole:
            flow = np.floor(flow)
        delay_s = rng.exponential(1.0, flow.shape)
        cloud_s = cloud_delay(rng.exponential(1e6, services), rng.exponential(1e9, services), np.full(1, 2e6), 5e10)[0]
        edges_s = 2.0 * delay_s.max() * 2.0 ** (np.arange(-96, 1) / 8)
        own = int(rng.integers(edges))
        wanted = serving.ended(tasks, flow, delay_s, cloud_s, edges_s, own=own, cloud=True)
        found = serving_sparse.ended(
            entries(flow), dict(enumerate(delay_s.tolist())), cloud_s.tolist(), edges_s.tolist(), own, edges
        )
        for name in serving_sparse.SparseEnds._fields:
            assert bits(getattr(found, name)) == getattr(wanted, name).tobytes(), name
        if not whole:
            sent = serving_sparse.flows(tasks.tolist(), entries(shares))
            assert sent == entries(flow)
            rows = serving_sparse.rows(sent, range(edges + 1), services)
            assert bits([tasks for n in range(edges + 1) for tasks in rows[n]]) == flow.tobytes()


@pytest.mark.parametrize(("edges", "services"), SHAPES)
def test_an_executor_has_the_bits_of_numpy(edges: int, services: int) -> None:
    rng = np.random.default_rng([edges, services])
    for _ in range(40):
        into = np.where(rng.random((edges, services)) < 0.6, rng.exponential(3.0, (edges, services)), 0.0)
        compute_one_s, transfer_s = rng.exponential(0.1, services), rng.exponential(0.1, services)
        wanted_s = compute_delay(serving.loads(into), compute_one_s)
        found_s = serving_sparse.compute_delay(into.tolist(), compute_one_s.tolist())
        assert bits(found_s) == wanted_s.tobytes()
        found = serving_sparse.target_delay(transfer_s.tolist(), found_s)
        assert bits(found) == target_delay(transfer_s, wanted_s).tobytes()
