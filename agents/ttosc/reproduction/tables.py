"""Measurements by point and seed, and what is compared: pairs with the same seed, which share world and demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from agents.claims import Axis, Point, Scheme
from agents.ttosc.reproduction.measuring import BLOCK_FRAMES, Curve, Result
from agents.ttosc.reproduction.plan import (
    FIGURES,
    SCHEMES,
    Effort,
    FigureName,
    Measurement,
    default_measurements,
    measurements_at,
    points_of,
)
from agents.ttosc.reproduction.store import Store
from emulator.model.offloading import Floats

NEAR = 1.05
"""A training has converged when its delay is this near to where it ends."""

WINDOW_BLOCKS, LAST_BLOCKS = 5, 10


class Sweep(NamedTuple):
    """One axis of a figure: results by scheme, a list of seeds for each point."""

    axis: Axis
    points: tuple[Point, ...]
    results: dict[Scheme, list[list[Result | None]]]

    def values(self, scheme: Scheme, figure: Callable[[Result], float]) -> Floats:
        """A figure by point and seed, nan where it was not measured, shape (point, seed)."""
        rows = self.results.get(scheme, [[] for _ in self.points])
        width = max((len(row) for each in self.results.values() for row in each), default=0)
        found = np.full((len(self.points), width), np.nan)
        for place, row in enumerate(rows):
            for seed, result in enumerate(row):
                if result is not None:
                    found[place, seed] = figure(result)
        return found

    def at(self, value: float) -> int | None:
        """Place of a point; None if it was not measured."""
        return next((place for place, point in enumerate(self.points) if point.at == value), None)


def delay_of(result: Result) -> float:
    """Seconds per task."""
    return result.delay_s


def gain_of(result: Result) -> float:
    """A slot's reward, seconds per task."""
    return result.gain_s


def converged_after(result: Result) -> float:
    """Frames after which a training is within 5 % of where it ends, its delay in parts of Popularity's; nan if none.

    Source: ours: the paper reads its figures by eye. Over Popularity, because the number of users moves both alike.
    """
    curve = result.curve
    if curve is None or len(curve.delay_s) < LAST_BLOCKS:
        return float("nan")
    own, beside = (
        np.convolve(values, np.ones(WINDOW_BLOCKS), "valid") for values in (curve.delay_s, curve.popularity_s)
    )
    end = sum(curve.delay_s[-LAST_BLOCKS:]) / sum(curve.popularity_s[-LAST_BLOCKS:])
    near = np.flatnonzero(own / beside <= NEAR * end)
    return float((near[0] + WINDOW_BLOCKS) * BLOCK_FRAMES) if len(near) else float("nan")


def sweeps_of(name: FigureName, effort: Effort, store: Store) -> list[Sweep]:
    """The panels of a figure, as far as they are measured."""
    figure = FIGURES[name]
    found = []
    for axis in figure.axes:
        points = points_of(axis, effort)
        results = {
            scheme: [_got(measurements_at(point, axis, scheme, effort), store) for point in points]
            for scheme in figure.schemes
        }
        found.append(Sweep(axis, points, results))
    return found


def defaults_of(effort: Effort, store: Store) -> dict[Scheme, list[Result | None]]:
    """Results of every scheme in the default world, by seed."""
    return {scheme: _got(default_measurements(scheme, effort), store) for scheme in SCHEMES}


def _got(measurements: Sequence[Measurement], store: Store) -> list[Result | None]:
    return [store.get(measurement) for measurement in measurements]


def delays_of(results: Sequence[Result | None], seeds: int) -> Floats:
    """Delays by seed, nan where there is none, shape (seed,)."""
    found = np.full(seeds, np.nan)
    for seed, result in enumerate(results[:seeds]):
        if result is not None:
            found[seed] = result.delay_s
    return found


def mean_curve(results: Sequence[Result | None], figure: Callable[[Curve], list[float]]) -> Floats:
    """Mean of a learning curve over seeds, shape (block,)."""
    curves = [figure(result.curve) for result in results if result is not None and result.curve is not None]
    return np.mean(curves, axis=0) if curves else np.zeros(0)
