"""The figures drawn: sweeps with intervals, and learning curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agents import sweep_plot
from agents.claims import Scheme
from agents.sweep_plot import COLOURS, Line, Panel, finish, plain, pyplot
from agents.ttosc.reproduction.measuring import BLOCK_FRAMES
from agents.ttosc.reproduction.plan import FIGURES, SCHEMES, FigureName
from agents.ttosc.reproduction.tables import Sweep, delay_of, gain_of, mean_curve

SMOOTHED_BLOCKS = 5


def draw_sweeps(path: Path, name: FigureName, sweeps: list[Sweep]) -> None:
    """Draw what a figure varies."""
    figure = FIGURES[name]
    of, ylabel = (
        (delay_of, "mean delay, s per task")
        if figure.metric == "delay_s"
        else (gain_of, "mean reward of a slot, s per task")
    )
    panels = [
        Panel(sweep.axis.label, np.array([point.at for point in sweep.points]), _lines(sweep, of)) for sweep in sweeps
    ]
    sweep_plot.draw(path, figure.title, ylabel, panels)


def _lines(sweep: Sweep, of: object) -> list[Line]:
    lines = []
    for scheme in sweep.results:
        values = sweep.values(scheme, of)  # type: ignore[arg-type]
        if (np.isfinite(values).sum(axis=1) > 1).any():
            lines.append(Line(scheme.name, values, SCHEMES.index(scheme)))
    return lines


def draw_curves(path: Path, name: FigureName, sweep: Sweep) -> None:
    """Draw the rewards of trainings, a panel a scheme, a line a point: means over seeds and a sliding window."""
    plt = pyplot()
    schemes = [scheme for scheme in sweep.results if scheme.learns]
    figure, places = plt.subplots(
        1, len(schemes), figsize=(2.0 + 3.6 * len(schemes), 3.9), squeeze=False, sharey=True, layout="constrained"
    )
    for place, scheme in zip(places[0], schemes, strict=True):
        _curves(place, sweep, scheme)
        place.set_title(scheme.name, fontsize=10)
        plain(place, "frame")
    places[0][0].set_ylabel("reward of a slot, s per task")
    finish(plt, figure, places[0][0], path, FIGURES[name].title)


def _curves(place: object, sweep: Sweep, scheme: Scheme) -> None:
    window = np.ones(SMOOTHED_BLOCKS) / SMOOTHED_BLOCKS
    for index, (point, results) in enumerate(zip(sweep.points, sweep.results[scheme], strict=True)):
        curve = mean_curve(results, lambda curve: curve.gain_s)
        if len(curve) < SMOOTHED_BLOCKS:
            continue
        frames = BLOCK_FRAMES * (np.arange(len(curve) - SMOOTHED_BLOCKS + 1) + SMOOTHED_BLOCKS)
        label = f"{sweep.axis.label} = {point.at:g}"
        place.plot(  # type: ignore[attr-defined]
            frames, np.convolve(curve, window, "valid"), color=COLOURS[index], label=label, linewidth=1.5
        )
