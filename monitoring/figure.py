"""A comparison of runs as a picture. Imports Matplotlib, so only ``monitoring.report.plot`` imports it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from monitoring.report import TARGETS, Comparison, Row
from monitoring.runs import Floats, ReportError

INK: Final = "#333333"
QUIET: Final = "#8a8a8a"
RUN_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, told apart by colour-blind eyes."""

STYLES: Final = ("-", "--", ":")
TARGET_COLOURS: Final = {"local": "#31688e", "peer": "#7fbfbf", "cloud": "#d9d2c3", "dropped": "#d55e00"}
PHASE_COLOURS: Final = ("#cfcfcf", "#9ecae1", "#fdd0a2", "#a1d99b", "#dadaeb", "#fbb4b9", "#e5d8bd")
LIGHT: Final = frozenset({"peer", "cloud"})
WIDTH_IN: Final = 8.0
DPI: Final = 100
LABELLED_SHARE: Final = 0.06
LONGEST_OF_TWO: Final = 34
LONGEST: Final = 44


def draw(comparison: Comparison, png: Path) -> None:
    """Write the picture.

    Raises: ReportError: nothing to draw, or the file cannot be written.
    """
    rows = comparison.rows
    if not any(len(row.run.frames.get("frame", ())) or row.tasks_share for row in rows):
        raise ReportError(f"{rows[0].run.folder}: no frame was completed, so there is nothing to draw")
    bars_in = 0.55 + 0.3 * len(rows)
    heights = [3.4, bars_in] + [bars_in] * any(row.phase_bytes for row in rows)
    figure = Figure(figsize=(WIDTH_IN, sum(heights)), dpi=DPI, layout="constrained")
    lines, bars, *sizes = figure.subplots(len(heights), 1, height_ratios=heights)
    _lines(lines, rows)
    _bars(bars, rows)
    if sizes:
        _sizes(sizes[0], rows)
    columns = 2 if max(len(row.label) for row in rows) <= LONGEST_OF_TWO else 1
    # The sizes have a legend of their own, beside them.
    shown = lines.get_legend_handles_labels()
    figure.legend(*shown, loc="outside upper left", ncols=columns, frameon=False, fontsize=9)
    saved(figure, png)


def saved(figure: Figure, png: Path) -> None:
    """Write a picture.

    Raises: ReportError: it cannot be written.
    """
    try:
        figure.savefig(png, format="png", pil_kwargs={"optimize": True})
    except OSError as error:
        raise ReportError(f"{png}: cannot be written ({error.strerror})") from None


def _lines(axes: Any, rows: tuple[Row, ...]) -> None:
    for k, row in enumerate(rows):
        frames, delay_s = row.run.frames.get("frame"), row.run.frames.get("delay_s")
        if frames is None or delay_s is None or not len(frames):
            continue
        colour, style = colour_of(k), STYLES[k // len(RUN_COLOURS) % len(STYLES)]
        axes.plot(frames, delay_s, color=colour, linewidth=0.8, alpha=0.3)
        mean = f", mean {row.delay_s:.2f} s" if row.delay_s is not None else ""
        # Ever thinner, so that a run that equals an earlier one does not hide it.
        width = max(1.4, 2.8 - 0.4 * k)
        axes.plot(frames, smooth(delay_s), style, color=colour, linewidth=width, label=f"{short(row.label)}{mean}")
    _baseline(axes, rows[0], shared=not any(row.unpaired for row in rows))
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("frame")
    axes.set_ylabel("delay per task [s]")
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    plain(axes)


def _baseline(axes: Any, first: Row, *, shared: bool) -> None:
    """Delay had all tasks gone to the cloud; runs that saw the same demand share it."""
    frames = first.run.frames
    if len(frames.get("all_cloud_delay_s", ())):
        label = "all to the cloud" if shared else f"all to the cloud, demand of {short(first.label)}"
        axes.plot(frames["frame"], smooth(frames["all_cloud_delay_s"]), "--", color=QUIET, linewidth=1.2, label=label)


def smooth(values: Floats) -> Floats:
    """A centred moving mean over about a twelfth of the run; at the ends over what there is."""
    half = len(values) // 24
    sums = np.concatenate(([0.0], np.cumsum(values)))
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    means: Floats = (sums[high] - sums[low]) / (high - low)
    return means


def _bars(axes: Any, rows: tuple[Row, ...]) -> None:
    for target in TARGETS:
        shares = np.array([row.tasks_share.get(target, 0.0) for row in rows])
        if target == "dropped" and not shares.any():
            continue
        left = [sum(row.tasks_share.get(t, 0.0) for t in TARGETS[: TARGETS.index(target)]) for row in rows]
        axes.barh(
            range(len(rows)), 100.0 * shares, left=100.0 * np.array(left), height=0.7, color=TARGET_COLOURS[target]
        )
        for k, share in enumerate(shares):
            if share >= LABELLED_SHARE:
                colour = INK if target in LIGHT else "white"
                centre = 100.0 * (left[k] + share / 2.0)
                axes.text(centre, k, f"{target} {100.0 * share:.0f}", color=colour, ha="center", va="center", size=8)
    axes.set_xlim(0.0, 100.0)
    axes.set_xlabel("tasks by how they ended [%]")
    _name_bars(axes, rows)


def _sizes(axes: Any, rows: tuple[Row, ...]) -> None:
    """Bytes of a slot by the step of the algorithms that they belong to."""
    phases = sorted({phase for row in rows for phase in row.phase_bytes})
    left = np.zeros(len(rows))
    for phase, colour in zip(phases, itertools.cycle(PHASE_COLOURS), strict=False):
        sizes = np.array([row.phase_bytes.get(phase, 0.0) for row in rows])
        axes.barh(range(len(rows)), sizes / 1e3, left=left / 1e3, height=0.7, color=colour, label=phase)
        left += sizes
    compact = {"handlelength": 1.0, "columnspacing": 1.0, "borderpad": 0.0}
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(phases), frameon=False, fontsize=8, **compact)
    axes.set_xlabel("bytes on the wire by phase [kB a slot]")
    _name_bars(axes, rows)


def _name_bars(axes: Any, rows: tuple[Row, ...]) -> None:
    axes.set_yticks(range(len(rows)), [short(row.label) for row in rows])
    axes.invert_yaxis()
    plain(axes)
    axes.tick_params(axis="y", length=0)
    for k, tick in enumerate(axes.get_yticklabels()):
        tick.set_color(colour_of(k))


def short(label: str) -> str:
    """A label that leaves room for the picture."""
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 3]}..."


def colour_of(index: int) -> str:
    """The colour of a run."""
    return RUN_COLOURS[index % len(RUN_COLOURS)]


def plain(axes: Any) -> None:
    """Axes without a frame."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
