"""Our public API in the bus bench: a node that publishes and callbacks that count; no shortcut past them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bus.bench_sample import BLOCKS, ECHO, PING, STALL_S, TABLE, TOPIC, Board, Sample, Window, block, nap, sample
from bus.credentials import Keys
from bus.live import MessageCallback
from bus.messages import Message
from bus.process import Process

SENDER_INSTANCE = 1


class Edgerig:
    """A process without a registry; links are given."""

    flooded = TOPIC
    make: Callable[[int], Message] = staticmethod(sample)

    def __init__(self, board: Board, number: int, receivers: int) -> None:
        self._board = board
        self._is_sender = number < 0
        instance = number + SENDER_INSTANCE + 1
        self._process = process = Process(f"bench{number}", instance=instance, table=TABLE, keys=self._keys())
        self._times: list[float] = []
        self._wanted = 0
        self._start_s = 0.0
        node = process.node("/bench")
        if self._is_sender:
            self._samples = node.publisher(self.flooded)
            self._pings = node.publisher(PING)
            node.subscribe(ECHO, self._on_echo)
        else:
            self._echoes = node.publisher(ECHO)
            node.subscribe(self.flooded, _counting(board.numbers, board.place(number)))
            node.subscribe(PING, self._on_ping)

    def _keys(self) -> Keys | None:
        """What the process shows; nothing, on plain links."""
        return None

    def listen(self) -> str:
        """See ``Contestant``."""
        return self._process.endpoint

    def connect(self, sender: str, receivers: list[str]) -> None:
        """See ``Contestant``."""
        if not self._is_sender:
            self._process.connect(SENDER_INSTANCE, sender)
            return
        for number, endpoint in enumerate(receivers):
            self._process.connect(number + SENDER_INSTANCE + 1, endpoint)

    def burst(self, first: int, count: int) -> None:
        """See ``Contestant``."""
        publish, make = self._samples.publish, self.make
        for index in range(first, first + count):
            publish(make(index), slot=0)
        self._process.spin_once(0.0)  # as any program's loop does between two things that it does

    def idle(self) -> None:
        """See ``Contestant``."""
        self._process.spin_once(0.0)
        nap()

    def flood(self, window: Window, seconds: float) -> float:
        """See ``Contestant``."""
        return window.send_for(seconds, self.burst, self.idle)

    def receive(self, phase: int) -> None:
        """See ``Contestant``."""
        numbers = self._board.numbers
        while numbers[0] < phase:
            self._process.spin_once(0.02)

    def ping(self, count: int) -> list[float]:
        """See ``Contestant``."""
        self._times, self._wanted = [], count
        self._send_ping()
        if not self._process.spin(lambda: len(self._times) == count, STALL_S):
            raise TimeoutError(f"{len(self._times)} of {count} echoes in {STALL_S:g} s")
        return self._times

    def _send_ping(self) -> None:
        self._start_s = time.perf_counter()
        self._pings.publish(sample(len(self._times)), slot=0)

    def _on_echo(self, _message: Sample) -> None:
        self._times.append(time.perf_counter() - self._start_s)
        if len(self._times) < self._wanted:
            self._send_ping()

    def _on_ping(self, message: Sample) -> None:
        self._echoes.publish(message, slot=0)

    def echo(self, phase: int) -> None:
        """See ``Contestant``."""
        self.receive(phase)

    def close(self) -> None:
        """See ``Contestant``."""
        self._process.close()


class Kilobyte(Edgerig):
    """The same with messages of a kilobyte."""

    flooded = BLOCKS
    make = staticmethod(block)


class Curve(Kilobyte):
    """The same with keys: every socket CURVE, every peer admitted by its key."""

    def _keys(self) -> Keys:
        return Keys.fresh()

    def listen(self) -> str:
        """See ``Contestant``."""
        return f"{self._process.endpoint} {self._process.public_key}"

    def connect(self, sender: str, receivers: list[str]) -> None:
        """See ``Contestant``."""
        peers = dict(enumerate(receivers)) if self._is_sender else {-1: sender}
        for number, (endpoint, key) in ((number, word.split()) for number, word in peers.items()):
            instance = number + SENDER_INSTANCE + 1
            self._process.admit(instance, key)
            self._process.connect(instance, endpoint, key)


def _counting(numbers: Any, place: int) -> MessageCallback:
    count = 0

    def on_sample(_message: Message) -> None:
        nonlocal count
        count += 1
        numbers[place] = count

    return on_sample
