"""Text for people: columns that fit the terminal, numbers in natural order, and what they may have meant."""

from __future__ import annotations

import difflib
import re
import shutil
import sys
from collections.abc import Iterable, Sequence

GAP = 2
ENDLESS = 10_000


def width() -> int:
    """Columns of the terminal; endless when the output goes elsewhere, where lines must stay whole."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else ENDLESS


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts /edge/10 after /edge/9."""
    parts = re.split("([0-9]+)", text)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], wide: int, spare: Sequence[str] = ()) -> list[str]:
    """Lines of a table.

    Args:
        head: Names of the columns. rows: Their cells. wide: Columns of the terminal.
        spare: Columns to leave out where the table is wider than that, the first first.
    """
    table = [list(head), *[list(row) for row in rows]]
    left_out = []
    for name in spare:
        if _total(table) <= wide:
            break
        at = table[0].index(name)
        left_out.append(name)
        for row in table:
            del row[at]
    sizes = _sizes(table)
    lines = ["".join(cell.ljust(size) for cell, size in zip(row, sizes, strict=True)).rstrip() for row in table]
    if wide < ENDLESS:
        lines = [line if len(line) <= wide else line[: wide - 1] + "…" for line in lines]
    return [*lines, f"(no room for {', '.join(left_out)}; --json has all)"] if left_out else lines


def _sizes(table: list[list[str]]) -> list[int]:
    return [max(map(len, column)) + GAP for column in zip(*table, strict=True)]


def _total(table: list[list[str]]) -> int:
    return sum(_sizes(table)) - GAP


def near(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Known names like a word; indices count less than the rest, so that /edge/12/outcom finds /edge/1/outcome."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=most)
    shape = re.sub("[0-9]+", "0", word)
    alike = [n for n in names if re.sub("[0-9]+", "0", n) in difflib.get_close_matches(shape, _shapes(names), n=1)]
    return list(dict.fromkeys([*close, *alike]))[:most]


def _shapes(names: list[str]) -> list[str]:
    return sorted({re.sub("[0-9]+", "0", name) for name in names})


def hint(word: str, known: Iterable[str], otherwise: str) -> str:
    """What to do about an unknown name."""
    found = near(word, known)
    return f"did you mean {' or '.join(found)}?" if found else otherwise
