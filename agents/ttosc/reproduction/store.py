"""What is measured already: a file a measurement, found by what was measured."""

from __future__ import annotations

from pathlib import Path

import msgspec

from agents.ttosc.reproduction.measuring import VERSION, Result, key_of
from agents.ttosc.reproduction.plan import Measurement
from emulator.errors import RunFolderError

MEASUREMENTS, TRAININGS = "measurements", "trainings"


class Store:
    """The folder of a reproduction."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it.

        Raises: RunFolderError: it cannot be made, or actors in it could not be named as a policy.
        """
        if set(str(path)) & set(",="):
            raise RunFolderError(f"{path}: policies have no commas or equals signs in a path; choose another --out")
        self.path = path
        try:
            (path / MEASUREMENTS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be made ({error.strerror}); choose another --out") from None

    def training(self, key: str) -> Path:
        """Where a training goes on while its measurement is not made."""
        return self.path / TRAININGS / key

    def get(self, measurement: Measurement) -> Result | None:
        """A measurement, if it was made; a file that is not whole, or of another version, does not count."""
        try:
            result = msgspec.json.decode(self._file(key_of(measurement)).read_bytes(), type=Result)
        except (OSError, msgspec.MsgspecError):
            return None
        return result if result.version == VERSION else None

    def put(self, key: str, result: Result) -> None:
        """Keep a measurement, whole or not at all."""
        file = self._file(key)
        fresh = file.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
            fresh.replace(file)
        except OSError as error:
            raise RunFolderError(f"{file}: cannot be written ({error.strerror}); free the disk and go on") from None

    def _file(self, key: str) -> Path:
        return self.path / MEASUREMENTS / f"{key}.json"
