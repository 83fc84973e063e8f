"""The figures of `edgerig bench orchestration` as a picture. Imports Matplotlib, so only the command imports it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from emulator.bench_orchestration import CURVES, SIDES, TIMED, key_of

INK: Final = "#333333"
OURS, FLOOR, BAR = "#0072b2", "#8a8a8a", "#d55e00"
LINES: Final = ("#0072b2", "#009e73", "#56b4e9", "#e69f00", "#8a8a8a", "#cc79a7")
SIZE_IN: Final = (9.6, 6.4)
DPI: Final = 110

Bars = Mapping[str, tuple[str, float]]


def draw(figures: Mapping[str, Any], bars: Bars, png: Path) -> None:
    """Write the picture.

    Args:
        figures: As the bench returns them. bars: What each is to reach, by key.
        png: The file.
    Raises: OSError: the file cannot be written.
    """
    figure = Figure(figsize=SIZE_IN, dpi=DPI, layout="constrained")
    (times, weights), (curves, losses) = figure.subplots(2, 2)
    _times(times, figures, bars)
    _weights(weights, figures, bars)
    _curves(curves, figures)
    _losses(losses, figures, bars)
    for axes in (times, weights, curves, losses):
        axes.tick_params(labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(png, format="png")


def _title(axes: Any, text: str) -> None:
    axes.set_title(text, fontsize=9, loc="left", color=INK)


def _times(axes: Any, figures: Mapping[str, Any], bars: Bars) -> None:
    """A decision of nine processes: ours and bare, with the bar where there is one."""
    for place, name in enumerate(TIMED):
        key = key_of(name)
        pair = ((f"{key}_ms_p50", OURS, -0.2, "edgerig"), (f"{key}_bare_ms_p50", FLOOR, 0.2, "bare sockets"))
        for found, colour, shift, label in pair:
            axes.bar(place + shift, figures[found], 0.36, color=colour, label=label if place == 0 else None)
            at = (place + shift, figures[found])
            axes.annotate(f"{figures[found]:.0f}", at, (0, 2), textcoords="offset points", ha="center", fontsize=8)
        if f"{key}_ms_p50" in bars:
            axes.plot([place - 0.42, place + 0.42], [bars[f"{key}_ms_p50"][1]] * 2, color=BAR, linewidth=1.4)
    axes.set_xticks(range(len(TIMED)), [f"{name}\n{figures[key_of(name) + '_rounds']} rounds" for name in TIMED])
    axes.legend(fontsize=8, frameon=False)
    axes.margins(y=0.12)
    _title(axes, "a decision of 9 processes, p50 ms (line: at most)")


def _weights(axes: Any, figures: Mapping[str, Any], bars: Bars) -> None:
    """Bytes of a directed link and decision over the number of servers."""
    servers = [side**2 for side in SIDES]
    for colour, name in zip(LINES, TIMED, strict=False):
        found = [figures["letters_bytes"][f"{key_of(name)}_{count}"] for count in servers]
        axes.plot(servers, [payload for payload, _ in found], "o-", color=colour, label=f"{name}: payload")
        axes.plot(servers, [wire for _, wire in found], "o:", color=colour, label="on the wire", markersize=3)
    axes.set_yscale("log")
    axes.set_xticks(servers)
    axes.set_xlabel("edge servers", fontsize=8)
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="upper left")
    axes.margins(y=0.3)
    _title(axes, "bytes of a directed link and decision")


def _curves(axes: Any, figures: Mapping[str, Any]) -> None:
    for colour, spec in zip(LINES, CURVES, strict=True):
        shares = figures["headroom_by_round"][spec]
        axes.plot(range(len(shares)), shares, color=colour, label=spec, linewidth=1.4)
    axes.set_ylim(-0.5, 1.05)
    axes.axhline(1.0, color=INK, linewidth=0.6)
    axes.set_xlabel("rounds", fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    _title(axes, "headroom recovered, trained networks, N = 9, no loss")


def _losses(axes: Any, figures: Mapping[str, Any], bars: Bars) -> None:
    names = ("headroom_owner", "headroom_owner_loss_50", "headroom_owner_loss_80", "headroom_max_sum")
    labels = ("owner, 10 rounds\nno loss", "owner\nloss .5", "owner\nloss .8", "max-sum, 5 rounds\nno loss")
    for place, name in enumerate(names):
        axes.bar(place, figures[name], 0.5, color=OURS)
        axes.annotate(f"{figures[name]:.2f}", (place, figures[name]), (0, 5), textcoords="offset points", ha="center")
        if name in bars:
            axes.plot([place - 0.35, place + 0.35], [bars[name][1]] * 2, color=BAR, linewidth=1.4)
    axes.set_ylim(0.0, 1.15)
    axes.set_xticks(range(len(names)), labels)
    _title(axes, "the same with letters lost one way (line: at least)")
