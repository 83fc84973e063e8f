"""Plots of sweeps: one panel an axis, a line a scheme, means with 95 % confidence intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.errors import AgentError
from agents.intervals import interval
from emulator.model.offloading import Floats

MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h", "p")
COLOURS = (
    "#0072b2",
    "#009e73",
    "#d55e00",
    "#7f7f7f",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#8c564b",
    "#bcbd22",
    "#5a4fcf",
    "#b8860b",
)
"""Okabe and Ito's first, told apart by colour-blind eyes; marks tell the rest apart."""


LINE_IN, LETTER_IN = 0.6, 0.075
"""In a legend: a line with its margins, and a letter."""

WIDEST_NAME_IN = 2.0
"""Room for a name in the legend, inches."""


class Line(NamedTuple):
    """A scheme's values, shape (point, seed), nan where it was not measured, and the place of its mark and colour."""

    name: str
    values: Floats
    style: int


class Panel(NamedTuple):
    """One axis: what is varied, where, and the lines."""

    label: str
    at: Floats
    lines: Sequence[Line]


def pyplot() -> Any:
    """Matplotlib without a screen.

    Raises: AgentError: it is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise AgentError("a plot needs matplotlib; install edgerig[report]") from error
    mpl.use("agg")
    from matplotlib import pyplot as plt

    return plt


def draw(path: Path, title: str, ylabel: str, panels: Sequence[Panel]) -> None:
    """Draw panels side by side into a PNG; the y axis is shared and begins at 0."""
    plt = pyplot()
    size = (2.0 + 4.8 * len(panels), 3.9 + 0.2 * max(0, len(panels[0].lines) - 4) / len(panels))
    figure, places = plt.subplots(1, len(panels), figsize=size, squeeze=False, sharey=True, layout="constrained")
    for place, panel in zip(places[0], panels, strict=True):
        _panel(place, panel)
    places[0][0].set_ylim(bottom=0.0)
    places[0][0].set_ylabel(ylabel)
    finish(plt, figure, places[0][0], path, title)


def finish(plt: Any, figure: Any, first: Any, path: Path, title: str) -> None:
    """Add title and legend, and write the file."""
    figure.suptitle(title, fontsize=11)
    marks, names = first.get_legend_handles_labels()
    widest_in = max(WIDEST_NAME_IN, LINE_IN + LETTER_IN * max(map(len, names), default=0))
    columns = max(1, min(int(figure.get_figwidth() / widest_in), len(names)))
    figure.legend(marks, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plain(place: Any, label: str) -> None:
    """Label, grid, no box."""
    place.set_xlabel(label)
    place.grid(alpha=0.3)
    place.spines[["top", "right"]].set_visible(False)


def _panel(place: Any, panel: Panel) -> None:
    width = float(np.ptp(panel.at))
    for index, line in enumerate(panel.lines):
        measured = [(at, own[np.isfinite(own)]) for at, own in zip(panel.at, line.values, strict=True)]
        bars = [(at, interval(own)) for at, own in measured if len(own) > 1]
        place.errorbar(
            # Side by side, so that no bar hides another.
            [at + (index - 0.5 * (len(panel.lines) - 1)) * 0.008 * width for at, _ in bars],
            [bar.mean for _, bar in bars],
            yerr=[bar.half for _, bar in bars],
            label=line.name,
            marker=MARKS[line.style % len(MARKS)],
            color=COLOURS[line.style % len(COLOURS)],
            capsize=3,
            markersize=5,
            linewidth=1.5,
        )
    place.set_xticks(panel.at, [f"{value:g}" for value in panel.at])
    plain(place, panel.label)
