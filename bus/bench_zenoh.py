"""zenoh's Python API in the bus bench: the same codec and header, callbacks as in our API.

Peer mode over one given TCP endpoint of the loopback; no multicast, no gossip, no shared memory. Publishers block when
the network is congested (nothing is dropped) and are declared once.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any, Final

import zenoh

from bus.bench_sample import ECHO, PING, STALL_S, TOPIC, Board, Window, decode, nap, pack, sample
from bus.codec import HEADER, HEADER_BYTES

LOOK_S: Final = 0.02


class Zenoh:
    """A session with publishers and subscribers declared once."""

    def __init__(self, board: Board, number: int, receivers: int) -> None:
        self._board = board
        self._is_sender = number < 0
        self._number = number
        self._session: Any = None
        self._sequence = 0
        self._times: list[float] = []
        self._wanted = 0
        self._start_s = 0.0
        self._done = threading.Event()

    def listen(self) -> str:
        """See ``Contestant``."""
        if not self._is_sender:
            return ""
        endpoint = f"tcp/127.0.0.1:{_free_port()}"
        self._open({"listen/endpoints": [endpoint]})
        return endpoint

    def connect(self, sender: str, receivers: list[str]) -> None:
        """See ``Contestant``."""
        if self._is_sender:
            self._samples = self._publisher(TOPIC)
            self._pings = self._publisher(PING)
            self._declared = [self._session.declare_subscriber(_key(ECHO), self._on_echo)]
            return
        self._open({"connect/endpoints": [sender], "listen/endpoints": []})
        self._echoes = self._publisher(ECHO)
        counting = _counting(self._board.numbers, self._board.place(self._number))
        self._declared = [
            self._session.declare_subscriber(_key(TOPIC), counting),
            self._session.declare_subscriber(_key(PING), self._on_ping),
        ]

    def _open(self, settings: dict[str, Any]) -> None:
        config = zenoh.Config()
        settings = {
            "mode": "peer",
            "scouting/multicast/enabled": False,
            "scouting/gossip/enabled": False,
            "transport/shared_memory/enabled": False,
            **settings,
        }
        for key, value in settings.items():
            config.insert_json5(key, json.dumps(value))
        self._session = zenoh.open(config)

    def _publisher(self, topic: str) -> Any:
        block, reliable = zenoh.CongestionControl.BLOCK, zenoh.Reliability.RELIABLE
        return self._session.declare_publisher(_key(topic), congestion_control=block, reliability=reliable)

    def burst(self, first: int, count: int) -> None:
        """See ``Contestant``."""
        put, sequence = self._samples.put, self._sequence
        for index in range(first, first + count):
            sequence += 1
            put(pack(sequence, sample(index)))
        self._sequence = sequence

    def idle(self) -> None:
        """See ``Contestant``."""
        nap()

    def flood(self, window: Window, seconds: float) -> float:
        """See ``Contestant``."""
        return window.send_for(seconds, self.burst, self.idle)

    def receive(self, phase: int) -> None:
        """See ``Contestant``."""
        while self._board.numbers[0] < phase:
            nap(LOOK_S)  # its callbacks run in threads of their own

    def ping(self, count: int) -> list[float]:
        """See ``Contestant``."""
        self._times, self._wanted = [], count
        self._done.clear()
        self._send_ping()
        if not self._done.wait(STALL_S):
            raise TimeoutError(f"{len(self._times)} of {count} echoes in {STALL_S:g} s")
        return self._times

    def _send_ping(self) -> None:
        self._start_s = time.perf_counter()
        self._sequence += 1
        self._pings.put(pack(self._sequence, sample(len(self._times))))

    def _on_echo(self, came: Any) -> None:
        data = came.payload.to_bytes()
        HEADER.unpack_from(data)
        decode(data[HEADER_BYTES:])
        self._times.append(time.perf_counter() - self._start_s)
        if len(self._times) < self._wanted:
            self._send_ping()
        else:
            self._done.set()

    def _on_ping(self, came: Any) -> None:
        data = came.payload.to_bytes()
        HEADER.unpack_from(data)
        self._sequence += 1
        self._echoes.put(pack(self._sequence, decode(data[HEADER_BYTES:])))

    def echo(self, phase: int) -> None:
        """See ``Contestant``."""
        self.receive(phase)

    def close(self) -> None:
        """See ``Contestant``."""
        if self._session is not None:
            self._session.close()


def _counting(numbers: Any, place: int) -> Any:
    count, unpack = 0, HEADER.unpack_from

    def on_sample(came: Any) -> None:
        nonlocal count
        data = came.payload.to_bytes()
        unpack(data)
        decode(data[HEADER_BYTES:])
        count += 1
        numbers[place] = count

    return on_sample


def _key(topic: str) -> str:
    return topic.lstrip("/")  # zenoh's key expressions do not begin with a slash


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
