"""What real demand came to: a table, the figures of every seed, and a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.n2o.real_demand import BASE, SCHEMES, Course, course_of, payload_bytes
from agents.n2o.tables import Floats
from agents.reproduction.comparing import Compared, difference, mean_of, part
from agents.reproduction.writing import as_csv, compared, markdown_table
from agents.sweep_plot import COLOURS, finish, plain, pyplot
from emulator.model.graph import Graph

SMOOTHED_S = 4.0 * 3600.0
DAY_S = 86_400.0
FIGURES: dict[str, Callable[[Course], float]] = {
    "reward": lambda course: float(course.reward.mean()),
    "units": lambda course: float(course.units.mean()),
    "cloud_share": lambda course: float(course.cloud.sum() / (course.cloud.sum() + course.tasks.sum())),
    "delay_s": lambda course: float(course.wait_s.sum() / course.tasks.sum()),
}
"""Of a scheme and seed: reward and units a slot, part of the tasks that went up to the cloud, seconds a task."""

Courses = dict[str, list[Course | None]]


def courses_of(folders: Sequence[Path]) -> Courses:
    """What was measured, by scheme, in the order of the seeds' folders."""
    return {scheme: [course_of(folder, scheme) for folder in folders] for scheme in SCHEMES}


def figure_of(courses: Courses, name: str) -> dict[str, Floats]:
    """One of ``FIGURES`` by scheme, shape (seed,); nan where a seed was not measured."""
    made = FIGURES[name]
    return {
        scheme: np.array([np.nan if course is None else made(course) for course in own])
        for scheme, own in courses.items()
    }


def table(courses: Courses, graph: Graph, actions: int) -> str:
    """Markdown: each scheme, mean and 95 % interval over seeds, and paired with the local networks alone."""
    reward = figure_of(courses, "reward")
    rest = {name: figure_of(courses, name) for name in ("units", "cloud_share", "delay_s")}
    heads = ("agents", "reward a slot", f"over `{BASE}`'s", f"less `{BASE}`'s", "less `greedy-rule`'s", "units",
             "to the cloud", "delay, s", "payload, bytes")  # fmt: skip
    rows = []
    for scheme in SCHEMES:
        own, link = reward[scheme], payload_bytes(scheme, graph, actions)
        if not np.isfinite(own).any():
            rows.append((f"`{scheme}`", *["-"] * (len(heads) - 1)))
            continue
        known = [float(values[scheme][np.isfinite(own)].mean()) for values in rest.values()]
        rows.append(
            (
                f"`{scheme}`",
                compared(mean_of(own)) if np.isfinite(own).sum() > 1 else f"{np.nanmax(own):.2f} (one seed)",
                compared(part(own, reward[BASE])),
                compared(difference(own, reward[BASE]), signed=True),
                compared(difference(own, reward["greedy-rule"]), signed=True),
                f"{known[0]:.1f}",
                f"{known[1]:.1%}",
                f"{known[2]:.2f}",
                "-" if link is None else str(link),
            )
        )
    return markdown_table(heads, rows)


def document(courses: Courses) -> list[dict[str, Any]]:
    """The same for machines."""
    reward = figure_of(courses, "reward")

    def said(found: Compared | None) -> dict[str, Any] | None:
        return None if found is None else {**found.interval._asdict(), "seeds": found.seeds}

    return [
        {
            "agents": scheme,
            "reward": said(mean_of(own)),
            "ratio_to_madql": said(part(own, reward[BASE])),
            "less_madql": said(difference(own, reward[BASE])),
            "less_greedy_rule": said(difference(own, reward["greedy-rule"])),
        }
        for scheme, own in reward.items()
    ]


def csv_of(courses: Courses, seeds: Sequence[int]) -> str:
    """Every scheme's figures, seed by seed."""
    found = {name: figure_of(courses, name) for name in FIGURES}
    rows = [
        (scheme, seed, *(f"{found[name][scheme][at]:.6g}" for name in FIGURES))
        for scheme in SCHEMES
        for at, seed in enumerate(seeds)
        if np.isfinite(found["reward"][scheme][at])
    ]
    return as_csv(("agents", "seed", *FIGURES), rows)


def draw(path: Path, courses: Courses, first_slot: int, slot_s: float, title: str) -> None:
    """Draw the reward over the days shown, mean over seeds, and beside it the means with their intervals.

    Raises: AgentError: Matplotlib or SciPy are missing.
    """
    plt = pyplot()
    figure, (days, means) = plt.subplots(
        1, 2, figsize=(11.0, 4.8), width_ratios=(2.6, 1.0), layout="constrained", gridspec_kw={"wspace": 0.05}
    )
    window = max(1, round(SMOOTHED_S / slot_s))
    reward = figure_of(courses, "reward")
    for at, (scheme, own) in enumerate(courses.items()):
        there = [course.reward for course in own if course is not None]
        if not there:
            continue
        smooth = np.convolve(np.mean(there, axis=0), np.ones(window) / window, "valid")
        when = 1.0 + (first_slot + np.arange(len(smooth)) + 0.5 * window) * slot_s / DAY_S
        days.plot(when, smooth, color=COLOURS[at], label=scheme, linewidth=1.4)
        bar = mean_of(reward[scheme])
        if bar is None:  # one seed: no interval, so a hollow mark
            means.plot(np.nanmax(reward[scheme]), -at, color=COLOURS[at], marker="o", fillstyle="none")
        else:
            means.errorbar(bar.interval.mean, -at, xerr=bar.interval.half, color=COLOURS[at], marker="o", capsize=3)
    days.set_ylabel(f"reward a slot, {window} slots' mean")
    plain(days, "day")
    means.set_yticks(-np.arange(len(courses)), list(courses))
    means.axvline(0.0, color="#999999", linewidth=0.8)
    plain(means, "reward a slot, 95 % over seeds")
    finish(plt, figure, days, path, title)
