"""What a training leaves behind: a folder that it can be resumed from whenever it ends.

``scenario.toml`` and ``training.toml`` say what is trained and how, ``checkpoint.npz`` holds what learning goes on
from, ``log.csv`` one line a frame. The checkpoint replaces the one before only when it is whole.
"""

from __future__ import annotations

import csv
import os
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import tomli_w
from numpy.typing import NDArray

from agents.errors import AgentError
from agents.ttosc.presets import Preset
from emulator.errors import RunFolderError
from emulator.scenario import Scenario
from emulator.scenario_file import dump, load

Arrays = dict[str, NDArray[np.generic]]
SCENARIO, TRAINING, CHECKPOINT, LOG, CURVE = (
    "scenario.toml",
    "training.toml",
    "checkpoint.npz",
    "log.csv",
    "learning.png",
)


class LogRow(NamedTuple):
    """One frame of a training: seconds per task, seconds, and what the agents did."""

    frame: int
    delay_s: float
    reward_s: float
    epsilon: float
    learning_rate: float
    loss: float
    explored: int
    deployed: int


class Folder:
    """The folder of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, scenario: Scenario, preset: Preset) -> Folder:
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
            raise AgentError(
                f"{self.path}: holds no training ({SCENARIO} and {TRAINING}); `edgerig train ttosc` makes one"
            )
        return load(str(self.path / SCENARIO))

    def preset(self) -> Preset:
        """How it was trained.

        Raises: AgentError: the file is not what a training wrote.
        """
        try:
            table = tomllib.loads((self.path / TRAINING).read_text(encoding="utf-8"))
            return msgspec.convert(table["preset"], Preset)
        except (OSError, tomllib.TOMLDecodeError, KeyError, msgspec.ValidationError) as error:
            raise AgentError(f"{self.path / TRAINING}: cannot be read ({error}); train again") from None

    def save(self, frame: int, arrays: Arrays) -> None:
        """Keep what learning goes on from after a number of frames, whole or not at all."""
        with (self.path / f"{CHECKPOINT}.new").open("wb") as file:
            everything: dict[str, Any] = {**arrays, "frames": np.array(frame)}
            np.savez(file, **everything)
            file.flush()
            os.fsync(file.fileno())
        (self.path / f"{CHECKPOINT}.new").replace(self.path / CHECKPOINT)

    def saved(self) -> tuple[int, Arrays] | None:
        """How many frames were learned from, and what learning goes on from; None before the first checkpoint."""
        path = self.path / CHECKPOINT
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays: Arrays = {name: archive[name] for name in archive.files}
            return int(arrays.pop("frames")), arrays
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise AgentError(f"{path}: cannot be read ({error}); train again") from None

    def rows(self, frames: int) -> list[LogRow]:
        """Lines of the log up to a frame; what came after the last checkpoint is done again."""
        path = self.path / LOG
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))[1 : frames + 1]
        return [msgspec.convert(line, LogRow, strict=False) for line in lines]

    def log(self, rows: list[LogRow]) -> None:
        """Write the log anew."""
        lines = [",".join(LogRow._fields), *(",".join(map(repr, row)) for row in rows)]
        self._replace(LOG, ("\n".join(lines) + "\n").encode())

    def _replace(self, name: str, content: bytes) -> None:
        fresh = self.path / f"{name}.new"
        fresh.write_bytes(content)
        fresh.replace(self.path / name)
