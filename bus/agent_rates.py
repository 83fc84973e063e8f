"""How much foreign agents say: who says more in a second than anyone needs is not read for the rest of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bus.agent_wire import MOST_FRAMES_PER_S

MOST_STRANGERS: Final = 1024
"""Senders that are counted at a time."""


class Rates:
    """Frames of each sender in its present second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[bytes, tuple[float, int]] = {}  # when the second began, and frames since

    def is_flood(self, identity: bytes) -> bool:
        """Count one more frame of a sender; whether it is one too many."""
        now_s = self._clock()
        began_s, count = self._said.get(identity, (now_s, 0))
        if now_s - began_s >= 1.0:
            began_s, count = now_s, 0
        if len(self._said) >= MOST_STRANGERS and identity not in self._said:
            self._said.clear()
        self._said[identity] = began_s, count + 1
        return count >= MOST_FRAMES_PER_S
