"""The learning curve: delay by frame, smoothed, beside Popularity on the same frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emulator.model.offloading import Floats

WINDOW_FRAMES = 50


def smoothed(values: Floats, window: int = WINDOW_FRAMES) -> Floats:
    """Mean over a sliding window that ends at each frame, over what there is at the start; shape (frame,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - window, 0)
    return (total[end] - total[begin]) / (end - begin)


def draw_curve(path: Path, delays_s: Floats, popularity_s: Floats, title: str) -> bool:
    """Draw it into a PNG; without matplotlib (the extra ``report``) there is none. Returns whether there is.

    Args:
        path: The PNG.
        delays_s: Of the agents, shape (frame,).
        popularity_s: Of Popularity, the same shape; nan where it is not known.
        title: What was trained.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, place = plt.subplots(figsize=(7.0, 3.9), layout="constrained")
    place.plot(delays_s, color="#0072b2", alpha=0.2, linewidth=0.6)
    place.plot(smoothed(delays_s), color="#0072b2", linewidth=1.8, label=f"agents, mean of {WINDOW_FRAMES} frames")
    if np.isfinite(popularity_s).all():
        place.plot(smoothed(popularity_s), color="#d55e00", linewidth=1.5, label="Popularity, the same frames")
    place.set(xlabel="frame", ylabel="mean delay, s per task", title=title)
    place.set_ylim(bottom=0.0)
    place.grid(alpha=0.3)
    place.spines[["top", "right"]].set_visible(False)
    place.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True
