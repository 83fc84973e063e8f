"""Links as they are made, and made again: each costs bytes before the first frame, which nobody else could count."""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import zmq

from bus.framing import Framing
from bus.tally import Tally

LINK: Final = "(link)"
"""Stands in the books where a topic would, for what it takes to set a link up."""

SUCCEEDED: Final = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
BROKEN: Final = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL) | int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
EVENT: Final = struct.Struct("=Hi")  # which, and its value

_numbers = itertools.count()


@dataclass
class _Watched:
    """One socket: how it is called, where its events come, and how often it has met whom."""

    kind: str
    monitor: zmq.Socket[bytes]
    identity_bytes: int
    bound: set[str] = field(default_factory=set)
    met: Counter[str] = field(default_factory=Counter)


class Handshakes:
    """Counts the links of a process's sockets.

    The sockets' events wait in a queue of their own and are read once a second and before a report: never in the poll.
    """

    def __init__(self, framing: Framing, tally: Tally, name_of: Callable[[str], str]) -> None:
        """Count into a tally.

        Args:
            framing: How frames and links become bytes.
            tally: Where to.
            name_of: Who is at an endpoint; "" if nobody knows.
        """
        self.on_again: Callable[[str], None] = lambda endpoint: None
        """Told of an endpoint that was connected to before."""
        self.on_broken: Callable[[int, str], None] = lambda reason, endpoint: None
        """Told of a handshake that broke off: libzmq's reason, and the endpoint."""
        self.framing = framing
        self._tally = tally
        self._name_of = name_of
        self._watched: dict[Any, _Watched] = {}

    def watch(self, socket: zmq.Socket[bytes], identity_bytes: int) -> None:
        """Count the links of a new socket."""
        address = f"inproc://links-{next(_numbers)}"
        socket.monitor(address, SUCCEEDED | BROKEN)
        monitor = socket.context.socket(zmq.PAIR)
        # A full queue would hold ZeroMQ's own thread up, and with it all links.
        monitor.rcvhwm = 0
        monitor.linger = 0
        monitor.connect(address)
        self._watched[socket] = _Watched(zmq.SocketType(int(socket.type)).name, monitor, identity_bytes)

    def bound(self, socket: zmq.Socket[bytes], endpoint: str) -> None:
        """That socket takes connections there."""
        self._watched[socket].bound.add(_port(endpoint))

    def monitor_of(self, socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
        """Where that socket's events come, for those who cannot wait for the next ``count``."""
        return self._watched[socket].monitor

    def count(self) -> None:
        """Take over what has happened."""
        for watched in self._watched.values():
            self._count(watched)

    def forget(self, socket: zmq.Socket[bytes]) -> None:
        """That socket is about to be closed."""
        watched = self._watched.pop(socket, None)
        if watched is not None:
            self._count(watched)
            socket.monitor(None, 0)
            watched.monitor.close(linger=0)

    def _count(self, watched: _Watched) -> None:
        while True:
            try:
                event, endpoint = watched.monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            kind, value = EVENT.unpack(event)
            if kind == SUCCEEDED:
                self._add(watched, endpoint.decode(errors="replace"))
            elif kind & BROKEN:
                self.on_broken(value, endpoint.decode(errors="replace"))

    def _add(self, watched: _Watched, endpoint: str) -> None:
        binds = _port(endpoint) in watched.bound
        size = self.framing.link_bytes(watched.kind, binds=binds, identity_bytes=watched.identity_bytes)
        self._tally.add_bytes(LINK, "control", "" if binds else self._name_of(endpoint), size)
        if not binds:
            watched.met[endpoint] += 1
            if watched.met[endpoint] > 1:
                self.on_again(endpoint)


def is_same_port(one: str, other: str) -> bool:
    """Whether two endpoints have one port; one may tell its host by name, and the other by number."""
    return _port(one) == _port(other)


def _port(endpoint: str) -> str:
    return endpoint.rpartition(":")[2]
