"""Publish and subscribe: one XPUB out, XSUBs in (``bus/inputs.py``): routes, the match, repair requests, heartbeats.

A match: the subscriber sends SUBSCRIBE ``topic NUL``, then SUBSCRIBE ``~uid topic NUL``. When the publisher sees the
second, live messages flow already; it answers on the private channel with the history it promised and an END mark.
Publishers and subscribers of one process meet in the loop's queue instead.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import zmq

from bus.codec import HEADER, HEADER_BYTES, Header
from bus.errors import BusError
from bus.inputs import KeyedInputs, SharedInput, Wanted
from bus.notices import Notices
from bus.publisher import Publisher
from bus.qos import Qos
from bus.rights import EVERYTHING, Rights
from bus.sockets import Sockets
from bus.subscription import Callback, Filing, Hooks, Subscription
from bus.subtree import Subtree, TreeCallback
from bus.timers import Timers
from bus.topics import TopicSpec

_log = logging.getLogger(__name__)

NACK: Final = struct.Struct("<BIIQQ")  # mark, publisher instance, instance that asks, first, last; then the topic
NACK_MARK: Final = 2  # XPUB takes 0 and 1 as its own
UID_BYTES: Final = 8
TAIL_S: Final = 0.01
LONGEST_TAIL_S: Final = 0.32
REPEAT_S: Final = 1.0


def uid_of(instance: int) -> str:
    """A process instance as it stands in the names of private channels."""
    return f"{instance:08x}"


class PubSub:
    """All topics of one process."""

    def __init__(
        self,
        sockets: Sockets,
        timers: Timers,
        later: Callable[..., None],
        wall_ns: Callable[[], int],
        drop: Callable[[str, int], bool] | None,
    ) -> None:
        self.instance = 0
        self.publishers: dict[str, Publisher] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.on_topics: Callable[[], None] = _nothing
        self.on_links: Callable[[], None] = _nothing
        self.on_loss: Callable[[str, int, int], None] = _log_loss
        self.on_refused: Callable[[BusError], None] = _log_refusal
        self._later = later
        self._wall_ns = wall_ns
        self.trees: dict[str, Subtree] = {}
        self._notices = Notices()
        self._connected: set[int] = set()
        self._untold: list[Publisher] = []
        self._tail_s = TAIL_S  # grows while nobody has anything to ask for: most links lose nothing
        self._security = security = sockets.security
        self._inputs: SharedInput | KeyedInputs = (
            SharedInput(sockets) if security is None else KeyedInputs(sockets, security.keys.own, security.refused)
        )
        self.upstream = self._inputs.upstream
        sockets.handshakes.on_again = self._inputs.connected_again
        self.flow = self._inputs if isinstance(self._inputs, SharedInput) else None
        self._xpub = sockets.make(zmq.XPUB, self._drain_xpub)
        # Every notice, not only the first of each name: a subscriber that comes back must be matched again.
        self._xpub.setsockopt(zmq.XPUB_VERBOSE, 1)
        # An XPUB never waits for anybody; without a wrapper or flags the call costs a third less.
        self._send: Callable[[bytes], object] = self._xpub.send
        self._publishing = (self._send, wall_ns, self._changed, self._on_untold, sockets.framing)
        self.endpoint = sockets.listen(self._xpub)
        self._hooks = Hooks(
            admits=self._connected.__contains__,
            nack=self._nack,
            after=timers.after,
            on_change=self._changed,
            on_loss=lambda topic, instance, count: self.on_loss(topic, instance, count),
            on_refused=self.report_refused,
            drop=drop,
            framing=sockets.framing,
        )
        self._timers = timers
        timers.every(REPEAT_S, self._tell_all)

    # -- topics --------------------------------------------------------------------------------------------------------

    def publisher(self, topic: str, spec: TopicSpec, qos: Qos | None) -> Publisher:
        """See ``Node.publisher``."""
        if topic in self.publishers:
            raise ValueError(f"this process publishes {topic} already; a topic has one publisher per process")
        self._need_instance(topic)
        made = Publisher(topic, spec, qos or spec.qos, self.instance, *self._publishing)
        self.publishers[topic] = made
        for uid in self._notices.wanting(topic):
            made.match(uid)
        for receiver in self._receivers(topic, made.type_id):
            self._join_locally(made, receiver)
        self.on_topics()
        return made

    def subscribe(self, topic: str, spec: TopicSpec, callback: Callback, qos: Qos | None) -> Subscription:
        """See ``Node.subscribe``."""
        made = self._subscription(topic, spec, qos)
        for message, fields in made.latest:
            self._later(callback, message, Header(*fields))
        made.callbacks = (*made.callbacks, callback)
        return made

    def collect(self, topic: str, spec: TopicSpec, file: Filing) -> Subscription:
        """See ``Node.collect``."""
        made = self._subscription(topic, spec, None)
        for message, fields in made.latest:
            self._later(file, message, fields)
        made.filings = (*made.filings, file)
        return made

    def _subscription(self, topic: str, spec: TopicSpec, qos: Qos | None) -> Subscription:
        found = self.subscriptions.get(topic)
        if found is not None:
            if found.spec.message is not spec.message:
                ours, wanted = found.spec.message.__name__, spec.message.__name__
                raise ValueError(f"{topic} carries {ours} for this process already, not {wanted}")
            return found
        self._need_instance(topic)
        made = self.subscriptions[topic] = Subscription(topic, spec, qos or spec.qos, self._hooks)
        self._inputs.subscribe(topic, self._wanted(topic, made.type_id))
        if topic in self.publishers:
            self._join_locally(self.publishers[topic], made)
        self.on_topics()
        return made

    def unsubscribe(self, topic: str, callback: Callback) -> None:
        """Stop calling that callback; the last one takes the subscription along."""
        found = self.subscriptions[topic]
        found.callbacks = tuple(known for known in found.callbacks if known != callback)
        if found.callbacks or found.filings:
            return
        del self.subscriptions[topic]
        for instance in list(found.links):
            found.forget(instance)
        self._inputs.unsubscribe(topic, self._wanted(topic, found.type_id))
        self._route(topic, found.type_id)
        self.on_topics()

    def subscribe_tree(self, name: str, callback: TreeCallback, reliable: bool) -> Subtree:
        """See ``Node.subscribe_tree``."""
        found = self.trees.get(name)
        if found is not None:
            found.add(callback, self._later)
            return found
        self._need_instance(name)
        made = self.trees[name] = Subtree(name, reliable, self._hooks)
        made.add(callback, self._later)
        for topic, subscription in self.subscriptions.items():
            if made.covers(topic):
                self._route(topic, subscription.type_id)
        self._inputs.subscribe(name, self._wanted_below(made))
        for topic, publisher in self.publishers.items():
            if made.covers(topic):
                self._join_locally(publisher, made.member(topic, publisher.type_id))
        self.on_topics()
        return made

    def unsubscribe_tree(self, name: str, callback: TreeCallback) -> None:
        """Stop calling that callback; the last one takes the subscription along."""
        found = self.trees[name]
        found.remove(callback)
        if found.callbacks:
            return
        del self.trees[name]
        for instance in self._connected:
            found.forget(instance)
        self._inputs.unsubscribe(name, self._wanted_below(found))
        for topic, member in found.members.items():
            self._route(topic, member.type_id)
        self.on_topics()

    def all_subscriptions(self) -> Iterator[Subscription]:
        """Those of single topics, and those that subtrees consist of."""
        yield from self.subscriptions.values()
        for tree in self.trees.values():
            yield from tree.members.values()

    def covers(self, topic: str) -> bool:
        """Whether this process hears a topic, by its own name or with others."""
        return topic in self.subscriptions or any(tree.covers(topic) for tree in self.trees.values())

    def _need_instance(self, topic: str) -> None:
        if not self.instance:
            raise RuntimeError(f"this process has no instance yet; join() before using {topic}")

    def _receivers(self, topic: str, type_id: int) -> list[Subscription]:
        """All of this process that hear a topic."""
        exact = [self.subscriptions[topic]] if topic in self.subscriptions else []
        return [*exact, *(tree.member(topic, type_id) for tree in self.trees.values() if tree.covers(topic))]

    def _wanted(self, topic: str, type_id: int) -> Wanted:
        # ZeroMQ matches prefixes: without the NUL, /edge/1 would also receive /edge/10.
        live = topic.encode() + b"\0"
        private = b"~" + uid_of(self.instance).encode() + live
        receivers = self._receivers(topic, type_id)
        if len(receivers) == 1:
            return Wanted(live, private, receivers[0].receive, receivers[0].receive_live)
        receive = partial(_each, [receiver.receive for receiver in receivers])
        return Wanted(live, private, receive, receive)

    def _wanted_below(self, tree: Subtree) -> Wanted:
        live = tree.prefix.encode()
        private = b"~" + uid_of(self.instance).encode() + live
        return Wanted(live, private, self._receive_new, self._receive_new)

    def _route(self, topic: str, type_id: int) -> None:
        """Who hears a topic has changed: let its frames find them all, from outside and from within."""
        hears = bool(self._receivers(topic, type_id))
        (self._inputs.route if hears else self._inputs.unroute)(topic, self._wanted(topic, type_id))
        if topic in self.publishers:
            self._rejoin_locally(self.publishers[topic])

    def _join_locally(self, publisher: Publisher, subscription: Subscription) -> None:
        self._rejoin_locally(publisher)
        if subscription.takes_latched:
            for frame in publisher.latched_frames():
                self._later(subscription.receive_local, frame)

    def _rejoin_locally(self, publisher: Publisher) -> None:
        receivers = [receiver.receive_local for receiver in self._receivers(publisher.topic, publisher.type_id)]
        receive = receivers[0] if len(receivers) == 1 else partial(_each, receivers)
        publisher.listen_here(partial(self._later, receive) if receivers else None)

    # -- what comes in -------------------------------------------------------------------------------------------------

    def _receive_new(self, frame: bytes, at: int) -> None:
        """The first frame of a topic below a subtree; its header starts at that byte."""
        if at < 1 or len(frame) < at + HEADER_BYTES:
            return
        name = frame[1 + UID_BYTES : at - 1] if frame[:1] == b"~" else frame[: at - 1]
        try:
            topic = name.decode()
        except UnicodeDecodeError:
            return
        type_id = HEADER.unpack_from(frame, at)[4]
        self._route(topic, type_id)
        for receiver in self._receivers(topic, type_id):
            receiver.receive(frame, at)

    def _drain_xpub(self) -> None:
        while True:
            try:
                if self._security is None:
                    notice = self._xpub.recv(zmq.NOBLOCK)
                else:
                    frame = self._xpub.recv(zmq.NOBLOCK, copy=False)
                    notice = frame.bytes
                    if not self._is_by_its_sender(notice, frame):
                        continue
            except zmq.Again:
                return
            if notice[:1] == bytes((NACK_MARK,)) and len(notice) > NACK.size:
                self._repair(notice)
            elif notice[1:2] == b"~" and len(notice) > UID_BYTES + 2:
                uid, name = notice[2 : 2 + UID_BYTES], notice[2 + UID_BYTES :].removesuffix(b"\0")
                self._notice(notice[0] == 1, uid.decode(errors="replace"), name.decode(errors="replace"))

    def _is_by_its_sender(self, notice: bytes, frame: zmq.Frame) -> bool:
        """Whether who speaks for a subscriber, on the private channel or to ask for repair, is that subscriber."""
        assert self._security is not None  # noqa: S101 -- asked only with keys
        instance = self._security.note(frame)
        if instance == 0:
            return True
        speaks = instance is not None
        if speaks and notice[:1] == bytes((NACK_MARK,)) and len(notice) > NACK.size:
            speaks = NACK.unpack_from(notice)[2] == instance
        elif speaks and notice[1:2] == b"~":
            speaks = notice[2 : 2 + UID_BYTES] == uid_of(instance or 0).encode()
        if not speaks:
            self._security.refused("subscriber", f"instance {instance} speaks for another subscriber")
        return speaks

    def _notice(self, joined: bool, uid: str, name: str) -> None:
        if joined:
            self._notices.add(uid, name)
        else:
            self._notices.remove(uid, name)
        for publisher in self._publishers_of(name):
            if joined:
                publisher.match(uid)
            elif not self._notices.is_wanted(uid, publisher.topic):
                publisher.unmatch(uid)

    def _publishers_of(self, name: str) -> list[Publisher]:
        """Our publisher of a topic, or all below a name that ends in a slash."""
        if name.endswith("/"):
            return [publisher for topic, publisher in self.publishers.items() if topic.startswith(name)]
        return [self.publishers[name]] if name in self.publishers else []

    # -- repair --------------------------------------------------------------------------------------------------------

    def _nack(self, instance: int, topic: str, first: int, last: int) -> None:
        words = NACK.pack(NACK_MARK, instance, self.instance, first, last) + topic.encode()
        self._inputs.say(instance, topic, words)

    def _repair(self, request: bytes) -> None:
        _, instance, asker, first, last = NACK.unpack_from(request)
        if instance != self.instance:
            return  # an XSUB speaks to all its publishers at once; this is for another one
        self._tail_s = TAIL_S
        publisher = self.publishers.get(request[NACK.size :].decode(errors="replace"))
        if publisher is not None and publisher.is_matched(uid_of(asker)):
            publisher.repair(uid_of(asker), first, last)

    def _on_untold(self, publisher: Publisher) -> None:
        if not self._untold:
            self._timers.after(self._tail_s, self._tell_tails)
        self._untold.append(publisher)

    def _tell_tails(self) -> None:
        idle_since_ns = self._wall_ns() - int(self._tail_s * 1e9)
        told = self._untold
        self._untold = [publisher for publisher in told if not publisher.heartbeat(idle_since_ns)]
        if len(self._untold) < len(told):
            self._tail_s = min(2.0 * self._tail_s, LONGEST_TAIL_S)
        if self._untold:
            self._timers.after(self._tail_s, self._tell_tails)

    def _tell_all(self) -> None:
        # Again and again: the heartbeat itself may be lost, and after a broken link nothing else may come.
        for publisher in self.publishers.values():
            publisher.heartbeat(self._wall_ns() - int(REPEAT_S * 1e9))

    def report_refused(self, error: BusError) -> None:
        """One end does not fit the other."""
        self._changed()
        self.on_refused(error)

    def _changed(self) -> None:
        self.on_links()

    def repeat(self) -> None:
        """Tell every subscriber the last sequence now, so that it asks for whatever it misses."""
        for publisher in self.publishers.values():
            publisher.heartbeat(self._wall_ns())

    # -- whom we listen to ---------------------------------------------------------------------------------------------

    def connect(self, instance: int, endpoint: str, key: str = "", rights: Rights = EVERYTHING) -> None:
        """Listen to that process instance; with keys, to the holder of that key, on topics that it may publish."""
        self._connected.add(instance)
        self._inputs.connect(instance, endpoint, key, rights)

    def disconnect(self, instance: int) -> None:
        """That instance is gone: close the link, forget its sequences, whatever its TCP link still says."""
        self._connected.discard(instance)
        self._inputs.disconnect(instance)
        for subscription in self.all_subscriptions():
            subscription.forget(instance)
        uid = uid_of(instance)
        for name in self._notices.drop(uid):
            for publisher in self._publishers_of(name):
                publisher.unmatch(uid)

    @property
    def connected(self) -> frozenset[int]:
        """Instances that we listen to."""
        return frozenset(self._connected)


def _each(receivers: list[Callable[..., None]], *arguments: Any) -> None:
    for receive in receivers:
        receive(*arguments)


def _nothing() -> None:
    """Nobody wants to know."""


def _log_loss(topic: str, instance: int, count: int) -> None:
    _log.error("%s: %d messages of instance %d are lost for good", topic, count, instance)


def _log_refusal(error: BusError) -> None:
    _log.error("%s", error)
