"""What a process listens to: one XSUB for all its publishers; with keys, one for each of them.

An XSUB does not tell which publisher a frame came from. Where that matters, each has a socket of its own, whose
connection its key has proved (docs/decisions: one XSUB per publisher with keys).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import zmq

from bus.credentials import Credential, KeyPair
from bus.handshakes import is_same_port
from bus.live import LIVE, NO_FRAME, Take
from bus.live import Receive as Recv
from bus.rights import Rights
from bus.sockets import Socket, Sockets
from bus.tally import Upstream

_log = logging.getLogger(__name__)

NOBLOCK: Final = int(zmq.NOBLOCK)
POLLIN: Final = int(zmq.POLLIN)  # arithmetic on the enumeration costs more than the call it is for
FLOW_S: Final = 0.01  # messages flow while the next one comes within that time
LARGEST_BATCH: Final = 64  # frames to read before looking at the other sockets again
QUEUE_FRAMES: Final = 20_000
"""From one publisher: who does not read lets TCP hold the publisher's own queue back, rather than fill its memory."""
NO_PREFIX: Final = b"\xff"  # no topic begins like this
LOOKED_FOR: Final = 4  # frames of a batch for which it is asked whether another one is there
LARGEST_DRAIN: Final = 65_536
FEWEST_AHEAD: Final = 4
MOST_PATIENCE: Final = 512
INSTANCE_AT: Final = 9  # bytes from the NUL behind a topic to the publisher's instance in the header
SUBSCRIBE: Final = b"\x09SUBSCRIBE"
Receive = Callable[[bytes, int], None]


class Wanted(NamedTuple):
    """A topic as it is subscribed: its live name and its private one, each with the NUL, and who reads its frames.

    Names of a subtree end in a slash instead; its reader gets the first frame of each topic, and routes the others.
    """

    live: bytes
    private: bytes
    receive: Receive
    take: Take | None
    """The shorter way for messages as they were published, if there is one."""

    @property
    def is_tree(self) -> bool:
        """Whether it is every topic below a name."""
        return self.live.endswith(b"/")

    def covers(self, frame: bytes) -> bool:
        """Whether a frame belongs to that subtree."""
        return frame.startswith((self.live, self.private))


def subscribing(wanted: dict[str, Wanted]) -> list[tuple[str, int]]:
    """What a link begins with: a frame for each name subscribed, as (topic, bytes).

    ZeroMQ says these as commands of ZMTP 3.1; what is subscribed later goes out as the message we send.
    """
    return [(topic, len(SUBSCRIBE) + len(name)) for topic, w in wanted.items() for name in (w.live, w.private)]


class SharedInput:
    """All publishers on one XSUB: fewest sockets to look at; a frame's origin is what its header says."""

    def __init__(self, sockets: Sockets) -> None:
        self.xsub = sockets.make(zmq.XSUB, self._drain)
        self.xsub.rcvtimeo = round(FLOW_S * 1000)
        self.xsub.rcvhwm = QUEUE_FRAMES
        self.flows = False
        """Whether messages have been following each other."""
        self.drains = False
        """Whether somebody wants the newest only: all that is there is read before anything is handed over."""
        self._in_a_row = 0  # frames waited for one by one
        self._patience = FEWEST_AHEAD  # after so many of those, try whether more are there
        self._ahead = 0  # frames to read without looking, after one that was waited for
        self._live: dict[bytes, Take] = {}
        self._prefix = NO_PREFIX  # how the frames begin that ``_take`` takes
        self._take: Take = _take_none
        self.upstream = Upstream(sockets.framing)
        self._routes: dict[bytes, Receive] = {}
        self._trees: dict[str, Wanted] = {}
        self._endpoints: dict[int, str] = {}
        self._wanted: dict[str, Wanted] = {}

    def connect(self, instance: int, endpoint: str, _key: str, _rights: Rights) -> None:
        """Listen to that process instance."""
        if self._endpoints.get(instance) != endpoint:
            self._endpoints[instance] = endpoint
            self.xsub.connect(endpoint)
            self.upstream.connect(instance, subscribing(self._wanted))

    def connected_again(self, endpoint: str) -> None:
        """A broken link was made again, and ZeroMQ has said again what we subscribe."""
        for instance, known in self._endpoints.items():
            if is_same_port(known, endpoint):
                self.upstream.connect(instance, subscribing(self._wanted))

    def disconnect(self, instance: int) -> None:
        """Listen to it no longer."""
        endpoint = self._endpoints.pop(instance, None)
        if endpoint is not None:
            self.upstream.disconnect(instance)
            with contextlib.suppress(zmq.ZMQError):
                self.xsub.disconnect(endpoint)

    def subscribe(self, topic: str, wanted: Wanted) -> None:
        """Ask every publisher for a topic, or for all below a name."""
        self._wanted[topic] = wanted
        if wanted.is_tree:
            self._trees[topic] = wanted
        else:
            self.route(topic, wanted)
        for name in (wanted.live, wanted.private):
            self.say(0, topic, b"\x01" + name)

    def unsubscribe(self, topic: str, wanted: Wanted) -> None:
        """Ask for it no longer."""
        self._wanted.pop(topic, None)
        self._trees.pop(topic, None)
        self.unroute(topic, wanted)
        for name in (wanted.private, wanted.live):
            self.say(0, topic, b"\x00" + name)

    def route(self, _topic: str, wanted: Wanted) -> None:
        """Let frames of a topic find their reader; whether they come is another matter."""
        self._prefix = NO_PREFIX
        self._live.pop(wanted.live + LIVE, None)
        if wanted.take is not None:
            self._live[wanted.live + LIVE] = wanted.take
        self._routes[wanted.live[:-1]] = self._routes[wanted.private[:-1]] = wanted.receive

    def unroute(self, _topic: str, wanted: Wanted) -> None:
        """Nobody here reads that topic any more."""
        self._prefix = NO_PREFIX
        self._live.pop(wanted.live + LIVE, None)
        for name in (wanted.private, wanted.live):
            self._routes.pop(name[:-1], None)

    def _receive_new(self, frame: bytes, at: int) -> None:
        """The first frame of a topic below a subtree."""
        for wanted in self._trees.values():
            if wanted.covers(frame):
                wanted.receive(frame, at)
                return

    def say(self, _instance: int, topic: str, words: bytes) -> None:
        """Send something about a topic upstream; it reaches every publisher, so the words must say whom they mean."""
        self.xsub.send(words)
        self.upstream.say(topic, len(words))

    def receive_next(self) -> None:
        """Wait for the next frame, for at most ``FLOW_S``; unlike a poll this asks nothing of any other socket.

        Where frames keep coming faster than they are read, more are read at once. To find that there is none costs more
        than ten that are there, so it is tried the less often the more often it was in vain.
        """
        if not self._read(1, 0):
            self.flows = False
            self._ahead = 0
        elif self.drains:
            self._read(LARGEST_DRAIN, NOBLOCK)
        elif self._ahead:
            self._read_ahead(self._ahead)
        else:
            self._in_a_row += 1
            if self._in_a_row >= self._patience:
                self._in_a_row = 0
                self._read_ahead(FEWEST_AHEAD)

    def _read_ahead(self, count: int) -> None:
        read = self._read(count, NOBLOCK)
        if read == count:
            self._ahead = min(2 * count, LARGEST_BATCH)
            self._patience = FEWEST_AHEAD
        elif read < FEWEST_AHEAD:
            self._ahead = 0
            self._patience = min(2 * self._patience, MOST_PATIENCE)

    def _drain(self) -> None:
        self.flows = True
        for _ in range(LOOKED_FOR):
            # Asking costs half of the exception that an empty queue raises.
            if not self._read(1, NOBLOCK) or not int(self.xsub.getsockopt(zmq.EVENTS)) & POLLIN:
                return
        self._read(LARGEST_DRAIN if self.drains else LARGEST_BATCH, NOBLOCK)

    def _read(self, count: int, flags: int) -> int:
        """Read so many frames, or as many as there are; returns how many."""
        recv = self.xsub.recv
        try:
            frame = recv(flags)
        except zmq.Again:
            return 0
        left = count
        while frame:
            if frame.startswith(self._prefix):  # often the next one is of the same topic
                left, frame = self._take(frame, recv, flags, left)
                continue
            at = frame.find(0) + 1
            prefix = frame[: at + 2]
            take = self._live.get(prefix)
            if take is not None:
                self._prefix, self._take = prefix, take
                continue
            self._routes.get(frame[: at - 1], self._receive_new)(frame, at)
            left -= 1
            if not left:
                break
            try:
                frame = recv(flags)
            except zmq.Again:
                break
        return count - left


def _take_none(_frame: bytes, _recv: Recv, _flags: int, left: int) -> tuple[int, bytes]:
    return left, NO_FRAME


class KeyedInputs:
    """One XSUB for each publisher: what comes in is by the holder of that key, and on topics that it may publish."""

    def __init__(self, sockets: Sockets, own: KeyPair, refused: Callable[[str, str], None]) -> None:
        self._sockets = sockets
        self._own = own
        self._refused = refused
        self.upstream = Upstream(sockets.framing)
        self.drains = False
        self._inputs: dict[int, _Input] = {}
        self._wanted: dict[str, Wanted] = {}

    def connect(self, instance: int, endpoint: str, key: str, rights: Rights) -> None:
        """Listen to that process instance, as far as its rights go."""
        found = self._inputs.get(instance)
        if found is None or (found.endpoint, found.key) != (endpoint, key):
            self.disconnect(instance)
            tell = partial(self.upstream.tell, instance)
            found = _Input(self._sockets, self._own, instance, endpoint, key, self._refused, tell)
            self._inputs[instance] = found
        if found.rights != rights:
            found.rights = rights
            for topic, wanted in self._wanted.items():
                found.subscribe(topic, wanted)

    def connected_again(self, endpoint: str) -> None:
        """A broken link was made again, and ZeroMQ has said again what we subscribe."""
        for instance, found in self._inputs.items():
            if is_same_port(found.endpoint, endpoint):
                self.upstream.connect(instance, subscribing(found.wanted))

    def disconnect(self, instance: int) -> None:
        """Listen to it no longer."""
        found = self._inputs.pop(instance, None)
        if found is not None:
            found.close()

    def subscribe(self, topic: str, wanted: Wanted) -> None:
        """Ask those publishers for a topic that may publish it."""
        self._wanted[topic] = wanted
        for found in self._inputs.values():
            found.subscribe(topic, wanted)

    def unsubscribe(self, topic: str, wanted: Wanted) -> None:
        """Ask for it no longer."""
        del self._wanted[topic]
        for found in self._inputs.values():
            found.unsubscribe(topic, wanted)

    def route(self, topic: str, wanted: Wanted) -> None:
        """Let frames of a topic find their reader; whether they come is another matter."""
        if topic in self._wanted:
            self._wanted[topic] = wanted
        for found in self._inputs.values():
            found.route(topic, wanted)

    def unroute(self, _topic: str, wanted: Wanted) -> None:
        """Nobody here reads that topic any more."""
        for found in self._inputs.values():
            found.unroute(wanted)

    def say(self, instance: int, topic: str, words: bytes) -> None:
        """Send something about a topic upstream to one publisher."""
        found = self._inputs.get(instance)
        if found is not None:
            found.say(topic, words)


class _Input:
    """One publisher's XSUB. Whatever the publisher sends, only topics in ``_routes`` under its instance pass."""

    def __init__(
        self,
        sockets: Sockets,
        own: KeyPair,
        instance: int,
        endpoint: str,
        key: str,
        refused: Callable[[str, str], None],
        tell: Callable[[str, int], None],
    ) -> None:
        self.wanted: dict[str, Wanted] = {}
        self.endpoint = endpoint
        self.key = key
        self.rights: Rights | None = None
        self._sockets = sockets
        self._refused = refused
        self._tell = tell
        self._instance = instance.to_bytes(4, "little")
        self._routes: dict[bytes, Receive] = {}
        self._trees: dict[str, Wanted] = {}
        self._xsub: Socket = sockets.watched(zmq.XSUB, self._drain, Credential(own, key))
        self._xsub.connect(endpoint)

    def subscribe(self, topic: str, wanted: Wanted) -> None:
        if self.rights is None or topic in self.wanted:
            return
        if wanted.is_tree:
            self._trees[topic] = wanted  # what may be published below it is asked of each frame
        elif self.rights.publishes(topic):
            self.route(topic, wanted)
        else:
            return
        self.wanted[topic] = wanted
        self.say(topic, b"\x01" + wanted.live)
        self.say(topic, b"\x01" + wanted.private)

    def unsubscribe(self, topic: str, wanted: Wanted) -> None:
        if self.wanted.pop(topic, None) is not None:
            self._trees.pop(topic, None)
            self.unroute(wanted)
            self.say(topic, b"\x00" + wanted.private)
            self.say(topic, b"\x00" + wanted.live)

    def route(self, topic: str, wanted: Wanted) -> None:
        if self.rights is not None and self.rights.publishes(topic):
            self._routes[wanted.live[:-1]] = self._routes[wanted.private[:-1]] = wanted.receive

    def unroute(self, wanted: Wanted) -> None:
        for name in (wanted.private, wanted.live):
            self._routes.pop(name[:-1], None)

    def say(self, topic: str, words: bytes) -> None:
        self._xsub.send(words)
        self._tell(topic, len(words))
        self._sockets.look_again(self._xsub)

    def close(self) -> None:
        self._sockets.drop(self._xsub)

    def _drain(self) -> None:
        xsub, routes, instance = self._xsub, self._routes, self._instance
        for read in range(LARGEST_BATCH):
            try:
                frame = xsub.recv(NOBLOCK)
            except zmq.Again:
                return
            at = frame.find(0)
            receive = routes.get(frame[:at])
            if receive is not None and frame[at + INSTANCE_AT : at + INSTANCE_AT + 4] == instance:
                receive(frame, at + 1)
            else:
                self._refuse(frame, at, receive)
            # Asking costs half of the exception that an empty queue raises, and more than a frame that is there.
            if xsub.closed or (read < LOOKED_FOR and not int(xsub.getsockopt(zmq.EVENTS)) & POLLIN):
                return

    def _refuse(self, frame: bytes, at: int, receive: Any) -> None:
        """Take what begins a topic below a subtree; anything else has no business here."""
        name = frame[: max(at, 0)].decode(errors="replace")
        topic = name[name.find("/") :] if name.startswith("~") else name
        if receive is None and self.rights is not None and self.rights.publishes(topic):
            tree = next((wanted for wanted in self._trees.values() if wanted.covers(frame)), None)
            if tree is not None and frame[at + INSTANCE_AT : at + INSTANCE_AT + 4] == self._instance:
                tree.receive(frame, at + 1)
                return
            receive = tree
        if receive is not None:
            self._refused("instance", f"a frame on {topic} in the name of another instance, from {self.endpoint}")
        elif self.rights is None or not self.rights.publishes(topic):
            self._refused(
                "topic", f"a frame on {topic or 'no topic'}, which the process at {self.endpoint} may not publish"
            )
