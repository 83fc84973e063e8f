"""Differences with their intervals, and one figure against another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitoring.pages.axes import HALF, Axes, colour_of, drawing, figure, legend
from monitoring.pages.digits import shown, tick_text, ticks
from monitoring.pages.markup import Markup, tag

ROW: Final = 46.0
ROOM: Final = 64.0
"""That the word beside the line at 0 takes."""


@dataclass(frozen=True)
class Difference:
    """One row: a mean, the ends of its interval (None for none), and what it is the mean of."""

    name: str
    mean: float
    low: float | None
    high: float | None
    points: Sequence[float] = ()


def forest(
    caption: str, alt: str, rows: Sequence[Difference], x_label: str, better: str, *, width: float = HALF
) -> Markup | None:
    """Differences around a line at 0; the side that is better is said.

    Args:
        caption, alt: What is to be seen.
        rows: From top to bottom.
        x_label: What the axis tells, with its unit.
        better: ``lower`` or ``higher``.
        width: In units of the picture.
    """
    if not rows:
        return None
    values = [0.0]
    for row in rows:
        values += [row.mean, *row.points, *(end for end in (row.low, row.high) if end is not None)]
    x_ticks = ticks(min(values), max(values))
    height = len(rows) * ROW + 56.0
    axes = Axes(width, height, x_ticks[0], x_ticks[-1], x_ticks, (0.0, 1.0), left=24.0, right=24.0, top=14.0)
    parts: list[Markup] = []
    for value, text in zip(x_ticks, tick_text(x_ticks), strict=True):
        x = axes.x(value)
        line = "zero" if abs(value) < 1e-12 else "grid"
        parts.append(tag("line", x1=x, x2=x, y1=axes.top, y2=axes.floor, class_=line))
        parts.append(tag("text", text, x=x, y=axes.floor + 18.0, text_anchor="middle"))
    parts.append(tag("text", x_label, x=width / 2.0, y=height - 4.0, text_anchor="middle"))
    parts.append(_better(axes, better))
    for k, row in enumerate(rows):
        parts += _row(axes, row, axes.top + (k + 0.5) * ROW + 6.0, colour_of(k + 1))
    return figure(caption, drawing(axes, alt, parts, above=14.0))


def _better(axes: Axes, better: str) -> Markup:
    """Which way is better; which way is worse, where there is no room on the good side."""
    zero, lower = axes.x(0.0), better == "lower"
    room = zero - axes.left if lower else axes.width - axes.right - zero
    text, leftwards = ("better", lower) if room >= ROOM else ("worse", not lower)
    if leftwards:
        return tag("text", f"\u2190 {text}", x=zero - 8.0, y=4.0, text_anchor="end")
    return tag("text", f"{text} \u2192", x=zero + 8.0, y=4.0)


def _row(axes: Axes, row: Difference, y: float, colour: str) -> list[Markup]:
    said = f"{row.name}: {shown(row.mean, sign=True)}"
    if row.low is not None and row.high is not None:
        said += f", 95 % {shown(row.low, sign=True)} to {shown(row.high, sign=True)}"
    parts = [tag("text", row.name, x=axes.left, y=y - 13.0, class_="ink")]
    parts += [tag("circle", cx=axes.x(point), cy=y, r=2.4, fill=colour, fill_opacity=0.35) for point in row.points]
    if row.low is not None and row.high is not None:
        ends = {"x1": axes.x(row.low), "x2": axes.x(row.high), "y1": y, "y2": y}
        parts.append(tag("line", class_="line", stroke=colour, stroke_width=3.0, **ends))
    dot = tag("circle", cx=axes.x(row.mean), cy=y, r=5.5, fill=colour)
    parts.append(tag("g", dot, tag("title", said)))
    return parts


def scatter(
    caption: str,
    alt: str,
    arms: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    x_label: str,
    y_label: str,
    *,
    width: float = HALF,
    height: float = 260.0,
) -> Markup | None:
    """One figure against another: pale dots for seeds, full ones for their mean.

    Args:
        caption, alt: What is to be seen.
        arms: Name, and (x, y) of each seed.
        x_label, y_label: What the axes tell; x begins at 0.
        width, height: In units of the picture.
    """
    arms = [(name, points) for name, points in arms if points]
    if not arms:
        return None
    xs = [x for _, points in arms for x, _ in points]
    ys = [y for _, points in arms for _, y in points]
    room = (max(ys) - min(ys)) * 0.15 or abs(ys[0]) * 0.1 or 1.0
    x_ticks = ticks(0.0, max(xs) or 1.0)
    axes = Axes(width, height, x_ticks[0], x_ticks[-1], x_ticks, ticks(min(ys) - room, max(ys) + room))
    parts = axes.grid(x_label, y_label)
    for k, (name, points) in enumerate(arms):
        colour = colour_of(k)
        if len(points) > 1:
            parts += [
                tag("circle", cx=axes.x(x), cy=axes.y(y), r=2.6, fill=colour, fill_opacity=0.35) for x, y in points
            ]
        x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
        dot = tag("circle", cx=axes.x(x), cy=axes.y(y), r=6.0, fill=colour)
        parts.append(tag("g", dot, tag("title", f"{name}: {shown(x)}, {shown(y)}")))
    entries = [(name, colour_of(k), "area") for k, (name, _) in enumerate(arms)]
    return figure(caption, drawing(axes, alt, parts), legend(entries))
