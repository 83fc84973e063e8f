"""A comparison of rental runs as a picture. Imports Matplotlib: only ``monitoring.rental_report.plot`` imports it."""

from __future__ import annotations

from pathlib import Path

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
    figure = Figure(figsize=(WIDTH_IN, 5.0), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(PANELS), 1, sharex=True)
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
