"""The run folder: created once, written at every commit, readable however the run ends."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from bus.messages import LinkTraffic
from emulator.errors import RunFolderError
from emulator.model.breakdown import CellRow
from emulator.model.ledger import FrameRow, SlotRow
from emulator.model.rental_ledger import RentalEdgeRow, RentalRow

TIMING_FIELDS = ("slot", "attempts", "wall_s", "schedule_s", "decision_s")
TABLES = {
    "slots.csv": SlotRow._fields,
    "frames.csv": FrameRow._fields,
    "cells.csv": CellRow._fields,
    "timing.csv": TIMING_FIELDS,
}
"""Tables that every run of the offloading world has, and their columns."""

RENTAL_TABLES = {"slots.csv": RentalRow._fields, "edges.csv": RentalEdgeRow._fields, "timing.csv": TIMING_FIELDS}
"""Those of the rental world, where a frame is a slot."""

RESETS = "resets.csv"
MESSAGE_FIELDS = {
    "publisher": "publisher",
    "topic": "topic",
    "subscriber": "subscriber",
    "plane": "plane",
    "class": "kind",
    "phase": "phase",
    "messages": "messages",
    "payload_bytes": "payload_bytes",
    "header_bytes": "header_bytes",
    "wire_bytes": "wire_bytes",
}
"""Columns of messages.csv, and the fields of ``LinkTraffic`` that stand in them."""
MOST_RUNS = 100_000


def create(out: str | None, name: str, seed: int) -> Path:
    """Make a new run folder.

    Args:
        out: The path asked for; None for ``runs/<name>-<seed>-<n>``.
        name: The scenario's name.
        seed: The run's seed.
    Raises: RunFolderError: it exists already, or cannot be made.
    """
    try:
        if out is not None:
            path = Path(out)
            if os.path.lexists(path):
                raise RunFolderError(f"{out}: exists already; choose another --out or remove it")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        else:
            path = _next_free(Path("runs"), f"{name}-{seed}")
        (path / "logs").mkdir()
    except OSError as error:
        raise RunFolderError(
            f"{out or 'runs'}: cannot make a run folder ({error.strerror}); choose another --out"
        ) from None
    return path


def _next_free(root: Path, stem: str) -> Path:
    """The next numbered folder; mkdir decides, so that runs that start at once do not meet."""
    root.mkdir(parents=True, exist_ok=True)
    for number in range(1, MOST_RUNS):
        path = root / f"{stem}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise RunFolderError(f"{root}: holds {MOST_RUNS} runs of {stem}; remove some")


def state_of(run: Path, edge: int) -> Path:
    """Where in a run folder the agent of an edge server keeps what it learns; whoever writes there makes it."""
    return run / "agents" / str(edge)


class Writer:
    """Writes a run's tables, a line at each commit."""

    def __init__(self, folder: Path, tables: Mapping[str, Sequence[str]] = TABLES) -> None:
        """Open the tables that every run of a world has, by default those of the offloading world.

        Raises: RunFolderError: a file cannot be written.
        """
        self.folder = folder
        self._tables = tables
        self._files: dict[str, TextIO] = {}
        self._lines: set[str] = set()
        for name, fields in tables.items():
            self._guard(name, lambda name=name, fields=fields: self._open(name, fields))

    def slot(self, row: SlotRow) -> None:
        """Add a line to slots.csv; floats are written so that reading them gives the same bits."""
        self._line("slots.csv", row)

    def frame(self, row: FrameRow) -> None:
        """Add a line to frames.csv."""
        self._line("frames.csv", row)

    def timing(self, row: Sequence[object]) -> None:
        """Add a line to timing.csv: slot, attempts, seconds of wall time."""
        self._line("timing.csv", row)

    def add(self, name: str, row: Sequence[object]) -> None:
        """Add a line to one of the world's tables."""
        self._line(name, row)

    def row(self, name: str, fields: Sequence[str], row: Sequence[object]) -> None:
        """Add a line to a table that not every run has; it is made with its first line."""
        self.rows(name, fields, [row])

    def rows(self, name: str, fields: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Add lines to a table, in one go; it is made with its first line if no run must have it."""
        if name not in self._files:
            self._guard(name, lambda: self._open(name, fields))
        self._append(name, "".join(",".join(map(_cell, row)) + "\n" for row in rows))

    def line(self, name: str, document: dict[str, Any]) -> None:
        """Add a JSON document as a line to a file, which is made with its first line and open only for it."""
        self._lines.add(name)

        def write() -> None:
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(document) + "\n")

        self._guard(name, write)

    def messages(self, links: Iterable[LinkTraffic]) -> None:
        """Write messages.csv."""
        rows = [[getattr(link, field) for field in MESSAGE_FIELDS.values()] for link in links]

        def write() -> None:
            with (self.folder / "messages.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(MESSAGE_FIELDS)
                writer.writerows(rows)

        self._guard("messages.csv", write)

    def json(self, name: str, document: dict[str, Any]) -> None:
        """Write a JSON document."""
        self._guard(name, lambda: write_json(self.folder / name, document))

    def text(self, name: str, text: str) -> None:
        """Write a text file."""
        self._guard(name, lambda: write_text(self.folder / name, text))

    def begin_again(self) -> None:
        """Empty the tables of slots and frames; of the others only what tells of resets stays.

        Raises: RunFolderError: a table cannot be written.
        """
        for name in [name for name in self._files if name != RESETS]:
            fields = self._tables.get(name)
            if fields is not None:
                self._guard(name, lambda name=name, fields=fields: self._empty(self._files[name], fields))
            else:
                self._guard(name, lambda name=name: self._remove(name))
        for name in self._lines:
            self._guard(name, lambda name=name: (self.folder / name).unlink(missing_ok=True))

    def _empty(self, file: TextIO, fields: Sequence[str]) -> None:
        file.seek(0)
        file.truncate()
        file.write(",".join(fields) + "\n")
        file.flush()

    def _remove(self, name: str) -> None:
        self._files.pop(name).close()
        (self.folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the tables."""
        for name, file in self._files.items():
            self._guard(name, file.close)
        self._files.clear()

    def _open(self, name: str, fields: Sequence[str]) -> None:
        file = self._files[name] = (self.folder / name).open("w", encoding="utf-8")
        self._empty(file, fields)

    def _line(self, name: str, row: Sequence[object]) -> None:
        self._append(name, ",".join(map(_cell, row)) + "\n")

    def _append(self, name: str, text: str) -> None:
        try:
            file = self._files[name]
            file.write(text)
            file.flush()
        except OSError as error:
            raise self._trouble(name, error) from None

    def _guard(self, name: str, action: Any) -> None:
        try:
            action()
        except OSError as error:
            raise self._trouble(name, error) from None

    def _trouble(self, name: str, error: OSError) -> RunFolderError:
        return RunFolderError(f"{self.folder / name}: {error.strerror}; make room or choose another --out")


def _cell(value: object) -> str:
    if isinstance(value, str) and any(sign in value for sign in ',"\n'):
        return '"' + value.replace('"', '""') + '"'  # a sentence
    return repr(float(value)) if isinstance(value, float) else str(value)


def write_text(path: Path, text: str) -> None:
    """Write a text file.

    Raises: RunFolderError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"{path}: {error.strerror}; make room or choose another --out") from None


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON document whole or not at all.

    Raises: RunFolderError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise RunFolderError(f"{path}: {error.strerror}; make room or choose another --out") from None


def read_table(path: Path) -> dict[str, list[float]]:
    """Read a table of numbers by column; a line that a crash cut short is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        fields = next(reader, [])
        rows = [row for row in reader if len(row) == len(fields)]
    return {name: [float(row[k]) for row in rows] for k, name in enumerate(fields)}
