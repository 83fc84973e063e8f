"""Late joiners, thousands of times: a new process with new sockets, until it has its first sample.

One process publishes a latched topic all the time, one process joins, checks and leaves, again and again. Nobody sleeps
until something is probably there. What is lost shows: the first sample must not be older than what had been published
when the join began, and the next ones follow it without a gap.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import zmq

from bus.bench_crew import Crew, Line, settle
from bus.bench_rates import Figures, quantile
from bus.bench_sample import TABLE, TOPIC, Board, sample
from bus.codec import Header
from bus.process import Process
from bus.qos import LATCHED

PERIOD_S: Final = 0.001
FOLLOWING: Final = 3
"""Samples that each joiner takes, the first one included, before it leaves."""
LATE_S: Final = 5.0
"""A first sample that has not come by then is lost."""
PUBLISHER: Final = 1
BATCH: Final = 500
"""Joins between two lines of progress."""


def measure(joins: int, step: Callable[[str], None]) -> Figures:
    """Join so many times.

    Returns: ``join_p50_ms`` and ``join_p99_ms`` (from making the process to its first sample), ``joins``,
        ``join_first_lost`` (first samples that did not come, or were too old), ``join_gaps`` (later ones that did not).
    """
    times: list[float] = []
    lost = gaps = 0
    with tempfile.TemporaryDirectory(prefix="edgerig-bench-") as place:
        path = str(Path(place) / "board")
        with Crew(_main, {"publisher": (path, True), "joiner": (path, False)}) as crew:
            endpoint = crew.hear("publisher")
            while len(times) + lost < joins:
                crew.tell((endpoint, min(BATCH, joins - len(times) - lost)), "joiner")
                some, late, missing = crew.hear("joiner", LATE_S * BATCH)
                times, lost, gaps = times + some, lost + late, gaps + missing
                step(f"joins: {len(times) + lost} of {joins}, {lost} first samples lost")
    times.sort()
    return {
        "joins": joins,
        "join_p50_ms": 1e3 * quantile(times, 0.5) if times else 1e3 * LATE_S,
        "join_p99_ms": 1e3 * quantile(times, 0.99) if times else 1e3 * LATE_S,
        "join_first_lost": lost,
        "join_gaps": gaps,
    }


def _main(line: Line, path: str, publishes: bool) -> None:
    board = Board(path, 1)
    if publishes:
        _publish(line, board)
    instance = PUBLISHER
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    settle()
    while True:
        endpoint, count = line.word()
        found = []
        for _ in range(count):
            instance += 1
            found.append(_Joiner(instance, context, endpoint, board.counts()[0]).join())
        line.answer(
            (
                [seconds for seconds, _, _ in found if seconds is not None],
                sum(late for _, late, _ in found),
                sum(gaps for _, _, gaps in found),
            )
        )


def _publish(line: Line, board: Board) -> None:
    process = Process("publisher", instance=PUBLISHER, table=TABLE)
    publisher = process.publisher(TOPIC, LATCHED)
    place = board.place(0)

    def publish() -> None:
        publisher.publish(sample(publisher.sequence), slot=0)
        board.numbers[place] = publisher.sequence

    publish()
    process.timers.every(PERIOD_S, publish)
    settle()
    line.answer(process.endpoint)
    parent = os.getppid()
    while os.getppid() == parent:
        process.spin(None, 1.0)


class _Joiner:
    """One join."""

    def __init__(self, instance: int, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, published: int) -> None:
        self._instance = instance
        self._context = context
        self._endpoint = endpoint
        self._published = published
        self._sequences: list[int] = []
        self._start_s = self._first_s = 0.0

    def join(self) -> tuple[float | None, int, int]:
        """Seconds to the first sample (None: it did not come), whether it is lost, and gaps after it."""
        self._start_s = time.perf_counter()
        process = Process("joiner", instance=self._instance, table=TABLE, context=self._context)
        try:
            process.subscribe(TOPIC, self._on_sample, LATCHED)
            process.connect(PUBLISHER, self._endpoint)
            process.spin(lambda: len(self._sequences) >= FOLLOWING, LATE_S)
        finally:
            process.close()
        if not self._sequences:
            return None, 1, 0
        first, last = self._sequences[0], self._sequences[-1]
        return self._first_s - self._start_s, int(first < self._published), last - first + 1 - len(self._sequences)

    def _on_sample(self, _message: Any, header: Header) -> None:
        if not self._sequences:
            self._first_s = time.perf_counter()
        self._sequences.append(header.sequence)
