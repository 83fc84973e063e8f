"""Several trainings one by one or at once; Ctrl-C lets each save what it has."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

End = TypeVar("End")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_stops: list[int] = []
"""Signals that asked this process to stop; who trains looks after each step."""


def asked_to_stop() -> bool:
    """Whether this process was asked to stop since its trainings began."""
    return bool(_stops)


def run_trainings(one: Callable[[Path], End], paths: Sequence[Path], jobs: int) -> list[End]:
    """Train in each folder.

    Args:
        one: Trains in a folder; a function of a module, since it may run in another process. It ends soon after
            ``asked_to_stop``.
        paths: The folders.
        jobs: How many at a time.
    Returns: How each ended, in order.
    """
    if jobs == 1 or len(paths) == 1:
        return _one_by_one(one, paths)
    return _at_once(one, paths, jobs)


def clock(seconds: float) -> str:
    """Time left, for people."""
    return f"{seconds / 60.0:.0f} min" if seconds >= 100.0 else f"{seconds:.0f} s"


def _listen() -> dict[signal.Signals, Any]:
    """Note signals instead of ending at once; returns the handlers before. Only the main thread hears any."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, lambda number, _frame: _stops.append(number)) for number in STOPPING}


def _one_by_one(one: Callable[[Path], End], paths: Sequence[Path]) -> list[End]:
    _stops.clear()
    before = _listen()
    try:
        return [one(path) for path in paths]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _at_once(one: Callable[[Path], End], paths: Sequence[Path], jobs: int) -> list[End]:
    """Several at a time. Ctrl-C reaches the whole group, so this process only waits for the others to save."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        # Spawned, not forked: a child must not inherit the threads of a numerics library half made.
        with ProcessPoolExecutor(min(jobs, len(paths)), get_context("spawn"), initializer=_listen) as pool:
            return [end.result() for end in [pool.submit(one, path) for path in paths]]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
