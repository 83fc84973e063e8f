"""A sample of the calibration: how often trials are wrong, and what they find. `edgerig bench trials` has all of it."""

from scipy.stats import binom

from emulator.bench_trials import Options, a_a, planted, subtle

CHANCE = 0.001
"""Probability of a failure of a test that is as good as it claims; seeds are fixed, so it happens once or never."""


def test_equal_arms_are_seldom_told_apart() -> None:
    options = Options(trials=100, seeds=10, frames=3)
    found = a_a(options, lambda _text: None)
    count = options.trials
    assert round(found["fixed_sample_rejects"] * count) <= binom.ppf(1 - CHANCE, count, 0.07)
    assert round(found["fixed_sample_rejects"] * count) >= binom.ppf(CHANCE, count, 0.03)
    assert round(found["sequential_rejects"] * count) <= binom.ppf(1 - CHANCE, count, 0.06)
    assert found["sequential_rolls_back"] <= found["sequential_rejects"] < found["fixed_sample_rejects"]


def test_a_difference_of_five_percent_is_found() -> None:
    found = planted(Options(planted=4, planted_frames=40), lambda _text: None)
    assert found["planted_found"] == 1.0
    assert 0.03 < found["planted_share"] < 0.08
    assert found["planted_seeds_most"] <= 12


def test_the_subtly_worse_candidate_is_rolled_back_whatever_the_seeds() -> None:
    found = subtle(Options(subtle=2), lambda _text: None)
    assert found["subtle_rolled_back"] == 1.0
    assert 40 <= found["subtle_frames_mean"] <= found["subtle_frames_most"] <= 400
