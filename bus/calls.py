"""Request and reply between processes: ROUTER answers, DEALER asks, one body frame, a deadline on every question."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import zmq

from bus.agent_wire import HEADER_BYTES as FOREIGN_HEADER_BYTES
from bus.agent_wire import is_foreign
from bus.codec import decode, encode_payload
from bus.errors import BusError, CallFailed, CallTimeout, DecodeError
from bus.framing import PLAIN
from bus.messages import Call, Failure, Message, Reply
from bus.tally import Tally
from bus.timers import Timer, Timers

_log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 16 * 2**20
TIMEOUT: Final = "timeout"
BEFORE_NONCE: Final = "#"
FOREIGN: Final = "foreign:"  # in the books, before what is said to or by foreign agents
FORBIDDEN: Final = "forbidden"  # kind of a Failure: the caller's key has no right to that
REVOKED: Final = "revoked"  # the caller's key is not known any more
Handler = Callable[[Any], Message]
Forbids = Callable[[str, str, str, Message, bool], tuple[str, str] | None]
R = TypeVar("R", bound=Message)
_decode_answer = msgspec.msgpack.Decoder(Reply | Failure).decode
_decode_call = msgspec.msgpack.Decoder(Call).decode


def identity_of(process: str) -> bytes:
    """A name under which a ROUTER knows who asks; no two are equal, or the second would get no answers."""
    return f"{process}{BEFORE_NONCE}{os.urandom(4).hex()}".encode()


def caller_of(identity: bytes) -> str:
    """The process that asks; "" for tools, and whoever else gives no name. A claim, good for books only."""
    name, _, nonce = identity.partition(BEFORE_NONCE.encode())
    return name.decode(errors="replace") if nonce else ""


class Answering:
    """The side that answers: methods by (node, method) on one ROUTER."""

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        max_body_bytes: int = MAX_BODY_BYTES,
        tally: Tally | None = None,
        foreign_tally: Tally | None = None,
    ) -> None:
        self.received = Tally(PLAIN)  # what callers asked, by their names
        self.tally = tally or Tally(PLAIN)
        self.malformed = 0
        self.answered = 0
        self._socket = socket
        self._max_body_bytes = max_body_bytes
        self.types: dict[tuple[str, str], tuple[type[Message], type[Message] | None]] = {}
        """Types of requests and replies by (node, method), for those who ask what can be called."""
        self.forbids: Forbids | None = None
        """With keys: (key, node, method, request, reads) -> kind and text of why the caller may not, if so."""
        self.foreign: Callable[[bytes, bytes, str], None] | None = None
        """Takes what is no call but a frame of ``bus.agent_wire``: the sender's identity, the frame, the key shown."""
        self._foreign_tally = foreign_tally or Tally(PLAIN)
        self._methods: dict[tuple[str, str], tuple[type[Message], Handler, bool]] = {}

    def tell(self, identity: bytes, frame: bytes, teller: str, what: str, agent: str) -> None:
        """Say something to a foreign agent that has written before; nobody notices if it is gone.

        Args:
            identity: Its own on this socket.
            frame: Of ``bus.agent_wire``.
            teller, what, agent: For the books: who says it, the kind of message, and to whom.
        """
        self._socket.send_multipart((identity, frame))
        self._book(f"{FOREIGN}{teller}/{what}", agent, frame)

    def heard(self, frame: bytes, agent: str, what: str, hearer: str) -> None:
        """Book what a foreign agent said, which reports nothing itself."""
        self._book(f"{FOREIGN}{agent}/{what}", hearer, frame)

    def _book(self, topic: str, hearer: str, frame: bytes) -> None:
        self._foreign_tally.add(topic, "data", hearer, len(frame), max(0, len(frame) - FOREIGN_HEADER_BYTES))

    def serve(
        self,
        node: str,
        method: str,
        request_type: type[Message],
        handler: Handler,
        reply_type: type[Message] | None = None,
        *,
        reads: bool | None = None,
    ) -> None:
        """Answer a method: the handler returns the reply or a Failure, or raises BusError, ValueError, LookupError.

        reads: Whether it changes nothing, so that with keys any tool may ask; by default when its request is a query.
        """
        if (node, method) in self._methods:
            raise ValueError(f"{node} serves {method} already")
        self.types[node, method] = (request_type, reply_type)
        if reads is None:
            reads = request_type.__name__.endswith("Query")
        self._methods[node, method] = (request_type, handler, reads)

    def drain(self) -> None:
        """Answer all that has come."""
        while True:
            key = ""
            try:
                if self.forbids is None:
                    parts = self._socket.recv_multipart(zmq.NOBLOCK)
                else:
                    frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
                    parts, key = [frame.bytes for frame in frames], user_of(frames[-1])
            except zmq.Again:
                return
            if len(parts) != 2 or len(parts[1]) > self._max_body_bytes:
                self._bad(f"{len(parts)} parts, {sum(map(len, parts))} bytes")
                continue
            try:
                call = _decode_call(parts[1])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if self.foreign is not None and is_foreign(parts[1]):
                    self.foreign(parts[0], parts[1], key)
                else:
                    self._bad(str(error))
                continue
            answer = self._answer(call, key)
            body = encode_payload(answer)
            self._count(call, caller_of(parts[0]), len(body), len(answer.body) if isinstance(answer, Reply) else 0)
            self._socket.send_multipart((parts[0], body))

    def _answer(self, call: Call, key: str) -> Reply | Failure:
        found = self._methods.get((call.node, call.method))
        if found is None:
            return Failure(call.number, "unknown_method", f"{call.node} has no method {call.method}")
        request_type, handler, reads = found
        try:
            request = decode(call.body, request_type)
        except DecodeError as error:
            self.malformed += 1
            return Failure(call.number, "malformed", str(error))
        if self.forbids is not None:
            why = self.forbids(key, call.node, call.method, request, reads)
            if why is not None:
                return Failure(call.number, *why)
        try:
            reply = handler(request)
        except (BusError, ValueError, LookupError) as error:
            return Failure(call.number, type(error).__name__, str(error))
        self.answered += 1
        if isinstance(reply, Failure):
            return Failure(call.number, reply.kind, reply.text)
        return Reply(call.number, encode_payload(reply))

    def _count(self, call: Call, caller: str, body_bytes: int, payload_bytes: int) -> None:
        # Names that callers make up are not kept.
        name = f"{call.node}/{call.method}" if (call.node, call.method) in self._methods else "(unknown)"
        self.tally.add(f"reply:{name}", "control" if caller else "observed", caller, body_bytes, payload_bytes)

    def _bad(self, reason: str) -> None:
        self.malformed += 1
        if self.malformed.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            _log.warning("dropped a malformed call (%d so far): %s", self.malformed, reason)


class Asking:
    """The side that asks one callee, over one DEALER."""

    def __init__(self, socket: zmq.Socket[bytes], callee: str, timers: Timers, tally: Tally | None = None) -> None:
        self.socket = socket
        self.tally = tally or Tally(PLAIN)
        self.callee = callee
        self.malformed = 0
        self._timers = timers
        self._number = 0
        self._open: dict[int, tuple[type[Message], Callable[[Any], None], Timer]] = {}

    def ask(
        self,
        node: str,
        method: str,
        request: Message,
        reply_type: type[Message],
        deadline_s: float,
        then: Callable[[Any], None],
    ) -> None:
        """Send a call; ``then`` gets the reply or a Failure (kind "timeout" after ``deadline_s``) from the loop."""
        self._number += 1
        number = self._number
        timer = self._timers.after(deadline_s, partial(self._expire, number, node, method, deadline_s))
        self._open[number] = (reply_type, then, timer)
        payload = encode_payload(request)
        body = encode_payload(Call(number, node, method, payload))
        self.tally.add(f"call:{node}/{method}", "control", self.callee, len(body), len(payload))
        self.socket.send(body, zmq.NOBLOCK)

    @property
    def unanswered(self) -> int:
        """Questions that still wait for an answer or for their deadline."""
        return len(self._open)

    def drain(self) -> None:
        """Hand over all answers that have come."""
        while True:
            try:
                body = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                answer = _decode_answer(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.malformed += 1
                continue
            self._hand_over(answer)

    def _hand_over(self, answer: Reply | Failure) -> None:
        reply_type, then, timer = self._open.pop(answer.number, (Message, None, None))
        if then is None or timer is None:
            return  # it came after its deadline
        timer.cancel()
        if isinstance(answer, Reply):
            then(self._reply(answer, reply_type))
        else:
            then(answer)

    def _reply(self, answer: Reply, reply_type: type[Message]) -> Message:
        try:
            return decode(answer.body, reply_type)
        except DecodeError as error:
            self.malformed += 1
            return Failure(answer.number, "malformed", str(error))

    def fail_all(self, kind: str, text: str) -> None:
        """The callee is gone: nothing open will be answered."""
        for number in list(self._open):
            self._hand_over(Failure(number, kind, text))

    def _expire(self, number: int, node: str, method: str, deadline_s: float) -> None:
        if number in self._open:
            self._hand_over(Failure(number, TIMEOUT, str(CallTimeout(node, method, deadline_s))))


def user_of(frame: zmq.Frame) -> str:
    """The key that the sender of a frame has shown, as our gate accepted it; empty if there is none."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def reply_or_raise(answer: R | Failure, callee: str, method: str, deadline_s: float) -> R:
    """The reply.

    Raises: CallTimeout: no answer in time. CallFailed: the callee refused.
    """
    if not isinstance(answer, Failure):
        return answer
    if answer.kind == TIMEOUT:
        raise CallTimeout(callee, method, deadline_s)
    raise CallFailed(callee, method, answer.kind, answer.text)
