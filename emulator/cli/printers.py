"""How `topic echo` prints a message: as text, as JSON, as a line of a table, whole or one field of it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import click

from bus.codec import Header
from bus.messages import Message
from emulator.cli.columns import hint
from emulator.cli.decoded import document, lines, plain

Printer = Callable[[str, Message, Header], list[str]]

STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)|\[(-?[0-9]+)\]")
WHEN = ("slot", "attempt", "sequence", "t_wall_ns")


def printer_of(*, as_json: bool, as_csv: bool, field: str | None, full: bool) -> Printer:
    """What turns a message into lines.

    Raises: click.ClickException (also from the printer): there is no such field.
    """
    steps = _steps(field) if field is not None else []
    if as_csv:
        return Table(steps, field or "")
    if as_json:
        return lambda topic, message, header: [_json(topic, message, header, steps, field)]
    if steps:
        return lambda topic, message, header: [json.dumps(_pick(plain(message), steps, field or ""))]
    return lambda topic, message, header: lines(message, header, full=full)


def _json(topic: str, message: Message, header: Header, steps: list[str | int], field: str | None) -> str:
    found = document(topic, message, header)
    if steps:
        found["message"] = {field: _pick(found["message"], steps, field or "")}
    return json.dumps(found, allow_nan=False)


def _steps(path: str) -> list[str | int]:
    found: list[str | int] = []
    for part in path.split("."):
        at = 0
        for match in STEP.finditer(part):
            if match.start() != at:
                break
            found.append(match[1] if match[1] is not None else int(match[2]))
            at = match.end()
        if not part or at != len(part):
            raise click.ClickException(
                f"--field {path}: must be names and [indices], as in tasks[3] or members[0].node"
            )
    return found


def _pick(value: Any, steps: list[str | int], path: str) -> Any:
    for step in steps:
        if isinstance(step, int) and isinstance(value, list):
            if not -len(value) <= step < len(value):
                raise click.ClickException(f"--field {path}: [{step}] is beyond its {len(value)} entries")
            value = value[step]
        elif isinstance(step, str) and isinstance(value, dict):
            if step not in value:
                raise click.ClickException(f"--field {path}: no field {step}; {hint(step, value, _has(value))}")
            value = value[step]
        else:
            raise click.ClickException(f"--field {path}: nothing to take {step} of; it is {json.dumps(value)[:40]}")
    return value


def _has(value: dict[str, Any]) -> str:
    return f"it has {', '.join(value) or 'none'}"


class Table:
    """Lines of comma-separated values; the first message gives the columns."""

    def __init__(self, steps: list[str | int], path: str) -> None:
        self._steps = steps
        self._path = path
        self._columns: list[str] | None = None

    def __call__(self, _topic: str, message: Message, header: Header) -> list[str]:
        """The line of a message, after the names with the first one.

        A message of another shape (an array that grew) has what its columns ask for, and nothing elsewhere.
        """
        cells: dict[str, Any] = {name: getattr(header, name) for name in WHEN}
        _flatten(self._path, _pick(plain(message), self._steps, self._path), cells)
        found = []
        if self._columns is None:
            self._columns = list(cells)
            found.append(_line(self._columns))
        return [*found, _line([cells.get(name, "") for name in self._columns])]


def _flatten(name: str, value: Any, cells: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{name}.{key}" if name else str(key), item, cells)
    elif isinstance(value, list):
        for k, item in enumerate(value):
            _flatten(f"{name}[{k}]", item, cells)
    else:
        cells[name] = "" if value is None else value


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([repr(cell) if isinstance(cell, float) else cell for cell in cells])
    return text.getvalue()
