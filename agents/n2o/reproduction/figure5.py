"""Figure 5: what an episode is worth, by who decides, and by the number of edge servers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agents.n2o.reproduction.claims import stated
from agents.n2o.reproduction.pictures import Bars, draw_bars
from agents.n2o.reproduction.plan import CENTRALIZED, SMALLEST, WORLDS, WorldName
from agents.n2o.reproduction.tables import BY_AVERAGE, BY_EXACT, BY_LOCAL, BY_N2O, NAMES, Book, measured
from agents.reproduction.comparing import mean_of
from agents.reproduction.verdicts import Finding, Verdict, finding, verdict
from agents.reproduction.writing import compared, markdown_table

PAPERS_LOCAL, PAPERS_N2O = 0.6206, 0.9139
"""[MA-DQL, N2O] parts of the centralised reward that the paper states."""

TITLE = "Figure 5: reward of an episode"
BASES = (CENTRALIZED, BY_EXACT, BY_LOCAL)


def table(book: Book) -> str:
    """Rewards and ratios of everyone in every world."""
    rows = []
    for world in WORLDS:
        for edges in book.effort.steps:
            rows += _rows(book, world, edges)
    heads = ("world", "N", "who", "seeds", "reward", *(f"/ {NAMES[base]}" for base in BASES))
    return markdown_table(heads, rows)


def judged(book: Book) -> list[Verdict]:
    """What the paper says of Figure 5."""

    def beside(name: str, base: str, *, worlds: Iterable[WorldName] = WORLDS) -> list[Finding]:
        found = []
        for world in worlds:
            found += finding(world, book.pair(world, SMALLEST, name, base).difference, rises=True)
        return found

    def value(name: str, of: float) -> list[Finding]:
        return [
            each for world in WORLDS for each in stated(world, book.pair(world, SMALLEST, name, CENTRALIZED).ratio, of)
        ]

    return [
        verdict("N1", "5", "Centralized DQL earns more than N2O.", "reward, centralized - N2O",
                beside(CENTRALIZED, BY_N2O)),
        verdict("N2", "5", "MA-DQL earns 62.06 % of centralized DQL.", "ratio", value(BY_LOCAL, PAPERS_LOCAL)),
        verdict("N3", "5", "N2O earns 91.39 % of centralized DQL.", "ratio, last point", value(BY_N2O, PAPERS_N2O)),
        verdict("N3", "5", "The same, by the running average.", "ratio, average", value(BY_AVERAGE, PAPERS_N2O)),
        verdict("N4", "5", "N2O earns more than MA-DQL.", "reward, N2O - MA-DQL", beside(BY_N2O, BY_LOCAL)),
    ]  # fmt: skip


def _rows(book: Book, world: WorldName, edges: int) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, who in NAMES.items():
        own = book.rewards(world, edges, name)
        if not measured(own):
            continue
        ratios = (book.pair(world, edges, name, base).words if name != base else "1" for base in BASES)
        reward = mean_of(own)
        shown = compared(reward, 1) if reward else f"{own[own == own][0]:.1f}"
        rows.append((world, str(edges), who, str(measured(own)), shown, *ratios))
    return rows


def draw(path: Path, book: Book) -> None:
    """Ratios to centralized DQL in all worlds at N = 4, and to exact P2 in P by N."""
    shown = {name: who for name, who in NAMES.items() if not name.startswith("by all") and "never" not in who}
    worlds = [world for world in WORLDS if book.pair(world, SMALLEST, BY_LOCAL, CENTRALIZED).ratio]
    sizes = [edges for edges in book.effort.steps if book.pair("P", edges, BY_LOCAL, BY_EXACT).ratio]
    first = Bars(
        f"N = {SMALLEST}, parts of centralized DQL",
        worlds,
        {
            who: [book.pair(world, SMALLEST, name, CENTRALIZED).ratio for world in worlds]
            for name, who in shown.items()
            if name != CENTRALIZED
        },
    )
    second = Bars(
        "P, parts of exact P2",
        [f"N = {edges}" for edges in sizes],
        {
            who: [book.pair("P", edges, name, BY_EXACT).ratio for edges in sizes]
            for name, who in shown.items()
            if name != BY_EXACT
        },
    )
    draw_bars(path, TITLE, "part of the reward", [first, second], list(NAMES.values()))
