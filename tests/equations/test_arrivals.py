"""Synthetic demand: its law, its drift, and that it depends on (seed, cell, slot) and on nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from emulator.model.arrivals import FRAMES_PER_BLOCK, Habits, PopularityScores, Workload, ZipfDemand
from emulator.model.offloading import Floats
from emulator.model.streams import Stream

HABITS = Habits(
    users_min=10,
    users_max=50,
    activity=0.25,
    zipf_exponent=1.2,
    alike_share=0.8,
    stickiness=0.1,
    redraw=0.1,
    workload="static",
    drift_frames=100.0,
    period_frames=24.0,
)
SERVICES = 20


def demand(cell: int = 0, seed: int = 1, world_seed: int = 1, slots_per_frame: int = 5, **changes: Any) -> ZipfDemand:
    habits = replace(HABITS, **changes)
    return ZipfDemand(cell, SERVICES, slots_per_frame, habits, seed=seed, world_seed=world_seed)


def series(cell: ZipfDemand, slots: int) -> Floats:
    return np.stack([cell.counts(slot).copy() for slot in range(slots)])


@pytest.mark.parametrize("stickiness", [0.0, 0.1])
def test_the_marginal_is_zipf_whatever_the_stickiness(stickiness: float) -> None:
    # One slot in four, so that users' repetitions are rare in the sample and the tasks nearly independent.
    cell = demand(stickiness=stickiness, activity=1.0, redraw=0.0, users_min=50)
    slots = 4000
    counts = np.zeros(SERVICES)
    for slot in range(0, slots, 4):
        counts += cell.counts(slot)
    expected = counts.sum() * cell.probabilities(0)[0]
    assert expected.min() > 50.0
    assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_probabilities_are_zipf_over_the_ranks() -> None:
    probability = np.sort(demand().probabilities(0)[0])[::-1]
    assert probability[0] / probability[1] == pytest.approx(2.0**1.2)
    assert probability.sum() == pytest.approx(1.0)


def test_always_sticky_users_ask_for_one_service_for_ever() -> None:
    cell = demand(stickiness=1.0, activity=1.0, redraw=0.0, users_min=50)
    slots = series(cell, 3 * FRAMES_PER_BLOCK * 5)
    assert (slots == slots[0]).all()
    assert slots[0].sum() == 50.0


def test_sticky_users_repeat_as_often_as_they_should() -> None:
    cell = demand(stickiness=0.4, activity=1.0, redraw=0.0, users_min=1, users_max=1)
    asked = series(cell, 20_000).argmax(axis=1)
    again = (asked[1:] == asked[:-1]).mean()
    by_chance = (cell.probabilities(0)[0] ** 2).sum()
    expected = 0.4 + 0.6 * by_chance
    assert again == pytest.approx(expected, abs=4.0 * np.sqrt(expected * (1 - expected) / 20_000))


def test_population_keeps_within_its_bounds_and_reaches_them() -> None:
    cell = demand(activity=1.0, redraw=0.5, users_min=3, users_max=6)
    users = series(cell, 5 * 400).sum(axis=1).reshape(400, 5)
    assert (users == users[:, :1]).all(), "a population changes at frames only"
    assert set(users[:, 0]) == {3.0, 4.0, 5.0, 6.0}
    changes = (users[1:, 0] != users[:-1, 0]).mean()
    assert changes == pytest.approx(0.5 * 0.75, abs=0.1)


def test_activity_is_the_share_of_users_with_a_task() -> None:
    cell = demand(activity=0.25, redraw=0.0, users_min=50)
    tasks = series(cell, 4000).sum()
    assert tasks == pytest.approx(50_000, abs=4.0 * np.sqrt(200_000 * 0.25 * 0.75))


def scores(workload: Workload, cell: int = 0, **changes: Any) -> PopularityScores:
    habits = replace(HABITS, workload=workload, **changes)
    return PopularityScores(cell, SERVICES, habits, seed=3, world_seed=3)


def test_drift_is_stationary_with_the_memory_it_says() -> None:
    walks = np.concatenate(
        [scores("drift", cell, drift_frames=10.0, alike_share=0.0).of(0, 4000) for cell in range(5)], 1
    )
    assert abs(walks.mean()) < 0.1
    assert walks[:2000].var() == pytest.approx(1.0, abs=0.1)
    assert walks[2000:].var() == pytest.approx(1.0, abs=0.1)
    lagged = (walks[10:] * walks[:-10]).mean() / walks.var()
    assert lagged == pytest.approx(np.exp(-1.0), abs=0.05)


def test_drift_is_the_same_however_it_is_asked_for() -> None:
    at_once = scores("drift").of(0, 100)
    walked = scores("drift")
    for frame in (0, 7, 7, 64, 99, 3, 50):
        assert (walked.of(frame, 1)[0] == at_once[frame]).all()


def test_the_periodic_workload_has_its_period() -> None:
    line = scores("periodic", period_frames=24.0).of(0, 49)
    assert line[0] == pytest.approx(line[24], abs=1e-12)
    assert line[5] == pytest.approx(line[29], abs=1e-12)
    assert np.abs(line[0] - line[12]).max() > 0.5


def test_cells_are_as_alike_as_the_scenario_says() -> None:
    def together(alike: float) -> float:
        mine, other = (scores("static", cell, alike_share=alike).of(0, 1)[0] for cell in (0, 1))
        return float(np.abs(mine - other).max())

    assert together(1.0) == 0.0
    assert together(0.8) < together(0.0)


def test_the_run_seed_leaves_the_ranks_and_the_world_seed_changes_them() -> None:
    ranks = demand(seed=1).probabilities(0)
    assert (demand(seed=2).probabilities(0) == ranks).all()
    assert (demand(world_seed=2).probabilities(0) != ranks).any()
    assert (series(demand(seed=1), 10) != series(demand(seed=2), 10)).any()


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["static", "drift", "periodic"]),
    st.lists(st.integers(0, 900), min_size=1, max_size=12),
    st.integers(0, 3),
    st.integers(1, 6),
)
def test_arrivals_depend_on_seed_cell_and_slot_whatever_the_order(
    workload: str, order: list[int], cell: int, slots_per_frame: int
) -> None:
    in_turn = series(demand(cell, workload=workload, slots_per_frame=slots_per_frame), max(order) + 1)
    jumping = demand(cell, workload=workload, slots_per_frame=slots_per_frame)
    for slot in order:
        assert (jumping.counts(slot) == in_turn[slot]).all()


def test_a_single_service_and_a_single_user_work() -> None:
    habits = replace(HABITS, users_min=1, users_max=1, activity=1.0)
    cell = ZipfDemand(0, 1, 1, habits, seed=1, world_seed=1)
    assert series(cell, 200).tolist() == [[1.0]] * 200


# -- streams -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(0, 50), st.integers(1, 8))
def test_slots_drawn_together_are_slots_drawn_alone(draws: int, slot: int, slots: int) -> None:
    stream = Stream(1, "/cell/0", "arrivals", draws=draws)
    together = stream.uniforms(slot, slots)
    assert together.shape == (slots, draws)
    for k in range(slots):
        assert (together[k] == stream.uniforms(slot + k)[0]).all()
        assert (stream.generator(slot + k).random(draws) == together[k]).all()


def test_streams_of_others_and_slots_of_one_never_share_a_number() -> None:
    names = [(seed, who, what) for seed in (1, 2) for who in ("/cell/1", "/cell/11") for what in ("arrivals", "times")]
    drawn = np.concatenate([Stream(*name, draws=7).uniforms(0, 500).ravel() for name in names])
    assert len(np.unique(drawn)) == len(drawn)


def test_entities_whose_names_run_together_differ() -> None:
    assert (Stream(1, "/cell/1", "a", draws=4).uniforms(0) != Stream(11, "/cell/1", "a", draws=4).uniforms(0)).all()


def test_normals_are_standard_and_independent_of_how_many_slots_are_drawn() -> None:
    stream = Stream(5, "/world", "drift", draws=42)
    many = stream.normals_of(3, 2000, 21)
    assert (stream.normals(10, 21) == many[7]).all()
    assert stats.kstest(many.ravel(), "norm").pvalue > 1e-3
