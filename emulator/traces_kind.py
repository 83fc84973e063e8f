"""What a trace is, told from its header.

Kinds: ``wide-cells`` and ``wide-services`` (a time column and one column of counts for each cell or service), ``long``
(a time column, ``count`` and any of ``cell`` and ``service``) and ``events`` (one row a request: ``t_s`` and any of
``cell`` or ``lat,lon``, and ``service``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from emulator.traces_table import Table, TraceError, open_table

KINDS = ("wide-cells", "wide-services", "long", "events")
ROW_S = {"slot": None, "second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
"""Time columns of counts and how long a row is, seconds; a ``slot`` is as long as the user says."""

EVENT_COLUMNS = ("t_s", "cell", "service", "lat", "lon")
LONG_COLUMNS = ("cell", "service", "count")
TABLE_COLUMNS = ("cell", "service")
_CELL_COLUMN = re.compile(r"(c|cell|site|bs|square)[_-]?\d+\Z", re.IGNORECASE)
_SERVICE_COLUMN = re.compile(r"(f|s|fn|func|function|svc|service|app)[_-]?\d+\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read.

    Attributes:
        kind: Forced kind, None to tell it from the header.
        ignored: Columns to pass over.
        cells: Names that a table of cells gives, () when there is none.
        services: Names that a table of services gives, () when there is none.
        progress: Told (file, rows read) now and then.
    """

    kind: str | None = None
    ignored: frozenset[str] = frozenset()
    cells: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    progress: Callable[[Path, int], None] = lambda path, rows: None


def header_of(path: Path) -> tuple[str, ...]:
    """The column names of a CSV file.

    Raises:
        TraceError: It cannot be read.
    """
    with open_table(path) as table:
        return table.header


def looks_like_trace(header: Iterable[str]) -> bool:
    """Whether a header has a time column, so that the file is a trace and not a table of cells or services."""
    return "t_s" in header or any(column in ROW_S for column in header)


def recognise(path: Path, header: tuple[str, ...], reading: Reading) -> str:
    """The kind of a trace, told from its header.

    Raises:
        TraceError: It is none, or cannot be told.
    """
    if reading.kind is not None:
        return reading.kind
    if "t_s" in header:
        return "events"
    times = [column for column in header if column in ROW_S]
    others = [column for column in header if column not in ROW_S and column not in reading.ignored]
    if not times:
        raise TraceError(
            f"not a trace: no time column (counts have one of {', '.join(ROW_S)}; events have t_s) "
            f"among {', '.join(header[:8])}",
            path,
            1,
        )
    if "count" in others or set(others) & set(TABLE_COLUMNS):
        return "long"
    for kind, known, pattern in (
        ("wide-cells", reading.cells, _CELL_COLUMN),
        ("wide-services", reading.services, _SERVICE_COLUMN),
    ):
        if others and (set(others) <= set(known) or all(pattern.match(name) for name in others)):
            return kind
    text = f"cannot tell whether {', '.join(others[:4]) or 'nothing'} are cells or services; say --kind wide-cells or "
    raise TraceError(text + "--kind wide-services", path, 1)


def time_column(table: Table, reading: Reading) -> str:
    """The one time column of counts.

    Raises:
        TraceError: There is none, or there are several.
    """
    times = [column for column in table.header if column in ROW_S and column not in reading.ignored]
    if len(times) != 1:
        text = f"one time column is needed (one of {', '.join(ROW_S)}), found {', '.join(times) or 'none'}"
        raise TraceError(text, table.path, 1)
    return times[0]


def refuse_columns(table: Table, known: tuple[str, ...], reading: Reading) -> None:
    """Refuse columns that mean nothing, so that a misspelt one is not passed over in silence.

    Raises:
        TraceError: Names the first unknown column.
    """
    for column in table.header:
        if column not in known and column not in reading.ignored:
            text = f"unknown column {column!r}; pass over it with --ignore-column {column} (known: {', '.join(known)})"
            raise TraceError(text, table.path, 1)
