"""The ZeroMQ sockets of one process, and the poll that tells which of them are ready."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import zmq

from bus.calls import Asking
from bus.timers import Timers

LEAVE_MS: Final = 200  # how long the word that we leave may take to get out

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]


class Sockets:
    """Makes, polls and closes sockets; one thread owns all of them."""

    def __init__(self, host: str, bind: str, context: Context | None) -> None:
        self.host = host
        self.bind = bind
        self._own_context = context is None
        self._context = context or zmq.Context(1)
        self._handlers: dict[Any, Callable[[], None]] = {}
        self._polled: list[tuple[Any, int]] = []
        self._asking: dict[str, Asking] = {}

    def make(self, kind: int, handler: Callable[[], None]) -> Socket:
        """A socket; ``handler`` reads it when it is ready."""
        made = self._context.socket(kind)
        made.linger = 0
        # A full queue would make libzmq drop without a word. Both ends count: 0 is "no limit", and lockstep keeps
        # queues short; a reliable publisher is bounded by its history, not by its sockets.
        made.sndhwm = made.rcvhwm = 0
        made.setsockopt(zmq.RECONNECT_IVL, 50)
        made.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        made.setsockopt(zmq.TCP_KEEPALIVE, 1)
        made.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 60)
        self._handlers[made] = handler
        self._polled = [(known, zmq.POLLIN) for known in self._handlers]
        return made

    def listen(self, socket: Socket, address: str = "") -> str:
        """Bind (by default to any free port), and return the endpoint as others reach it.

        Raises: OSError: the address is not ours, is taken, or is no address.
        """
        at = address or f"tcp://{self.bind}:*"
        try:
            socket.bind(at)
        except zmq.ZMQError as error:
            raise OSError(error.errno, str(error.strerror)) from None
        bound = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        return f"tcp://{self.host}:{bound.rsplit(':', 1)[1]}"

    def asking(self, endpoint: str, callee: str, timers: Timers) -> Asking:
        """The DEALER to an endpoint, made when first needed."""
        found = self._asking.get(endpoint)
        if found is None:
            dealer = self.make(zmq.DEALER, partial(self._answers, endpoint))
            dealer.connect(endpoint)
            found = self._asking[endpoint] = Asking(dealer, callee, timers)
        return found

    @property
    def unanswered(self) -> int:
        """Questions of this process that still wait for an answer or for their deadline."""
        return sum(asking.unanswered for asking in self._asking.values())

    def drop_asking(self, endpoint: str, reason: str) -> None:
        """Nobody answers there any more: what is open fails."""
        found = self._asking.pop(endpoint, None)
        if found is not None:
            del self._handlers[found.socket]
            self._polled = [(known, zmq.POLLIN) for known in self._handlers]
            found.socket.close(linger=0)
            found.fail_all("peer_lost", reason)

    def poll(self, timeout_s: float) -> list[Callable[[], None]]:
        """The handlers of the sockets that are ready, after at most ``timeout_s`` (rounded up to a millisecond)."""
        handlers = self._handlers
        return [handlers[socket] for socket, _ in zmq.zmq_poll(self._polled, math.ceil(timeout_s * 1000))]

    def open(self) -> list[str]:
        """The kinds of the sockets that are not closed."""
        return [zmq.SocketType(socket.type).name for socket in self._handlers if not socket.closed]

    def close(self) -> None:
        """Close all."""
        for socket in self._handlers:
            socket.close(linger=LEAVE_MS if socket.type == zmq.DEALER else 0)
        if self._own_context:
            self._context.term()

    def _answers(self, endpoint: str) -> None:
        if endpoint in self._asking:  # a handler before us in the same poll may have dropped it
            self._asking[endpoint].drain()
