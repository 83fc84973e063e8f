"""Real traces as they come: the rows of a file as arrays."""

from __future__ import annotations

import math
import re
from array import array
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.traces_kind import EVENT_COLUMNS, LONG_COLUMNS, Reading, recognise, refuse_columns, time_column
from emulator.traces_table import Table, TraceError, integer_of, name_of, number_of, open_table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PROGRESS_ROWS = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The entries of one trace, zeros of counts left out.

    Attributes:
        name: What notes call it: its folder's name, or its own.
        path: The file (the first one of several).
        kind: One of ``KINDS``.
        time: Its time column.
        at: Slot number or, for events, seconds, shape (entry,).
        mass: Count of each entry, in the trace's own unit; 1 for an event, shape (entry,).
        cell: Index into ``cells``, -1 where none is near enough, shape (entry,); None without a cell axis.
        service: Index into ``services``, shape (entry,); None without a service axis.
        cells: Names, empty without a cell axis.
        services: Names, empty without a service axis.
        lat: WGS84 degrees, shape (entry,), of events that name no cell; else None.
        lon: As ``lat``.
        line: Line of each entry, shape (entry,).
        rows_at: Slot number of every row, shape (row,), and with it ``rows_line``; only wide kinds have rows of zeros.
        rows_line: Line of every row, shape (row,).
    """

    name: str
    path: Path
    kind: str
    time: str
    at: Floats
    mass: Floats
    cell: Ints | None
    service: Ints | None
    cells: tuple[str, ...]
    services: tuple[str, ...]
    lat: Floats | None
    lon: Floats | None
    line: Ints
    rows_at: Floats
    rows_line: Ints

    @property
    def is_wide(self) -> bool:
        """Whether a slot without a row is a hole and not a slot without demand."""
        return self.kind.startswith("wide")

    @property
    def axes(self) -> str:
        """Which axes it has: "cell+service", "cell", "service" or "" (time only)."""
        has_cells = self.cell is not None or self.lat is not None
        return "+".join(axis for axis, has in (("cell", has_cells), ("service", self.service is not None)) if has)


def read_trace(path: Path, name: str, reading: Reading) -> Trace:
    """Read one trace.

    Args:
        path: A CSV file, gzipped if its name ends in .gz.
        name: What notes call it.
        reading: How.

    Raises:
        TraceError: Anything wrong with it, with the line.
    """
    with open_table(path) as table:
        kind = recognise(path, table.header, reading)
        if kind == "events":
            trace = _read_events(table, name, reading)
        elif kind == "long":
            trace = _read_long(table, name, reading)
        else:
            trace = _read_wide(table, name, kind, reading)
    if not trace.rows_at.size:
        raise TraceError("a header and no rows; there is no demand in it", path, 1)
    return trace


def _read_wide(table: Table, name: str, kind: str, reading: Reading) -> Trace:
    time = time_column(table, reading)
    axis = "cell" if kind == "wide-cells" else "service"
    taken = [i for i, column in enumerate(table.header) if column != time and column not in reading.ignored]
    names = tuple(name_of(table.header[i], f"column of {axis}", table.path, 1) for i in taken)
    if axis == "cell":
        _refuse_unknown(names, reading.cells, table.path)
    at = table.column(time)
    slots, lines, counts = array("d"), array("q"), array("d")
    for line, fields in table.rows:
        slots.append(integer_of(fields[at], time, table.path, line))
        lines.append(line)
        counts.extend(_counts([fields[i] for i in taken], names, table.path, line))
        _report(reading, table.path, len(lines))
    grid = np.array(counts).reshape(len(lines), len(names))
    row, column = np.nonzero(grid)
    rows_at, rows_line = np.array(slots), np.array(lines, dtype=np.int64)
    trace = Trace(
        name=name,
        path=table.path,
        kind=kind,
        time=time,
        at=rows_at[row],
        mass=grid[row, column],
        cell=column.astype(np.int64) if axis == "cell" else None,
        service=column.astype(np.int64) if axis == "service" else None,
        cells=names if axis == "cell" else (),
        services=names if axis == "service" else (),
        lat=None,
        lon=None,
        line=rows_line[row],
        rows_at=rows_at,
        rows_line=rows_line,
    )
    refuse_duplicates(trace)
    return _in_order_of(trace, reading.cells)


def _counts(fields: list[str], names: tuple[str, ...], path: Path, line: int) -> list[float]:
    """Counts of a wide row: quick when all is well, then field by field to name the one at fault."""
    try:
        values = [float(field) for field in fields]
        if all(0.0 <= value < math.inf for value in values) and not any("_" in field for field in fields):
            return values
    except ValueError:
        pass
    return [
        number_of(field, f"count of {name}", path, line) for field, name in zip(fields, names, strict=True)
    ]  # raises


def _read_long(table: Table, name: str, reading: Reading) -> Trace:
    time = time_column(table, reading)
    refuse_columns(table, (time, *LONG_COLUMNS), reading)
    at, of_count = table.column(time), table.column("count")
    cells, services = _Names("cell", table, reading, reading.cells), _Names("service", table, reading, ())
    slots, lines, counts = array("d"), array("q"), array("d")
    for line, fields in table.rows:
        slots.append(integer_of(fields[at], time, table.path, line))
        counts.append(number_of(fields[of_count], "count", table.path, line))
        cells.take(fields, line)
        services.take(fields, line)
        lines.append(line)
        _report(reading, table.path, len(lines))
    trace = _from_rows(table, name, "long", time, (slots, counts, lines), cells, services)
    refuse_duplicates(trace)
    return _in_order_of(trace, reading.cells)


def _read_events(table: Table, name: str, reading: Reading) -> Trace:
    refuse_columns(table, EVENT_COLUMNS, reading)
    used = [column for column in table.header if column not in reading.ignored]
    if ("lat" in used) != ("lon" in used):
        raise TraceError("lat and lon belong together; one is missing", table.path, 1)
    if "cell" in used and "lat" in used:
        raise TraceError("both cell and lat,lon say where; pass over one with --ignore-column", table.path, 1)
    at = table.column("t_s")
    places = [table.column(column) for column in ("lat", "lon") if column in used]
    cells, services = _Names("cell", table, reading, reading.cells), _Names("service", table, reading, ())
    times, lines, positions = array("d"), array("q"), (array("d"), array("d"))
    for line, fields in table.rows:
        times.append(number_of(fields[at], "t_s", table.path, line))
        cells.take(fields, line)
        services.take(fields, line)
        for into, index, limit in zip(positions, places, (90.0, 180.0), strict=False):
            into.append(_degrees(fields[index], table.header[index], limit, table.path, line))
        lines.append(line)
        _report(reading, table.path, len(lines))
    ones = array("d", [1.0]) * len(lines)
    trace = _from_rows(table, name, "events", "t_s", (times, ones, lines), cells, services)
    if places:
        trace = replace(trace, lat=np.array(positions[0]), lon=np.array(positions[1]))
    return _in_order_of(trace, reading.cells)


def _degrees(text: str, column: str, limit: float, path: Path, line: int) -> float:
    value = number_of(text, column, path, line, least=None)
    if abs(value) > limit:
        raise TraceError(f"{column} {value:g} is beyond {limit:g} degrees", path, line)
    return value


class _Names:
    """Names of one axis as they come up in rows, turned to indices."""

    def __init__(self, axis: str, table: Table, reading: Reading, known: tuple[str, ...]) -> None:
        self._axis, self._path, self._known = axis, table.path, frozenset(known)
        present = axis in table.header and axis not in reading.ignored
        self._column = table.header.index(axis) if present else None
        self._index: dict[str, int] = {}
        self._entries = array("q")

    def take(self, fields: list[str], line: int) -> None:
        if self._column is None:
            return
        text = fields[self._column].strip()
        index = self._index.get(text)
        if index is None:
            name = name_of(text, self._axis, self._path, line)
            if self._known and name not in self._known:
                raise TraceError(f"{self._axis} {name!r} is not in the table of {self._axis}s", self._path, line)
            index = self._index[name] = len(self._index)
        self._entries.append(index)

    def taken(self) -> tuple[tuple[str, ...], Ints | None]:
        """Names in natural order and the index of every entry."""
        if self._column is None:
            return (), None
        names = list(self._index)
        order = sorted(range(len(names)), key=lambda i: natural_key(names[i]))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return tuple(names[i] for i in order), rank[np.array(self._entries, dtype=np.int64)]


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which c2 comes before c10."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)


def _from_rows(
    table: Table,
    name: str,
    kind: str,
    time: str,
    columns: tuple[array[float], array[float], array[int]],
    cells: _Names,
    services: _Names,
) -> Trace:
    at, mass, line = np.array(columns[0]), np.array(columns[1]), np.array(columns[2], dtype=np.int64)
    cell_names, cell = cells.taken()
    service_names, service = services.taken()
    return Trace(
        name=name,
        path=table.path,
        kind=kind,
        time=time,
        at=at,
        mass=mass,
        cell=cell,
        service=service,
        cells=cell_names,
        services=service_names,
        lat=None,
        lon=None,
        line=line,
        rows_at=at,
        rows_line=line,
    )


def _in_order_of(trace: Trace, cells: tuple[str, ...]) -> Trace:
    """The trace with its cells numbered as in the table of cells; cells it never names have no demand."""
    if not cells or trace.cell is None:
        return trace
    place = {name: index for index, name in enumerate(cells)}
    return replace(trace, cells=cells, cell=np.array([place[name] for name in trace.cells], dtype=np.int64)[trace.cell])


def refuse_duplicates(trace: Trace) -> None:
    """Refuse counts that give one slot (of one cell and service) twice.

    Raises:
        TraceError: Names the second line and the first.
    """
    keys: list[NDArray[Any]] = [trace.rows_at if trace.is_wide else trace.at]
    lines = trace.rows_line if trace.is_wide else trace.line
    if not trace.is_wide:
        keys += [axis for axis in (trace.cell, trace.service) if axis is not None]
    order = np.lexsort((lines, *reversed(keys)))
    same = np.ones(max(order.size - 1, 0), dtype=bool)
    for key in keys:
        same &= key[order[1:]] == key[order[:-1]]
    if same.any():
        found = int(np.flatnonzero(same)[np.argmin(lines[order[1:]][same])])
        first, second = int(order[found]), int(order[found + 1])
        what = f"{trace.time} {int(keys[0][second])}"
        if not trace.is_wide and trace.cell is not None:
            what += f", cell {trace.cells[trace.cell[second]]}"
        if not trace.is_wide and trace.service is not None:
            what += f", service {trace.services[trace.service[second]]}"
        raise TraceError(f"{what} is given twice (first in line {lines[first]})", trace.path, int(lines[second]))


def _refuse_unknown(names: tuple[str, ...], known: tuple[str, ...], path: Path) -> None:
    for name in names:
        if known and name not in known:
            raise TraceError(f"cell {name!r} is not in the table of cells", path, 1)


def _report(reading: Reading, path: Path, rows: int) -> None:
    if rows % PROGRESS_ROWS == 0:
        reading.progress(path, rows)
