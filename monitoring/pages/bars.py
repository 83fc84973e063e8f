"""Columns, stacked bars and heat strips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from monitoring.pages.axes import FULL, HALF, Axes, drawing, figure, legend, whole_ticks
from monitoring.pages.digits import percent, shown, ticks
from monitoring.pages.markup import Markup, tag

LEVELS: Final = 10
MOST_CELLS: Final = 4800
LABELLED_SHARE: Final = 0.07
GLYPH_UNITS: Final = 8.0


def columns(
    caption: str,
    alt: str,
    names: Sequence[str],
    values: Sequence[float],
    x_label: str,
    y_label: str,
    compared: Sequence[float] = (),
    compared_name: str = "",
    *,
    width: float = HALF,
    height: float = 220.0,
) -> Markup | None:
    """A column for each name, with a short line where it would be in another case.

    Args:
        caption, alt: What is to be seen.
        names, values: Of the columns.
        x_label, y_label: What the axes tell.
        compared: What the columns are compared with, drawn as lines; empty for none.
        compared_name: What that is.
        width, height: In units of the picture.
    """
    if not values:
        return None
    y_ticks = ticks(min(*values, 0.0), max(*values, *compared, 0.0))
    axes = Axes(width, height, -0.5, len(values) - 0.5, (), y_ticks)
    parts = axes.grid(x_label, y_label)
    step = axes.x(1.0) - axes.x(0.0)
    wide = max(min(step * 0.72, 44.0), 1.0)
    every = max(1, math.ceil(max(map(len, names)) * GLYPH_UNITS / step))
    for k, (name, value) in enumerate(zip(names, values, strict=True)):
        x, ends = axes.x(float(k)), sorted((axes.y(value), axes.y(0.0)))
        bar = tag("rect", x=x - wide / 2.0, y=ends[0], width=wide, height=ends[1] - ends[0], fill="var(--c0)")
        parts.append(tag("g", bar, tag("title", f"{name}: {shown(value)}")))
        if k % every == 0:
            parts.append(tag("text", name, x=x, y=axes.floor + 18.0, text_anchor="middle"))
    for k, value in enumerate(compared):
        x, y = axes.x(float(k)), axes.y(value)
        parts.append(
            tag("line", x1=x - wide / 2.0, x2=x + wide / 2.0, y1=y, y2=y, class_="line", stroke="var(--quiet)")
        )
    entries = [(compared_name, "var(--quiet)", "")] if compared and compared_name else []
    return figure(caption, drawing(axes, alt, parts), legend(entries) if entries else None)


def stacked(
    caption: str,
    alt: str,
    rows: Sequence[tuple[str, dict[str, float]]],
    colours: dict[str, str],
    *,
    width: float = HALF,
) -> Markup | None:
    """A bar of 100 % for each row.

    Args:
        caption, alt: What is to be seen.
        rows: Name, and amount by part.
        colours: Of the parts, in their order.
        width: In units of the picture.
    """
    rows = [(name, parts) for name, parts in rows if sum(parts.values()) > 0.0]
    if not rows:
        return None
    named = any(name for name, _ in rows)
    high, gap = 30.0, 22.0 if named else 8.0
    height = len(rows) * (high + gap) + 4.0
    axes = Axes(width, height, 0.0, 1.0, (), (0.0, 1.0), left=0.0, right=0.0)
    parts: list[Markup] = []
    seen = []
    for k, (name, amounts) in enumerate(rows):
        y = k * (high + gap) + (gap - 4.0 if named else 2.0)
        if named:
            parts.append(tag("text", name, x=0.0, y=y - 5.0, class_="ink"))
        total, left = sum(amounts.values()), 0.0
        for part, colour in colours.items():
            share = amounts.get(part, 0.0) / total
            if share <= 0.0:
                continue
            seen.append(part)
            x, wide = axes.x(left), share * width
            text = f"{part}: {percent(share)}"
            parts.append(tag("g", tag("rect", x=x, y=y, width=wide, height=high, fill=colour), tag("title", text)))
            if share >= LABELLED_SHARE:
                ink = "dark" if part in ("peer", "cloud") else "on"
                where = {"x": x + wide / 2.0, "y": y + high / 2.0 + 4.5, "text_anchor": "middle"}
                parts.append(tag("text", percent(share, 2), class_=ink, **where))
            left += share
    entries = [(part, colour, "area") for part, colour in colours.items() if part in seen]
    return figure(caption, drawing(axes, alt, parts, above=0.0), legend(entries))


def _coarser(
    rows: Sequence[Sequence[float | None]], xs: Sequence[float]
) -> tuple[Sequence[Sequence[float | None]], Sequence[float]]:
    """As many values as make a picture, each the mean of some neighbours."""
    every = math.ceil(len(rows) * len(xs) / MOST_CELLS)
    if every < 2:
        return rows, xs
    merged = [[_mean(row[k : k + every]) for k in range(0, len(xs), every)] for row in rows]
    return merged, xs[::every]


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None and math.isfinite(value)]
    return sum(there) / len(there) if there else None


def heat(
    caption: str,
    alt: str,
    names: Sequence[str],
    xs: Sequence[float],
    rows: Sequence[Sequence[float | None]],
    x_label: str,
    unit: str,
    *,
    x_range: tuple[float, float] | None = None,
) -> Markup | None:
    """A strip for each name, the darker the more; ten steps between the least and the most.

    Args:
        caption, alt: What is to be seen.
        names: Of the strips.
        xs: Where each value begins; the last one is as long as the one before.
        rows: Values of each strip; None where there is none.
        x_label, unit: What the axis tells, and the values' unit.
        x_range: Of the x axis, if not that of the strips.
    """
    numbers = [value for row in rows for value in row if value is not None and math.isfinite(value)]
    if not numbers or not xs:
        return None
    rows, xs = _coarser(rows, xs)
    numbers = [value for row in rows for value in row if value is not None and math.isfinite(value)]
    low, high = min(numbers), max(numbers)
    step = xs[1] - xs[0] if len(xs) > 1 else 1.0
    tall = 18.0 if len(names) <= 24 else 9.0
    x_low, x_high = x_range or (xs[0], xs[-1] + step)
    axes = Axes(
        FULL, len(names) * tall + 46.0, x_low, x_high, whole_ticks(x_low, x_high), (0.0, 1.0), top=4.0, bottom=40.0
    )
    drawn: list[list[str]] = [[] for _ in range(LEVELS)]
    across = axes.x(step) - axes.x(0.0)
    for k, row in enumerate(rows):
        y = axes.top + k * tall
        for x, value in zip(xs, row, strict=True):
            if value is not None and math.isfinite(value):
                level = min(int((value - low) / ((high - low) or 1.0) * LEVELS), LEVELS - 1)
                drawn[level].append(f"M{axes.x(x):.1f} {y:g}h{across:.1f}v{tall - 1.0:g}h{-across:.1f}z")
    parts = [
        tag("path", d="".join(paths), fill="var(--heat)", fill_opacity=f"{0.05 + 0.95 * level / (LEVELS - 1):.2f}")
        for level, paths in enumerate(drawn)
        if paths
    ]
    every = 1 if tall > 12.0 else 2
    for k, name in enumerate(names):
        if k % every == 0:
            y = axes.top + k * tall + tall / 2.0 + 4.0
            parts.append(tag("text", name, x=axes.left - 8.0, y=y, text_anchor="end"))
    parts += axes.across(x_label)
    ends = f"{shown(low)} {unit} (pale) to {shown(high)} {unit} (full)"
    return figure(f"{caption} From {ends}.", drawing(axes, f"{alt} From {ends}.", parts, above=0.0))
