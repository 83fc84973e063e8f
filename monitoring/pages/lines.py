"""Lines over slots or frames, with what happened marked above them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from monitoring.pages.axes import FULL, Axes, drawing, figure, legend, whole_ticks
from monitoring.pages.digits import ticks
from monitoring.pages.markup import Markup, tag

GLYPH: Final = 6.0
MOST_MARKS: Final = 60
GLYPHS: Final = {
    "lost": ("bad", "M0 5.5L-6 -5H6Z"),
    "joined": ("good", "M0 -5.5L-6 5H6Z"),
    "swap": ("swap", "M0 -6.5L6.5 0L0 6.5L-6.5 0Z"),
    "swap_failed": ("bad", "M-6 -4L-4 -6L0 -2L4 -6L6 -4L2 0L6 4L4 6L0 2L-4 6L-6 4L-2 0Z"),
    "swap_back": ("warn", "M0 -6.5L6.5 0L0 6.5L-6.5 0Z"),
    "stage": ("swap", "M-1.2 -6H1.2V6H-1.2Z"),
    "link": ("warn", "M-6 -2H6V2H-6Z"),
    "stop": ("bad", "M-5 -5H5V5H-5Z"),
}
OTHER: Final = ("warn", "M-3.5 0A3.5 3.5 0 1 0 3.5 0A3.5 3.5 0 1 0 -3.5 0Z")


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        y: Of each x; None where there is nothing, which leaves a gap.
        style: Classes of the line, for example ``dash``.
        dots: A dot at each point instead of a line through them.
        ends: Whether the band's last interval is drawn as one, too.
        low, high: A band around it; empty for none.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: str
    style: str = ""
    dots: bool = False
    ends: bool = False
    low: Sequence[float | None] = field(default=())
    high: Sequence[float | None] = field(default=())


@dataclass(frozen=True)
class Mark:
    """Something that happened at an x."""

    x: float
    kind: str
    text: str


@dataclass(frozen=True)
class Span:
    """A stretch of the x axis that has a name."""

    x_low: float
    x_high: float
    name: str


def line_chart(
    caption: str,
    alt: str,
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    marks: Sequence[Mark] = (),
    *,
    width: float = FULL,
    height: float = 250.0,
    from_zero: bool = True,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    spans: Sequence[Span] = (),
) -> Markup | None:
    """Lines in one picture; None where there is no number to draw.

    Args:
        caption: What is to be seen, as a sentence.
        alt: The same for those who do not see it.
        lines: Drawn in order, so that the last one lies on top.
        x_label, y_label: What the axes tell, with units.
        marks: What happened, drawn as signs above and lines through the plot.
        width, height: In units of the picture, FULL or HALF wide.
        from_zero: Whether the y axis begins at 0.
        x_range, y_range: Of the axes, if not those of the lines; what lies beyond is drawn at the rim.
        spans: Stretches with names, drawn behind the lines.
    """
    values = [value for line in lines for value in (*_numbers(line.y), *_numbers(line.low), *_numbers(line.high))]
    places = [x for line in lines for x in line.x]
    if not values or not places:
        return None
    low, high = y_range or (min(values), max(values))
    y_ticks = ticks(min(low, 0.0) if from_zero else low, max(high, 0.0) if from_zero else high)
    x_low, x_high = x_range or (min(places), max(places))
    top = 10.0 + 14.0 * bool(marks) + 18.0 * bool(spans)
    axes = Axes(width, height, x_low, max(x_high, x_low + 1.0), whole_ticks(x_low, x_high), y_ticks, top=top)
    parts = [*_spanned(axes, spans), *axes.grid(x_label, y_label), *_marked(axes, marks)]
    for line in lines:
        parts += _drawn(axes, line)
    entries = [(line.name, line.colour, "dots" if line.dots else line.style) for line in lines if line.name]
    return figure(caption, drawing(axes, alt, parts), legend(entries) if entries else None)


def _numbers(values: Sequence[float | None]) -> Iterator[float]:
    return (value for value in values if value is not None and math.isfinite(value))


def _drawn(axes: Axes, line: Line) -> list[Markup]:
    parts = []
    if line.low and line.high:
        parts.append(tag("path", d=_band(axes, line), fill=line.colour, class_="band"))
        if line.ends:
            parts += filter(None, [_whisker(axes, line)])
    if line.dots:
        points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if y is not None and math.isfinite(y)]
        dot = {"r": 3.0, "fill": line.colour, "fill_opacity": 0.55}
        return [*parts, *(tag("circle", cx=axes.x(x), cy=_inside(axes, y), **dot) for x, y in points)]
    parts.append(tag("path", d=_path(axes, line.x, line.y), class_=f"line {line.style}".strip(), stroke=line.colour))
    return parts


def _path(axes: Axes, xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """Lines through points; a gap where a number is missing, and a dash for a point that stands alone."""
    said: list[str] = []
    alone = False
    for x, y in zip(xs, ys, strict=True):
        if y is None or not math.isfinite(y):
            if alone:
                said.append("h.1")
            alone = False
            said.append("")
            continue
        alone = not said or not said[-1]
        said.append(f"{'M' if alone else 'L'}{axes.x(x):.1f} {_inside(axes, y):.1f}")
    return "".join(said) + ("h.1" if alone else "")


def _band(axes: Axes, line: Line) -> str:
    ends = [
        (axes.x(x), _inside(axes, low), _inside(axes, high))
        for x, low, high in zip(line.x, line.low, line.high, strict=True)
        if low is not None and high is not None
    ]
    there = [f"{x:.1f} {high:.1f}" for x, _, high in ends]
    back = [f"{x:.1f} {low:.1f}" for x, low, _ in reversed(ends)]
    return f"M{'L'.join([*there, *back])}Z" if len(ends) > 1 else "M0 0"


def _whisker(axes: Axes, line: Line) -> Markup | None:
    """The last interval of a band, which a band of one point would not show."""
    known = [
        (axes.x(x), _inside(axes, low), _inside(axes, high))
        for x, low, high in zip(line.x, line.low, line.high, strict=True)
        if low is not None and high is not None
    ]
    if not known:
        return None
    x, low, high = known[-1]
    path = f"M{x:.1f} {low:.1f}V{high:.1f}M{x - 5:.1f} {low:.1f}h10M{x - 5:.1f} {high:.1f}h10"
    return tag("path", d=path, class_="line thin", stroke=line.colour)


def _inside(axes: Axes, value: float) -> float:
    """Down, but no farther than the rim."""
    return axes.y(min(max(value, axes.y_ticks[0]), axes.y_ticks[-1]))


def _spanned(axes: Axes, spans: Sequence[Span]) -> list[Markup]:
    parts = []
    for k, span in enumerate(spans):
        x, end = axes.x(span.x_low), axes.x(span.x_high)
        high = axes.floor - axes.top
        tone = "span odd-span" if k % 2 else "span"
        parts.append(tag("rect", x=x, y=axes.top, width=max(end - x, 0.0), height=high, class_=tone))
        parts.append(tag("line", x1=x, x2=x, y1=axes.top - 16.0, y2=axes.floor, class_="edge"))
        parts.append(tag("text", span.name, x=x + 5.0, y=axes.top - 5.0, class_="ink"))
    return parts


def _marked(axes: Axes, marks: Sequence[Mark]) -> list[Markup]:
    parts = []
    for mark in marks[:MOST_MARKS]:
        x = min(max(axes.x(mark.x), axes.left), axes.width - axes.right)
        parts.append(tag("line", x1=x, x2=x, y1=axes.top - 4.0, y2=axes.floor, class_="event"))
        parts.append(
            tag("g", glyph(mark.kind), tag("title", mark.text), transform=f"translate({x:.1f} {axes.top - 12:g})")
        )
    return parts


def glyph(kind: str) -> Markup:
    """The sign of something that happened, around 0 0; shapes differ, not only colours."""
    tone, path = GLYPHS.get(kind, OTHER)
    return tag("path", d=path, class_=tone)


def key(kinds: Sequence[str], names: dict[str, str]) -> Markup:
    """What the signs mean."""
    signs = [
        tag("li", tag("svg", glyph(kind), viewBox="-11 -7 22 14", aria_hidden="true"), names.get(kind, kind))
        for kind in kinds
    ]
    return tag("ul", signs, class_="legend")
