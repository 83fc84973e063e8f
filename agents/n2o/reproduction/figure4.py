"""Figure 4: what each edge server's network rents by hour and price."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.reproduction.deciding import HOURS, PRICES
from agents.n2o.reproduction.plan import DECISIONS, SMALLEST, WORLDS, WorldName
from agents.n2o.reproduction.tables import Book
from agents.reproduction.comparing import mean_of
from agents.reproduction.verdicts import Verdict, finding, verdict
from agents.reproduction.writing import compared, markdown_table
from agents.sweep_plot import pyplot

TITLE = "Figure 4: what four edge servers rent by hour and price"


def rented(book: Book, world: WorldName) -> list[Floats]:
    """Rentals of each seed that is measured, shape (edge, hour and price)."""
    found = [each for each in book.results(world, SMALLEST, DECISIONS) if each is not None]
    return [np.array([each.numbers[f"edge {edge}"] for edge in range(SMALLEST)]) for each in found]


def between_servers(own: Floats) -> float:
    """Share of hours and prices in which two edge servers rent differently, mean over pairs."""
    pairs = [(one, other) for one in range(len(own)) for other in range(one)]
    return float(np.mean([np.mean(own[one] != own[other]) for one, other in pairs]))


def between_seeds(own: Floats, others: list[Floats]) -> float:
    """The same of one edge server in two trainings: what is chance, mean over servers and other seeds."""
    return float(np.mean([np.mean(own != other) for other in others])) if others else float("nan")


def shares(book: Book, world: WorldName) -> tuple[Floats, Floats]:
    """Both by seed, shape (seed,)."""
    seeds = rented(book, world)
    servers = [between_servers(own) for own in seeds]
    chance = [between_seeds(own, [other for other in seeds if other is not own]) for own in seeds]
    return np.array(servers), np.array(chance)


def table(book: Book) -> str:
    """How much servers differ, and how much of that is chance."""
    rows = []
    for world in WORLDS:
        servers, chance = shares(book, world)
        rows.append((world, str(len(servers)), compared(mean_of(servers), 3), compared(mean_of(chance), 3)))
    heads = ("world, N = 4", "seeds", "two servers rent differently", "one server in two trainings does")
    return markdown_table(heads, rows)


def judged(book: Book) -> list[Verdict]:
    """What the paper says of Figure 4."""
    found = []
    for world in WORLDS:
        servers, chance = shares(book, world)
        if len(servers) > 1:
            found += finding(world, mean_of(servers - chance), rises=True)
    says = "Rental decisions of different edge servers differ noticeably."
    measure = "share of hours and prices: two servers - one server in two trainings"
    return [verdict("N6", "4", says, measure, found)]


def draw(path: Path, book: Book) -> None:
    """Rentals of the first seed, a row a world and a column an edge server."""
    plt = pyplot()
    worlds = [world for world in WORLDS if rented(book, world)]
    figure, places = plt.subplots(
        max(1, len(worlds)), SMALLEST, figsize=(11.0, 0.9 + 2.2 * max(1, len(worlds))), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for row, world in zip(places, worlds, strict=False):
        (result, *_) = [each for each in book.results(world, SMALLEST, DECISIONS) if each is not None]
        low = 0.0 if world != "P" else 20.0
        for edge, place in enumerate(row):
            units = np.array(result.numbers[f"edge {edge}"]).reshape(HOURS, PRICES)
            shown = place.imshow(units.T, origin="lower", aspect="auto", extent=(0, HOURS, low, 40), vmin=0, vmax=2)
            place.set_title(f"{world}, edge server {edge}", fontsize=9)
        row[0].set_ylabel("price of a unit")
    for place in places[-1]:
        place.set_xlabel("hour")
    if worlds:
        figure.colorbar(shown, ax=places, ticks=(0, 1, 2), label="units rented")
    figure.suptitle(TITLE, fontsize=11)
    figure.savefig(path, dpi=110)
    plt.close(figure)
