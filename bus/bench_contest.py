"""Teams that send the same messages by different means: one sender, some receivers, a process each."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from bus.bench_crew import Crew, Line, settle
from bus.bench_sample import Board, Window, nap

SENDER: Final = "sender"
PROBE_S: Final = 0.005
MATCH_S: Final = 20.0
QUIET_S: Final = 0.05

CONTESTANTS: Final = {
    "raw": "bus.bench_raw:Raw",
    "edgerig": "bus.bench_edgerig:Edgerig",
    "zenoh": "bus.bench_zenoh:Zenoh",
    "multipart": "bus.bench_raw:Multipart",
    "asyncio": "bus.bench_asyncio:Asyncio",
}
"""Where each contestant's class is; a process imports its own only."""

PLAIN, KEYED = "plain", "curve"
OURS: Final = {PLAIN: "bus.bench_edgerig:Kilobyte", KEYED: "bus.bench_edgerig:Curve"}
"""Our API with messages of a kilobyte, on plain links and with keys."""


class Contestant(Protocol):
    """One process of a team. Receivers have the numbers 0, 1, ...; the sender has -1."""

    def __init__(self, board: Board, number: int, receivers: int) -> None: ...

    def listen(self) -> str:
        """Listen, and return where."""
        ...

    def connect(self, sender: str, receivers: list[str]) -> None:
        """Connect to the others."""
        ...

    def burst(self, first: int, count: int) -> None:
        """Send so many samples, numbered from ``first``."""
        ...

    def idle(self) -> None:
        """The window is closed."""
        ...

    def flood(self, window: Window, seconds: float) -> float:
        """Send for some time; see ``Window.send_for``."""
        ...

    def receive(self, phase: int) -> None:
        """Take samples, and count them on the board, until that phase is over."""
        ...

    def ping(self, count: int) -> list[float]:
        """Send a sample and wait for its echo, so many times; seconds of each.

        Raises: TimeoutError: an echo does not come.
        """
        ...

    def echo(self, phase: int) -> None:
        """Send back what comes, decoded and encoded again, until that phase is over."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True)
class Flood:
    """What a flood gave: messages delivered (all receivers together), seconds, CPU seconds of all processes."""

    delivered: int
    seconds: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Deliveries a second."""
        return self.delivered / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a delivery, of all processes and all their threads."""
        return 1e6 * self.cpu_s / self.delivered


class Team:
    """The processes of one contestant, kept between rounds: asleep while the others have their turn."""

    def __init__(self, name: str, receivers: int) -> None:
        self.name = name
        self._receivers = [f"receiver-{k}" for k in range(receivers)]
        shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 -- shared memory, no file
        self._place = tempfile.TemporaryDirectory(prefix="edgerig-bench-", dir=shared)
        path = str(Path(self._place.name) / "board")
        self._board = Board(path, receivers)
        places = {SENDER: -1} | {name: k for k, name in enumerate(self._receivers)}
        arguments = {who: ((CONTESTANTS | OURS)[name], path, number, receivers) for who, number in places.items()}
        self._crew = Crew(_main, arguments)

    def __enter__(self) -> Self:
        try:
            crew = self._crew.__enter__()
            endpoints = {name: crew.hear(name) for name in crew.names}
            crew.ask(("connect", endpoints[SENDER], [endpoints[name] for name in self._receivers]))
            self._match()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; idempotent."""
        self._crew.end()
        self._place.cleanup()

    def flood(self, seconds: float) -> Flood:
        """Let the sender send for so long."""
        (sent, elapsed), cpu_s = self._phase(("receive",), ("flood", seconds))
        return Flood(sent * len(self._receivers), elapsed, cpu_s)

    def ping(self, count: int) -> list[float]:
        """Seconds of so many round trips, one after the other, to the one receiver."""
        times, _ = self._phase(("echo",), ("ping", count))
        return times

    def _match(self) -> None:
        self._phase(("receive",), ("probe",))

    def _phase(self, receivers: tuple[Any, ...], sender: tuple[Any, ...]) -> tuple[Any, float]:
        phase = self._board.phase + 1
        self._crew.ask((*receivers, phase), *self._receivers)  # they have begun
        self._crew.tell(sender, SENDER)
        result, cpu_s = self._crew.hear(SENDER)
        self._board.phase = phase
        return result, cpu_s + sum(self._crew.hear(name) for name in self._receivers)


def _main(line: Line, where: str, path: str, number: int, receivers: int) -> None:
    """One process of a team."""
    module, name = where.split(":")
    board = Board(path, receivers)
    made: Contestant = getattr(importlib.import_module(module), name)(board, number, receivers)
    try:
        line.answer(made.listen())
        _, sender, others = line.word()
        made.connect(sender, others)
        settle()
        line.answer("connected")
        while True:
            word = line.word()
            if number < 0:
                line.answer(_timed(lambda word=word: _send(made, board, *word)))  # type: ignore[misc]
            else:
                line.answer("begun")
                act = made.receive if word[0] == "receive" else made.echo
                line.answer(_timed(lambda act=act, word=word: act(word[1]))[1])  # type: ignore[misc]
    finally:
        made.close()


def _timed(action: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = action()
    return result, time.process_time() - start


def _send(made: Contestant, board: Board, action: str, amount: float = 0.0) -> Any:
    if action == "probe":
        return _probe(made, board)
    if action == "ping":
        return made.ping(int(amount))
    window = Window(board)
    seconds = made.flood(window, amount)
    return window.sent, seconds


def _probe(made: Contestant, board: Board) -> None:
    """Send until every receiver has heard, and wait until what was sent has come."""
    give_up = time.monotonic() + MATCH_S
    while not all(board.counts()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"receivers heard {board.counts()} after {MATCH_S:g} s")
        made.burst(0, 1)
        made.idle()
        nap(PROBE_S)
    before: list[int] = []
    while before != board.counts():
        if time.monotonic() > give_up + MATCH_S:
            raise TimeoutError(f"receivers still hear more {MATCH_S:g} s after the last probe: {board.counts()}")
        before = board.counts()
        made.idle()
        nap(QUIET_S)
