"""What a training leaves behind: a folder that it can be resumed from whenever it ends.

``scenario.toml`` and ``training.toml`` say what is trained and how, ``checkpoint.npz`` holds what learning goes on
from, ``log.csv`` one line a step. The checkpoint replaces the one before only when it is whole.
"""

from __future__ import annotations

import csv
import os
import tomllib
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar
from zipfile import BadZipFile

import msgspec
import numpy as np
import tomli_w
from numpy.typing import NDArray

from agents.errors import AgentError
from emulator.errors import RunFolderError
from emulator.scenario import Scenario
from emulator.scenario_file import dump, load

Arrays = dict[str, NDArray[np.generic]]
Preset = TypeVar("Preset")
Row = TypeVar("Row", bound=tuple[Any, ...])
SCENARIO, TRAINING, CHECKPOINT, LOG, CURVE = (
    "scenario.toml",
    "training.toml",
    "checkpoint.npz",
    "log.csv",
    "learning.png",
)


class TrainingFolder(Generic[Preset, Row]):
    """The folder of one training.

    Attributes:
        preset_type: A dataclass that says how it is trained.
        row_type: A named tuple, one line of the log.
        unit: What a training is counted in; a name in the checkpoint.
        command: What makes such a folder.
    """

    preset_type: ClassVar[type[Any]]
    row_type: ClassVar[type[Any]]
    unit: ClassVar[str]
    command: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, scenario: Scenario, preset: Preset) -> Self:
        """Make it.

        Raises: RunFolderError: it exists, or cannot be made.
        """
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise RunFolderError(f"{path}: exists already; choose another --out, or go on with --resume") from None
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be made ({error.strerror}); choose another --out") from None
        folder = cls(path)
        folder._replace(SCENARIO, dump(scenario).encode())
        folder._replace(TRAINING, tomli_w.dumps({"preset": msgspec.to_builtins(preset)}).encode())
        return folder

    def scenario(self) -> Scenario:
        """What was trained on.

        Raises: AgentError: this is no folder of a training.
        """
        if not (self.path / SCENARIO).exists() or not (self.path / TRAINING).exists():
            raise AgentError(f"{self.path}: holds no training ({SCENARIO} and {TRAINING}); `{self.command}` makes one")
        return load(str(self.path / SCENARIO))

    def preset(self) -> Preset:
        """How it was trained.

        Raises: AgentError: the file is not what a training wrote.
        """
        try:
            table = tomllib.loads((self.path / TRAINING).read_text(encoding="utf-8"))
            found: Preset = msgspec.convert(table["preset"], self.preset_type)
            return found
        except (OSError, tomllib.TOMLDecodeError, KeyError, msgspec.ValidationError) as error:
            raise AgentError(f"{self.path / TRAINING}: cannot be read ({error}); train again") from None

    def save(self, done: int, arrays: Arrays) -> None:
        """Keep what learning goes on from after so many steps, whole or not at all."""
        write_arrays(self.path / CHECKPOINT, {**arrays, self.unit: np.array(done)})

    def saved(self) -> tuple[int, Arrays] | None:
        """How many steps were learned from, and what learning goes on from; None before the first checkpoint."""
        arrays = read_arrays(self.path / CHECKPOINT)
        if arrays is None:
            return None
        if self.unit not in arrays:
            raise AgentError(f"{self.path / CHECKPOINT}: cannot be read (it tells no {self.unit}); train again")
        return int(arrays.pop(self.unit)), arrays

    def rows(self, done: int) -> list[Row]:
        """Lines of the log up to a step; what came after the last checkpoint is done again."""
        path = self.path / LOG
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))[1 : done + 1]
        return [msgspec.convert(line, self.row_type, strict=False) for line in lines]

    def log(self, rows: list[Row]) -> None:
        """Write the log anew."""
        lines = [",".join(self.row_type._fields), *(",".join(map(repr, row)) for row in rows)]
        self._replace(LOG, ("\n".join(lines) + "\n").encode())

    def _replace(self, name: str, content: bytes) -> None:
        fresh = self.path / f"{name}.new"
        fresh.write_bytes(content)
        fresh.replace(self.path / name)


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Put arrays into a file that replaces the one before only when it is whole and on the disk."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        everything: dict[str, Any] = dict(arrays)
        np.savez(file, **everything)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read_arrays(path: Path) -> Arrays | None:
    """What ``write_arrays`` has put there; None if there is no file.

    Raises: AgentError: the file is something else.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise AgentError(f"{path}: cannot be read ({error}); train again") from None
