"""What canonical demand looks like: figures, and a plot of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.traces import Demand, TraceError

Floats = NDArray[np.float64]

HOUR_S = 3600.0
BUSIEST = 5
RANKS_NAMED = 3
SLOPE_RANKS = 100  # the tail beyond holds services with a task or two, which would decide the slope


def summarise(demand: Demand) -> dict[str, Any]:
    """Figures of a demand, ready for JSON."""
    by_slot = demand.tasks.sum(axis=(1, 2), dtype=np.int64)
    by_cell = demand.tasks.sum(axis=(0, 2), dtype=np.int64)
    by_service = demand.tasks.sum(axis=(0, 1), dtype=np.int64)
    total = int(by_slot.sum())
    return {
        "slots": demand.slots,
        "slot_s": demand.slot_s,
        "cells": len(demand.cells),
        "services": len(demand.services),
        "tasks": total,
        "tasks_per_slot": {"mean": total / demand.slots, "peak": int(by_slot.max()), "least": int(by_slot.min())},
        "peak_slot": int(by_slot.argmax()),
        "tasks_per_cell_and_slot_mean": total / demand.slots / len(demand.cells),
        "busiest_cells": _ranked(demand.cells, by_cell, total),
        "top_services": _ranked(demand.services, by_service, total),
        "rank_slope": rank_slope(by_service.astype(np.float64)),
        "mass": demand.manifest.get("mass", {}),
        "notes": demand.manifest.get("notes", []),
        "sources": demand.manifest.get("sources", []),
        "digest": demand.digest,
    }


def _ranked(names: tuple[str, ...], totals: NDArray[np.int64], total: int) -> list[dict[str, Any]]:
    order = np.argsort(-totals, kind="stable")[:BUSIEST].tolist()
    return [{"name": names[i], "tasks": int(totals[i]), "share": int(totals[i]) / max(total, 1)} for i in order]


def rank_slope(totals: Floats) -> float | None:
    """Slope of log(total) over log(rank), least squares over the first 100 ranks; None for fewer than three.

    Args:
        totals: Tasks of every service, shape (service,); services without tasks have no rank.
    Source: ours: minus the slope is what a Zipf law would call its exponent.
    """
    ranked = np.sort(totals[totals > 0])[::-1][:SLOPE_RANKS]
    if ranked.size < 3:
        return None
    x, y = np.log(np.arange(1, ranked.size + 1)), np.log(ranked)
    x = x - x.mean()
    return float((x * (y - y.mean())).sum() / (x * x).sum())


def draw(demand: Demand, path: Path) -> None:
    """Draw demand over time, over cells and over services' ranks.

    Raises:
        TraceError: Matplotlib is not installed, or the file cannot be written.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise TraceError("a plot needs Matplotlib, which the extra 'report' installs") from error
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9.0, 6.4), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(2, 2, height_ratios=(1.0, 1.15))
        _draw_time(figure.add_subplot(grid[0, :]), demand)
        _draw_cells(figure.add_subplot(grid[1, 0]), demand)
        _draw_ranks(figure.add_subplot(grid[1, 1]), demand)
        try:
            figure.savefig(path, metadata={"Software": None} if path.suffix == ".png" else None)
        except (OSError, ValueError) as error:
            raise TraceError(f"the plot cannot be written: {error}", path) from error


def _draw_time(axes: Any, demand: Demand) -> None:
    per_cell = demand.tasks.sum(axis=2, dtype=np.int64)
    unit_s, unit = _time_unit(demand.slots * demand.slot_s)
    edges = np.arange(demand.slots + 1) * demand.slot_s / unit_s
    low, high = np.percentile(per_cell, [10, 90], axis=1)
    spread = [np.append(values, values[-1]) for values in (low, high)]  # the last step needs its right edge
    mean = np.append(per_cell.mean(axis=1), per_cell[-1].mean())
    axes.fill_between(edges, *spread, step="post", color="tab:blue", alpha=0.3, lw=0, label="10 % to 90 % of cells")
    axes.step(edges, mean, where="post", color="tab:red", lw=1.4, label="mean of all cells")
    axes.set_xlim(0.0, demand.slots * demand.slot_s / unit_s)
    axes.set_ylim(bottom=0.0)
    if unit == "h" and 20.0 <= axes.get_xlim()[1] <= 50.0:
        axes.set_xticks(np.arange(0.0, axes.get_xlim()[1] + 0.1, 3.0))
    axes.set_xlabel(f"time since slot 0 ({unit})")
    axes.set_ylabel(f"tasks per cell\nin a slot of {_duration(demand.slot_s)}")
    total = int(per_cell.sum())
    axes.set_title(f"{total:,} tasks, {len(demand.cells)} cells, {len(demand.services)} services", loc="left")
    axes.legend(frameon=False, ncols=2, loc="upper left", fontsize=8)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.18)  # room for the legend


def _draw_cells(axes: Any, demand: Demand) -> None:
    mean = demand.tasks.sum(axis=(0, 2), dtype=np.int64) / demand.slots
    row, column = demand.positions.get("row"), demand.positions.get("col")
    label = "mean tasks in a slot"
    if row is not None and column is not None and not np.isnan(row + column).any():
        image = np.full((int(row.max()) + 1, int(column.max()) + 1), math.nan)
        image[row.astype(int), column.astype(int)] = mean
        shown = axes.imshow(image, cmap="viridis", vmin=0.0)
        axes.set_xticks(range(image.shape[1]), range(image.shape[1]))
        axes.set_yticks(range(image.shape[0]), range(image.shape[0]))
        axes.set_xlabel("column (west to east)")
        axes.set_ylabel("row (north to south)")
        if image.size <= 100:
            _label_squares(axes, image)
        axes.figure.colorbar(shown, ax=axes, label=label, shrink=0.9)
    elif {"lat", "lon"} <= set(demand.positions):
        shown = axes.scatter(demand.positions["lon"], demand.positions["lat"], c=mean, s=30, cmap="viridis", vmin=0.0)
        axes.set_aspect(1.0 / math.cos(math.radians(float(np.nanmean(demand.positions["lat"])))), adjustable="datalim")
        axes.ticklabel_format(useOffset=False)
        axes.tick_params(axis="x", rotation=30)
        axes.set_xlabel("longitude (degrees)")
        axes.set_ylabel("latitude (degrees)")
        axes.figure.colorbar(shown, ax=axes, label=label, shrink=0.9)
    else:
        axes.bar(range(mean.size), np.sort(mean)[::-1], color="tab:blue", width=0.9)
        axes.set_xlabel("cell, most asked first")
        axes.set_ylabel(label)
    axes.set_title("cells", loc="left")


def _label_squares(axes: Any, image: Floats) -> None:
    middle = np.nanmax(image) * 0.6
    for (row, column), value in np.ndenumerate(image):
        if not math.isnan(value):
            colour = "black" if value > middle else "white"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=8, color=colour)


def _draw_ranks(axes: Any, demand: Demand) -> None:
    totals = demand.tasks.sum(axis=(0, 1), dtype=np.int64)
    order = np.argsort(-totals, kind="stable")
    ranked = totals[order][totals[order] > 0].astype(np.float64)
    share = 100.0 * ranked / ranked.sum()
    rank = np.arange(1, ranked.size + 1)
    axes.loglog(rank, share, "o", ms=4, color="tab:blue", label="services")
    slope = rank_slope(totals.astype(np.float64))
    if slope is not None:
        fitted = rank[:SLOPE_RANKS]
        level = np.exp(np.mean(np.log(share[:SLOPE_RANKS])) - slope * np.mean(np.log(fitted)))
        axes.loglog(fitted, level * fitted**slope, "--", lw=1.0, color="tab:red", label=f"slope {slope:.2f}")
    for i in range(min(RANKS_NAMED, ranked.size)):
        axes.annotate(demand.services[order[i]], (rank[i], share[i]), (4, 4), textcoords="offset points", fontsize=8)
    _plain_ticks(axes.xaxis, rank[-1])
    _plain_ticks(axes.yaxis, share[0], share[-1])
    axes.set_xlabel("rank of the service")
    axes.set_ylabel("share of all tasks (%)")
    axes.set_title("services by popularity", loc="left")
    axes.legend(frameon=False, loc="lower left", fontsize=8)


def _plain_ticks(axis: Any, most: float, least: float = 1.0) -> None:
    """Ticks at 1, 2, 5, 10 ... without powers of ten, over the range shown."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(max(most, 1.01))) + 1)
    steps = (1.0, 2.0, 5.0) if len(powers) < 4 else (1.0,)
    axis.set_major_locator(FixedLocator([step * 10.0**power for power in powers for step in steps]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _time_unit(length_s: float) -> tuple[float, str]:
    if length_s > 4 * 24 * HOUR_S:
        return 24 * HOUR_S, "days"
    return (HOUR_S, "h") if length_s > 3 * HOUR_S else (60.0, "min") if length_s > 180.0 else (1.0, "s")


def _duration(length_s: float) -> str:
    for unit_s, unit in ((HOUR_S, "h"), (60.0, "min")):
        if length_s >= unit_s and (length_s / unit_s).is_integer():
            return f"{length_s / unit_s:g} {unit}"
    return f"{length_s:g} s"
