"""A comparison of runs as text of any width from 60 columns on."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Final

from monitoring.report import Comparison, Row

NARROWEST: Final = 60
NAME_WIDTH: Final = 20
CELL_WIDTH: Final = 13
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NOTHING: Final = "-"


def render(comparison: Comparison, width: int) -> str:
    """The table; below 60 columns it is as wide as 60."""
    cells = [[value(row) for row in comparison.rows] for _, value in LINES]
    names = [name for name, _ in LINES]
    if len(comparison.rows) > 1:
        others = comparison.rows[1:]
        names += ["slot minus A [s]", "  95 % interval [s]"]
        cells += [["", *map(_difference, others)], ["", *map(_interval, others)]]
    titles = [f"{row.label}  {row.run.folder}" for row in comparison.rows]
    return laid_out(titles, names, cells, comparison.notes, width)


def laid_out(
    titles: Sequence[str], names: Sequence[str], cells: Sequence[Sequence[str]], notes: Sequence[str], width: int
) -> str:
    """Runs beside each other, in blocks where not all fit.

    Args:
        titles: Of the runs.
        names: Of the lines.
        cells: A row for each line, a cell for each run.
        notes: Sentences below.
        width: Columns of the terminal; what is below 60 is taken as 60.
    """
    width = max(width, NARROWEST)
    letters = [_letter(k) for k in range(len(titles))]
    lines = [_cut(f"{letter}  {title}", width) for letter, title in zip(letters, titles, strict=True)]
    a_block = (width - NAME_WIDTH) // CELL_WIDTH
    for start in range(0, len(titles), a_block):
        block = slice(start, start + a_block)
        lines += ["", _line("", letters[block])]
        shown = [(name, row[block]) for name, row in zip(names, cells, strict=True)]
        lines += [_line(name, row) for name, row in shown if any(row)]
    for note in notes:
        lines += ["", *textwrap.wrap(note, width, break_on_hyphens=False)]
    return "\n".join(lines) + "\n"


def _letter(index: int) -> str:
    return LETTERS[index] if index < len(LETTERS) else str(index + 1)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _line(name: str, cells: Sequence[str]) -> str:
    return name.ljust(NAME_WIDTH) + "".join(cell.rjust(CELL_WIDTH) for cell in cells)


def number(value: float | None, scale: float = 1.0) -> str:
    """Three digits after the point, or four in all where that is less."""
    if value is None:
        return NOTHING
    value *= scale
    return f"{value:.3f}" if abs(value) < 10.0 else f"{value:.2f}" if abs(value) < 100.0 else f"{value:,.0f}"


def _share(target: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        return f"{100.0 * row.tasks_share[target]:.1f}" if row.tasks_share else NOTHING

    return cell


def _difference(row: Row) -> str:
    return "not paired" if row.unpaired else f"{row.paired.mean_s:+.3f}" if row.paired else NOTHING


def _interval(row: Row) -> str:
    paired = row.paired
    return f"±{paired.half_width_s:.3f}" if paired is not None and paired.half_width_s is not None else NOTHING


LINES: Final[tuple[tuple[str, Callable[[Row], str]], ...]] = (
    ("slots", lambda row: f"{row.slots:,}"),
    ("delay, mean [s]", lambda row: number(row.delay_s)),
    ("delay, p50 [s]", lambda row: number(row.p50_s)),
    ("delay, p95 [s]", lambda row: number(row.p95_s)),
    ("all to cloud [s]", lambda row: number(row.all_cloud_s)),
    ("reward a frame [s]", lambda row: number(row.reward_s)),
    ("tasks local [%]", _share("local")),
    ("tasks peer [%]", _share("peer")),
    ("tasks cloud [%]", _share("cloud")),
    ("tasks dropped [%]", _share("dropped")),
    ("wire [kB/slot]", lambda row: number(row.wire_bytes, 1e-3)),
    ("decision, p50 [ms]", lambda row: number(row.decision_p50_s, 1e3)),
)
