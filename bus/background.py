"""Work beside the loop: one thread that computes while messages, beats and calls go on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bus.process import Process


class Background:
    """A thread of a process for what takes long; it must touch nothing of the process.

    While it works, every beat announces for how long it may: as long as was said beforehand, or as long again as it
    has worked. So a process whose loop hardly gets the processor meanwhile is not taken for dead.
    """

    def __init__(self, process: Process) -> None:
        """Start nothing yet; the thread is ended with the process, when it has done what it is at."""
        self._process = process
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{process.name}-background")
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._open: deque[tuple[Future[Any], Callable[[Any], None]]] = deque()
        self._waiting: list[Callable[[], None]] = []
        self._since_s = self._until_s = 0.0
        process.sockets.hear(self._wake, self._on_done, self._close)
        process.membership.working.append(self._left_s)

    @property
    def pending(self) -> int:
        """Pieces of work that are not done yet."""
        return len(self._open)

    def run(self, work: Callable[[], Any], then: Callable[[Any], None], *, busy_s: float = 0.0) -> None:
        """Do a piece of work after those before it; ``then`` gets its result, from the loop.

        Args:
            work: Runs in the thread. What it raises rises from the loop.
            then: Runs in the loop.
            busy_s: How long it may take, to be announced at once; 0: it is short, or nobody knows.
        """
        now_s = self._process.clock()
        if not self._open:
            self._since_s = now_s
        self._until_s = now_s + busy_s
        self._open.append((future := self._thread.submit(work), then))
        future.add_done_callback(lambda _: os.eventfd_write(self._wake, 1))
        if busy_s > 0.0:
            self._process.membership.beat()

    def when_idle(self, then: Callable[[], None]) -> None:
        """Call once nothing is pending; at once if nothing is."""
        if self._open:
            self._waiting.append(then)
        else:
            then()

    def abandon(self) -> None:
        """Let what is under way end, and forget it all: nobody hears of its result. Blocks until then."""
        for future, _ in self._open:
            future.cancel()
        for future, _ in self._open:
            if not future.cancelled():
                future.exception()
        self._open.clear()
        self._waiting.clear()

    def _left_s(self) -> float:
        """Wall seconds that the work may take yet; 0 when there is none."""
        now_s = self._process.clock()
        return max(self._until_s - now_s, now_s - self._since_s) if self._open else 0.0

    def _on_done(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return
        while self._open and self._open[0][0].done():
            future, then = self._open.popleft()
            then(future.result())
        if not self._open:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each()

    def _close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
        os.close(self._wake)
