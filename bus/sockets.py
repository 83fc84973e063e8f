"""The ZeroMQ sockets of one process, and the poll that tells which of them are ready."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import zmq

from bus.calls import Asking, identity_of
from bus.credentials import Credential
from bus.framing import CURVE, PLAIN
from bus.gate import MEMBERS
from bus.handshakes import Handshakes, is_same_port
from bus.tally import Tally
from bus.timers import Timers
from bus.watch import Watch

if TYPE_CHECKING:
    from bus.security import Security

LEAVE_MS: Final = 200  # how long the word that we leave may take to get out

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]


class Sockets:
    """Makes, polls and closes sockets; one thread owns all of them."""

    def __init__(
        self,
        host: str,
        bind: str,
        context: Context | None,
        owner: str = "",
        topics_at: tuple[str, str] | None = None,
    ) -> None:
        self.host = host
        self.bind = bind
        self.topics_at = topics_at or (host, bind)
        self.owner = owner
        self.framing = PLAIN
        self.tally = Tally(self.framing)  # of what is said outside topics
        self.foreign_tally = Tally(self.framing)  # of what foreign agents say and are told
        self.handshakes = Handshakes(self.framing, self.tally, self._callee_at)
        self._own_context = context is None
        self._context = context or zmq.Context(1)
        self._handlers: dict[Any, Callable[[], None]] = {}
        self._polled: list[tuple[Any, int]] = []
        self._asking: dict[tuple[str, str], Asking] = {}  # by endpoint, and the key that we show there
        self._watch: Watch | None = None
        self._watched: list[Socket] = []
        self._closing: list[Callable[[], None]] = []
        self._security: Security | None = None

    @property
    def security(self) -> Security | None:
        """What keys make of the sockets; None: plain."""
        return self._security

    @security.setter
    def security(self, security: Security | None) -> None:
        """Set before any socket is made: encrypted frames and links are longer."""
        self._security = security
        self.framing = PLAIN if security is None else CURVE
        self.tally.framing = self.foreign_tally.framing = self.handshakes.framing = self.framing

    @property
    def shares_context(self) -> bool:
        """Whether other processes' sockets live in the same ZeroMQ context."""
        return not self._own_context

    def make(self, kind: int, handler: Callable[[], None]) -> Socket:
        """A socket; ``handler`` reads it when it is ready."""
        made = self._configured(kind)
        self._handlers[made] = handler
        self._set_polled()
        return made

    def watched(self, kind: int, handler: Callable[[], None], credential: Credential | None = None) -> Socket:
        """A socket that is one of many, or seldom ready: it makes no poll dearer. ``drop`` it before the others."""
        made = self._configured(kind)
        if credential is not None:
            show(made, credential)
        self.adopt(made, handler)
        return made

    def adopt(self, socket: Socket, handler: Callable[[], None]) -> None:
        """Watch a socket that somebody else has made."""
        if self._watch is None:
            self._watch = Watch()
            self._handlers[self._watch.fileno()] = self._watch.drain
            self._set_polled()
        self._watched.append(socket)
        self._watch.add(socket, handler)

    def hear(self, descriptor: int, handler: Callable[[], None], close: Callable[[], None]) -> None:
        """Poll a descriptor that is no socket's; ``handler`` reads it, ``close`` closes it before the sockets."""
        self._handlers[descriptor] = handler
        self._closing.append(close)
        self._set_polled()

    def look_again(self, socket: Socket) -> None:
        """Something was sent on a watched socket."""
        if self._watch is not None:
            self._watch.look_again(socket)

    def drop(self, socket: Socket) -> None:
        """Close a watched socket."""
        if self._watch is not None and socket in self._watched:
            self._watch.remove(socket)
            self._watched.remove(socket)
            self.handshakes.forget(socket)
            socket.close(linger=0)

    def _configured(self, kind: int) -> Socket:
        made = self._context.socket(kind)
        made.linger = 0
        # A full queue would make libzmq drop without a word. Both ends count: 0 is "no limit", and lockstep keeps
        # queues short; a reliable publisher is bounded by its history, not by its sockets.
        made.sndhwm = made.rcvhwm = 0
        made.setsockopt(zmq.RECONNECT_IVL, 50)
        made.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        made.setsockopt(zmq.TCP_KEEPALIVE, 1)
        made.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 60)
        identity = identity_of(self.owner) if kind == zmq.DEALER else b""
        if identity:
            made.setsockopt(zmq.ROUTING_ID, identity)
        self.handshakes.watch(made, len(identity))
        return made

    def _set_polled(self) -> None:
        self._polled = [(known, zmq.POLLIN) for known in self._handlers]

    def listen_for_subscribers(self, socket: Socket) -> str:
        """Bind the socket that publishes, where it may be on another network than calls; otherwise as ``listen``."""
        host, bind = self.topics_at
        return f"tcp://{host}:{self.listen(socket, f'tcp://{bind}:*').rpartition(':')[2]}"

    def listen(self, socket: Socket, address: str = "", domain: str = MEMBERS) -> str:
        """Bind (by default to any free port), and return the endpoint as others reach it.

        With keys, only those get through whom the gate admits to the domain.

        Raises: OSError: the address is not ours, is taken, or is no address.
        """
        at = address or f"tcp://{self.bind}:*"
        if self.security is not None:
            self.security.guard(socket, domain)
        try:
            socket.bind(at)
        except zmq.ZMQError as error:
            raise OSError(error.errno, str(error.strerror)) from None
        bound = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.handshakes.bound(socket, bound)
        return f"tcp://{self.host}:{bound.rsplit(':', 1)[1]}"

    def asking(self, endpoint: str, callee: str, timers: Timers, credential: Credential | None = None) -> Asking:
        """The DEALER to an endpoint, made when first needed."""
        key = (endpoint, credential.own.public if credential is not None else "")
        found = self._asking.get(key)
        if found is None:
            dealer = self.make(zmq.DEALER, partial(self._answers, key))
            if credential is not None:
                show(dealer, credential)
            dealer.connect(endpoint)
            found = self._asking[key] = Asking(dealer, callee, timers, self.tally)
        return found

    @property
    def unanswered(self) -> int:
        """Questions of this process that still wait for an answer or for their deadline."""
        return sum(asking.unanswered for asking in self._asking.values())

    def drop_asking(self, endpoint: str, reason: str, key: str | None = None) -> None:
        """Nobody answers there any more (or nobody shows that key any more): what is open fails."""
        for known in [known for known in self._asking if known[0] == endpoint and key in (None, known[1])]:
            found = self._asking.pop(known)
            del self._handlers[found.socket]
            self._set_polled()
            self.handshakes.forget(found.socket)
            found.socket.close(linger=0)
            found.fail_all("peer_lost", reason)

    def poll(self, timeout_s: float) -> list[Callable[[], None]]:
        """The handlers of the sockets that are ready, after at most ``timeout_s`` (rounded up to a millisecond)."""
        handlers = self._handlers
        if self._watch is not None and self._watch.waits:
            return [self._watch.drain, *(handlers[socket] for socket, _ in zmq.zmq_poll(self._polled, 0))]
        return [handlers[socket] for socket, _ in zmq.zmq_poll(self._polled, math.ceil(timeout_s * 1000))]

    def open(self) -> list[str]:
        """The kinds of the sockets that are not closed."""
        return [zmq.SocketType(int(socket.type)).name for socket in self._all() if not socket.closed]

    def close(self, flush_s: float = 0.0) -> None:
        """Close all; what is published may take ``flush_s`` to get out."""
        for close in self._closing:
            close()
        lingers = {int(zmq.DEALER): LEAVE_MS, int(zmq.XPUB): round(flush_s * 1000)}
        for socket in self._all():
            self.handshakes.forget(socket)
            socket.close(linger=lingers.get(int(socket.type), 0))
        if self._watch is not None:
            self._watch.close()
        if self._own_context:
            self._context.term()

    def _all(self) -> list[Socket]:
        return [known for known in self._handlers if isinstance(known, zmq.Socket)] + self._watched

    def _callee_at(self, endpoint: str) -> str:
        return next((a.callee for (known, _), a in self._asking.items() if is_same_port(known, endpoint)), "")

    def _answers(self, key: tuple[str, str]) -> None:
        if key in self._asking:  # a handler before us in the same poll may have dropped it
            self._asking[key].drain()


def show(socket: Socket, credential: Credential) -> None:
    """Make a socket, before it connects, one that proves who we are, and speaks only with the server that is meant."""
    socket.setsockopt_string(zmq.CURVE_PUBLICKEY, credential.own.public)
    socket.setsockopt_string(zmq.CURVE_SECRETKEY, credential.own.secret)
    socket.setsockopt_string(zmq.CURVE_SERVERKEY, credential.server)
