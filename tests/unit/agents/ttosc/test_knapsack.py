"""The knapsack against enumeration, and what a unit of size does to it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ttosc.knapsack import MOST_UNITS, best_packing, packing_of


def enumerated(values: np.ndarray, sizes: np.ndarray, room: float) -> float:
    """The greatest value of any subset that fits."""
    best = 0.0
    for picked in itertools.product([False, True], repeat=len(values)):
        chosen = np.array(picked)
        if sizes[chosen].sum() <= room:
            best = max(best, float(values[chosen].sum()))
    return best


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 8), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_it_finds_what_enumeration_finds(services: int, rows: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 6, services) * 1e8
    storage = draw.integers(1, 15, rows) * 1e8 + draw.random(rows) * 9e7
    values = draw.normal(1.0, 2.0, (rows, services))
    deployed = best_packing(values, packing_of(sizes, storage))
    for row in range(rows):
        assert sizes[deployed[row]].sum() <= storage[row]
        assert (values[row][deployed[row]] > 0.0).all()
        assert values[row][deployed[row]].sum() == pytest.approx(enumerated(values[row], sizes, storage[row]))


def test_services_worth_nothing_stay_out() -> None:
    packing = packing_of(np.array([1e8, 1e8, 1e8]), np.array([1e9]))
    assert best_packing(np.array([[0.0, -1.0, 2.0]]), packing).tolist() == [[False, False, True]]


def test_rows_may_belong_to_any_server() -> None:
    packing = packing_of(np.array([1e8, 2e8]), np.array([1e8, 3e8]))
    deployed = best_packing(np.array([[1.0, 5.0]] * 3), packing, np.array([1, 0, 0]))
    assert deployed.tolist() == [[True, True], [True, False], [True, False]]


def test_sizes_without_a_common_unit_are_rounded_up_and_fit() -> None:
    draw = np.random.default_rng(1)
    sizes = draw.uniform(1e8, 5e8, 12)
    storage = np.array([1e9, 2e9])
    packing = packing_of(sizes, storage)
    assert not packing.exact
    assert packing.room.max() <= MOST_UNITS
    values = draw.uniform(0.1, 1.0, (2, 12))
    deployed = best_packing(values, packing)
    for row in range(2):
        assert sizes[deployed[row]].sum() <= storage[row]
        best = enumerated(values[row], sizes, storage[row])
        assert values[row][deployed[row]].sum() >= 0.98 * best


def test_storage_for_everything_takes_everything_of_worth() -> None:
    packing = packing_of(np.array([1e8, 3e8]), np.array([1e15]))
    assert packing.room.tolist() == [4]
    assert best_packing(np.array([[1.0, 1.0]]), packing).all()


@pytest.mark.parametrize(
    ("values", "text"), [([[np.nan, 1.0]], "not a number"), ([[1.0, 1.0], [1.0, 1.0]], "2 rows of values for 1")]
)
def test_values_that_make_no_sense_are_refused(values: list[list[float]], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        best_packing(np.array(values), packing_of(np.array([1e8, 1e8]), np.array([1e9])))


def test_a_single_server_gets_what_it_gets_among_others():
    """One row takes another path through the code; ties and services of no value are where it could part."""
    generator = np.random.Generator(np.random.Philox(key=8))
    for _ in range(200):
        packing = packing_of(generator.integers(1, 6, 12) * 1e8, generator.integers(1, 25, 4) * 1e8)
        values = generator.integers(-3, 6, (4, 12)).astype(float)
        together = best_packing(values, packing)
        for edge in range(4):
            alone = best_packing(values[[edge]], packing, np.array([edge]))
            assert np.array_equal(alone[0], together[edge])
