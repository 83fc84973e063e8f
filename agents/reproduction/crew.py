"""Makes the measurements that are missing, several at a time, and can be stopped at any moment."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from types import FrameType
from typing import Any, Generic, NamedTuple, TypeVar

TELL_S = 5.0
LISTEN_S = 0.2
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Measurement = TypeVar("Measurement")


class Stopped(Exception):
    """Somebody asked to stop before the measurement was done; a training has kept how far it came."""


class Progress(NamedTuple):
    """How far the crew is: measurements made and in all, seconds left, and the last one that was made."""

    made: int
    wanted: int
    left_s: float
    last: str


class Work(NamedTuple, Generic[Measurement]):
    """What a measurement takes.

    Attributes:
        make: Make one and keep it, in any process; asks now and then whether to stop, and then raises ``Stopped``.
        weight_of: About how long it takes, in any unit.
        words: It in words.
    """

    make: Callable[[Measurement, Callable[[], bool]], None]
    weight_of: Callable[[Measurement], float]
    words: Callable[[Measurement], str]


def make(todo: Sequence[Measurement], work: Work[Measurement], *, jobs: int, tell: Callable[[Progress], None]) -> bool:
    """Make measurements.

    Args:
        todo: Those that are missing, in their order.
        work: How one is made.
        jobs: At a time.
        tell: Hears now and then how far it is.
    Returns: Whether all were made; False if a signal asked to stop before.
    """
    if not todo:
        return True
    context = get_context("spawn")  # a child must not inherit the threads of a numerics library half made
    stop = context.Event()
    with _listening(stop), ProcessPoolExecutor(min(jobs, len(todo)), context, _begin, (stop,)) as pool:
        waiting = {pool.submit(_one, work.make, measurement): measurement for measurement in todo}
        return _collected(waiting, work, tell, stop)


def _collected(
    waiting: dict[Future[bool], Measurement], work: Work[Measurement], tell: Callable[[Progress], None], stop: Any
) -> bool:
    started_s = told_s = time.monotonic()
    weights = {future: work.weight_of(measurement) for future, measurement in waiting.items()}
    wanted, last, done_weight = len(waiting), "", 0.0
    left = set(waiting)
    try:
        while left and not stop.is_set():
            made, left = wait(left, LISTEN_S, FIRST_COMPLETED)
            for future in made:
                future.result()
                done_weight += weights[future]
                last = work.words(waiting[future])
            now_s = time.monotonic()
            if now_s - told_s >= TELL_S:
                told_s = now_s
                rate = done_weight / (now_s - started_s)
                left_s = sum(weights[future] for future in left) / rate if rate else float("nan")
                tell(Progress(wanted - len(left), wanted, left_s, last))
    finally:
        stop.set()
        for future in left:
            future.cancel()
    return all(not future.cancelled() and future.result() for future in waiting)


@contextmanager
def _listening(stop: Any) -> Iterator[None]:
    """Turn signals into a wish that every process hears; only the main thread hears any."""

    def heard(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, heard) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_stop: Any = None


def _begin(stop: Any) -> None:
    """In each process of the crew: Ctrl-C reaches the whole group, and the first process says what to do."""
    global _stop
    _stop = stop
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _one(make_one: Callable[[Measurement, Callable[[], bool]], None], measurement: Measurement) -> bool:
    """Make one and keep it; whether it was made."""
    try:
        make_one(measurement, _stop.is_set)
    except Stopped:
        return False
    return True
