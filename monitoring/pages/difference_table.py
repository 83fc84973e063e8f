"""Differences between two arms as a table: both means, the difference, its interval, and what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from monitoring.pages.digits import NOTHING, THIN, duration, percent, shown, size, with_unit
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.style import table
from monitoring.runs import Document

INTERVALS: Final = (
    "A difference is arm minus baseline on the same seed. The 95 % interval is Student's over seeds, which are the "
    "only replicates: slots of one run depend on each other. The bootstrap (bias-corrected) and the effect size "
    "(Hedges' g: mean difference over its scatter) stand beside it and decide nothing."
)


def difference_table(caption: str, arms: tuple[str, str], rows: Sequence[list[Child]], pairs: str = "seeds") -> Markup:
    """Rows of ``difference_row`` under their heads; arms: baseline, and what is compared with it; pairs: of what."""
    head = ["figure", *arms, "difference", "95 % interval", "share", "bootstrap", "effect", pairs]
    return table(head, list(rows), caption=caption, numbers=8)


def difference_row(words: str, found: Document, figure: Document) -> list[Child]:
    """One figure.

    Args:
        words: What it is.
        found: What ``monitoring.paired`` says of it; without intervals where there is one seed.
        figure: Its ``unit`` and what is ``better``.
    """
    scale, unit = _scaled(max(abs(found["baseline_mean"]), abs(found["run_mean"])), figure["unit"])
    return [
        words + (f" [{unit}]" if unit else ""),
        shown(found["baseline_mean"] * scale),
        shown(found["run_mean"] * scale),
        tag("span", shown(found["mean"] * scale, sign=True), class_=tone_of(found, figure["better"])),
        interval(found["low"], found["high"], scale),
        percent(found["share"], sign=True) if found["share"] is not None else NOTHING,
        interval(found["bootstrap_low"], found["bootstrap_high"], scale),
        shown(found["effect_size"], sign=True) if found["effect_size"] is not None else NOTHING,
        str(found["pairs"]),
    ]


def tone_of(found: Document, better: str) -> str | None:
    """Green or red where the interval leaves 0 out."""
    if found["low"] is None or found["low"] <= 0.0 <= found["high"]:
        return None
    return "good" if (found["mean"] < 0) == (better == "lower") else "bad"


def interval(low: float | None, high: float | None, scale: float = 1.0) -> str:
    """Both ends with their signs."""
    if low is None or high is None:
        return NOTHING
    return f"{shown(low * scale, sign=True)} to {shown(high * scale, sign=True)}"


def in_unit(value: float | None, unit: str) -> str:
    """A figure with its unit; bytes and seconds in whatever reads best."""
    if value is None:
        return NOTHING
    if unit == "B":
        return with_unit(size(value))
    if unit == "s":
        return with_unit(duration(value))
    return shown(value) + (f"{THIN}{unit}" if unit else "")


def _scaled(value: float, unit: str) -> tuple[float, str]:
    """The factor and the unit in which a value reads well."""
    if unit == "s" and 0.0 < value < 0.5:
        return (1e3, "ms") if value >= 5e-4 else (1e6, "\u00b5s")
    if unit == "B" and value >= 1e4:
        return 1e-3, "kB"
    return 1.0, unit
