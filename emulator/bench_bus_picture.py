"""The figures of `edgerig bench bus` as a picture. Imports Matplotlib, so only the command imports it, when asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

INK: Final = "#333333"
QUIET: Final = "#8a8a8a"
COLOURS: Final = {
    "edgerig": "#0072b2",
    "raw": "#8a8a8a",
    "bare": "#8a8a8a",
    "zenoh": "#e69f00",
    "helics": "#e69f00",
    "multipart": "#56b4e9",
    "asyncio": "#cc79a7",
}
REACHED, MISSED = "#009e73", "#d55e00"
SHAPES: Final = ("8", "32", "64", "64_by_8")
PANEL_IN: Final = (4.6, 2.7)
MOST: Final = 3.0
DPI: Final = 110

Bars = Mapping[str, tuple[str, float]]
Panel = Callable[[Any], None]


def draw(figures: Mapping[str, Any], bars: Bars, png: Path) -> None:
    """Write the picture: a panel for each group that was measured, and one that sets all figures against their bars.

    Args:
        figures: As the bench returns them. bars: What each is to reach, ("at least" or "at most", value), by key.
        png: The file.
    Raises: ValueError: nothing to draw. OSError: the file cannot be written.
    """
    panels = _panels(figures, bars)
    if not panels:
        raise ValueError("nothing was measured that could be drawn")
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    size = (PANEL_IN[0] * columns, PANEL_IN[1] * rows)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(places, panels, strict=False):
        panel(axes)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    figure.savefig(png, format="png")


def _panels(figures: Mapping[str, Any], bars: Bars) -> list[Panel]:
    panels: list[Panel] = []
    for receivers in (1, 8):
        rates = _by_name(figures, f"typed_1to{receivers}_per_s_")
        if rates:
            title = f"typed messages, 1 to {receivers}: delivered a second"
            panels.append(partial(_across, values=rates, title=title, text=_thousands))
    p50 = _by_name(figures, "rtt_p50_us_")
    if p50:
        p99 = _by_name(figures, "rtt_p99_us_")
        panels.append(lambda axes: _round_trips(axes, p50, p99))
    shapes = [shape for shape in SHAPES if f"lockstep_ticks_per_s_{shape}_edgerig" in figures]
    if shapes:
        panels.append(lambda axes: _lockstep(axes, figures, shapes))
    judged = {key: figures[key] for key in bars if key in figures}
    if judged:
        panels.append(lambda axes: _judged(axes, judged, bars))
    return panels


def _by_name(figures: Mapping[str, Any], stem: str) -> dict[str, float]:
    return {name: figures[stem + name] for name in COLOURS if stem + name in figures}


def _across(axes: Any, values: Mapping[str, float], title: str, text: Callable[[float], str]) -> None:
    """A bar for each contestant, with its value."""
    names = list(values)
    axes.barh(names, list(values.values()), color=[COLOURS[name] for name in names])
    for k, value in enumerate(values.values()):
        axes.annotate(text(value), (value, k), (3, 0), textcoords="offset points", va="center", fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=8)
    axes.margins(x=0.18)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_title(title, fontsize=9, loc="left", color=INK)


def _thousands(value: float) -> str:
    return f"{value / 1e3:,.0f} k"


def _nothing(_value: float) -> str:
    return ""


def _round_trips(axes: Any, p50: Mapping[str, float], p99: Mapping[str, float]) -> None:
    _across(axes, p50, "round trip, microseconds: p50 (bar), p99 (line)", _nothing)
    for k, name in enumerate(p50):
        axes.plot([p50[name], p99[name]], [k, k], color=QUIET, linewidth=1.2)
        text = f"{p50[name]:.0f} / {p99[name]:.0f}"
        axes.annotate(text, (p99[name], k), (4, 0), textcoords="offset points", va="center", fontsize=8, color=INK)
    axes.set_xscale("log")
    axes.set_xticks([], minor=True)
    axes.set_xticks([])
    axes.set_xlim(min(p50.values()) / 3.0, 6.0 * max(p99.values()))


def _lockstep(axes: Any, figures: Mapping[str, Any], shapes: list[str]) -> None:
    """Each shape as a part of its bare, with ticks a second: shapes differ too much for one scale."""
    width = 0.27
    for place, name in enumerate(("edgerig", "bare", "helics")):
        for k, shape in enumerate(shapes):
            rate = figures.get(f"lockstep_ticks_per_s_{shape}_{name}")
            whole = (
                figures.get(f"lockstep_ticks_per_s_{shape}_bare") or figures[f"lockstep_ticks_per_s_{shape}_edgerig"]
            )
            if rate is None:
                continue
            x, height = k + (place - 1) * width, rate / whole
            axes.bar(x, height, width, color=COLOURS[name], label=name if k == 0 else None)
            axes.annotate(
                f"{rate:,.0f}", (x, height), (0, 2), textcoords="offset points", ha="center", fontsize=7, color=INK
            )
    axes.margins(y=0.3)
    axes.tick_params(labelsize=8)
    axes.set_xticks(range(len(shapes)), [shape.replace("_by_", " by ") for shape in shapes])
    axes.set_xlabel("nodes (by 8: eight in each process)", fontsize=8)
    axes.set_title("lockstep, part of bare; ticks a second", fontsize=9, loc="left", color=INK)
    axes.legend(frameon=False, fontsize=7, ncols=3, loc="upper left", bbox_to_anchor=(0.4, 1.0))


def _judged(axes: Any, judged: Mapping[str, float], bars: Bars) -> None:
    """How far each figure is from its bar: right of the line it is reached."""
    keys = list(judged)
    factors = [_factor(judged[key], *bars[key]) for key in keys]
    colours = [REACHED if factor >= 1.0 else MISSED for factor in factors]
    axes.barh(keys, factors, color=colours)
    axes.axvline(1.0, color=INK, linewidth=1.0)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=6)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlim(0.0, MOST)
    axes.set_title(f"figure over bar (1: reached; cut at {MOST:g})", fontsize=9, loc="left", color=INK)


def _factor(value: float, side: str, bar: float) -> float:
    """Above 1 when the bar is reached, by how much."""
    if side == "at least":
        return min(MOST, value / bar)
    if value <= 0.0:
        return MOST if bar > 0.0 else 1.0
    return min(MOST, bar / value)
