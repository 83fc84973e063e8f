"""Many seldom busy sockets behind one descriptor, so that a poll costs the same however many there are."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Final

import zmq

Socket = zmq.Socket[bytes]
POLLIN: Final = int(zmq.POLLIN)


class Watch:
    """An epoll over the descriptors of ZeroMQ sockets.

    Such a descriptor tells that a socket wants to be looked at, once: whoever sends or reads on it may take that word
    without seeing the message it was for. Hence ``look_again`` after each send, and after each turn.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, tuple[Socket, Callable[[], None]]] = {}
        self._again: set[int] = set()

    def fileno(self) -> int:
        """The descriptor that is readable when a socket may be."""
        return self._epoll.fileno()

    @property
    def waits(self) -> bool:
        """Whether there may be something to read that the descriptor does not show."""
        return bool(self._again)

    def add(self, socket: Socket, handler: Callable[[], None]) -> None:
        """Watch one more socket; its handler reads at least one message."""
        fd = int(socket.getsockopt(zmq.FD))
        self._sockets[fd] = (socket, handler)
        self._epoll.register(fd, select.EPOLLIN)
        self._again.add(fd)

    def remove(self, socket: Socket) -> None:
        """Watch it no longer; before it is closed."""
        fd = int(socket.getsockopt(zmq.FD))
        if self._sockets.pop(fd, None) is not None:
            self._epoll.unregister(fd)
            self._again.discard(fd)

    def look_again(self, socket: Socket) -> None:
        """Something was sent on it, which may have hidden what came."""
        self._again.add(int(socket.getsockopt(zmq.FD)))

    def drain(self) -> None:
        """Let the handlers of all that is ready read once."""
        ready, self._again = self._again, set()
        ready.update(fd for fd, _ in self._epoll.poll(0))
        for fd in sorted(ready):
            found = self._sockets.get(fd)  # a handler before may have removed it
            if found is None:
                continue
            socket, handler = found
            if int(socket.getsockopt(zmq.EVENTS)) & POLLIN:
                handler()
                if not socket.closed and int(socket.getsockopt(zmq.EVENTS)) & POLLIN:
                    self._again.add(fd)

    def close(self) -> None:
        """Close the epoll, not the sockets."""
        self._epoll.close()
