"""A page's panels drawn with Matplotlib from what Prometheus answers: for documentation, where no Grafana runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monitoring.dashboards.declared import Page, Panel, Query
from monitoring.figure import INK, QUIET, RUN_COLOURS, saved

Series = tuple[dict[str, str], list[tuple[float, float]]]
"""Labels, and (time, value)."""

Shown = Callable[[Panel, Query], list[Series]]

COLUMNS: Final = 24
COLUMN_IN: Final = 0.62
ROW_IN: Final = 0.36
HEAD_IN: Final = 0.5
MOST_ROWS: Final = 9
HIDDEN: Final = frozenset({"__name__", "job", "run", "alertstate"})
COLOURS: Final = (*RUN_COLOURS, "#999933", "#882255", "#44aa99", "#aa4499", "#117733")
UNITS: Final = {"s": " s", "ops": "/s", "Bps": " B/s", "bytes": " B"}


def draw(page: Page, shown: Shown, png: Path) -> None:
    """Draw a page.

    Args:
        page: What to draw.
        shown: The series of a panel's query.
        png: The file.
    Raises: ReportError: it cannot be written.
    """
    places, rows = _places(page)
    width_in, height_in = COLUMNS * COLUMN_IN, rows * ROW_IN + HEAD_IN
    figure = Figure(figsize=(width_in, height_in), dpi=70, facecolor="white")
    figure.text(0.012, 1 - 0.3 / height_in, page.title, fontsize=15, weight="bold", color=INK)
    note = "drawn with Matplotlib from Prometheus's answers; not a picture of Grafana"
    figure.text(0.99, 1 - 0.3 / height_in, note, fontsize=9, ha="right", color=QUIET)
    for x, y, row in places[1]:
        figure.text(x / COLUMNS + 0.012, 1 - (y * ROW_IN + HEAD_IN + 0.25) / height_in, row, fontsize=11, color=INK)
    for x, y, panel in places[0]:
        left, top = x * COLUMN_IN + 0.65, y * ROW_IN + HEAD_IN + 0.42
        wide, high = panel.width * COLUMN_IN - 0.9, panel.height * ROW_IN - 0.8
        at = (left / width_in, 1 - (top + high) / height_in, wide / width_in, high / height_in)
        axes = figure.add_axes(at)
        axes.set_title(panel.title, fontsize=9, loc="left", color=INK)
        _VIEWS[panel.view](axes, panel, shown)
    saved(figure, png)


def _places(page: Page) -> tuple[tuple[list[tuple[int, int, Panel]], list[tuple[int, int, str]]], int]:
    """Where panels and headlines lie, as Grafana lays them out; and how many rows there are."""
    panels, heads = [], []
    y = 0
    for row in page.rows:
        heads.append((0, y, row.title))
        x, y, high = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, high = 0, y + high, 0
            panels.append((x, y, panel))
            x, high = x + panel.width, max(high, panel.height)
        y += high
    return (panels, heads), y


def _named(query: Query, labels: Mapping[str, str]) -> str:
    """A series' name in the legend."""
    if not query.legend:
        return ", ".join(value for key, value in labels.items() if key not in HIDDEN)
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), query.legend)


def _all(panel: Panel, shown: Shown) -> list[tuple[str, np.ndarray, np.ndarray]]:
    found = []
    for query in panel.queries:
        for labels, values in shown(panel, query):
            times, heights = np.array(values, dtype=float).T
            found.append((_named(query, labels), times, np.where(np.isfinite(heights), heights, np.nan)))
    return found


def _number(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{100 * value:.1f} %"
    for limit, prefix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit and unit in ("Bps", "bytes"):
            return f"{value / limit:.3g} {prefix}{UNITS[unit].strip()}"
    text = f"{value:.0f}" if value == round(value) else f"{value:.3g}"
    return text + UNITS.get(unit, "")


def _lines(axes: Axes, panel: Panel, shown: Shown, *, stacked: bool = False) -> None:
    found = _all(panel, shown)
    start_s = min(float(times[0]) for _, times, _ in found)
    if stacked:
        moments = sorted({float(moment) for _, times, _ in found for moment in times})
        heights = [np.interp(moments, times, np.nan_to_num(values), 0.0, 0.0) for _, times, values in found]
        axes.stackplot(
            np.array(moments) - start_s, heights, labels=[name for name, *_ in found], colors=COLOURS, alpha=0.75
        )
    else:
        for k, (name, times, values) in enumerate(found):
            steps = np.diff(times)
            gaps = np.flatnonzero(steps > 2.5 * steps.min(initial=np.inf)) + 1
            at, height = np.insert(times, gaps, np.nan), np.insert(values, gaps, np.nan)
            axes.plot(at - start_s, height, label=name, color=COLOURS[k % len(COLOURS)], lw=1.4)
    axes.set_ylim(bottom=min(0.0, *(np.nanmin(values) for _, _, values in found)), top=panel.most)
    axes.yaxis.set_major_formatter(lambda value, _: _number(value, panel.unit))
    axes.tick_params(labelsize=7, colors=QUIET)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("s", fontsize=7, loc="right", labelpad=-6, color=QUIET)
    axes.legend(fontsize=6.5, ncols=2 if len(found) > 4 else 1, framealpha=0.7, loc="best")


def _stacked(axes: Axes, panel: Panel, shown: Shown) -> None:
    _lines(axes, panel, shown, stacked=True)


def _stat(axes: Axes, panel: Panel, shown: Shown) -> None:
    axes.set_axis_off()
    name, _, values = _all(panel, shown)[-1]
    value = float(values[np.isfinite(values)][-1])
    words = name if panel.view == "names" else _number(value, panel.unit)
    reached = [colour for limit, colour in panel.thresholds if limit is None or value >= limit]
    axes.text(0.0, 0.35, words, fontsize=11 if panel.view == "names" else 21, color=reached[-1] if reached else INK)


def _timeline(axes: Axes, panel: Panel, shown: Shown) -> None:
    found = sorted(_all(panel, shown), key=lambda entry: [int(n) for n in re.findall(r"\d+", entry[0])])
    start_s = min(float(times[0]) for _, times, _ in found)
    for k, (_name, times, values) in enumerate(reversed(found)):
        step_s = float(np.diff(times).min()) if len(times) > 1 else 1.0
        for moment, value in zip(times, values, strict=True):
            axes.barh(k, step_s, left=moment - start_s, height=0.7, color=COLOURS[int(value) % len(COLOURS)])
    axes.set_yticks(range(len(found)), [name for name, *_ in reversed(found)])
    axes.tick_params(labelsize=7, colors=QUIET)
    axes.spines[["top", "right"]].set_visible(False)


def _table(axes: Axes, panel: Panel, shown: Shown) -> None:
    axes.set_axis_off()
    columns = [query.legend or "value" for query in panel.queries]
    found: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for column, query in zip(columns, panel.queries, strict=True):
        for labels, values in shown(panel, query):
            key = tuple(sorted((name, value) for name, value in labels.items() if name not in HIDDEN))
            found.setdefault(key, {})[column] = values[-1][1]
    names = sorted({name for key in found for name, _ in key})
    rows = []
    for key, numbers in sorted(found.items(), key=lambda entry: -entry[1].get(columns[0], 0.0)):
        texts = [_number(numbers[column], panel.unit) if column in numbers else "" for column in columns]
        rows.append([*(dict(key).get(name, "") for name in names), *texts])
    _fill(axes, [*names, *columns], rows)


def _matrix(axes: Axes, panel: Panel, shown: Shown) -> None:
    latest = {
        (labels["instance"], labels["receiver"]): values[-1][1]
        for query in panel.queries
        for labels, values in shown(panel, query)
    }
    rows, columns = (sorted({key[side] for key in latest}, key=_in_order) for side in (0, 1))
    grid = np.array([[latest.get((row, column), np.nan) for column in columns] for row in rows])
    shade = np.log10(np.maximum(grid, 1.0))
    axes.imshow(shade, cmap="Blues", aspect="auto", vmin=0.0)
    for y, x in np.argwhere(np.isfinite(grid)):
        ink = "white" if shade[y, x] > 0.6 * np.nanmax(shade) else INK
        axes.text(x, y, _number(float(grid[y, x]), panel.unit), ha="center", va="center", fontsize=6.5, color=ink)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns)
    axes.tick_params(labelsize=7, colors=QUIET, length=0)
    axes.spines[:].set_visible(False)


def _in_order(name: str) -> tuple[str, int]:
    """``/edge/10`` after ``/edge/9``."""
    number = re.search(r"\d+", name)
    return re.sub(r"\d+", "", name), int(number[0]) if number else 0


def _fill(axes: Axes, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    grid = axes.table(
        cellText=list(rows[:MOST_ROWS]), colLabels=list(names), loc="upper left", cellLoc="left", edges="horizontal"
    )
    grid.auto_set_font_size(False)
    grid.set_fontsize(7)
    grid.auto_set_column_width(list(range(len(names))))
    if len(rows) > MOST_ROWS:
        axes.text(1.0, 0.0, f"and {len(rows) - MOST_ROWS} more", fontsize=7, ha="right", color=QUIET)


def _text(axes: Axes, panel: Panel, _shown: Shown) -> None:
    axes.set_axis_off()
    axes.text(0.0, 0.95, panel.description.replace("`", ""), fontsize=7.5, va="top", color=INK, wrap=True)


_VIEWS: Final = {
    "lines": _lines,
    "stacked": _stacked,
    "stat": _stat,
    "names": _stat,
    "timeline": _timeline,
    "table": _table,
    "matrix": _matrix,
    "text": _text,
}
