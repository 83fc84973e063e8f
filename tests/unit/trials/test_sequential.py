"""The always-valid test and the paired comparison, against what theory and SciPy say."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from monitoring.paired import compared, hedges_g
from monitoring.sequential import critical_t, e_value, first_crossing, look, path


def test_the_evidence_is_the_mixture_that_it_claims_to_be() -> None:
    """Numerically: noncentral t likelihoods of effect sizes, mixed over a standard normal, against the central one."""
    count, t = 9, 2.7
    freedom = count - 1

    def weighted(effect: float) -> float:
        return float(stats.nct.pdf(t, freedom, effect * math.sqrt(count)) * stats.norm.pdf(effect))

    mixed, _ = integrate.quad(weighted, -8.0, 8.0)
    assert e_value(count, t) == pytest.approx(mixed / stats.t.pdf(t, freedom), rel=1e-6)


@pytest.mark.parametrize("count", [6, 12, 30])
def test_the_interval_ends_where_the_evidence_reaches_the_line(count: int) -> None:
    assert e_value(count, critical_t(count, 0.05)) == pytest.approx(20.0)


def test_no_few_differences_cross_however_alike_they_are() -> None:
    assert critical_t(4, 0.05) == math.inf
    assert first_crossing([1.0] * 4, 0.05) is None
    assert first_crossing([1.0] * 9, 0.05) == 5
    assert first_crossing([1.0] * 9, 0.05 / 3) == 6


def test_no_difference_is_no_evidence() -> None:
    found = look([0.0] * 30, 0.05)
    assert (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.e_value < 1.0
    assert first_crossing([0.0] * 30, 0.05) is None


def test_a_true_null_is_rejected_seldom_however_often_one_looks() -> None:
    """The rate is 2 to 3 % within 30 looks, so 5 % of 400 would be three standard errors of bad luck."""
    drawn = np.random.default_rng(5).normal(0.0, 3.0, (400, 30))
    crossed = sum(any(each.low > 0.0 or each.high < 0.0 for each in path(row.tolist(), 0.05)) for row in drawn)
    assert crossed / 400 <= 0.05


def test_looking_each_time_at_the_plain_t_test_is_what_would_go_wrong() -> None:
    drawn = np.random.default_rng(5).normal(0.0, 3.0, (200, 30))
    lines = [stats.t.ppf(0.975, count - 1) for count in range(2, 31)]
    ts = [[look(row[:k].tolist(), 0.05).mean / (row[:k].std(ddof=1) / k**0.5) for k in range(2, 31)] for row in drawn]
    crossed = (np.abs(np.array(ts)) > np.array(lines)).any(axis=1)
    assert crossed.mean() > 0.15


def test_an_effect_is_found() -> None:
    drawn = np.random.default_rng(6).normal(1.0, 1.0, (50, 30))
    assert sum(first_crossing(row.tolist(), 0.05) is not None for row in drawn) >= 45


def test_pairs_are_compared_as_scipy_does() -> None:
    rng = np.random.default_rng(1)
    run, baseline = rng.normal(2.0, 1.0, 20), rng.normal(1.5, 1.0, 20)
    found, expected = compared(run, baseline), stats.ttest_rel(run, baseline)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.share == pytest.approx(found.mean / baseline.mean())
    assert found.bootstrap_low is not None
    assert found.bootstrap_high is not None
    assert found.low < found.bootstrap_low < found.mean < found.bootstrap_high < found.high + 0.1
    assert found == compared(run, baseline), "a report made twice says the same"


def test_equal_arms_differ_by_exactly_nothing() -> None:
    same = np.array([0.1, 0.2, 0.7])
    found = compared(same, same)
    assert (found.mean, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert found.effect_size is None


def test_the_effect_size_is_corrected_for_few_pairs() -> None:
    assert hedges_g(2.0, 1.0, 4) == pytest.approx(2.0 * (1.0 - 3.0 / 11.0))


def test_two_pairs_are_the_fewest() -> None:
    with pytest.raises(ValueError, match="pairs of at least two"):
        compared(np.ones(1), np.ones(1))
    assert compared(np.array([1.0, 2.0]), np.array([0.0, 0.0])).bootstrap_low is None
