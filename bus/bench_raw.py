"""The floor of the bus bench: loops over bare pyzmq sockets, with the bus's codec, header and credit window.

Nothing is checked, counted or kept. ``Raw`` puts a message into one frame, ``Multipart`` into three.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

import zmq

from bus.bench_sample import ECHO, STALL_S, TOPIC, TYPE_ID, Board, Window, decode, nap, sample
from bus.codec import HEADER, HEADER_BYTES, VERSION, encode_payload

LOOK_MS: Final = 20  # how often a receiver without messages looks whether the phase is over


class Raw:
    """One XPUB and one XSUB; a frame is ``topic NUL header payload``."""

    def __init__(self, board: Board, number: int, receivers: int) -> None:
        self._board = board
        self._is_sender = number < 0
        self._place = board.place(max(number, 0))
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._xpub, self._xsub = self._context.socket(zmq.XPUB), self._context.socket(zmq.XSUB)
        for socket in (self._xpub, self._xsub):
            socket.linger, socket.sndhwm, socket.rcvhwm = 0, 0, 0
        self._xsub.rcvtimeo = LOOK_MS
        self._sequence = 0
        self._count = 0
        self._prefix = (TOPIC if self._is_sender else ECHO).encode() + b"\0"

    def listen(self) -> str:
        """See ``Contestant``."""
        self._xpub.bind("tcp://127.0.0.1:*")
        return self._xpub.getsockopt_string(zmq.LAST_ENDPOINT)

    def connect(self, sender: str, receivers: list[str]) -> None:
        """See ``Contestant``."""
        self._xsub.send(b"\x01" + (ECHO if self._is_sender else TOPIC).encode() + b"\0")
        for endpoint in receivers if self._is_sender else [sender]:
            self._xsub.connect(endpoint)

    def burst(self, first: int, count: int) -> None:
        """See ``Contestant``."""
        send, prefix, pack, clock, sequence = self._send, self._prefix, HEADER.pack, time.time_ns, self._sequence
        for index in range(first, first + count):
            payload = encode_payload(sample(index))
            sequence += 1
            header = pack(VERSION, 0, 0, 0, TYPE_ID, 1, 0, sequence, 0, clock())
            send(b"".join((prefix, header, payload)))
        self._sequence = sequence

    @property
    def _send(self) -> Any:
        return partial(self._xpub.send, flags=zmq.NOBLOCK)

    def idle(self) -> None:
        """See ``Contestant``."""
        nap()

    def flood(self, window: Window, seconds: float) -> float:
        """See ``Contestant``."""
        return window.send_for(seconds, self.burst, self.idle)

    def receive(self, phase: int) -> None:
        """See ``Contestant``."""
        recv, numbers, place, count = self._xsub.recv, self._board.numbers, self._place, self._count
        unpack, header_at, payload_at = HEADER.unpack_from, len(TOPIC) + 1, len(TOPIC) + 1 + HEADER_BYTES
        while numbers[0] < phase:
            try:
                while True:
                    frame = recv()
                    unpack(frame, header_at)
                    decode(frame[payload_at:])
                    count += 1
                    numbers[place] = count
            except zmq.Again:
                pass
        self._count = count

    def ping(self, count: int) -> list[float]:
        """See ``Contestant``."""
        times = []
        for index in range(count):
            start = time.perf_counter()
            self.burst(index, 1)
            while not self._take_echo():
                if time.perf_counter() - start > STALL_S:
                    raise TimeoutError(f"no echo in {STALL_S:g} s")
            times.append(time.perf_counter() - start)
        return times

    def _take_echo(self) -> bool:
        try:
            frame = self._xsub.recv()
        except zmq.Again:
            return False
        HEADER.unpack_from(frame, len(ECHO) + 1)
        decode(frame[len(ECHO) + 1 + HEADER_BYTES :])
        return True

    def echo(self, phase: int) -> None:
        """See ``Contestant``."""
        recv, send, prefix, at = self._xsub.recv, self._send, self._prefix, len(TOPIC) + 1
        while self._board.numbers[0] < phase:
            try:
                while True:
                    frame = recv()
                    HEADER.unpack_from(frame, at)
                    payload = encode_payload(decode(frame[at + HEADER_BYTES :]))
                    self._sequence += 1
                    stamp = time.time_ns()
                    header = HEADER.pack(VERSION, 0, 0, 0, TYPE_ID, 1, 0, self._sequence, 0, stamp)
                    send(b"".join((prefix, header, payload)))
            except zmq.Again:
                pass

    def close(self) -> None:
        """See ``Contestant``."""
        self._context.destroy(linger=0)


class Multipart(Raw):
    """The same as three frames, by pyzmq's own calls for them: topic, header, payload."""

    def burst(self, first: int, count: int) -> None:
        """See ``Contestant``."""
        send, prefix, pack, clock, sequence = self._xpub.send_multipart, self._prefix, HEADER.pack, time.time_ns, 0
        sequence = self._sequence
        for index in range(first, first + count):
            payload = encode_payload(sample(index))
            sequence += 1
            header = pack(VERSION, 0, 0, 0, TYPE_ID, 1, 0, sequence, 0, clock())
            send((prefix, header, payload))
        self._sequence = sequence

    def receive(self, phase: int) -> None:
        """See ``Contestant``."""
        recv, numbers, place, count = self._xsub.recv_multipart, self._board.numbers, self._place, self._count
        unpack = HEADER.unpack
        while numbers[0] < phase:
            try:
                while True:
                    _, header, payload = recv()
                    unpack(header)
                    decode(payload)
                    count += 1
                    numbers[place] = count
            except zmq.Again:
                pass
        self._count = count

    def _take_echo(self) -> bool:
        try:
            _, header, payload = self._xsub.recv_multipart()
        except zmq.Again:
            return False
        HEADER.unpack(header)
        decode(payload)
        return True

    def echo(self, phase: int) -> None:
        """See ``Contestant``."""
        recv, send, prefix = self._xsub.recv_multipart, self._xpub.send_multipart, self._prefix
        while self._board.numbers[0] < phase:
            try:
                while True:
                    _, header, payload = recv()
                    HEADER.unpack(header)
                    payload = encode_payload(decode(payload))
                    self._sequence += 1
                    stamp = time.time_ns()
                    header = HEADER.pack(VERSION, 0, 0, 0, TYPE_ID, 1, 0, self._sequence, 0, stamp)
                    send((prefix, header, payload))
            except zmq.Again:
                pass
