"""A learning curve as a picture: what the agents reach, smoothed, beside others on the same steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emulator.model.offloading import Floats

AGENTS, BESIDE = "#0072b2", ("#d55e00", "#009e73", "#cc79a7")


class Axes(NamedTuple):
    """What a learning curve is drawn over: title, names of the axes, steps to smooth over, whether 0 is shown."""

    title: str
    x: str
    y: str
    window: int
    from_zero: bool


def smoothed(values: Floats, window: int) -> Floats:
    """Mean over a sliding window that ends at each step, over what there is at the start; shape (step,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - window, 0)
    return (total[end] - total[begin]) / (end - begin)


def draw_curve(path: Path, values: Floats, beside: Mapping[str, Floats], axes: Axes) -> bool:
    """Draw it into a PNG; without matplotlib (the extra ``report``) there is none. Returns whether there is.

    Args:
        path: The PNG.
        values: Of the agents, shape (step,).
        beside: Others by name, the same shape each; left out where one is not known (nan).
        axes: Of the picture.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, place = plt.subplots(figsize=(7.0, 3.9), layout="constrained")
    place.plot(values, color=AGENTS, alpha=0.2, linewidth=0.6)
    label = f"agents, mean of {axes.window} {axes.x}s"
    place.plot(smoothed(values, axes.window), color=AGENTS, linewidth=1.8, label=label)
    for (name, others), color in zip(beside.items(), BESIDE, strict=False):
        if np.isfinite(others).all():
            place.plot(smoothed(others, axes.window), color=color, linewidth=1.5, label=name)
    place.set(xlabel=axes.x, ylabel=axes.y, title=axes.title)
    if axes.from_zero:
        place.set_ylim(bottom=0.0)
    place.grid(alpha=0.3)
    place.spines[["top", "right"]].set_visible(False)
    place.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True
