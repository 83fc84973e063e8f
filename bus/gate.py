"""The door of one process: answers libzmq's question (ZAP, RFC 27) whether the holder of a key may connect.

In the process's own loop: no thread, and a stranger who comes a moment before the graph that names him can be kept
waiting until it is there instead of being sent away for good.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import zmq
from zmq.utils import z85

if TYPE_CHECKING:
    from bus.sockets import Sockets
    from bus.timers import Timers

ADDRESS: Final = "inproc://zeromq.zap.01"  # where libzmq asks
VERSION: Final = b"1.0"
MEMBERS: Final = "edgerig.members"
REGISTRY: Final = "edgerig.registry"
HOLD_S: Final = 20.0
"""A graph takes milliseconds, but a process that loads its solver on a busy machine reads it seconds later, and libzmq
never asks again for who was refused once. libzmq itself gives a handshake 30 s."""
MOST_HELD: Final = 256


class _Request(NamedTuple):
    asker: bytes
    number: bytes


class Gate:
    """One per ZeroMQ context. ``admits`` has, for each domain, the question whether a key is known there."""

    def __init__(self, sockets: Sockets, timers: Timers, refused: Callable[[str, str], None]) -> None:
        self.admits: dict[str, Callable[[str], bool]] = {}
        self.hold_s = HOLD_S
        self.asks: Callable[[str], None] | None = None
        """Asks elsewhere whose key that is, of a key that must wait; ``look_again`` when it is known."""
        self._timers = timers
        self._refused = refused
        self._held: dict[str, list[_Request]] = {}
        self._socket = sockets.watched(zmq.ROUTER, self._drain)
        self._socket.bind(ADDRESS)

    def look_again(self) -> None:
        """More keys are known than before: let in who waits for that."""
        for key in [key for key in self._held if self.admits[MEMBERS](key)]:
            for request in self._held.pop(key):
                self._accept(request, key)

    def _drain(self) -> None:
        while True:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            asker, _, _, number, domain, address, _, mechanism, *credentials = parts
            request = _Request(asker, number)
            if mechanism != b"CURVE":
                self._refuse(request, "no_key", f"{address.decode()} came with mechanism {mechanism.decode()}")
            else:
                self._decide(request, domain.decode(), address.decode(), z85.encode(credentials[0]).decode())

    def _decide(self, request: _Request, domain: str, address: str, key: str) -> None:
        admits = self.admits.get(domain)
        if admits is not None and admits(key):
            self._accept(request, key)
        elif domain != MEMBERS or len(self._held) >= MOST_HELD:
            self._refuse(request, "unknown_key", f"{address} has a key that is unknown here (or no longer)")
        else:
            comes_first = key not in self._held
            self._held.setdefault(key, []).append(request)
            if comes_first:
                self._timers.after(self.hold_s, partial(self._give_up, key, address))
                if self.asks is not None:
                    self.asks(key)

    def _give_up(self, key: str, address: str) -> None:
        for request in self._held.pop(key, ()):
            self._refuse(request, "unknown_key", f"{address} has a key that is in no graph (any more)")

    def _accept(self, request: _Request, key: str) -> None:
        # What the user id is here stands as User-Id at every message from that connection.
        self._answer(request, b"200", b"", key.encode())

    def _refuse(self, request: _Request, reason: str, text: str) -> None:
        self._refused(reason, text)
        self._answer(request, b"400", reason.encode(), b"")

    def _answer(self, request: _Request, status: bytes, text: bytes, user: bytes) -> None:
        self._socket.send_multipart((request.asker, b"", VERSION, request.number, status, text, user, b""))
