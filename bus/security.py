"""What keys make of one process: who may connect, whose connection it is, what was refused, who is cut off."""

from __future__ import annotations

import contextlib
import logging
import os
import socket as sockets_of_the_system
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import zmq

from bus.calls import user_of
from bus.credentials import Keys
from bus.gate import MEMBERS, Gate

if TYPE_CHECKING:
    from bus.measure import Measurements
    from bus.messages import Peer
    from bus.sockets import Socket, Sockets
    from bus.timers import Timers

_log = logging.getLogger(__name__)

CAUSES: Final = {0x11000001: "it took us for somebody else (another server key)", 0x11000002: "it came without a key"}
"""What libzmq tells of a broken handshake, unless the stranger saw first that it leads nowhere, and hung up."""


class Refusals:
    """Counts what was refused, by reason, and says so now and then."""

    def __init__(self, measurements: Measurements) -> None:
        self.counts: Counter[str] = Counter()
        self._measurements = measurements

    def __call__(self, reason: str, text: str) -> None:
        """Count one refusal; the log has the 1st, 2nd, 4th, 8th ... of each reason."""
        self.counts[reason] += 1
        self._measurements.counter("bus_refused", reason=reason).value += 1.0
        if self.counts[reason].bit_count() == 1:
            _log.warning("refused (%s, %d so far): %s", reason, self.counts[reason], text)


class Security:
    """The keys of one process, its gate, and the connections that came through it.

    Args:
        keys: What this process holds.
        sockets: Must have a ZeroMQ context of its own: libzmq asks one gate per context.
    """

    def __init__(self, keys: Keys, sockets: Sockets, timers: Timers, measurements: Measurements) -> None:
        self.keys = keys
        self.refused = Refusals(measurements)
        self.gate = Gate(sockets, timers, self.refused)
        self.gate.admits[MEMBERS] = self._is_admitted
        self.follows_graph = True  # the hub's process knows more than the graph
        self._sockets = sockets
        self._instances: dict[str, int] = {}
        self._seats: set[str] = set()  # keys of foreign agents here, which no graph has
        self._connections: dict[int, tuple[str, object]] = {}  # by descriptor: key, and the address it came from

    # -- who may come in -----------------------------------------------------------------------------------------------

    def admit(self, key: str, instance: int) -> None:
        """Let the holder of a key in, as that instance."""
        self._instances[key] = instance
        self.gate.look_again()

    def seat(self, key: str, instance: int) -> None:
        """Let a foreign agent in, whom the hub alone knows, until it is expelled."""
        self._seats.add(key)
        self.admit(key, instance)

    def expel(self, key: str) -> None:
        """That key is worth nothing any more; what it has opened is cut."""
        self._seats.discard(key)
        if self._instances.pop(key, None) is not None:
            self._cut(key)

    def meet_hub(self, instance: int) -> str:
        """The hub has that instance; returns its key."""
        self.admit(self.keys.hub, instance)
        return self.keys.hub

    def follow(self, peers: Iterable[Peer]) -> None:
        """Let in exactly the processes of a graph, and the hub."""
        if not self.follows_graph:
            return
        instances = {peer.public_key: peer.instance for peer in peers if peer.public_key}
        for key in [key for key in self._instances if key not in {*instances, *self._seats, self.keys.hub}]:
            self.expel(key)
        self._instances.update(instances)
        self.gate.look_again()

    def instance_of(self, key: str) -> int | None:
        """Whose key that is; None if nobody's."""
        return self._instances.get(key)

    def _is_admitted(self, key: str) -> bool:
        return key in self._instances

    # -- sockets -------------------------------------------------------------------------------------------------------

    def guard(self, socket: Socket, domain: str) -> None:
        """Make a socket, before it listens, one that speaks only with those whom the gate admits."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt_string(zmq.CURVE_PUBLICKEY, self.keys.own.public)
        socket.setsockopt_string(zmq.CURVE_SECRETKEY, self.keys.own.secret)
        # Without a domain, libzmq would let clients of the NULL mechanism in unasked.
        socket.setsockopt_string(zmq.ZAP_DOMAIN, domain)
        handshakes = self._sockets.handshakes
        handshakes.on_broken = self._on_broken_handshake
        self._sockets.adopt(handshakes.monitor_of(socket), handshakes.count)

    def _on_broken_handshake(self, value: int, endpoint: str) -> None:
        cause = CAUSES.get(value, "the other side hung up")
        self.refused("handshake", f"a handshake at {endpoint} broke off: {cause}")

    # -- connections ---------------------------------------------------------------------------------------------------

    def note(self, frame: zmq.Frame) -> int | None:
        """Whose connection a frame came over; remembers the connection, so that it can be cut.

        Returns: The instance; 0 if libzmq made the frame itself, as it does for what a closed connection had asked;
            None: nobody's (any more).
        """
        key = user_of(frame)
        if not key:
            return 0
        instance = self._instances.get(key)
        fd = int(frame.get(zmq.SRCFD))
        if instance is None:
            _shut(fd, _far_end(fd))
        elif self._connections.get(fd, ("",))[0] != key:
            self._connections[fd] = (key, _far_end(fd))
        return instance

    def _cut(self, key: str) -> None:
        """Close what the holder of a key has opened: the gate only keeps new connections out."""
        for fd in [fd for fd, (holder, _) in self._connections.items() if holder == key]:
            _shut(fd, self._connections.pop(fd)[1])


def _far_end(fd: int) -> object:
    """The address at the other end of a descriptor, without taking the descriptor over."""
    with contextlib.suppress(OSError), sockets_of_the_system.socket(fileno=os.dup(fd)) as copy:
        return copy.getpeername()
    return None


def _shut(fd: int, far_end: object) -> None:
    """Shut a connection down, if the descriptor is still that connection's: numbers are given again."""
    with contextlib.suppress(OSError), sockets_of_the_system.socket(fileno=os.dup(fd)) as copy:
        if far_end is not None and copy.getpeername() == far_end:
            copy.shutdown(sockets_of_the_system.SHUT_RDWR)


def secure(keys: Keys | None, sockets: Sockets, timers: Timers, measurements: Measurements) -> Security | None:
    """Give a process's sockets their security, before the first is made; None without keys.

    Raises: ValueError: others share the ZeroMQ context.
    """
    if keys is None:
        return None
    if sockets.shares_context:
        raise ValueError("keys take a ZeroMQ context of their own, so that each process asks its own gate")
    sockets.security = Security(keys, sockets, timers, measurements)
    return sockets.security
