"""A comparison of rental runs as a picture. Imports Matplotlib: only ``monitoring.rental_report.plot`` imports it."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monitoring.figure import DPI, WIDTH_IN, colour_of, plain, saved, short, smooth
from monitoring.rental_report import RentalComparison
from monitoring.runs import ReportError

PANELS = (("reward", "reward a slot"), ("units", "units rented"))


def draw(comparison: RentalComparison, png: Path) -> None:
    """Write the picture.

    Raises: ReportError: nothing to draw, or the file cannot be written.
    """
    if not any(row.slots for row in comparison.rows):
        raise ReportError(f"{comparison.rows[0].run.folder}: no slot was completed, so there is nothing to draw")
    priced = [row for row in comparison.rows if row.wire_bytes and row.reward is not None]
    figure = Figure(figsize=(WIDTH_IN, 7.4 if priced else 5.0), dpi=DPI, layout="constrained")
    panels = list(figure.subplots(len(PANELS) + bool(priced), 1))
    panels[0].sharex(panels[1])
    if priced:
        _against_bytes(panels.pop(), comparison)
    for axes, (column, name) in zip(panels, PANELS, strict=True):
        for k, row in enumerate(comparison.rows):
            if not row.slots:
                continue
            mean = "" if row.reward is None else f", mean {row.reward:.2f}"
            label = f"{short(row.label)}{mean}" if column == "reward" else None
            axes.plot(row.run.slots["slot"], smooth(row.run.slots[column]), color=colour_of(k), label=label)
        axes.set_ylabel(name)
        axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
        plain(axes)
    panels[-1].set_xlabel("slot (moving mean over a twelfth of the run)")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    saved(figure, png)


def _against_bytes(axes: Axes, comparison: RentalComparison) -> None:
    """What a reward costs in messages: up and to the left is better."""
    for k, row in enumerate(comparison.rows):
        if row.wire_bytes and row.reward is not None:
            axes.plot(row.wire_bytes / 1e3, row.reward, "o", color=colour_of(k), markersize=7)
    axes.set_xlim(left=0.0)
    axes.margins(y=0.15)
    axes.set_xlabel("kB on the wire a slot, all messages of the run")
    axes.set_ylabel("reward a slot")
    axes.grid(color="#e6e6e6", linewidth=0.8)
    plain(axes)
