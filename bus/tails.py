"""Telling the last sequence after a burst: its tail has no successor that would show its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bus.publisher import Publisher
from bus.timers import Timers

TAIL_S: Final = 0.01
LONGEST_TAIL_S: Final = 0.32
REPEAT_S: Final = 1.0


class Tails:
    """The heartbeats of a process's publishers."""

    def __init__(self, timers: Timers, wall_ns: Callable[[], int], publishers: Mapping[str, Publisher]) -> None:
        self._timers = timers
        self._wall_ns = wall_ns
        self._publishers = publishers
        self._untold: list[Publisher] = []
        self._tail_s = TAIL_S  # grows while nobody has anything to ask for: most links lose nothing
        timers.every(REPEAT_S, self._tell_all)

    def add(self, publisher: Publisher) -> None:
        """It has published, and not told that it was the last so far."""
        if not self._untold:
            self._timers.after(self._tail_s, self._tell)
        self._untold.append(publisher)

    def hurry(self) -> None:
        """Something was lost: tell soon."""
        self._tail_s = TAIL_S

    def repeat(self) -> None:
        """Tell every subscriber the last sequence now, so that it asks for whatever it misses."""
        for publisher in self._publishers.values():
            publisher.heartbeat(self._wall_ns())

    def _tell(self) -> None:
        idle_since_ns = self._wall_ns() - int(self._tail_s * 1e9)
        told = self._untold
        self._untold = [publisher for publisher in told if not publisher.heartbeat(idle_since_ns)]
        if len(self._untold) < len(told):
            self._tail_s = min(2.0 * self._tail_s, LONGEST_TAIL_S)
        if self._untold:
            self._timers.after(self._tail_s, self._tell)

    def _tell_all(self) -> None:
        # Again and again: the heartbeat itself may be lost, and after a broken link nothing else may come.
        for publisher in self._publishers.values():
            publisher.heartbeat(self._wall_ns() - int(REPEAT_S * 1e9))
