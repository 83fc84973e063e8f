"""Means over seeds and their 95 % t-intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.errors import AgentError
from emulator.model.offloading import Floats


class Interval(NamedTuple):
    """A mean and half the width of its 95 % confidence interval."""

    mean: float
    half: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign of the mean is beyond doubt."""
        return abs(self.mean) > self.half


def interval(values: Floats) -> Interval:
    """Mean of one value a seed and its 95 % t-interval; paired, where the values are differences of pairs.

    Raises: AgentError: SciPy is not installed.
    """
    try:
        from scipy.stats import t
    except ImportError as error:
        raise AgentError("confidence intervals need scipy; install edgerig[report]") from error
    count = len(values)
    return Interval(float(values.mean()), float(t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count)))


def ratio(values: Floats, base: Floats) -> Interval:
    """Ratio of two means over the same seeds, and its interval by the linearised paired differences."""
    of_means = float(values.mean() / base.mean())
    return Interval(of_means, interval((values - of_means * base) / base.mean()).half)
