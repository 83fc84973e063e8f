"""Findings about what the paper states: a value, or the sign of something."""

from __future__ import annotations

import numpy as np

from agents.n2o.copies import Floats
from agents.reproduction.comparing import Compared, mean_of
from agents.reproduction.verdicts import Finding, finding

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


def mean_finding(who: str, values: Floats, *, rises: bool) -> list[Finding]:
    """Whether the mean over seeds is on the claimed side of 0: a list of one or none."""
    return finding(who, mean_of(values), rises=rises)
