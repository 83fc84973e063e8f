"""Where a number stands in a picture: scales, grid lines, ticks, and the frame around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from monitoring.pages.digits import tick_text, ticks
from monitoring.pages.markup import Child, Markup, tag

FULL: Final = 1000.0
HALF: Final = 480.0
DASHES: Final = ("", "dash", "dot")


@dataclass(frozen=True)
class Axes:
    """A plot's area and its scales, in units of the picture.

    Attributes:
        x_ticks, y_ticks: Round numbers; the plot reaches from the lowest y tick to the highest, and in x from
            ``x_low`` to ``x_high``.
    """

    width: float
    height: float
    x_low: float
    x_high: float
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    left: float = 56.0
    right: float = 22.0
    top: float = 10.0
    bottom: float = 40.0

    def x(self, value: float) -> float:
        """Across."""
        span = (self.x_high - self.x_low) or 1.0
        return self.left + (value - self.x_low) / span * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Down."""
        low, high = self.y_ticks[0], self.y_ticks[-1]
        plot = self.height - self.top - self.bottom
        return self.top + plot * (1.0 - (value - low) / ((high - low) or 1.0))

    @property
    def floor(self) -> float:
        """Where the x axis lies."""
        return self.height - self.bottom

    def grid(self, x_label: str, y_label: str) -> list[Markup]:
        """Lines across, numbers beside them, and what the axes tell."""
        parts: list[Markup] = []
        for k, (value, text) in enumerate(zip(self.y_ticks, tick_text(list(self.y_ticks)), strict=True)):
            y = self.y(value)
            line = "zero" if abs(value) < 1e-12 or (k == 0 and value > 0.0) else "grid"
            parts.append(tag("line", x1=self.left, x2=self.width - self.right, y1=y, y2=y, class_=line))
            parts.append(tag("text", text, x=self.left - 8, y=y + 4.0, text_anchor="end"))
        parts += self.across(x_label)
        parts.append(tag("text", y_label, x=0.0, y=-2.0, class_="ink"))
        return parts

    def across(self, x_label: str) -> list[Markup]:
        """Numbers below, and what they are."""
        parts = []
        for k, (value, text) in enumerate(zip(self.x_ticks, tick_text(list(self.x_ticks)), strict=True)):
            if self.x_low <= value <= self.x_high:
                odd = "odd" if k % 2 else None
                parts.append(tag("text", text, x=self.x(value), y=self.floor + 18.0, text_anchor="middle", class_=odd))
        middle = (self.left + self.width - self.right) / 2.0
        parts.append(tag("text", x_label, x=middle, y=self.height - 4.0, text_anchor="middle"))
        return parts


def whole_ticks(low: float, high: float, most: int = 9) -> list[float]:
    """Ticks at whole numbers, for slots and frames."""
    return [value for value in ticks(low, max(high, low + 1.0), most) if float(value).is_integer()] or [low, high]


def drawing(axes: Axes, alt: str, parts: Iterable[Child], above: float = 20.0) -> Markup:
    """The picture as SVG; ``alt`` tells those who do not see it what it shows."""
    kind = "full" if axes.width > HALF else None
    return tag(
        "svg",
        tag("title", alt),
        parts,
        viewBox=f"0 {-above:g} {axes.width:g} {axes.height + above:g}",
        role="img",
        aria_label=alt,
        class_=kind,
    )


def figure(caption: str, svg: Markup, legend: Markup | None = None) -> Markup:
    """A picture with what it shows, and what its lines mean, above it."""
    return tag("figure", tag("figcaption", caption), legend, tag("div", svg, class_="scroll"))


def colour_of(index: int) -> str:
    """The colour of a line."""
    from monitoring.pages.style import SERIES

    return f"var(--c{index % SERIES})"


def legend(entries: Iterable[tuple[str, str, str]]) -> Markup:
    """What lines or areas mean: (name, colour, ``area``, ``dots`` or the class of a line)."""
    items = []
    for name, colour, kind in entries:
        if kind == "area":
            mark = tag("rect", x=4.0, y=0.0, width=14.0, height=10.0, rx=2.0, fill=colour)
        elif kind == "dots":
            mark = tag("circle", cx=11.0, cy=5.0, r=3.0, fill=colour, fill_opacity=0.55)
        else:
            mark = tag("line", x1=0.0, x2=22.0, y1=5.0, y2=5.0, class_=f"line {kind}".strip(), stroke=colour)
        items.append(tag("li", tag("svg", mark, viewBox="0 0 22 10", aria_hidden="true"), name))
    return tag("ul", items, class_="legend")
