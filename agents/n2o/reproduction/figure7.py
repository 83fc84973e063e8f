"""Figure 7: how trainings converge, and what they take."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.reproduction.claims import less
from agents.n2o.reproduction.measuring import Result
from agents.n2o.reproduction.pictures import Curve, Curves, draw_curves
from agents.n2o.reproduction.plan import CENTRALIZED, LOCAL, SMALLEST
from agents.n2o.reproduction.tables import BY_LOCAL, NAMES, Book
from agents.reproduction.comparing import difference, mean_of
from agents.reproduction.verdicts import Verdict, finding, verdict
from agents.reproduction.writing import compared, markdown_table

TITLE = "Figure 7: convergence of trainings in P"
NEAR: Final = 0.9
"""A training has converged when it has come so far from its first block to its last ones."""

SAME: Final = 0.1
"""A training that takes a larger part of the steps by less is not slower."""

LAST_BLOCKS: Final = 6
METHODS: Final = {CENTRALIZED: "centralized DQL", LOCAL: "MA-DQL"}


def converged_share(result: Result) -> float:
    """Share of the steps after which a training has come nine tenths of its way; nan where it went nowhere.

    Source: ours: the paper reads its figure by eye. Exploration falls over the first 30 % of the steps, so a training
        that learns at once still takes about that long.
    """
    curve, steps = np.array(result.numbers["curve"]), np.array(result.numbers["steps"])
    start, end = curve[0], curve[-LAST_BLOCKS:].mean()
    if end <= start:
        return float("nan")
    near = np.flatnonzero(curve >= start + NEAR * (end - start))
    return float(steps[near[0]] / steps[-1])


def _converged(book: Book, edges: int, part: str) -> Floats:
    return np.array([np.nan if r is None else converged_share(r) for r in book.results("P", edges, part)])


def _spent(book: Book, edges: int, part: str) -> tuple[Floats, Floats]:
    found = [each for each in book.results("P", edges, part) if each is not None]
    return np.array([each.cpu_s for each in found]), np.array([each.wall_s for each in found])


def table(book: Book) -> str:
    """Convergence and time."""
    rows = []
    for edges, steps in book.effort.steps.items():
        for part, name in METHODS.items():
            cpu_s, wall_s = _spent(book, edges, part)
            if not len(cpu_s):
                continue
            converged = compared(mean_of(_converged(book, edges, part)), 2)
            times = f"{cpu_s.mean():.0f}", f"{wall_s.mean():.0f}"
            rows.append((str(edges), name, str(len(cpu_s)), f"{steps:,}", converged, *times))
    heads = ("N", "method", "seeds", "steps", "share of the steps to converge", "CPU, s", "clock, s")
    return markdown_table(heads, rows)


def judged(book: Book) -> list[Verdict]:
    """What the paper says of Figure 7."""
    slower, worse = [], []
    for edges in book.effort.steps:
        if edges > SMALLEST:
            found = difference(_converged(book, edges, LOCAL), _converged(book, SMALLEST, LOCAL))
            slower += finding(f"N = {edges}", less(found, SAME), rises=False)
    if 9 in book.effort.central:
        worse += finding("N = 9", book.pair("P", 9, BY_LOCAL, CENTRALIZED).difference, rises=True)
    return [
        verdict("N8", "7", "At N = 9 centralized DQL does not converge fast.",
                "reward after as many steps, MA-DQL - centralized", worse),
        verdict("N8", "7", "More edge servers do not slow the convergence of MA-DQL.",
                f"share of the steps to converge, less that of N = 4, less {SAME}", slower),
    ]  # fmt: skip


def draw(path: Path, book: Book) -> None:
    """Learning curves, a panel a number of edge servers."""
    panels = []
    for edges in book.effort.steps:
        curves = []
        for part, name in METHODS.items():
            found = [each for each in book.results("P", edges, part) if each is not None]
            if found:
                values = np.array([each.numbers["curve"] for each in found])
                at = np.array(found[0].numbers["steps"])
                curves.append(Curve(name, at, values, list(NAMES.values()).index(name)))
        if curves:
            panels.append(Curves(f"N = {edges}", "step of training", curves))
    draw_curves(path, TITLE, "reward of an episode, exploring", panels or [Curves("", "", [])])
