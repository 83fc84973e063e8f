"""The planners held to figures: against Popularity on the default network, and against the true optimum if small."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from agents.claims import ILS, Scheme, levels
from agents.intervals import interval, ratio
from agents.planners import ORACLE_RESTARTS
from agents.search import KICKS, iterate, moves_of
from emulator.assembly import resolve
from emulator.model.offloading import FrameCosts, Network, cloud_delay
from emulator.model.scheduling import deployment_costs, total_cost
from emulator.scenario_file import load
from emulator.world import World

pytestmark = pytest.mark.slow
pytest.importorskip("numba")

POLICIES = (
    Scheme("random", "random"),
    Scheme("Popularity", "popularity"),
    Scheme("marginal greedy", "marginal-greedy"),
    Scheme("marginal greedy, EWMA", "marginal-greedy:ewma"),
    ILS,
    Scheme("ILS-30, EWMA", "ils:30"),
    Scheme("oracle", "oracle"),
)


@pytest.fixture(scope="module")
def delays():
    """Mean delays on the static workload, by policy, one value a seed: 16 paired seeds of 20 frames."""
    return levels(schemes=POLICIES, jobs=2)


def test_marginal_greedy_takes_at_most_four_fifths_of_popularitys_delay(delays):
    assert ratio(delays["marginal greedy"], delays["Popularity"]).mean <= 0.80


def test_ils_on_smoothed_demand_takes_at_most_seven_tenths_of_popularitys_delay(delays):
    assert ratio(delays["ILS-30, EWMA"], delays["Popularity"]).mean <= 0.70


def test_a_warm_start_with_six_restarts_is_as_good_as_thirty_from_nothing(delays):
    assert ratio(delays[ILS.name], delays["ILS-30, EWMA"]).mean <= 1.03


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("Popularity", "random"),
        ("marginal greedy", "Popularity"),
        ("marginal greedy, EWMA", "marginal greedy"),
        ("ILS-30, EWMA", "marginal greedy, EWMA"),
        ("oracle", "ILS-30, EWMA"),
    ],
)
def test_policies_rank_as_they_should_beyond_chance(delays, better, worse):
    less = interval(delays[better] - delays[worse])
    assert less.mean < 0.0
    assert less.excludes_zero


SMALL = ("edges.count=3", "services.count=10", "edges.storage_bytes=1e9")


def test_ils_100_is_within_two_percent_of_the_true_optimum_where_that_can_be_enumerated():
    gaps = []
    for network, demand, seed in _small_cases(range(1, 8)):
        kicks = np.random.default_rng(seed).random((ORACLE_RESTARTS, KICKS, 3))
        empty = np.zeros(demand.shape, dtype=np.bool_)
        found_s = iterate(moves_of(network, demand, "numba"), [empty], kicks, network)[1]
        best, best_s = _enumerated(network, demand)
        assert deployment_costs(network, demand, best[None])[0] == pytest.approx(best_s, rel=1e-12)
        assert found_s >= best_s * (1.0 - 1e-12)
        gaps.append(found_s / best_s - 1.0)
    assert np.mean(gaps) <= 0.02


def _small_cases(seeds) -> Iterator[tuple[Network, np.ndarray, int]]:
    for seed in seeds:
        world = World(resolve(load("paper-ttosc", [f"seed={seed}", f"world_seed={seed}", *SMALL])))
        yield world.network, world.frame_arrivals(3).mean(axis=1), seed


def _enumerated(network: Network, demand: np.ndarray) -> tuple[np.ndarray, float]:
    """The cheapest of all deployments that fit, and its cost.

    A service's cost depends on no more than who hosts it and how many services each host has: a small table for each.
    """
    subsets = np.array(list(itertools.product((False, True), repeat=network.services)))
    packings = [subsets[subsets @ network.service_bytes <= room] for room in network.storage_bytes]
    most = max(int(packing.sum(axis=1).max()) for packing in packings)
    counts = np.array(list(itertools.product(range(most + 1), repeat=network.edges))).T.astype(np.float64)
    split = [packing * packing.sum(axis=1, keepdims=True) for packing in packings]  # 0 where not hosted
    cost_s = np.zeros([len(packing) for packing in packings])
    for service in range(network.services):
        table = _service_costs(network, demand, service, counts).reshape((most + 1,) * network.edges)
        cost_s += table[np.ix_(*(each[:, service] for each in split))]
    best = np.unravel_index(cost_s.argmin(), cost_s.shape)
    return np.stack([packing[at] for packing, at in zip(packings, best, strict=True)]), float(cost_s.min())


def _service_costs(network: Network, demand: np.ndarray, service: int, counts: np.ndarray) -> np.ndarray:
    """Cost of one service when each server splits itself between so many services, 0 where it hosts it not."""
    hosts, count = counts > 0.0, np.maximum(counts, 1.0)
    bits, cycles = 8.0 * network.task_bytes[service], network.task_cycles[service]
    cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)[:, [service]]
    costs = FrameCosts(
        hosts=hosts,
        compute_s=np.where(hosts, cycles * count / network.compute_hz[:, None], 0.0),
        leave_s=np.zeros(hosts.shape),
        enter_s=np.where(hosts, bits * count / network.link_bps[:, None], 0.0),
        transfer_s=None,
        cloud_s=np.repeat(cloud_s, hosts.shape[1], axis=1),
    )
    return total_cost(np.repeat(demand[:, [service]], hosts.shape[1], axis=1), costs)
