"""The side of the registry's callers that are no process on the bus: tools, and the launcher."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

import zmq

from bus.calls import Asking, identity_of, reply_or_raise
from bus.credentials import Credential
from bus.errors import KeyRefused
from bus.framing import CURVE, PLAIN
from bus.handshakes import EVENT, LINK
from bus.messages import BeatAck, Failure, Message, Peer, Peers, Query, ReportExit, Status
from bus.names import HUB
from bus.sockets import show
from bus.tally import Tally
from bus.timers import Timers

FAILED_HANDSHAKES: Final = int(zmq.Event.HANDSHAKE_FAILED_AUTH | zmq.Event.HANDSHAKE_FAILED_PROTOCOL)
MECHANISMS_DIFFER: Final = 0x11000002
R = TypeVar("R", bound=Message)


class Client:
    """Asks a registry, and waits for each answer.

    Args:
        address: The registry's. deadline_s: For each answer.
        owner: The process of the run that asks, so that what this costs is the run's; none for tools.
        credential: What we show, and whom we expect, when keys are in use.
    Raises: OSError: what is given is no address.
    Raises (every call): CallTimeout: no answer within ``deadline_s``. CallFailed: refused. KeyRefused: no entry.
    """

    def __init__(
        self, address: str, deadline_s: float = 5.0, owner: str = "", credential: Credential | None = None
    ) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = self._socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        identity = identity_of(owner) if owner else b""
        if owner:
            socket.setsockopt(zmq.ROUTING_ID, identity)
        if credential is not None:
            show(socket, credential)
        self._address = address
        self._handshakes = socket.get_monitor_socket(FAILED_HANDSHAKES)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise OSError(error.errno, str(error.strerror)) from None
        self._deadline_s = deadline_s
        self._timers = Timers(time.monotonic)
        framing = PLAIN if credential is None else CURVE
        self.tally = Tally(framing)
        self.tally.add_bytes(
            LINK, "control", HUB, framing.link_bytes("DEALER", binds=False, identity_bytes=len(identity))
        )
        self._asking = Asking(socket, HUB, self._timers, self.tally)

    def peers(self) -> tuple[Peer, ...]:
        """All registered processes."""
        return self.call("peers", Query(), Peers).peers

    def status(self) -> Status:
        """How far the start is, and who waits for whom."""
        return self.call("status", Query(), Status)

    def report_exit(self, process: str, pid: int, code: int) -> bool:
        """Tell that a child ended; returns whether the registry still counted on it."""
        return self.call("report_exit", ReportExit(process, pid, code), BeatAck).known

    def close(self) -> None:
        """Close the socket; idempotent."""
        self._handshakes.close(linger=0)
        self._socket.close(linger=0)
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.close()

    def call(
        self, method: str, request: Message, reply_type: type[R], deadline_s: float | None = None, node: str = HUB
    ) -> R:
        """Ask the hub (or another node, if the address is its process's) for anything it serves there.

        The deadline is the client's or another, in seconds.
        """
        return self.ask(method, request, reply_type, deadline_s, node)()

    def ask(
        self, method: str, request: Message, reply_type: type[R], deadline_s: float | None = None, node: str = HUB
    ) -> Callable[[], R]:
        """The same in two steps: ask now; what is returned waits for the answer, so that many can be asked at once."""
        patience_s = self._deadline_s if deadline_s is None else deadline_s
        answers: list[R | Failure] = []
        self._asking.ask(node, method, request, reply_type, patience_s, answers.append)

        def answer() -> R:
            while not answers:
                left_s = max(0.0, self._timers.next_due_s() - time.monotonic())
                for ready, _ in zmq.zmq_poll(
                    [(self._socket, zmq.POLLIN), (self._handshakes, zmq.POLLIN)], int(left_s * 1000) + 1
                ):
                    if ready is self._socket:
                        self._asking.drain()
                    else:
                        self._look_at_handshake()
                self._timers.run_due()
            return reply_or_raise(answers[0], node, method, patience_s)

        return answer

    def _look_at_handshake(self) -> None:
        kind, value = EVENT.unpack(self._handshakes.recv_multipart()[0])
        if kind == zmq.Event.HANDSHAKE_FAILED_AUTH:
            raise KeyRefused(self._address, "the hub does not know this key; take the keystore of that run (--keys)")
        if value == MECHANISMS_DIFFER:
            raise KeyRefused(self._address, "one side has keys and the other has none; see --keys, EDGERIG_KEYS")
