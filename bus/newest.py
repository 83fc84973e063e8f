"""Between a socket and slow callbacks: a queue that keeps the newest, so that who is behind catches up by skipping."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Item = tuple[bytes, int, tuple[int, ...]]
"""A frame, where its header starts, and the header's fields."""


class Newest:
    """Holds at most ``depth`` messages from when they are read until the sockets have been drained."""

    def __init__(
        self,
        depth: int,
        later: Callable[..., None],
        hand_over: Callable[[bytes, int, tuple[int, ...]], None],
        on_superseded: Callable[[int], None],
    ) -> None:
        self._items: deque[Item] = deque()
        self._depth = depth
        self._later = later
        self._hand_over = hand_over
        self._on_superseded = on_superseded
        self._superseded = 0  # since they were last handed over

    def put(self, frame: bytes, at: int, fields: tuple[int, ...]) -> None:
        """One more; the oldest makes room."""
        items = self._items
        if not items:
            self._later(self._flush)
        elif len(items) == self._depth:
            items.popleft()
            self._superseded += 1
        items.append((frame, at, fields))

    def _flush(self) -> None:
        items, self._items = self._items, deque()
        superseded, self._superseded = self._superseded, 0
        if superseded:
            self._on_superseded(superseded)
        for item in items:
            self._hand_over(*item)
