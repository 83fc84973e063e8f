"""An always-valid t test: differences may be looked at as they come, and the error rate holds whenever one stops.

The differences are mixed over a normal law of the effect size (mean over standard deviation), and over all standard
deviations alike (Haar). Their likelihood against a mean of zero is then a function of the t statistic alone, and a
martingale whatever the true standard deviation is; so it exceeds 1/alpha at any time with probability alpha at most.
The means that are not refused at a time form an interval, and all these intervals hold the true mean at once with
probability 1 - alpha: a confidence sequence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

MIXTURE: Final = 1.0
"""Variance of the effect sizes that are mixed over: the unit-information choice."""


class Look(NamedTuple):
    """What is known after some differences.

    Attributes:
        pairs: How many there are.
        mean: Of them.
        low, high: Ends of the confidence sequence, infinite while it says nothing.
        e_value: Evidence against a mean of zero; 1/alpha crosses the line.
    """

    pairs: int
    mean: float
    low: float
    high: float
    e_value: float

    def builtin(self) -> dict[str, Any]:
        """As a JSON document has it, which knows no infinity."""
        ends = {
            name: value if math.isfinite(value) else None for name, value in (("low", self.low), ("high", self.high))
        }
        return {**self._asdict(), **ends}


def e_value(count: int, t: float, mixture: float = MIXTURE) -> float:
    """Evidence against a mean of zero.

    Args:
        count: Differences so far, n.
        t: Their t statistic; may be infinite.
        mixture: g, the variance of the effect sizes mixed over.
    Source: Gonen et al. (2005), the Bayes factor of a t statistic; a test martingale by Lai (1976) and
        Wang and Ramdas (2024).
    """
    freedom = count - 1
    if freedom < 1:
        return 1.0
    wide = 1.0 + count * mixture
    ratio = wide if math.isinf(t) else (1.0 + t * t / freedom) / (1.0 + t * t / (wide * freedom))
    return math.exp(0.5 * count * math.log(ratio) - 0.5 * math.log(wide))


def critical_t(count: int, alpha: float, mixture: float = MIXTURE) -> float:
    """The t statistic at which the evidence is 1/alpha; infinite where no t reaches it.

    Source: ours: ``e_value`` solved for t.
    """
    freedom = count - 1
    if freedom < 1:
        return math.inf
    wide = 1.0 + count * mixture
    ratio = math.exp(2.0 / count * (0.5 * math.log(wide) - math.log(alpha)))
    if ratio >= wide:
        return math.inf
    return math.sqrt(freedom * (ratio - 1.0) / (1.0 - ratio / wide))


def look(differences: Sequence[float], alpha: float, mixture: float = MIXTURE) -> Look:
    """What some differences say.

    Args:
        differences: In the order in which they came; only their number, mean and scatter matter.
        alpha: The error rate of the whole sequence.
        mixture: See ``e_value``.
    Source: ours: differences that are all equal have no scatter to judge by, so only their number counts; differences
        that are all zero are no evidence at all.
    """
    values = np.asarray(differences, dtype=np.float64)
    count = len(values)
    if count == 0:
        return Look(0, 0.0, -math.inf, math.inf, 1.0)
    mean = float(values.mean())
    alike = float(np.ptp(values)) == 0.0
    error = 0.0 if alike else float(values.std(ddof=1)) / math.sqrt(count)
    t = (math.copysign(math.inf, mean) if mean else 0.0) if alike else mean / error
    most = critical_t(count, alpha, mixture)
    half = math.inf if math.isinf(most) else most * error
    return Look(count, mean, mean - half, mean + half, e_value(count, t, mixture))


def path(differences: Sequence[float], alpha: float, mixture: float = MIXTURE) -> list[Look]:
    """The looks after the first, the second, ... difference."""
    return [look(differences[: count + 1], alpha, mixture) for count in range(len(differences))]


def first_crossing(differences: Sequence[float], alpha: float, mixture: float = MIXTURE) -> int | None:
    """After how many differences their mean is known to be above zero; None if it never is."""
    return next((each.pairs for each in path(differences, alpha, mixture) if each.low > 0.0), None)
