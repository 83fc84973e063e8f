"""The rental world's equations, one by one, against what the papers say and against each other."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model import radio
from emulator.model.graph import NOBODY
from emulator.model.ledger import Broken
from emulator.model.mobility import coverage, placed, reflected, walked
from emulator.model.rental import (
    MOST_MEAN,
    averaged,
    chosen,
    compute_s,
    normalised,
    poisson,
    rewards,
    summed,
    willingness,
    zone_of,
)
from emulator.model.rental_ledger import RentalEdgeRow, RentalTotals, close_slot
from emulator.model.streams import CrowdStream, normals_from
from emulator.rental_world import RentalWorld
from emulator.scenario_file import load

SIDES = np.array([180.0, 120.0])


def uniforms(count: int, seed: int = 1) -> np.ndarray:
    return CrowdStream(seed, "/test", "any", draws=1).uniforms(0, 0, count)[:, 0]


@pytest.mark.parametrize("mean", [0.0, 0.05, 0.7, 3.3, 22.5, 120.0, MOST_MEAN])
def test_poisson_counts_have_the_laws_mean_and_variance(mean: float) -> None:
    counts = poisson(np.full(40_000, mean), uniforms(40_000))
    error = math.sqrt(max(mean, 1e-12) / 40_000)
    assert abs(counts.mean() - mean) < 4.5 * error + 1e-12
    assert abs(counts.var() - mean) < 4.5 * error * math.sqrt(2.0 * mean + 1.0) + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, MOST_MEAN), st.floats(0.0, 1.0, exclude_max=True)), min_size=1, max_size=8),
)
def test_poisson_counts_are_the_least_whose_law_passes_the_uniform(pairs: list[tuple[float, float]]) -> None:
    means, drawn = (np.array(column) for column in zip(*pairs, strict=True))
    counts = poisson(means, drawn)
    for mean, uniform, count in zip(means.tolist(), drawn.tolist(), counts.tolist(), strict=True):
        terms = [
            math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) if mean else float(k == 0)
            for k in range(count + 1)
        ]
        assert math.fsum(terms[:-1]) <= uniform + 1e-11
        assert math.fsum(terms) > uniform - 1e-11
    # With more expected nobody asks for less: worlds that differ in the mean stay coupled.
    assert (poisson(means * 0.9, drawn) <= counts).all()


def test_choices_follow_the_soft_minimum() -> None:
    cost = np.array([[0.2, 0.5, 0.1]]).repeat(30_000, axis=0)
    candidates = np.array([[True, True, False]]).repeat(30_000, axis=0)
    picked = chosen(cost, candidates, 0.25, uniforms(30_000))
    weight = np.exp(-np.array([0.2, 0.5]) / 0.25)
    expected = weight / weight.sum()
    found = np.bincount(picked, minlength=3) / 30_000
    assert found[2] == 0.0
    assert found[:2] == pytest.approx(expected, abs=4.0 * math.sqrt(0.25 / 30_000))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32), st.floats(1e-3, 10.0))
def test_nobody_chooses_what_is_no_candidate(choices: int, seed: int, temperature_s: float) -> None:
    drawn = CrowdStream(seed, "/test", "any", draws=2 * choices + 1).uniforms(0, 0, 20)
    candidates = drawn[:, :choices] < 0.5
    picked = chosen(
        drawn[:, choices : 2 * choices] * 50.0, candidates, temperature_s, np.nextafter(drawn[:, -1], 2.0) % 1.0
    )
    assert ((picked == NOBODY) == ~candidates.any(axis=1)).all()
    some = picked != NOBODY
    assert candidates[some, picked[some]].all()


def test_a_uniform_next_to_one_still_finds_the_last_choice() -> None:
    last = np.array([1.0 - 2.0**-53])
    assert chosen(np.array([[0.0, 0.1, 9.0]]), np.array([[True, True, False]]), 0.05, last).tolist() == [1]


def test_delay_is_a_queues_or_a_constant() -> None:
    units, tasks = np.array([0, 1, 1, 2]), np.array([0.0, 30.0, 45.0, 30.0])
    assert compute_s(units, tasks, 40.0, 5.0, "mm1").tolist() == [5.0, 0.1, 5.0, 0.02]
    assert compute_s(units, tasks, 40.0, 5.0, "constant").tolist() == [5.0, 1 / 40, 1 / 40, 1 / 80]


def test_rewards_are_worth_less_waiting_less_rent() -> None:
    units, tasks = np.array([0, 1, 2]), np.array([7.0, 10.0, 10.0])
    wait_s, price = np.array([1.0, 2.0, 1.0]), np.array([30.0, 30.0, 20.0])
    found = rewards(units, tasks, wait_s, price, worth=5.0, weight=0.7, scale=0.1)
    assert found == pytest.approx([0.0, 0.1 * (50 - 1.4 - 30), 0.1 * (50 - 0.7 - 40)])


def test_sums_are_taken_in_the_order_of_the_users() -> None:
    values = uniforms(1000) * 10.0 ** np.arange(1000 % 7, 1000 % 7 + 1000).clip(0, 15)
    place = (uniforms(1000, 2) * 3).astype(np.int64)
    found = summed(place, values, 4)
    for edge in range(3):
        total = 0.0
        for value in values[place == edge].tolist():
            total += value
        assert found[edge] == total
    assert found[3] == 0.0


def test_demand_falls_with_the_delay_that_is_remembered() -> None:
    assert willingness(np.array([0.0, 1.0, 4.5, 9.0]), 5.0, 0.2).tolist() == [1.0, 0.8, 0.2, 0.2]
    assert averaged(np.array([1.0]), np.array([3.0]), 0.5).tolist() == [2.0]
    assert normalised(np.full(5, 3.0), np.ones(5), np.full(5, 2.0)).tolist() == [1.0] * 5


def test_zones_lie_as_in_the_authors_file() -> None:
    places = np.array([[10.0, 10.0], [100.0, 10.0], [80.0, 100.0], [100.0, 100.0]])
    assert zone_of(places, SIDES, (0.3, 0.5), 0.5).tolist() == [1, 2, 0, 3]
    # Between 0.3 and 0.5 of the width the lower half is commercial there, and school where it is split in the middle.
    between = np.array([[70.0, 10.0]])
    assert zone_of(between, SIDES, (0.3, 0.5), 0.5).tolist() == [2]
    assert zone_of(between, SIDES, (0.5, 0.5), 0.5).tolist() == [1]


def test_walkers_stay_inside_and_spread_as_far_as_their_step_says() -> None:
    drawn = CrowdStream(1, "/test", "walk", draws=6).uniforms(0, 0, 20_000)
    start = np.full((20_000, 2), 5_000.0)
    wide = np.array([1e4, 1e4])
    moved = walked(start, drawn[:, :4], 20.0, wide) - start
    assert moved.std() == pytest.approx(20.0, rel=0.02)
    assert abs(moved.mean()) < 0.5
    inside = walked(placed(drawn[:, 4:], SIDES), drawn[:, :4], 300.0, SIDES)
    assert (inside >= 0.0).all()
    assert (inside <= SIDES).all()
    assert reflected(np.array([[-5.0, 125.0], [185.0, 60.0], [365.0, -245.0]]), SIDES).tolist() == [
        [5.0, 115.0],
        [175.0, 60.0],
        [5.0, 5.0],
    ]
    assert walked(start, drawn[:, :4], 0.0, wide) is start


def test_a_circle_inside_covers_its_share() -> None:
    sides = np.array([200.0, 200.0])
    assert coverage(np.array([[100.0, 100.0]]), sides, 80.0) == pytest.approx(math.pi * 0.16, rel=1e-3)


def test_the_radio_is_free_space_and_rayleigh() -> None:
    gain = radio.fading(uniforms(50_000))
    assert gain.mean() == pytest.approx(1.0, rel=0.02)
    assert (gain < math.log(2)).mean() == pytest.approx(0.5, abs=0.01)
    distance_m = np.array([85.0, 42.5, 5.0, 1.0])
    ratio = radio.signal_to_noise(distance_m, np.ones(4), range_m=85.0, at_range=10.0, nearest_m=5.0)
    assert ratio == pytest.approx([10.0, 40.0, 2890.0, 2890.0])
    assert radio.efficiency(np.array([1.0, 3.0, 0.0]), 0.05).tolist() == [1.0, 2.0, 0.05]
    send_s = radio.transmission_s(np.array([10.0, 10.0]), np.array([20.0, 20.0]), np.array([2.0, 0.05]), 4.0, 5.0)
    assert send_s.tolist() == [1.0, 5.0]


def test_normals_from_pairs_are_normal() -> None:
    drawn = CrowdStream(2, "/test", "pairs", draws=2).uniforms(0, 0, 50_000)
    normal = normals_from(drawn[:, 0], drawn[:, 1])
    assert abs(normal.mean()) < 0.02
    assert normal.std() == pytest.approx(1.0, rel=0.02)


def test_the_books_add_up() -> None:
    def line(slot: int, edge: int) -> RentalEdgeRow:
        return RentalEdgeRow(slot, edge, 1 + edge, 30, 10, 4.0 * edge, 0.1, 0.5 * edge, 2.0 - edge, 20.0, 30.0, 0.1)

    totals = RentalTotals(episode_slots=2)
    rows = [close_slot(slot, 9, [line(slot, 0), line(slot, 1)], 3.0, {0: 0.0, 1: 6.0}) for slot in range(5)]
    ended = [totals.add_slot(row) for row in rows]
    assert ended[0] is ended[2] is ended[4] is None
    assert ended[1] == (0, 0, 6.0)
    assert ended[3] == (1, 2, 6.0)
    facts = totals.facts()
    assert facts["reward"] == {"mean": 3.0, "total": 15.0}
    assert facts["tasks"] == {"edge": 20.0, "cloud": 15.0, "dropped": 10.0}
    assert facts["delay_s"]["mean"] == 0.5
    assert facts["cost"]["mean"] == 90.0
    assert facts["episodes"] == {"count": 2, "reward": 6.0}
    with pytest.raises(Broken, match=r"edge server 1 served .* more than it was sent"):
        close_slot(0, 9, [line(0, 0), line(0, 1)], 3.0, {0: 0.0, 1: 3.0})


def played(*overrides: str, slots: int = 24) -> list[tuple[float, float, float]]:
    """Reward, tasks at the edge and tasks to the cloud of each slot when everybody rents one unit."""
    world = RentalWorld(load("quickstart-rental", list(overrides)))
    found = []
    for _ in range(slots):
        step = world.step(np.ones((1, 9), dtype=np.int64))
        cloud = step.requests.tasks[step.requests.edge == NOBODY].sum()
        found.append((float(step.reward.sum()), float(step.settled.tasks.sum()), float(cloud)))
    return found


def test_users_may_choose_the_cloud() -> None:
    fallback = np.array(played("rental.first_slot=108"))
    choice = np.array(played("rental.first_slot=108", "rental.users.cloud=choice", "rental.users.cloud_s=0.3"))
    never = np.array(played("rental.first_slot=108", "rental.users.cloud=choice", "rental.users.cloud_s=50.0"))
    assert fallback[:, 2].sum() == 0.0
    assert choice[:, 2].sum() > 0.2 * choice[:, 1].sum()
    assert (never == fallback).all()


def test_users_whom_nobody_serves_go_to_the_cloud_and_ask_for_all_they_want() -> None:
    world = RentalWorld(load("quickstart-rental", ["rental.first_slot=108"]))
    idle = [world.step(np.zeros((1, 9), dtype=np.int64)) for _ in range(12)]
    assert all(step.reward.sum() == 0.0 == step.settled.tasks.sum() for step in idle)
    assert sum(int(step.requests.tasks.sum()) for step in idle) > 100


def test_a_constant_rate_never_overloads() -> None:
    load_up = ("rental.demand.load=1.0", "rental.first_slot=108")
    queue, constant = np.array(played(*load_up)), np.array(played(*load_up, "rental.delay.law=constant"))
    assert constant[:, 0].sum() > queue[:, 0].sum()
    world = RentalWorld(load("quickstart-rental", [*load_up, "rental.delay.law=constant"]))
    for _ in range(6):
        assert (world.step(np.ones((1, 9), dtype=np.int64)).settled.compute_s == 1 / 40).all()


def test_demand_follows_a_trace_cell_by_cell() -> None:
    """The shipped trace: five cells whose peaks come one after the other."""
    scenario = load("small-trace")
    text = ["edges.count=5", "slot_s=60.0", "rental.demand.kind=trace", f"rental.demand.path={scenario.demand.path}"]
    scenario = load("quickstart-rental", [*text, "rental.demand.load=0.2", "rental.users.step_m=0"])
    world = RentalWorld(scenario, seeds=range(24))
    rates, users, tasks = world.plan.rates, [], []
    assert rates.mean() == pytest.approx(0.2 * 4.5)
    for _ in range(len(rates)):
        asked = world.step(np.full((24, 5), 2)).requests
        zone = world.plan.zones(world.plan.sites)[asked.edge]
        tasks.append(np.bincount(zone, weights=asked.tasks, minlength=5))
        users.append(np.bincount(zone, minlength=5))
    # Users are served near their cell, so what a server gets follows its cell's trace.
    got = np.array(tasks) / np.array(users)
    for cell in range(5):
        assert np.corrcoef(got[:, cell], rates[:, cell])[0, 1] > 0.7


def test_a_trace_of_another_size_is_refused() -> None:
    trace = load("small-trace").demand.path
    scenario = load("quickstart-rental", ["rental.demand.kind=trace", f"rental.demand.path={trace}"])
    with pytest.raises(Exception, match="the trace has 5 cells") as caught:
        RentalWorld(msgspec.structs.replace(scenario, frames=3))
    assert "the trace's slots last 60 s" in str(caught.value)
