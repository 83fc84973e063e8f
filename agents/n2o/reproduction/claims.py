"""Findings about what the paper states: a value, or the sign of something."""

from __future__ import annotations

import numpy as np

from agents.reproduction.comparing import Compared
from agents.reproduction.verdicts import Finding

TELLS = 0.1
"""Half of an interval that is narrow enough to confirm a stated part."""


def stated(who: str, found: Compared | None, value: float) -> list[Finding]:
    """Whether a value that the paper states is within the interval: a list of one or none.

    An interval too wide to tell anything neither agrees nor contradicts.
    """
    if found is None or not np.isfinite(found.interval.half):
        return []
    near = abs(found.interval.mean - value) <= found.interval.half
    return [Finding(who, found, near and found.interval.half <= TELLS, not near)]


def less(found: Compared | None, value: float) -> Compared | None:
    """A mean with a value taken off: below 0 with all of its interval, it is surely less than that value."""
    if found is None:
        return None
    return found._replace(interval=found.interval._replace(mean=found.interval.mean - value))
