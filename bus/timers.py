"""Things to do later, for a loop that polls."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timer:
    """One thing to do later; cancel() is idempotent."""

    __slots__ = ("active", "callback", "period_s")

    def __init__(self, callback: Callable[[], None], period_s: float) -> None:
        self.callback = callback
        self.period_s = period_s
        self.active = True

    def cancel(self) -> None:
        """Never run (again)."""
        self.active = False


class Timers:
    """A heap of timers on a given clock (seconds)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0

    def now_s(self) -> float:
        """The clock's time."""
        return self._clock()

    def after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run once, ``delay_s`` from now."""
        return self._push(Timer(callback, 0.0), self._clock() + delay_s)

    def every(self, period_s: float, callback: Callable[[], None]) -> Timer:
        """Run each ``period_s``, the first time one period from now; a late round is not made up for."""
        if period_s <= 0.0:
            raise ValueError(f"period_s is {period_s}, must be above 0")
        return self._push(Timer(callback, period_s), self._clock() + period_s)

    def next_due_s(self) -> float:
        """The clock's time when something is due; inf without timers."""
        while self._heap and not self._heap[0][2].active:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")

    def run_due(self) -> None:
        """Run what is due now, in the order in which it became due."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            if not timer.active:
                continue
            if timer.period_s:
                self._push(timer, now + timer.period_s)
            timer.callback()

    def _push(self, timer: Timer, due_s: float) -> Timer:
        self._count += 1
        heapq.heappush(self._heap, (due_s, self._count, timer))
        return timer
