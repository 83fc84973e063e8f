"""The theorems' rates beside the error that is measured."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.reproduction import theory
from agents.n2o.reproduction.pictures import Curve, Curves, draw_curves
from agents.n2o.reproduction.tables import Book
from agents.reproduction.comparing import mean_of
from agents.reproduction.verdicts import Verdict, finding, verdict
from agents.reproduction.writing import compared, markdown_table

TITLE = "Theorems 2 and 3: rates and measured error on concave functions"
SIZES: Final = (4, 9, 16, 25)
FAILING_SIZE: Final = 16
FITTED_FROM: Final = 100
PART: Final = 0.2
SHOWN: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 3000)


class Rate(NamedTuple):
    """One graph, its gap, and the errors of all seeds, shape (seed, round)."""

    name: str
    size: int
    gap: float
    errors: Floats

    @property
    def exponents(self) -> Floats:
        """Slopes of log error over log T, shape (seed,)."""
        return np.array([theory.exponent(error, FITTED_FROM) for error in self.errors])

    @property
    def rounds(self) -> Floats:
        """Rounds to a fifth of the first error, shape (seed,)."""
        return np.array([theory.rounds_to(error, PART) for error in self.errors])


@cache
def by_topology(seeds: int) -> tuple[Rate, ...]:
    """Theorem 2: the same functions, mixed over different graphs."""
    found = []
    for size in SIZES:
        grid = theory.grid(round(size**0.5))
        for name, graph in theory.topologies(size).items():
            weights = theory.mixing(graph)
            errors = [
                theory.run(theory.problem(grid, seed), theory.failing(weights, 0.0, seed), theory.ROUNDS).error
                for seed in range(1, seeds + 1)
            ]
            found.append(Rate(name, size, theory.gap(weights), np.array(errors)))
    return tuple(found)


@cache
def by_failure(seeds: int) -> tuple[Rate, ...]:
    """Theorem 3: a grid whose links fail."""
    grid = theory.grid(round(FAILING_SIZE**0.5))
    weights, found = theory.mixing(grid), []
    for share in theory.FAILING:
        errors = [
            theory.run(theory.problem(grid, seed), theory.failing(weights, share, seed), theory.ROUNDS).error
            for seed in range(1, seeds + 1)
        ]
        gap = theory.expected_gap(weights, share)
        found.append(Rate(f"failure {share:g}", FAILING_SIZE, gap, np.array(errors)))
    return tuple(found)


def table(book: Book) -> str:
    """Gaps, exponents and rounds."""
    seeds = book.effort.seeds
    rows = [
        (rate.name, str(rate.size), f"{rate.gap:.3f}", compared(mean_of(rate.exponents)),
         compared(mean_of(rate.errors[:, 49]), 4), compared(mean_of(rate.errors[:, -1]), 4),
         compared(mean_of(rate.rounds), 0))
        for rate in (*by_topology(seeds), *by_failure(seeds))
    ]  # fmt: skip
    heads = ("graph", "N", "1 - sigma_2 (of E[W'W] where links fail)", "exponent of T", "error, T = 50",
             f"T = {theory.ROUNDS}", f"rounds to {PART} of the first error")  # fmt: skip
    return markdown_table(heads, rows) + "\n\n" + _nonconvex()


def gap_exponents(rates: list[Rate]) -> Floats:
    """Slopes of log error after the last round over log 1 / gap, by seed, shape (seed,)."""
    away = np.log([1.0 / rate.gap for rate in rates])
    errors = np.log([rate.errors[:, -1] for rate in rates])
    return np.array([np.polyfit(away, column, 1)[0] for column in errors.T])


def _nonconvex() -> str:
    """The theorems' third term, which does not fall."""
    psi, slope = theory.MOST**2 / 2.0 * 10.0, theory.MOST * 10.0
    terms = {rounds: rounds**0.5 * (2.0 * psi + theory.MOST * slope) for rounds in (1, 50, 1000)}
    shown = ", ".join(f"{value:,.0f} at T = {rounds}" for rounds, value in terms.items())
    return (
        "The third term of Theorems 1 and 3, NONC, is divided by beta(T) = T^-1/2, so it grows with T: a single rental "
        f"in [0, 2] with gamma = 10 and its centre at an end gives {shown} units of reward. "
        "Theorem 2's rate leaves it out; for networks that are not concave the theorems bound nothing."
    )


def judged(book: Book) -> list[Verdict]:
    """What the theorems say, held against what was measured."""
    seeds = book.effort.seeds
    fast, gaps, within, failures = [], [], [], []
    for rate in by_topology(seeds):
        fast += finding(f"{rate.name}, N = {rate.size}", mean_of(rate.exponents + 0.5), rises=False)
    for size in SIZES:
        of_size = sorted((rate for rate in by_topology(seeds) if rate.size == size), key=lambda rate: rate.gap)
        least, most = of_size[0], of_size[-1]
        gaps += finding(f"N = {size}, {least.name} over {most.name}",
                        mean_of(np.log(least.errors[:, -1] / most.errors[:, -1])), rises=True)  # fmt: skip
        within += finding(f"N = {size}", mean_of(gap_exponents(of_size) - 1.0), rises=False)
    none, *rest = by_failure(seeds)
    for rate in rest:
        failures += finding(rate.name, mean_of(np.log(rate.errors[:, -1] / none.errors[:, -1])), rises=True)
    return [
        verdict("T2", "Theorem 2", "On concave functions the error falls at least as T^-1/2.", "exponent + 1/2", fast),
        verdict("T2", "Theorem 2", "A smaller spectral gap means a larger error.",
                f"log of the errors' ratio after {theory.ROUNDS} rounds", gaps),
        verdict("T2", "Theorem 2", "The error grows at most as 1 / (1 - sigma_2).",
                "exponent of 1 / (1 - sigma_2) over four graphs, less 1", within),
        verdict("T3", "Theorem 3", "It still falls where links fail, but slower.",
                f"log of the error's ratio to that without failure, {theory.ROUNDS} rounds", failures),
    ]  # fmt: skip


def draw(path: Path, book: Book) -> None:
    """Errors over rounds, doubly logarithmic, beside T ** -1/2."""
    seeds = book.effort.seeds
    at = np.array(SHOWN, dtype=float)
    panels = []
    for title, rates in (
        (f"graphs, N = {FAILING_SIZE}", [rate for rate in by_topology(seeds) if rate.size == FAILING_SIZE]),
        ("grids", [rate for rate in by_topology(seeds) if rate.name == "grid"]),
        (f"grid, N = {FAILING_SIZE}, links fail", list(by_failure(seeds))),
    ):
        curves = [
            Curve(f"{rate.name}, N = {rate.size}, gap {rate.gap:.3f}", at, _means(rate), style)
            for style, rate in enumerate(rates)
        ]
        panels.append(
            Curves(
                title,
                "rounds T",
                [*curves, Curve("T^-1/2", at, 0.3 * at[None] ** -0.5, 7, dashed=True)],
                logarithmic=True,
            )
        )
    draw_curves(path, TITLE, "error of the worst server", panels, legends=True)


def _means(rate: Rate) -> Floats:
    """Mean error over seeds at the rounds shown, shape (1, round): bands on a logarithmic axis could go below 0."""
    found: Floats = rate.errors[:, np.array(SHOWN) - 1].mean(axis=0)[None]
    return found
