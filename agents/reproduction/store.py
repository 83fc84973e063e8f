"""What is measured already: a file a measurement, found by what was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from emulator.errors import RunFolderError
from emulator.scenario import Scenario
from emulator.scenario_file import dump

MEASUREMENTS, TRAININGS = "measurements", "trainings"
LATER = ("successor_s = ", "controller_s = ", "lost = []")
"""Settings that came after the first measurements: of runs on the bus alone, or as they are where nobody sets them."""


def world_text(scenario: Scenario) -> str:
    """The scenario as keys have it: hours of measurements are not lost to a new setting that does not concern them."""
    lines = dump(scenario).splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(LATER))


class Versioned(Protocol):
    """A result that says which version of its meaning it has."""

    @property
    def version(self) -> int:
        """The version."""
        ...


Measurement = TypeVar("Measurement")
Result = TypeVar("Result", bound=Versioned)


class Store(Generic[Measurement, Result]):
    """The folder of a reproduction."""

    def __init__(self, path: Path, result: type[Result], version: int, key_of: Callable[[Measurement], str]) -> None:
        """Look at it; nothing is made before ``open``.

        Args:
            path: The folder.
            result: What is kept.
            version: Of what a measurement means; one of another version is made again.
            key_of: What a measurement is kept under.
        Raises: RunFolderError: actors in it could not be named as a policy.
        """
        if set(str(path)) & set(",="):
            raise RunFolderError(f"{path}: policies have no commas or equals signs in a path; choose another --out")
        self.path = path
        self._result, self._version, self._key_of = result, version, key_of
        self._keys: dict[Measurement, str] = {}

    def open(self) -> None:
        """Make the folder, if it is not there.

        Raises: RunFolderError: it cannot be made.
        """
        try:
            (self.path / MEASUREMENTS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be made ({error.strerror}); choose another --out") from None

    def key_of(self, measurement: Measurement) -> str:
        """What a measurement is kept under; worked out once, since a world of a trace reads all of it."""
        if measurement not in self._keys:
            self._keys[measurement] = self._key_of(measurement)
        return self._keys[measurement]

    @property
    def trainings(self) -> Path:
        """Where trainings are, each under a key of its own."""
        return self.path / TRAININGS

    def training(self, key: str) -> Path:
        """Where a training goes on while its measurement is not made."""
        return self.trainings / key

    def get(self, measurement: Measurement) -> Result | None:
        """A measurement, if it was made; a file that is not whole, or of another version, does not count."""
        try:
            result = msgspec.json.decode(self._file(self.key_of(measurement)).read_bytes(), type=self._result)
        except (OSError, msgspec.MsgspecError):
            return None
        return result if result.version == self._version else None

    def put(self, key: str, result: Result) -> None:
        """Keep a measurement, whole or not at all."""
        file = self._file(key)
        fresh = file.with_suffix(".new")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
            fresh.replace(file)
        except OSError as error:
            raise RunFolderError(f"{file}: cannot be written ({error.strerror}); free the disk and go on") from None

    def _file(self, key: str) -> Path:
        return self.path / MEASUREMENTS / f"{key}.json"
