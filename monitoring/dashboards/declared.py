"""What a dashboard is made of, as far as we decide it: panels, their queries, and the run that proves each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

Proof = Literal["offloading", "rental", "learning", "fault", "swap"]
"""The run on which a query is proved to return data; tests/containers makes them all."""

View = Literal["lines", "stacked", "stat", "names", "timeline", "table", "matrix", "text"]
"""``names`` shows what a series is called, not its value; ``matrix`` has a row an instance, a column a receiver."""

RUN: Final = 'run="$run"'
EDGE: Final = f'{RUN}, edge="$edge"'

Threshold = tuple[float | None, str]
"""From which value on, and its colour; the first has None."""

PLAIN: Final[tuple[Threshold, ...]] = ()
NONE_IS_GOOD: Final[tuple[Threshold, ...]] = ((None, "green"), (1e-9, "red"))
LESS_IS_BETTER: Final[tuple[Threshold, ...]] = ((None, "green"), (0.25, "orange"), (1.0, "red"))
"""For what takes part of a slot of a second."""

ABOUT_1: Final[tuple[Threshold, ...]] = ((None, "red"), (0.95, "green"))
MORE_IS_BETTER: Final[tuple[Threshold, ...]] = ((None, "red"), (0.0, "green"))


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Attributes:
        expr: PromQL with Grafana's variables ``$run``, ``$edge`` and ``$__rate_interval``.
        legend: What its series are called; labels in double braces.
        proof: The run that proves it; empty: the panel's.
        calm: Whether it may well be 0 throughout its proof, since nothing is wrong there.
    """

    expr: str
    legend: str = ""
    proof: Proof | Literal[""] = ""
    calm: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: Unique on its page.
        description: What it shows, and what to do about it; the text itself for the view ``text``.
        unit: Grafana's name of the unit, such as ``s`` or ``ops``; ``short`` is a bare number.
        queries: At least one, but for the view ``text``.
        proof: The run that proves its queries.
        view: How it looks.
        thresholds: Colours by value.
        width: Of 24 columns.
        height: In rows of 30 pixels.
        most: The end of the scale, where there is one.
        words: What values are shown as, for states.
    """

    title: str
    description: str
    unit: str = "short"
    queries: tuple[Query, ...] = ()
    proof: Proof = "offloading"
    view: View = "lines"
    thresholds: tuple[Threshold, ...] = PLAIN
    width: int = 12
    height: int = 8
    most: float | None = None
    words: tuple[tuple[float, str, str], ...] = ()

    def proved_by(self, query: Query) -> Proof:
        """The run that proves one of its queries."""
        return query.proof or self.proof


def stat(
    title: str,
    description: str,
    unit: str,
    expr: str,
    *,
    proof: Proof = "offloading",
    thresholds: tuple[Threshold, ...] = PLAIN,
) -> Panel:
    """A panel of one number, six in a row."""
    return Panel(title, description, unit, (Query(expr),), proof, "stat", thresholds, width=4, height=4)


@dataclass(frozen=True, slots=True)
class Row:
    """A headline, and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """What is marked on all panels of a page.

    Attributes:
        name: What it is called.
        expr: A query whose samples are the moments; with ``is_time`` its value is the moment, in milliseconds.
        text: What is written beside the mark.
        colour: Of the mark.
        proof: The run that proves it.
    """

    name: str
    expr: str
    text: str
    colour: str
    proof: Proof
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard.

    Attributes:
        name: Of its file, and of its uid.
        title: As people see it.
        description: What it is for.
        rows: From top to bottom.
        asks_edge: Whether an edge server is chosen.
        events: Marked on its panels.
    """

    name: str
    title: str
    description: str
    rows: tuple[Row, ...]
    asks_edge: bool = False
    events: tuple[Event, ...] = field(default=())

    @property
    def uid(self) -> str:
        """Grafana's name of it, part of its address."""
        return f"edgerig-{self.name}"

    def panels(self) -> list[Panel]:
        """All panels, from top to bottom."""
        return [panel for row in self.rows for panel in row.panels]
