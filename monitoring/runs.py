"""Reads run folders, whole or as an interrupted or crashed run left them."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Table = dict[str, Floats]
Document = dict[str, Any]
Result = TypeVar("Result")

FILES: Final = ("scenario.toml", "summary.json", "slots.csv", "frames.csv", "timing.csv", "messages.csv")


class ReportError(Exception):
    """A report cannot be made: what, where, remedy, in one line."""


@dataclass(frozen=True)
class Run:
    """What a run folder holds; tables and documents are empty where a file is missing or unreadable.

    Attributes:
        slots, frames, timing: Columns by name, of equal length.
        wire_bytes: Bytes of all messages on the wire; None where messages.csv is missing or empty.
        trouble: Sentences, what could not be read.
        cells, services, edges: As ``slots``; of the offloading world by cell and frame, and by service, of the rental
            world by edge server and slot.
        events: What happened, in order.
    """

    folder: Path
    scenario: Document
    summary: Document
    slots: Table
    frames: Table
    timing: Table
    wire_bytes: float | None
    trouble: tuple[str, ...]
    cells: Table = field(default_factory=dict)
    services: Table = field(default_factory=dict)
    edges: Table = field(default_factory=dict)
    events: tuple[Document, ...] = ()

    @property
    def label(self) -> str:
        """Who decided and who scheduled."""
        policy = self.setting("agent.policy", self.summary.get("agent"))
        scheduler = self.setting("scheduler.kind", str(self.summary.get("scheduler", "")).partition("@")[0])
        if self.setting("world") == "rental":
            scheduler = None  # nobody schedules there
        return " + ".join(str(part) for part in (policy, scheduler) if part) or self.folder.name

    def setting(self, key: str, default: object = None) -> object:
        """A scenario key, with dots; a default where the scenario does not have it."""
        value: object = self.scenario
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return default if value is None else value

    def figure(self, key: str) -> float | None:
        """A number of summary.json, with dots; None where it has none."""
        value: object = self.summary
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return float(value) if isinstance(value, int | float) else None

    @property
    def completed(self) -> Floats:
        """Tasks completed by slot."""
        parts = [self.slots[name] for name in ("local", "peer", "cloud") if name in self.slots]
        return np.sum(parts, axis=0) if parts else np.zeros(0)


def read(folder: Path) -> Run:
    """Read a run folder.

    Raises: ReportError: nothing in it says that it is one.
    """
    if not any((folder / name).is_file() for name in ("scenario.toml", "summary.json", "slots.csv")):
        raise ReportError(f"{folder}: not a run folder (no scenario.toml, summary.json or slots.csv in it)")
    trouble: list[str] = []

    def part(name: str, parse: Callable[[Path], Result], empty: Result) -> Result:
        try:
            return parse(folder / name)
        except FileNotFoundError:
            trouble.append(f"{name} is missing")
        except (OSError, ValueError, KeyError, csv.Error) as error:
            trouble.append(f"{name} cannot be read ({error})")
        return empty

    def broken_down(name: str) -> Table:
        """A table that not every run has: folders of earlier versions, runs whose hub was killed, the other world's."""
        empty: Table = {}
        return part(f"{name}.csv", _table, empty) if (folder / f"{name}.csv").exists() else empty

    nothing: Document = {}
    summary = part("summary.json", _json, nothing)
    in_process = summary.get("mode") == "in-process"  # no messages, and no wall clock worth a table
    run = Run(
        folder,
        part("scenario.toml", _toml, nothing),
        summary,
        part("slots.csv", _table, {}),
        part("frames.csv", _table, {}),
        {} if in_process else part("timing.csv", _table, {}),
        None if in_process else part("messages.csv", _wire_bytes, None),
        (),
        broken_down("cells"),
        broken_down("services"),
        broken_down("edges"),
        events=part("events.jsonl", _lines, ()) if (folder / "events.jsonl").exists() else (),
    )
    if summary.get("interrupted"):
        trouble.append("the run was interrupted")
    elif summary.get("exit_code"):
        trouble.append(f"the run ended with exit code {summary['exit_code']}")
    return replace(run, trouble=tuple(trouble))


def _toml(path: Path) -> Document:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _json(path: Path) -> Document:
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


def _lines(path: Path) -> tuple[Document, ...]:
    """A document a line; the line that a crash cut short is left out."""
    text = path.read_text(encoding="utf-8")
    found = (json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines())
    return tuple(each for each in found if isinstance(each, dict))


def _table(path: Path) -> Table:
    return read_table(path)


def read_table(path: Path, texts: Collection[str] = ()) -> Table:
    """Columns of numbers; the line that a crash cut short is left out.

    Args:
        path: A CSV file with a heading.
        texts: Columns that are none of numbers, which are left out.
    Raises: OSError: it cannot be read. ValueError: what should be a number is none.
    """
    with path.open(newline="", encoding="utf-8") as file:
        lines = file.read()
    rows = list(csv.reader(lines[: lines.rfind("\n") + 1].splitlines()))
    fields = rows[0] if rows else []
    wanted = [k for k, name in enumerate(fields) if name not in texts]
    numbers = [[float(row[k]) for k in wanted] for row in rows[1:] if len(row) == len(fields)]
    columns = np.array(numbers, dtype=np.float64).reshape(len(numbers), len(wanted))
    return {fields[k]: columns[:, place] for place, k in enumerate(wanted)}


def _wire_bytes(path: Path) -> float | None:
    with path.open(newline="", encoding="utf-8") as file:
        sizes = [float(row["wire_bytes"]) for row in csv.DictReader(file) if row["wire_bytes"]]
    return sum(sizes) if sizes else None
