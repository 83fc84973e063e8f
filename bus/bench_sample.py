"""What the contestants of the bus bench send, and the window within which they send it."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from typing import Final

from bus import codec, topics
from bus.codec import HEADER, VERSION, encode_payload
from bus.messages import Message
from bus.topics import TopicSpec

TOPIC: Final = "/bench/sample"
PING: Final = "/bench/ping"
ECHO: Final = "/bench/echo"
BLOCKS: Final = "/bench/block"
PAYLOAD_BYTES: Final = 100
BLOCK_BYTES: Final = 1000

WINDOW: Final = 1000
"""Messages that may be on their way to the slowest receiver."""
BURST: Final = 50
"""Messages between two looks at the window."""
NAP_S: Final = 20e-6
"""How long a sender rests when the window is closed."""
STALL_S: Final = 20.0
"""How long nothing may move."""


class Sample(Message, frozen=True):
    """A typed message of 100 bytes: a number, a time, a name and eight readings."""

    index: int
    at_s: float
    name: str
    readings: tuple[float, ...]


class Block(Message, frozen=True):
    """A message of a kilobyte: a number and bytes, as arrays travel."""

    index: int
    data: bytes


NAME: Final = "/edge/0007/"
READINGS: Final = (0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5)
FIRST: Final = 1_000_000  # so that every index takes the same five bytes

DATA: Final = bytes(range(256)) * 3 + bytes(BLOCK_BYTES - 3 * 256 - 9)

TABLE: Final = topics.TABLE.extended(
    [*(TopicSpec(topic, Sample) for topic in (TOPIC, PING, ECHO)), TopicSpec(BLOCKS, Block)]
)

TYPE_ID: Final = codec.type_id(Sample)
decode: Final = codec.decoder_of(Sample).decode


def sample(index: int) -> Sample:
    """The message number ``index``."""
    return Sample(FIRST + index, 0.5, NAME, READINGS)


def block(index: int) -> Block:
    """The block number ``index``."""
    return Block(FIRST + index, DATA)


def pack(sequence: int, message: Message) -> bytes:
    """Header and payload, as on the bus, for those who have no bus."""
    header = HEADER.pack(VERSION, 0, 0, 0, TYPE_ID, 1, 0, sequence, 0, time.time_ns())
    return header + encode_payload(message)


class Board:
    """Numbers that all processes of a contest see: the phase, and how many messages each receiver has."""

    STRIDE: Final = 8  # numbers of 8 bytes: a cache line each

    def __init__(self, path: str, receivers: int) -> None:
        """Open the file, making it if need be."""
        size = (1 + receivers) * self.STRIDE * 8
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(handle, size)
            self._view = mmap.mmap(handle, size)
        finally:
            os.close(handle)
        self.numbers = memoryview(self._view).cast("Q")
        self._places = [self.place(k) for k in range(receivers)]

    def place(self, receiver: int) -> int:
        """Where in ``numbers`` a receiver counts."""
        return (1 + receiver) * self.STRIDE

    @property
    def phase(self) -> int:
        """The last phase that is over: receivers end theirs when they see it."""
        return self.numbers[0]

    @phase.setter
    def phase(self, phase: int) -> None:
        self.numbers[0] = phase

    def counts(self) -> list[int]:
        """What each receiver has, since the start."""
        return [self.numbers[place] for place in self._places]


class Window:
    """Holds a sender back to what the slowest receiver can take; the same code for every contestant."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._base = board.counts()
        self.sent = 0

    def flying(self) -> int:
        """Messages on their way to the slowest receiver."""
        numbers, places = self._board.numbers, self._board._places
        return self.sent - min([numbers[place] - base for place, base in zip(places, self._base, strict=True)])

    def send_for(self, seconds: float, burst: Callable[[int, int], None], idle: Callable[[], None]) -> float:
        """Send in bursts for some time, and wait until all has arrived.

        Args:
            seconds: How long to send.
            burst: ``burst(first, count)`` sends so many messages, numbered from ``first``.
            idle: Called while there is nothing to do but to wait.
        Returns: Seconds from the first message's departure to the last one's arrival.
        Raises: TimeoutError: nothing moves.
        """
        start = time.perf_counter()
        end = start + seconds
        while time.perf_counter() < end:
            self.wait(WINDOW - BURST, idle)
            burst(self.sent, BURST)
            self.sent += BURST
        self.wait(0, idle)
        return time.perf_counter() - start

    def wait(self, most: int, idle: Callable[[], None]) -> None:
        """Wait until at most so many messages are on their way."""
        if self.flying() <= most:
            return
        give_up = time.perf_counter() + STALL_S
        while self.flying() > most:
            if time.perf_counter() > give_up:
                raise TimeoutError(f"{self.flying()} of {self.sent} messages did not arrive in {STALL_S:g} s")
            idle()


def nap(seconds: float = NAP_S) -> None:
    """Rest between two looks at what other processes count in shared memory, which wakes nobody.

    To spin would take the processor from those who are measured. Whoever looks again and again has a deadline.
    """
    time.sleep(seconds)
