"""Columns of a run made short enough for a picture."""

from __future__ import annotations

import math

import numpy as np

from monitoring.runs import Floats


def mean_of(column: Floats | None) -> float | None:
    """Mean of a column; None where there is none."""
    return float(column.mean()) if column is not None and len(column) else None


def weighted(column: Floats | None, weights: Floats | None) -> float | None:
    """Mean by weights; None without any."""
    if column is None or weights is None or len(column) != len(weights) or not weights.sum() > 0.0:
        return None
    return float(np.average(column, weights=weights))


def binned(column: Floats, each: int, weights: Floats | None = None, *, worst: bool = False) -> Floats:
    """Means (or the largest) of so many values at a time.

    Args:
        column: Shape (slot,); what is no number is left out.
        each: How many make a point; the last point may have fewer.
        weights: Of the mean, shape (slot,); None: all equal.
        worst: The largest instead of the mean.
    Returns: Shape (point,); not a number where there is none.
    """
    points = -(-len(column) // each)
    padded = np.full(points * each, np.nan)
    padded[: len(column)] = column
    table = padded.reshape(points, each)
    there = np.isfinite(table)
    if worst:
        highest: Floats = np.where(there, table, -np.inf).max(axis=1)
        return np.where(there.any(axis=1), highest, np.nan)
    weight = np.zeros(points * each)
    weight[: len(column)] = 1.0 if weights is None else weights
    share = np.where(there, weight.reshape(points, each), 0.0)
    total = share.sum(axis=1)
    sums = (np.where(there, table, 0.0) * share).sum(axis=1)
    means: Floats = np.divide(sums, total, out=np.full(points, np.nan), where=total > 0.0)
    return means


def rounded(column: Floats, digits: int = 5) -> list[float | None]:
    """Numbers with so many digits, which is more than a picture shows; None for what is no number."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in column.tolist()]
