"""The state of a trial: an append-only file, each line written through before what it says is done.

A trial that was killed goes on from it: runs that are over are read back, the one that was under way is played anew,
from its seed, and so comes to the same.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from emulator.errors import RunFolderError
from emulator.trials.rules import RunFigures

FILE: Final = "journal.jsonl"


class Journal:
    """Writes lines; use as a context."""

    def __init__(self, folder: Path) -> None:
        """Go on writing a folder's journal, or begin it.

        Raises: RunFolderError: it cannot be written.
        """
        self.path = folder / FILE
        try:
            _cut_torn_line(self.path)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be written ({error.strerror}); see its rights") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def note(self, line: dict[str, Any]) -> None:
        """Write a line through to the disk.

        Raises: RunFolderError: the disk is full, say.
        """
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be written ({error.strerror})") from None

    def finished(self, result: RunFigures) -> None:
        """A run is over."""
        self.note({"event": "run", **msgspec.to_builtins(result)})


def read(folder: Path) -> list[dict[str, Any]]:
    """The lines of a folder's journal; what a kill tore off at its end is passed over.

    Raises: RunFolderError: there is none, or it is not one of ours.
    """
    path = folder / FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise RunFolderError(f"{path}: cannot be read ({why}); --resume takes the folder of a trial") from None
    try:
        found = [json.loads(line) for line in lines if line.endswith("\n")]
    except ValueError as error:
        raise RunFolderError(f"{path}: is damaged ({error}); start the trial again into another folder") from None
    if not found or not all(isinstance(line, dict) and "event" in line for line in found):
        raise RunFolderError(f"{path}: holds no beginning of a trial; start it again into another folder")
    return found


def runs_of(lines: list[dict[str, Any]], origin: Path) -> list[RunFigures]:
    """The runs that are over, in order.

    Raises: RunFolderError: one cannot be read.
    """
    try:
        return [
            msgspec.convert({key: value for key, value in line.items() if key != "event"}, RunFigures)
            for line in lines
            if line["event"] == "run"
        ]
    except msgspec.ValidationError as error:
        raise RunFolderError(f"{origin}: a run in it is damaged ({error}); start the trial again") from None


def _cut_torn_line(path: Path) -> None:
    if path.exists():
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            with path.open("r+b") as file:
                file.truncate(whole)
