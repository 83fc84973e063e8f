"""An exported actor by onnxruntime: a frame's tasks in, a value for each service out, and what it remembers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.model.offloading import Floats

Singles = NDArray[np.float32]


class Actor:
    """One edge server's actor with its memory, which only ``keep`` changes."""

    def __init__(self, session: Any, slots: int, services: int, facts: Floats | None) -> None:
        """Begin with nothing remembered.

        Args:
            session: Of onnxruntime.
            slots: K.
            services: J.
            facts: What does not change about each service, shape (service, fact); None if it does not ask for them.
        """
        self._session = session
        self._slots = slots
        asked = {each.name: each.shape for each in session.get_inputs()}
        self._facts = facts.astype(np.float32) if facts is not None and "facts" in asked else None
        self._state = np.zeros((asked["state"][0] if "state" in asked else 0, services), dtype=np.float32)
        self._latest: tuple[Floats, Singles] | None = None

    def values(self, counts: Floats) -> Floats:
        """The value of each service.

        Args:
            counts: Tasks of the frame before, shape (slot, service); slots that were not seen count as empty.
        Returns: [O_j] shape (service,).
        """
        shown = np.zeros((self._slots, counts.shape[1]), dtype=np.float32)
        shown[self._slots - len(counts) :] = counts
        fed = {"observation": shown}
        if self._facts is not None:
            fed["facts"] = self._facts
        if len(self._state):
            fed["state"] = self._state
        found: list[Any] = self._session.run(None, fed)
        if len(self._state):
            self._latest = counts, found[1]
        return np.asarray(found[0], dtype=np.float64)

    @property
    def remembers(self) -> bool:
        """Whether it has a state."""
        return len(self._state) > 0

    def give(self) -> bytes:
        """What it remembers: the rows of its state as float32, little-endian."""
        return self._state.astype("<f4").tobytes()

    def take(self, state: bytes) -> None:
        """Remember this instead.

        Raises: ValueError: it is none for as many services, or not made of numbers.
        """
        if len(state) != 4 * self._state.size:
            raise ValueError(f"a state of {len(state)} bytes, not of {4 * self._state.size}")
        found = np.frombuffer(state, "<f4").reshape(self._state.shape)
        if not np.isfinite(found).all():
            raise ValueError("a state that is not made of numbers")
        self._state, self._latest = found.astype(np.float32), None

    def keep(self, counts: Floats) -> None:
        """A frame is over that was decided on these counts: remember them. Counts that were not seen leave no trace."""
        if not len(self._state) or not len(counts):
            return
        if self._latest is None or not np.array_equal(self._latest[0], counts):
            self.values(counts)
        if self._latest is not None:
            self._state = self._latest[1]
        self._latest = None
