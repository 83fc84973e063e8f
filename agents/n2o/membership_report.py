"""What came of joining and leaving: a file for each seed, a table, and the curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agents.errors import AgentError
from agents.n2o.membership_study import COURSES, Course, Kind, Point
from agents.n2o.tables import Floats
from agents.reproduction.comparing import mean_of, part
from agents.reproduction.writing import as_csv, compared, markdown_table
from agents.sweep_plot import COLOURS, finish, plain, pyplot

KINDS: tuple[Kind, ...] = ("join", "leave")


def write_points(path: Path, points: Sequence[Point]) -> None:
    """Keep one study, whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(as_csv(Point._fields, points), encoding="utf-8")
    fresh.replace(path)


def read_points(path: Path) -> list[Point]:
    """What ``write_points`` kept.

    Raises: AgentError: it is something else.
    """
    try:
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        return [Point(kind, int(seed), course, int(slots), float(reward)) for kind, seed, course, slots, reward in rows]  # type: ignore[arg-type]
    except (OSError, ValueError) as error:
        raise AgentError(f"{path}: cannot be read ({error}); remove it to measure it again") from None


def curve(points: Sequence[Point], kind: Kind, course: Course) -> tuple[Floats, Floats]:
    """Slots since the change, shape (point,), and rewards, shape (seed, point)."""
    own = [point for point in points if point.change == kind and point.course == course]
    seeds = sorted({point.seed for point in own})
    rewards = [[point.reward for point in own if point.seed == seed] for seed in seeds]
    slots = [point.slots for point in own if point.seed == seeds[0]] if seeds else []
    return np.array(slots, dtype=np.float64), np.array(rewards)


def table(points: Sequence[Point]) -> str:
    """Markdown: what an episode is worth before, right after, and in the end, mean and 95 % interval over seeds."""
    heads = ("change", "who learns", "before", "right after", "in the end", "in the end, over all anew")
    rows = []
    for kind in KINDS:
        before = curve(points, kind, "before")[1]
        anew = curve(points, kind, "all anew")[1]
        for course in COURSES:
            own = curve(points, kind, course)[1]
            if not own.size:
                continue
            last = compared(mean_of(own[:, -1]))
            cells = compared(mean_of(before[:, -1])), compared(mean_of(own[:, 0])), last
            rows.append((kind, course, *cells, compared(part(own[:, -1], anew[:, -1]))))
    return markdown_table(heads, rows)


def draw(path: Path, points: Sequence[Point], title: str) -> None:
    """Draw the curves, a panel for each change, mean over seeds with their range.

    Raises: AgentError: Matplotlib is missing.
    """
    plt = pyplot()
    kinds = [kind for kind in KINDS if curve(points, kind, "before")[0].size]
    figure, places = plt.subplots(
        1, len(kinds), figsize=(1.0 + 4.8 * len(kinds), 4.4), sharey=True, squeeze=False, layout="constrained"
    )
    for place, kind in zip(places[0], kinds, strict=True):
        end = curve(points, kind, "all anew")[0].max(initial=1.0)
        for at, course in enumerate(("before", *COURSES)):
            slots, rewards = curve(points, kind, course)
            if course == "before":
                late = slots >= -end
                slots, rewards = slots[late], rewards[:, late]
            elif len(slots) == 1:
                slots, rewards = np.array([slots[0], end]), np.repeat(rewards, 2, axis=1)
            colour, dashed = COLOURS[at], "--" if course == "nobody learns" else "-"
            place.plot(slots / 1e3, rewards.mean(axis=0), dashed, color=colour, label=course, linewidth=1.8)
            place.fill_between(slots / 1e3, rewards.min(axis=0), rewards.max(axis=0), color=colour, alpha=0.15)
        place.axvline(0.0, color="#999999", linewidth=0.8)
        place.set_title(f"an edge server {kind}s", fontsize=10)
        plain(place, "thousand slots of experience since the change")
    places[0][0].set_ylim(bottom=0.0)
    places[0][0].set_ylabel("reward of an episode, by max-sum")
    finish(plt, figure, places[0][0], path, title)
