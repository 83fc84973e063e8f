"""Make the small canonical trace that ships with edgerig: a made-up hour of a street of five cells.

It shows the whole way from counts to demand: write a trace as plain CSV, import it, look at it.

    python examples/make_small_trace.py small_trace
    edgerig inspect small_trace --plot small_trace.png

A wave runs down the street: every cell's demand rises and falls once an hour, each peak 12 minutes after its
neighbour's, as if people walked by. Eight services share it by a Zipf law; two change places half-way.
"""

from __future__ import annotations

import csv
import math
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from emulator.cli.traces import import_command

MINUTES = 60
CELLS = [f"c{index}" for index in range(5)]
SERVICES = ["maps", "chat", "video", "voice", "search", "games", "alerts", "photos"]
MEAN_TASKS = 7.0  # of a cell in a minute
SWING = 0.8
ZIPF = 0.9


def expected(minute: int, cell: int, rank: int) -> float:
    """Tasks that a cell asks for in a minute from the service of a rank (0 is the most popular)."""
    wave = 1.0 + SWING * math.sin(2.0 * math.pi * (minute / MINUTES - cell / len(CELLS)))
    share = (rank + 1) ** -ZIPF / sum((other + 1) ** -ZIPF for other in range(len(SERVICES)))
    return MEAN_TASKS * wave * share


def counts() -> Iterable[Sequence[object]]:
    """Rows minute,cell,service,count; from the second half hour on the first and the third service change places."""
    for minute in range(MINUTES):
        order = [2, 1, 0, 3, 4, 5, 6, 7] if minute >= MINUTES // 2 else range(len(SERVICES))
        for cell, name in enumerate(CELLS):
            for rank, service in enumerate(order):
                yield minute, name, SERVICES[service], f"{expected(minute, cell, rank):.4f}"


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a CSV file and return its name for the command line."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def main(out: str) -> None:
    """Write the trace and the street's table, then do what `edgerig import` does with them."""
    with tempfile.TemporaryDirectory() as folder:
        trace = write(Path(folder) / "street.csv", ["minute", "cell", "service", "count"], counts())
        cells = write(
            Path(folder) / "cells.csv", ["cell", "row", "col"], ((name, 0, col) for col, name in enumerate(CELLS))
        )
        words = [trace, "-o", out, "--cells", cells, "--round", "poisson", "--seed", "7"]
        words += ["--source", "made up by examples/make_small_trace.py", "--licence", "Apache-2.0"]
        import_command.main(words, standalone_mode=False)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "small_trace")
