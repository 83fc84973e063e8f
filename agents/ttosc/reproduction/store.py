"""What is measured already of TTOSC."""

from __future__ import annotations

from pathlib import Path

from agents.reproduction import store
from agents.ttosc.reproduction.measuring import VERSION, Result, key_of
from agents.ttosc.reproduction.plan import Measurement


class Store(store.Store[Measurement, Result]):
    """The folder of a reproduction of TTOSC."""

    def __init__(self, path: Path) -> None:
        """See ``agents.reproduction.store.Store``."""
        super().__init__(path, Result, VERSION, key_of)
