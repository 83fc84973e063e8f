"""What is compared: pairs with the same seed, which share world and demand; nan where a seed was not measured."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.intervals import Interval, interval, ratio
from emulator.model.offloading import Floats


class Compared(NamedTuple):
    """A paired difference or ratio, and over how many seeds."""

    interval: Interval
    seeds: int


def mean_of(values: Floats) -> Compared | None:
    """Mean over the seeds there are; None for fewer than two."""
    there = values[np.isfinite(values)]
    return Compared(interval(there), len(there)) if len(there) > 1 else None


def difference(values: Floats, base: Floats) -> Compared | None:
    """Mean of the paired differences; None for fewer than two pairs."""
    return mean_of(values - base)


def part(values: Floats, base: Floats) -> Compared | None:
    """Ratio of the means over the seeds that both have; None for fewer than two."""
    both = np.isfinite(values) & np.isfinite(base)
    return Compared(ratio(values[both], base[both]), int(both.sum())) if both.sum() > 1 else None
