"""Paired comparisons over seeds: a run and its baseline saw the same demand, so each seed gives one difference.

The t interval comes first. The bootstrap is shown beside it: at few seeds its percentiles are too narrow, so the
bias-corrected one is taken, and it decides nothing.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.runs import ReportError

Floats = NDArray[np.float64]
LEVEL: Final = 0.95
RESAMPLES: Final = 4999
FEWEST_FOR_BOOTSTRAP: Final = 3


class Comparison(NamedTuple):
    """What pairs say about a difference; everything but counts and shares in the figure's own unit.

    Attributes:
        pairs: How many seeds.
        mean: Of the differences, run minus baseline.
        low, high: Ends of the 95 % paired t interval; both the mean where all differences are equal.
        run_mean, baseline_mean: Of the two arms.
        share, share_low, share_high: The same three as shares of the baseline's mean; None where that is 0.
        effect_size: Hedges' g of the differences: mean over standard deviation, without the bias of few pairs; None
            where they do not scatter.
        bootstrap_low, bootstrap_high: 95 % bias-corrected bootstrap; None with fewer than three pairs.
        p_value: Two-sided, of the paired t test; 1 where all differences are 0.
    """

    pairs: int
    mean: float
    low: float
    high: float
    run_mean: float
    baseline_mean: float
    share: float | None
    share_low: float | None
    share_high: float | None
    effect_size: float | None
    bootstrap_low: float | None
    bootstrap_high: float | None
    p_value: float

    def builtin(self) -> dict[str, Any]:
        """As a JSON document has it."""
        return self._asdict()


def compared(run: Floats, baseline: Floats, level: float = LEVEL) -> Comparison:
    """Compare two arms over the same seeds.

    Args:
        run: One figure a seed, shape (seed,), at least two.
        baseline: The same of the baseline, in the same order.
        level: Of the intervals, instead of 95 %.
    Raises: ReportError: SciPy is not installed. ValueError: the arms are not pairs, or fewer than two.
    Source: ours: Student's t on differences, since arms that share a seed share demand and are far from independent.
    """
    if run.shape != baseline.shape or run.ndim != 1 or len(run) < 2:
        raise ValueError(f"pairs of at least two seeds are needed, not {run.shape} and {baseline.shape}")
    differences = run - baseline
    mean, spread = float(differences.mean()), _spread(differences)
    half, p_value = _student(len(differences), mean, spread, level)
    base = float(baseline.mean())
    share, share_low, share_high = ((x / abs(base) if base else None) for x in (mean, mean - half, mean + half))
    boot = _bootstrap(differences, spread, level)
    return Comparison(
        len(differences),
        mean,
        mean - half,
        mean + half,
        float(run.mean()),
        base,
        share,
        share_low,
        share_high,
        hedges_g(mean, spread, len(differences)),
        *boot,
        p_value,
    )


def hedges_g(mean: float, spread: float, pairs: int) -> float | None:
    """Mean over standard deviation of paired differences, corrected for few pairs.

    None where they do not scatter, and for two pairs, of which the correction leaves nothing.

    Source: Hedges (1981), the approximate correction 1 - 3 / (4 (n - 1) - 1).
    """
    if spread <= 0.0 or pairs < 3:
        return None
    return mean / spread * (1.0 - 3.0 / (4.0 * (pairs - 1) - 1.0))


def _spread(differences: Floats) -> float:
    """Standard deviation; exactly 0 where all are equal, which rounding in the mean would hide."""
    return 0.0 if float(np.ptp(differences)) == 0.0 else float(differences.std(ddof=1))


def _student(pairs: int, mean: float, spread: float, level: float) -> tuple[float, float]:
    if spread == 0.0:
        return 0.0, 1.0 if mean == 0.0 else 0.0
    student = _scipy().t
    error = spread / math.sqrt(pairs)
    half = float(student.ppf(0.5 + level / 2.0, pairs - 1)) * error
    return half, float(2.0 * student.sf(abs(mean) / error, pairs - 1))


def _bootstrap(differences: Floats, spread: float, level: float) -> tuple[float | None, float | None]:
    if len(differences) < FEWEST_FOR_BOOTSTRAP:
        return None, None
    if spread == 0.0:
        return float(differences[0]), float(differences[0])
    # The same resamples for the same number of pairs: a report made twice says the same.
    found = (
        _scipy()
        .bootstrap(
            (differences,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=level,
            method="BCa",
            random_state=np.random.Generator(np.random.Philox(key=len(differences))),
        )
        .confidence_interval
    )
    return float(found.low), float(found.high)


def _scipy() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise ReportError("confidence intervals need scipy; install edgerig[report]") from error
    return stats
