"""The agent's side of ``docs/agent-protocol.md`` in Python: two DEALERs, the states, and a function that decides."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
import zmq

from bus import agent_wire as wire
from bus.agent_state import AgentSide
from bus.credentials import Credential, Keys
from bus.errors import DecodeError, PeerLost
from bus.sockets import show

_log = logging.getLogger(__name__)

LINGER_MS: Final = 200
AGAIN_S: Final = 0.1
MAKE_S: Final = 30.0
"""How long what decides may load; the hub believes no more than the scenario's ``max_busy_s``."""
UNANSWERED_S: Final = 5.0
HELD_UP_S: Final = 1.0
HUB_S: Final = 60.0
"""How long a hub may be silent before there is a lease."""


class Decider(Protocol):
    """What decides; made anew whenever time begins again."""

    def decide(self, header: wire.Header, observation: wire.Said) -> wire.Said:
        """The decision for an observation that can be read."""
        ...

    def hear(self, header: wire.Header, said: wire.Said) -> None:
        """A reward, an outcome, a refusal or a state."""
        ...

    def give_state(self) -> bytes:
        """All that it remembers, if its Hello says that it gives it. Raises: ValueError: it cannot say."""
        ...

    def take_state(self, state: bytes) -> None:
        """Remember this instead. Raises: ValueError: it means nothing to it, and it is as it was."""
        ...


class RefusedForGood(Exception):
    """The hub or the warm-up has no use for this agent; the text says why."""


@dataclass
class AgentClient:
    """Speaks with a hub and an edge server until Goodbye; ``run`` returns when the run is over.

    Attributes:
        hub: The hub's address.
        edge: The edge server to decide for; None: the next free one.
        hello: Who it is.
        make: Makes what decides, for a Setup.
        keys: In a run with keys, makes what is shown for one lease: the role's enrolment key, and a pair of its own.
        wait_s: How long to ask for an edge server that others decide for.
    """

    hub: str
    edge: int | None
    hello: wire.Hello
    make: Callable[[wire.Setup], Decider]
    keys: Callable[[], Keys] | None = None
    wait_s: float = math.inf
    stopping: bool = False
    _said: dict[int, int] = field(default_factory=dict)

    def run(self) -> None:
        """Decide until the run is over.

        Raises: RefusedForGood: nobody wants it. PeerLost: the hub is silent.
        """
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._own: Keys | None = None
        self._hub = self._enrolling()
        self._server: zmq.Socket[bytes] | None = None
        self._instance, self._number = 0, wire.ANY_EDGE if self.edge is None else self.edge
        self._beat_s, self._life_s = 1.0, 5.0
        self._setup: wire.Setup | None = None
        self._decider: Decider | None = None
        self._side = AgentSide(self.hello.state_format)
        self._over = False
        self._slowest_s = math.inf  # of all decisions so far; nobody knows before the first
        self._began_s = self._heard_s = self._turned_s = time.monotonic()
        self._due_s = 0.0  # the next Hello, or the next beat
        try:
            while not self._over:
                self._turn()
            if self.stopping:
                self._say(self._hub, wire.Goodbye("stopped"))
        finally:
            self._leave_server()
            self._hub.close()
            self._context.term()

    def stop(self) -> None:
        """Let ``run`` return soon; safe in a signal handler."""
        self.stopping = True

    @property
    def number(self) -> int:
        """The edge server that it decides for, from Accepted on."""
        return self._number

    def _dealer(self, address: str, shown: Credential | None) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = LINGER_MS
        if shown is not None:
            show(socket, shown)
        socket.connect(address)
        return socket

    def _enrolling(self) -> zmq.Socket[bytes]:
        """To the hub under the role's key, for the next Hello, which has a key pair of its own."""
        if self.keys is None:
            return self._dealer(self.hub, None)
        self._own = self.keys()
        self.hello = msgspec.structs.replace(self.hello, public_key=self._own.own.public)
        return self._dealer(self.hub, self._own.credential("agent"))

    def _as_itself(self, server: str = "") -> Credential | None:
        """What is shown from Accepted on, to the hub or to an edge server's process."""
        return self._own.credential(server=server) if self._own is not None else None

    def _turn(self) -> None:
        now_s = time.monotonic()
        if now_s - self._turned_s > HELD_UP_S:
            self._heard_s = now_s  # who stood still himself cannot tell whether the hub was silent
        self._turned_s = now_s
        if now_s >= self._due_s:
            self._say(self._hub, wire.Beat() if self._instance else self.hello)
            self._due_s = now_s + (self._beat_s if self._instance else UNANSWERED_S)
        sockets = [(socket, zmq.POLLIN) for socket in (self._hub, self._server) if socket is not None]
        zmq.zmq_poll(sockets, max(0, int(1000 * min(AGAIN_S, self._due_s - now_s))) + 1)
        for socket, _ in sockets:
            while not self._over and not socket.closed and socket.poll(0):
                self._take(socket.recv(), at_hub=socket is self._hub)
        patience_s = 2.0 * self._life_s if self._instance else HUB_S
        if not self._over and now_s - self._heard_s > patience_s:
            raise PeerLost("/hub", "it is silent")
        self._over = self._over or self.stopping

    def _say(self, socket: zmq.Socket[bytes], said: wire.Said, epoch: int = 0, frame: int = 0) -> None:
        number = self._said[id(socket)] = self._said.get(id(socket), 0) + 1
        made = wire.encode(said, edge=self._number, instance=self._instance, epoch=epoch, frame=frame, sequence=number)
        socket.send(made, zmq.NOBLOCK)

    # -- what comes ----------------------------------------------------------------------------------------------------

    def _take(self, frame: bytes, *, at_hub: bool) -> None:
        if at_hub:
            self._heard_s = time.monotonic()
        try:
            header = wire.header_of(frame)
            said = wire.said_in(frame, header)
        except DecodeError as error:
            _log.warning("passed over: %s", error)
            return
        if isinstance(said, wire.Accepted):
            self._accepted(header, said)
        elif isinstance(said, wire.Goodbye):
            if header.instance == self._instance:
                self._goodbye(said)
        elif isinstance(said, wire.BeatAck):
            if not said.known and self._instance:
                self._greet(AGAIN_S)
        elif isinstance(said, wire.Refused) and (
            not self._instance or said.reason in ("unknown_instance", "stale_epoch")
        ):
            self._refused(said)
        elif isinstance(said, wire.Setup):
            self._setup = said
            self._begin_anew(said)
        elif isinstance(said, wire.Reset) and self._setup is not None:
            self._begin_anew(self._setup)
        elif isinstance(said, wire.Observation | wire.RentalObservation):
            self._decide(header, said)
        elif isinstance(said, wire.StateQuery | wire.StatePiece):
            self._hand(header, said)
        elif self._decider is not None:
            self._decider.hear(header, said)

    def _hand(self, header: wire.Header, said: wire.StateQuery | wire.StatePiece) -> None:
        """Somebody takes over from us, or we from somebody: what is remembered goes along."""
        if self._server is None or self._decider is None:
            return
        if isinstance(said, wire.StateQuery):
            for answer in self._side.asked(said, self._decider):
                self._say(self._server, answer, header.epoch, header.frame)
        elif (result := self._side.given(said, self._decider)) is not None:
            self._say(self._server, result, header.epoch, header.frame)

    def _accepted(self, header: wire.Header, said: wire.Accepted) -> None:
        self._leave_server()
        self._number, self._instance = header.edge, header.instance
        self._beat_s, self._life_s = said.beat_s, said.liveliness_s
        if self._own is not None:
            self._replace_hub(self._dealer(self.hub, self._as_itself()))
        self._server = self._dealer(said.edge_address, self._as_itself(said.edge_key))
        self._say(self._server, wire.Join())
        self._due_s = 0.0

    def _goodbye(self, said: wire.Goodbye) -> None:
        _log.info("goodbye: %s", said.reason)
        if said.again:
            self._greet(AGAIN_S)
        elif said.reason == "warm_up":
            raise RefusedForGood("the warm-up failed")
        else:
            self._over = True

    def _refused(self, said: wire.Refused) -> None:
        _log.warning("refused (%s): %s", said.reason, said.text)
        if self._instance:
            self._greet(AGAIN_S)
        elif said.retry_s > 0.0 and time.monotonic() + said.retry_s - self._began_s <= self.wait_s:
            self._greet(said.retry_s)
        else:
            raise RefusedForGood(f"{said.reason}: {said.text}")

    def _begin_anew(self, setup: wire.Setup) -> None:
        """A decider for the setup; it may load for long, and take long for its first decision."""
        self._busy(MAKE_S)
        self._decider, self._slowest_s = self.make(setup), math.inf

    def _busy(self, seconds: float) -> None:
        """Announce that there may be no beat for so long, so that slow is told from dead; the next beat ends that."""
        self._say(self._hub, wire.Beat(busy_s=seconds))
        self._due_s = 0.0

    def _decide(self, header: wire.Header, said: wire.Said) -> None:
        if self._server is None or self._decider is None:
            return
        if self._slowest_s > self._beat_s and self._setup is not None:
            self._busy(self._setup.decision_budget_s)
        asked_s = time.monotonic()
        try:
            decision = self._decider.decide(header, said)
        except ValueError as error:
            _log.warning("frame %d: %s", header.frame, error)
            return
        self._say(self._server, decision, header.epoch, header.frame)
        took_s = time.monotonic() - asked_s
        self._slowest_s = took_s if self._slowest_s == math.inf else max(took_s, self._slowest_s)

    def _greet(self, in_s: float) -> None:
        self._leave_server()
        if self._instance:
            self._began_s = time.monotonic()
        if self._instance and self._own is not None:
            self._say(self._hub, wire.Goodbye("greets again"))  # its next lease is for another key
            self._replace_hub(self._enrolling())
        self._instance, self._number = 0, wire.ANY_EDGE if self.edge is None else self.edge
        self._due_s = time.monotonic() + in_s

    def _replace_hub(self, socket: zmq.Socket[bytes]) -> None:
        self._said.pop(id(self._hub), None)
        self._hub.close()
        self._hub = socket

    def _leave_server(self) -> None:
        if self._server is not None:
            self._said.pop(id(self._server), None)
            self._server.close()
            self._server = None
