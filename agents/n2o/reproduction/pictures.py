"""The figures drawn: bars with intervals, curves with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.intervals import interval
from agents.n2o.copies import Floats
from agents.reproduction.comparing import Compared
from agents.sweep_plot import COLOURS, finish, plain, pyplot

WHISKERS = 3
"""Seeds from which on an interval is drawn; that of two would dwarf everything."""


FEW = 5
"""Places on the axis below that are each written there."""


class Bars(NamedTuple):
    """One panel of bars: its title, names of the groups, and who has which value in each group."""

    title: str
    groups: Sequence[str]
    values: Mapping[str, Sequence[Compared | None]]


class Curve(NamedTuple):
    """A curve: its name, where, values by seed (seed, place), and the place of its colour."""

    name: str
    at: Floats
    values: Floats
    style: int
    dashed: bool = False


class Curves(NamedTuple):
    """One panel of curves: title, name of the axis below, whether both axes are logarithmic."""

    title: str
    label: str
    curves: Sequence[Curve]
    logarithmic: bool = False


def draw_bars(path: Path, title: str, ylabel: str, panels: Sequence[Bars], styles: Sequence[str]) -> None:
    """Draw panels of grouped bars side by side.

    Args:
        path: The PNG.
        title: Of the whole.
        ylabel: What the bars are.
        panels: Who and how much.
        styles: Everyone who has a colour, in the order of the colours.
    """
    plt = pyplot()
    widths = [max(1, len(panel.groups)) for panel in panels]
    figure, places = plt.subplots(
        1,
        len(panels),
        figsize=(3.0 + 1.6 * sum(widths), 4.4),
        squeeze=False,
        layout="constrained",
        gridspec_kw={"width_ratios": widths},
    )
    for place, panel in zip(places[0], panels, strict=True):
        _bars(place, panel, styles)
    places[0][0].set_ylabel(ylabel)
    finish(plt, figure, _Named(places[0]), path, title)


class _Named:
    """The legend of several panels: everyone once."""

    def __init__(self, places: Sequence[Any]) -> None:
        self._places = places

    def get_legend_handles_labels(self) -> tuple[list[Any], list[str]]:
        """As a panel of Matplotlib has it."""
        found: dict[str, Any] = {}
        for place in self._places:
            for mark, name in zip(*place.get_legend_handles_labels(), strict=True):
                found.setdefault(name, mark)
        return list(found.values()), list(found)


def _bars(place: Any, panel: Bars, styles: Sequence[str]) -> None:
    there = {who: row for who, row in panel.values.items() if any(each is not None for each in row)}
    width = 0.85 / max(1, len(there))
    for index, (who, row) in enumerate(there.items()):
        at = np.arange(len(row)) + (index - 0.5 * (len(there) - 1)) * width
        shown = [(x, each) for x, each in zip(at, row, strict=True) if each is not None]
        place.bar(
            [x for x, _ in shown],
            [found.interval.mean for _, found in shown],
            width,
            yerr=[found.interval.half if found.seeds >= WHISKERS else np.nan for _, found in shown],
            label=who,
            color=COLOURS[styles.index(who) % len(COLOURS)],
            capsize=2,
            error_kw={"linewidth": 1.0},
        )
    place.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
    place.set_xticks(range(len(panel.groups)), panel.groups)
    place.set_title(panel.title, fontsize=10)
    plain(place, "")


def draw_curves(path: Path, title: str, ylabel: str, panels: Sequence[Curves], *, legends: bool = False) -> None:
    """Draw panels of curves side by side: means over seeds, with their 95 % intervals as bands.

    Args:
        path: The PNG.
        title: Of the whole.
        ylabel: What the curves are.
        panels: What is drawn.
        legends: A legend in each panel instead of one for all.
    """
    plt = pyplot()
    figure, places = plt.subplots(
        1, len(panels), figsize=(2.0 + 4.0 * len(panels), 4.2), squeeze=False, layout="constrained"
    )
    for place, panel in zip(places[0], panels, strict=True):
        for curve in panel.curves:
            _curve(place, curve)
        if panel.curves and len(panel.curves[0].at) <= FEW:
            place.set_xticks(panel.curves[0].at, [f"{at:g}" for at in panel.curves[0].at])
        if panel.logarithmic:
            place.set_xscale("log")
            place.set_yscale("log")
        place.set_title(panel.title, fontsize=10)
        plain(place, panel.label)
        if legends:
            place.legend(fontsize=7, frameon=False)
    places[0][0].set_ylabel(ylabel)
    if legends:
        figure.suptitle(title, fontsize=11)
        figure.savefig(path, dpi=110)
        plt.close(figure)
        return
    finish(plt, figure, _Named(places[0]), path, title)


def _curve(place: Any, curve: Curve) -> None:
    if not len(curve.values):
        return
    colour, middle = COLOURS[curve.style % len(COLOURS)], curve.values.mean(axis=0)
    line = "--" if curve.dashed else "-"
    place.plot(curve.at, middle, line, color=colour, label=curve.name, linewidth=1.5)
    if len(curve.values) >= WHISKERS:
        half = np.array([interval(column).half for column in curve.values.T])
        place.fill_between(curve.at, middle - half, middle + half, color=colour, alpha=0.15, linewidth=0)
