"""Makes the measurements that are missing, several at a time, and can be stopped at any moment."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from types import FrameType
from typing import Any, NamedTuple

from agents.extras import require_onnx, require_torch
from agents.ttosc.reproduction.measuring import Stopped, key_of, measured
from agents.ttosc.reproduction.plan import Measurement
from agents.ttosc.reproduction.store import Store

TELL_S = 5.0
LISTEN_S = 0.2
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

FRAME_WEIGHT = 1.0
PLANNED_WEIGHT = {"ils": 8.0, "oracle": 24.0, "marginal-greedy": 2.0}
LEARNED_WEIGHT = {"literal": 30.0, "tuned": 20.0, "marginal": 20.0, "distilled": 50.0}
"""About how long a frame takes, in frames of a policy that only looks: nothing but the estimate rests on these."""


class Progress(NamedTuple):
    """How far the crew is: measurements made and in all, seconds left, and the last one that was made."""

    made: int
    wanted: int
    left_s: float
    last: str


def weight_of(measurement: Measurement) -> float:
    """About how long a measurement takes, in an arbitrary unit."""
    edges = next((int(key.partition("=")[2]) for key in measurement.overrides if key.startswith("edges.count=")), 5)
    played = PLANNED_WEIGHT.get(measurement.scheme.policy.partition(":")[0], FRAME_WEIGHT) * measurement.counted_frames
    learned = LEARNED_WEIGHT.get(measurement.scheme.learns, 0.0) * measurement.learning_frames
    return (played + learned + 20.0) * edges / 5.0


def missing(wanted: Iterable[Measurement], store: Store) -> list[Measurement]:
    """Those not made yet, each once, all of a seed before the next, so that what a stop leaves is of use."""
    unique = {key_of(measurement): measurement for measurement in wanted}
    found = [measurement for measurement in unique.values() if store.get(measurement) is None]
    return sorted(found, key=lambda measurement: (measurement.seed, weight_of(measurement)))


def make(todo: Sequence[Measurement], store: Store, *, jobs: int, tell: Callable[[Progress], None]) -> bool:
    """Make measurements.

    Args:
        todo: Those that are missing.
        store: Where they go.
        jobs: At a time.
        tell: Hears now and then how far it is.
    Returns: Whether all were made; False if a signal asked to stop before.
    Raises: AgentError: an extra is missing, before anything is made.
    """
    if not todo:
        return True
    if any(measurement.scheme.learns for measurement in todo):
        require_torch()
        require_onnx()
    context = get_context("spawn")  # a child must not inherit the threads of a numerics library half made
    stop = context.Event()
    with _listening(stop), ProcessPoolExecutor(min(jobs, len(todo)), context, _begin, (stop,)) as pool:
        waiting = {pool.submit(_one, measurement, store): measurement for measurement in todo}
        return _collected(waiting, tell, stop)


def _collected(waiting: dict[Future[bool], Measurement], tell: Callable[[Progress], None], stop: Any) -> bool:
    started_s = told_s = time.monotonic()
    weights = {future: weight_of(measurement) for future, measurement in waiting.items()}
    wanted, last, done_weight = len(waiting), "", 0.0
    left = set(waiting)
    try:
        while left and not stop.is_set():
            made, left = wait(left, LISTEN_S, FIRST_COMPLETED)
            for future in made:
                future.result()
                done_weight += weights[future]
                last = _words(waiting[future])
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


def _words(measurement: Measurement) -> str:
    where = " ".join(change for change in measurement.overrides if "link_bps" not in change) or "default world"
    return f"{measurement.scheme.name}, {where}, seed {measurement.seed}"


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


def _one(measurement: Measurement, store: Store) -> bool:
    """Make one and keep it; whether it was made."""
    key = key_of(measurement)
    try:
        store.put(key, measured(measurement, store.training(key), stopped=_stop.is_set))
    except Stopped:
        return False
    return True
