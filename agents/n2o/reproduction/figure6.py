"""Figure 6: what an episode is worth when more units can be rented."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from agents.n2o.reproduction.pictures import Curve, Curves, draw_curves
from agents.n2o.reproduction.plan import CENTRALIZED, SMALLEST, WorldName
from agents.n2o.reproduction.tables import BY_LOCAL, BY_N2O, BY_OWNER, NAMES, Book
from agents.reproduction.comparing import difference, mean_of
from agents.reproduction.verdicts import Finding, Verdict, finding, verdict
from agents.reproduction.writing import compared, markdown_table

TITLE = "Figure 6: reward of an episode by units that can be rented"
WHO: Final = (CENTRALIZED, BY_LOCAL, BY_N2O, BY_OWNER)
WHERE: Final[tuple[WorldName, ...]] = ("A, fault", "P")


def ready(book: Book) -> bool:
    """Whether anything is measured with more units than the first."""
    more = _units(book)[1:]
    return any(np.isfinite(book.rewards(world, SMALLEST, name, units)).any()
               for world in WHERE for name in WHO for units in more)  # fmt: skip


def table(book: Book) -> str:
    """Rewards by units."""
    rows = [
        (
            world,
            NAMES[name],
            *(compared(mean_of(book.rewards(world, SMALLEST, name, units)), 1) for units in _units(book)),
        )
        for world in WHERE
        for name in WHO
    ]
    return markdown_table(("world", "reward, K =", *(str(units) for units in _units(book))), rows)


def _units(book: Book) -> tuple[int, ...]:
    return book.effort.units


def judged(book: Book) -> list[Verdict]:
    """What the paper says of Figure 6."""
    first, last = _units(book)[0], _units(book)[-1]

    def trend(name: str, *, rises: bool) -> list[Finding]:
        found = []
        for world in WHERE:
            ends = (book.rewards(world, SMALLEST, name, units) for units in (last, first))
            found += finding(world, difference(*ends), rises=rises)
        return found

    beyond = [
        each
        for world in WHERE
        for each in finding(world, book.pair(world, SMALLEST, BY_N2O, CENTRALIZED, last).difference, rises=True)
    ]
    change = f"reward, K = {last} - K = {first}"
    return [
        verdict("N7", "6", "Centralized DQL earns more with more units.", change, trend(CENTRALIZED, rises=True)),
        verdict("N7", "6", "N2O earns more with more units.", change, trend(BY_N2O, rises=True)),
        verdict("N7", "6", "MA-DQL earns less with more units.", change, trend(BY_LOCAL, rises=False)),
        verdict(
            "N7", "6", f"With {last} units N2O earns more than centralized DQL.", "reward, N2O - centralized", beyond
        ),
    ]


def draw(path: Path, book: Book) -> None:
    """Rewards by units, a panel a world."""
    panels = []
    for world in WHERE:
        curves = []
        for name in WHO:
            values = np.array([book.rewards(world, SMALLEST, name, units) for units in _units(book)])
            there = np.isfinite(values).any(axis=1)
            seeds = np.isfinite(values[there]).all(axis=0)
            at = np.array(_units(book), dtype=float)[there]
            curves.append(Curve(NAMES[name], at, values[there][:, seeds].T, list(NAMES).index(name)))
        panels.append(Curves(f"{world}, N = {SMALLEST}", "most units K", curves))
    draw_curves(path, TITLE, "reward of an episode", panels)
