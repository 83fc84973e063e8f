"""CSV tables, plain or gzipped, whose every error names file and line."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import math
import re
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import ScenarioError

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class TraceError(ScenarioError):
    """A trace, a table beside it or canonical demand cannot be used.

    Attributes:
        file: The file at fault, None where no single file is.
        line: Its line, counted from 1, None where no single line is.
    """

    def __init__(self, text: str, file: Path | str | None = None, line: int | None = None) -> None:
        self.file = None if file is None else Path(file)
        self.line = line
        place = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__(place + " ".join(text.split()))


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file that is being read: its header and, once, its rows.

    Attributes:
        path: The file.
        header: Column names, stripped, all different.
        rows: (line, fields) of every row that is not blank; each has as many fields as the header.
    """

    path: Path
    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]

    def column(self, name: str) -> int:
        """Index of a column.

        Raises:
            TraceError: There is no such column.
        """
        if name not in self.header:
            raise TraceError(f"no column {name!r} (there are: {', '.join(self.header[:8])})", self.path, 1)
        return self.header.index(name)


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Open a CSV file for one pass; a name that ends in .gz is gunzipped on the way.

    Raises:
        TraceError: Missing, unreadable, empty, not text, a broken gzip or a row of another length; also while rows are
            read.
    """
    place = [0]
    with _told(path, place), contextlib.ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        unpacked: Any = stack.enter_context(gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
        lines = stack.enter_context(io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline=""))
        reader = csv.reader(lines, strict=True)
        fields = next(reader, None)
        place[0] = 1
        if fields is None:
            raise TraceError("the file is empty; a header line is needed", path)
        header = tuple(field.strip() for field in fields)
        for column in header:
            if not column or header.count(column) > 1:
                raise TraceError(f"column {column!r} is {'given twice' if column else 'without a name'}", path, 1)
        yield Table(path, header, _rows(path, header, reader, place))


def _rows(path: Path, header: tuple[str, ...], reader: Any, place: list[int]) -> Iterator[tuple[int, list[str]]]:
    for fields in reader:
        place[0] = reader.line_num
        if not fields:
            continue
        if len(fields) != len(header):
            raise TraceError(f"{len(fields)} fields, the header has {len(header)}", path, reader.line_num)
        yield reader.line_num, fields


@contextlib.contextmanager
def _told(path: Path, place: list[int]) -> Iterator[None]:
    """Turn what the system says of a file into one line about it."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        text = f"the gzip is broken or cut off after line {place[0]} ({error}); fetch the file again"
        raise TraceError(text, path, place[0] or None) from error
    except UnicodeDecodeError as error:
        text = f"not UTF-8 text somewhere after line {place[0]} ({error.reason}); save it as UTF-8 CSV"
        raise TraceError(text, path, place[0] or None) from error
    except csv.Error as error:
        raise TraceError(f"not a CSV row ({error})", path, place[0] + 1) from error
    except OSError as error:
        raise TraceError(f"cannot be read: {error.strerror or error}", path) from error


def read_bytes(path: Path) -> bytes:
    """All bytes of a file.

    Raises:
        TraceError: It cannot be read.
    """
    with _told(path, [0]):
        return path.read_bytes()


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        TraceError: It cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TraceError(f"not TOML: {error}", path) from error


def name_of(text: str, what: str, path: Path, line: int) -> str:
    """The name of a cell or a service as it stands in a field or a header.

    Raises:
        TraceError: It is no name.
    """
    name = text.strip()
    if not NAME.match(name):
        raise TraceError(f"{what} {name!r} is not a name (1 to 64 letters, digits, _ and -)", path, line)
    return name


def number_of(text: str, what: str, path: Path, line: int, *, least: float | None = 0.0) -> float:
    """A finite number, at least ``least``.

    Raises:
        TraceError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = None
    if value is None or "_" in text:  # Python reads 1_000, no other program does
        raise TraceError(f"{what} {text.strip()!r} is not a number", path, line)
    if not math.isfinite(value):
        raise TraceError(f"{what} {text.strip()!r} is not finite", path, line)
    if least is not None and value < least:
        raise TraceError(f"{what} {text.strip()} is below {least:g}", path, line)
    return value


def integer_of(text: str, what: str, path: Path, line: int) -> int:
    """A whole number, at least 0.

    Raises:
        TraceError: It is none.
    """
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or "_" in text:
        raise TraceError(f"{what} {text.strip()!r} is not a whole number", path, line)
    if not 0 <= value < 2**53:
        raise TraceError(f"{what} {value} is {'negative' if value < 0 else 'too large'}", path, line)
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Entities:
    """Cells or services and what is known of each.

    Attributes:
        names: Their names, all different.
        figures: Column name -> one figure for each, shape (entity,), NaN where unknown.
    """

    names: tuple[str, ...]
    figures: dict[str, NDArray[np.float64]]


POSITION = ("row", "col", "lat", "lon")
PROFILE = ("size_bytes", "task_bytes", "task_cycles")
_LIMITS = {"lat": 90.0, "lon": 180.0}


def read_entities(path: Path, key: str, known: tuple[str, ...]) -> Entities:
    """Read a table of cells or services; columns that are not known are left out.

    Args:
        path: The table.
        key: Its column of names, "cell" or "service".
        known: The columns of figures that are taken.

    Raises:
        TraceError: A row is wrong or given twice, or there is none.
    """
    names: dict[str, int] = {}
    with open_table(path) as table:
        at = table.column(key)
        taken = [column for column in known if column in table.header]
        figures: dict[str, list[float]] = {column: [] for column in taken}
        for line, fields in table.rows:
            name = name_of(fields[at], key, path, line)
            if name in names:
                raise TraceError(f"{key} {name!r} is given twice (first in line {names[name]})", path, line)
            names[name] = line
            for column in taken:
                figures[column].append(_figure(fields[table.column(column)], column, path, line))
    if not names:
        raise TraceError(f"no rows; a {key} is needed", path, 1)
    return Entities(tuple(names), {column: np.array(values) for column, values in figures.items()})


def _figure(text: str, column: str, path: Path, line: int) -> float:
    if not text.strip():
        return math.nan
    limit = _LIMITS.get(column)
    value = number_of(text, column, path, line, least=0.0 if limit is None else None)
    if limit is not None and abs(value) > limit:
        raise TraceError(f"{column} {value:g} is beyond {limit:g} degrees", path, line)
    if limit is None and column in PROFILE and value == 0.0:
        raise TraceError(f"{column} is 0; it must be positive (leave it blank where it is not known)", path, line)
    return value
