"""Figure 8: networks adapt to another demand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.reproduction.pictures import Curve, Curves, draw_curves
from agents.n2o.reproduction.plan import ADAPTED, SMALLEST
from agents.n2o.reproduction.tables import Book
from agents.reproduction.comparing import mean_of, part
from agents.reproduction.verdicts import Finding, Verdict, finding, verdict
from agents.reproduction.writing import compared, markdown_table

TITLE = "Figure 8: adapting to another demand, P, N = 4"
ALONE, JOINT = "alone", "joint"
WAYS = {ALONE: "MA-DQL", JOINT: "max-sum"}
ENOUGH = 0.85


def _series(book: Book, key: str) -> Floats:
    return book.curve("P", SMALLEST, ADAPTED, key)


def _against_fresh(book: Book, at: int) -> dict[str, tuple[Floats, Floats]]:
    """Rewards at one look, and of fresh trainings, by seed."""
    fresh = _series(book, "fresh")
    return {way: (_series(book, way)[:, at], fresh[:, place]) for place, way in enumerate(WAYS)} if len(fresh) else {}


def ready(book: Book) -> bool:
    """Whether any seed is measured."""
    return len(_series(book, "steps")) > 0


def table(book: Book) -> str:
    """Rewards before, right after the change, and on the way, in parts of a fresh training's."""
    steps = _series(book, "steps")
    rows = []
    for place, (way, name) in enumerate(WAYS.items()):
        values, before, fresh = _series(book, way), _series(book, "before")[:, place], _series(book, "fresh")[:, place]
        shown = [compared(mean_of(column), 1) for column in (before, *values.T, fresh)]
        rows.append((f"{name}, reward", *shown))
        rows.append((f"{name}, / fresh", "", *(compared(part(column, fresh), 2) for column in values.T), ""))
    heads = (f"steps after the change, {len(steps)} seeds", "before", *(f"{at:.0f}" for at in steps[0]), "fresh")
    return markdown_table(heads, rows)


def judged(book: Book) -> list[Verdict]:
    """What the paper says of Figure 8."""
    found: list[Finding] = []
    for way, (own, fresh) in _against_fresh(book, -1).items():
        found += finding(WAYS[way], mean_of(own / fresh - ENOUGH), rises=True)
    steps = _series(book, "steps")
    after = f"{steps[0, -1]:.0f}" if len(steps) else "some"
    measure = f"part of a fresh training's reward after {after} steps, less {ENOUGH}"
    return [verdict("N9", "8", "Networks adapt quickly when the demand changes.", measure, found)]


def draw(path: Path, book: Book) -> None:
    """Rewards after the change, and levels of before and of fresh trainings."""
    steps, curves = _series(book, "steps"), []
    if len(steps):
        for place, (way, name) in enumerate(WAYS.items()):
            level = np.ones((1, steps.shape[1]))
            fresh, before = (_series(book, key)[:, place].mean() * level for key in ("fresh", "before"))
            curves += [
                Curve(name, steps[0], _series(book, way), place),
                Curve(f"{name}, trained afresh", steps[0], fresh, place, dashed=True),
                Curve(f"{name}, before the change", steps[0], before, place + 2, dashed=True),
            ]
    draw_curves(path, TITLE, "reward of an episode", [Curves("zones permuted, 9 h later", "steps after it", curves)])
