"""Search over deployments on random worlds: plans fit, are local optima, and are the same on both backends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.search import KICKS, NumpyMoves, climb, iterate, moves_of, perturbed
from emulator.model.offloading import Network, fits
from emulator.model.scheduling import deployment_costs

pytest.importorskip("numba")


@st.composite
def worlds(draw, matrix=False):
    """A network, an expected demand and uniforms for kicks; unlike servers, links and clouds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges, services = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    sizes = rng.integers(1, 6, services) * 1e8
    uplinks = np.where(rng.random(edges) < 0.5, np.inf, rng.uniform(5e6, 1e8, edges))
    network = Network(
        storage_bytes=rng.integers(1, 20, edges) * 1e8,
        compute_hz=rng.uniform(5e9, 1e11, edges),
        uplink_bps=uplinks,
        link_bps=rng.uniform(1e7, 2e8, edges),
        link_matrix_bps=rng.uniform(1e7, 2e8, (edges, edges)) if matrix else None,
        cloud_bps=rng.uniform(1e6, 2e7, edges),
        cloud_hz=5e10,
        service_bytes=sizes,
        task_bytes=rng.uniform(1e6, 5e6, services),
        task_cycles=rng.uniform(1e9, 5e9, services),
    )
    busy = rng.random((edges, services)) < draw(st.sampled_from([0.3, 1.0]))
    demand = np.where(busy, rng.gamma(1.0, 3.0, (edges, services)), 0.0)
    return network, demand, rng.random((4, KICKS, 3))


def _empty(demand):
    return np.zeros(demand.shape, dtype=np.bool_)


def _all_fit(deployed, network):
    return all(
        fits(row, network.service_bytes, room) for row, room in zip(deployed, network.storage_bytes, strict=True)
    )


def _neighbours(deployed, network, *, swaps):
    """A deployment and every one that fits and is one add or drop, or one swap, away; by brute force."""
    found = [deployed]
    for edge in range(network.edges):
        for service in range(network.services):
            flipped = deployed.copy()
            flipped[edge, service] ^= True
            found.append(flipped)
            if swaps and flipped[edge, service]:
                for other in np.flatnonzero(deployed[edge]):
                    exchanged = flipped.copy()
                    exchanged[edge, other] = False
                    found.append(exchanged)
    return np.stack([each for each in found if _all_fit(each, network)])


@settings(deadline=None, max_examples=60)
@given(worlds())
def test_a_plan_fits_and_no_single_add_or_drop_improves_it(world):
    network, demand, _ = world
    deployed, cost_s = climb(moves_of(network, demand, "numba"), _empty(demand), swaps=False)
    assert _all_fit(deployed, network)
    assert cost_s == pytest.approx(deployment_costs(network, demand, deployed[None])[0], rel=1e-12)
    around = deployment_costs(network, demand, _neighbours(deployed, network, swaps=False))
    assert (around >= cost_s * (1.0 - 1.1e-9)).all()


@settings(deadline=None, max_examples=40)
@given(worlds())
def test_an_iterated_plan_fits_and_no_single_add_drop_or_swap_improves_it(world):
    network, demand, kicks = world
    deployed, cost_s = iterate(moves_of(network, demand, "numba"), [_empty(demand)], kicks, network)
    assert _all_fit(deployed, network)
    around = deployment_costs(network, demand, _neighbours(deployed, network, swaps=True))
    assert (around >= cost_s * (1.0 - 1.1e-9)).all()


@settings(deadline=None, max_examples=40)
@given(worlds())
def test_both_backends_give_the_same_plan(world):
    network, demand, kicks = world
    plans = [
        iterate(moves_of(network, demand, backend), [_empty(demand)], kicks, network) for backend in ("numpy", "numba")
    ]
    assert plans[0][0].tolist() == plans[1][0].tolist()
    assert plans[0][1] == pytest.approx(plans[1][1], rel=1e-12)


def test_both_backends_break_ties_alike():
    """Two servers and four services that are all the same."""
    alike = Network(
        storage_bytes=np.full(2, 2e8),
        compute_hz=np.full(2, 5e10),
        uplink_bps=np.full(2, np.inf),
        link_bps=np.full(2, 5e7),
        link_matrix_bps=None,
        cloud_bps=np.full(2, 2e6),
        cloud_hz=5e10,
        service_bytes=np.full(4, 1e8),
        task_bytes=np.full(4, 3e6),
        task_cycles=np.full(4, 3e9),
    )
    demand = np.full((2, 4), 1.0 / 3.0)
    plans = [climb(moves_of(alike, demand, each), _empty(demand), swaps=True)[0] for each in ("numpy", "numba")]
    assert plans[0].tolist() == plans[1].tolist()
    assert plans[0].sum(axis=0).tolist() == [1, 1, 1, 1]


@settings(deadline=None, max_examples=10)
@given(worlds(matrix=True))
def test_links_given_pair_by_pair_are_planned_with_the_general_solver(world):
    network, demand, _ = world
    deployed, cost_s = climb(moves_of(network, demand, "numba"), _empty(demand), swaps=True)
    assert _all_fit(deployed, network)
    around = deployment_costs(network, demand, _neighbours(deployed, network, swaps=True))
    assert (around >= cost_s * (1.0 - 1e-6)).all()


@settings(deadline=None, max_examples=60)
@given(worlds())
def test_a_perturbation_fits(world):
    network, demand, kicks = world
    deployed = climb(moves_of(network, demand, "numba"), _empty(demand), swaps=False)[0]
    for each in kicks:
        deployed = perturbed(deployed, each, network)
        assert _all_fit(deployed, network)


@settings(deadline=None, max_examples=30)
@given(worlds())
def test_a_kept_table_prices_like_a_new_one(world):
    """The compiled prices are brought along from deployment to deployment, in any order."""
    network, demand, kicks = world
    kept, deployed = moves_of(network, demand, "numba"), _empty(demand)
    for each in kicks:
        deployed = perturbed(deployed, each, network)
        fresh = moves_of(network, demand, "numba").steepest(deployed, True)
        assert kept.steepest(deployed, True)[:3] == fresh[:3]
        assert NumpyMoves(network, demand).steepest(deployed, True)[3] == pytest.approx(fresh.cost_s, rel=1e-12)


def test_what_fits_to_the_last_byte_is_deployed():
    world = Network(
        storage_bytes=np.array([3e8]),
        compute_hz=np.array([5e10]),
        uplink_bps=np.array([np.inf]),
        link_bps=np.array([5e7]),
        link_matrix_bps=None,
        cloud_bps=np.array([2e6]),
        cloud_hz=5e10,
        service_bytes=np.array([1e8, 2e8]),
        task_bytes=np.array([3e6, 3e6]),
        task_cycles=np.array([3e9, 3e9]),
    )
    assert climb(moves_of(world, np.array([[2.0, 2.0]]), "numba"), np.zeros((1, 2), dtype=np.bool_), swaps=False)[
        0
    ].all()
