"""What this project asks of itself in the rental world, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.reproduction.plan import (
    CENTRALIZED,
    DISTILLED_MAX_SUM,
    HEADROOM,
    LOCAL,
    SMALLEST,
    WorldName,
)
from agents.n2o.reproduction.tables import BY_LOCAL, BY_MAX_SUM, BY_N2O, BY_OWNER, NAMES, Book
from agents.reproduction.comparing import Compared, mean_of
from agents.reproduction.writing import compared, markdown_table

GROWN = {9: 1.2, 16: 1.4, 25: 1.4}
"""Least reward of owner-side, in parts of MA-DQL's, by number of edge servers."""

HEADROOM_BARS = {"gain owner": 0.95, "gain owner loss 0.5": 0.85, "gain owner loss 0.8": 0.75}
TRAINING_S = {4: 120.0, 25: 600.0}
KEPT = 0.93
SPEC_P = 0.92


class Bar(NamedTuple):
    """A figure that is asked for.

    Attributes:
        what: The figure.
        least: At least this.
        most: At most this.
        found: What was measured; None where fewer than two seeds were.
        single: What one seed measured, where there is only one.
    """

    what: str
    least: float
    most: float
    found: Compared | None
    single: float = float("nan")

    @property
    def word(self) -> str:
        """Whether the mean over seeds is where it should be."""
        if self.found is None:
            return "not measured" if np.isnan(self.single) else "one seed"
        return "met" if self.least <= self.found.interval.mean <= self.most else "**missed**"

    @property
    def asked(self) -> str:
        """What is asked for, in words."""
        if np.isinf(self.most):
            return f"at least {self.least:g}"
        return f"at most {self.most:g}" if np.isinf(self.least) else f"{self.least:g} to {self.most:g}"

    def builtin(self) -> dict[str, Any]:
        """As a JSON document has it."""
        mean, half = self.found.interval if self.found else (None, None)
        seeds = self.found.seeds if self.found else 0
        return {"what": self.what, "asked": self.asked, "mean": mean, "half": half, "seeds": seeds,
                "word": self.word.strip("*")}  # fmt: skip


def bars(book: Book) -> Iterator[Bar]:
    """All of them."""
    far = float("inf")

    def ratio(world: WorldName, edges: int, own: str, base: str, least: float, most: float = far) -> Bar:
        what = f"{world}, N = {edges}: {NAMES[own]} / {NAMES[base]}"
        pair = book.pair(world, edges, own, base)
        return Bar(what, least, most, pair.ratio, only(pair.own / pair.base))

    yield ratio("A, fault", SMALLEST, BY_LOCAL, CENTRALIZED, 0.62, 0.80)
    yield ratio("A, fault", SMALLEST, BY_N2O, CENTRALIZED, 0.80, 0.95)
    yield ratio("A", SMALLEST, BY_LOCAL, CENTRALIZED, 0.96)
    yield ratio("A", SMALLEST, BY_N2O, CENTRALIZED, 0.96)
    yield ratio("P", SMALLEST, BY_OWNER, CENTRALIZED, SPEC_P)
    yield ratio("P", SMALLEST, BY_MAX_SUM, CENTRALIZED, SPEC_P)
    for edges in book.effort.steps:
        if edges in GROWN:
            yield ratio("P", edges, BY_OWNER, BY_LOCAL, GROWN[edges])
    for edges in book.effort.distilled:
        yield ratio("P", edges, DISTILLED_MAX_SUM, BY_MAX_SUM, KEPT)
    for edges in book.effort.steps:
        for key, least in HEADROOM_BARS.items():
            what = f"P, N = {edges}: headroom recovered, {key.removeprefix('gain ')}"
            values = book.number("P", edges, HEADROOM, key)
            yield Bar(what, least, far, mean_of(values), only(values))
    for edges, most in TRAINING_S.items():
        if edges in book.effort.steps:
            for name, of in (("CPU", "cpu_s"), ("clock", "wall_s")):
                what = f"P, N = {edges}: training MA-DQL, {book.effort.steps[edges]:,} steps, {name} s"
                values = _spent(book, edges, of)
                yield Bar(what, -far, most, mean_of(values), only(values))


def only(values: Floats) -> float:
    """The one value there is; nan where there is none or there are more."""
    there = values[np.isfinite(values)]
    return float(there[0]) if len(there) == 1 else float("nan")


def _spent(book: Book, edges: int, of: str) -> Floats:
    found = [getattr(each, of) for each in book.results("P", edges, LOCAL) if each is not None]
    return np.array(found, dtype=float)


def table(found: list[Bar]) -> str:
    """In Markdown."""
    rows = [(bar.what, bar.asked, _shown(bar), str(bar.found.seeds) if bar.found else "-", bar.word) for bar in found]
    return markdown_table(("figure", "asked", "measured", "seeds", ""), rows)


def _shown(bar: Bar) -> str:
    digits = 1 if "training" in bar.what else 3
    return compared(bar.found, digits) if bar.found or np.isnan(bar.single) else f"{bar.single:.{digits}f}"
