"""Figure 11: distilled actors beside who taught them, by the number of edge servers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from agents.n2o.reproduction.pictures import Bars, draw_bars
from agents.n2o.reproduction.plan import DISTILLED_MAX_SUM, DISTILLED_N2O, SMALLEST, WorldName
from agents.n2o.reproduction.tables import BY_LOCAL, BY_MAX_SUM, BY_N2O, NAMES, Book, measured
from agents.reproduction.comparing import difference, mean_of
from agents.reproduction.verdicts import Finding, Verdict, finding, verdict
from agents.reproduction.writing import compared, markdown_table

TITLE = "Figure 11: actors and their teachers"
TAUGHT = {DISTILLED_N2O: BY_N2O, DISTILLED_MAX_SUM: BY_MAX_SUM}


def cases(book: Book) -> Iterator[tuple[WorldName, int]]:
    """Where actors are distilled."""
    yield "A, fault", SMALLEST
    for edges in book.effort.distilled:
        yield "P", edges


def table(book: Book) -> str:
    """Rewards of actors and teachers, and their ratio."""
    rows = []
    for world, edges in cases(book):
        for actors, teacher in TAUGHT.items():
            pair = book.pair(world, edges, actors, teacher)
            if measured(pair.own):
                rewards = (compared(mean_of(each), 1) for each in pair)
                seeds = str(measured(pair.own))
                rows.append((world, str(edges), NAMES[actors], seeds, *rewards, compared(pair.ratio, 3)))
    return markdown_table(("world", "N", "actors", "seeds", "reward", "teacher's", "ratio"), rows)


def judged(book: Book) -> list[Verdict]:
    """What the paper says of Figure 11."""
    better: list[Finding] = []
    larger: list[Finding] = []
    for world, edges in cases(book):
        who = f"{world}, N = {edges}"
        better += finding(who, book.pair(world, edges, DISTILLED_N2O, BY_N2O).difference, rises=True)
    sizes = book.effort.distilled
    for small, large in pairwise(sizes):
        found = difference(*(book.rewards("P", edges, DISTILLED_N2O) for edges in (large, small)))
        larger += finding(f"P, N = {large} - N = {small}", found, rises=True)
    return [
        verdict("N13", "11", "Distilled actors earn more than N2O, which taught them.", "reward, actors - N2O", better),
        verdict("N13", "11", "More edge servers earn more.", "reward of an episode, actors", larger),
    ]


def draw(path: Path, book: Book) -> None:
    """Rewards in parts of MA-DQL's."""
    groups = [each for each in cases(book) if any(measured(book.rewards(*each, name)) for name in TAUGHT)]
    values = {
        NAMES[name]: [book.pair(world, edges, name, BY_LOCAL).ratio for world, edges in groups]
        for name in (BY_N2O, DISTILLED_N2O, BY_MAX_SUM, DISTILLED_MAX_SUM)
    }
    names = [f"{world}\nN = {edges}" for world, edges in groups]
    draw_bars(path, TITLE, "part of MA-DQL's reward", [Bars("", names, values)], list(NAMES.values()))
