"""Publish and subscribe: one XPUB out, XSUBs in (``bus/inputs.py``): routes, the match, repair requests, heartbeats.

A match: the subscriber sends SUBSCRIBE ``topic NUL``, then SUBSCRIBE ``~uid topic NUL``. When the publisher sees the
second, live messages flow already; it answers on the private channel with the history it promised and an END mark.
Publishers and subscribers of one process meet in the loop's queue instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bus.codec import HEADER, HEADER_BYTES, Header
from bus.credits import Credits
from bus.deadlines import Deadlines
from bus.errors import BusError
from bus.events import Events
from bus.inputs import KeyedInputs, SharedInput, Wanted
from bus.live import with_header
from bus.outputs import UID_BYTES, Output, uid_of
from bus.publisher import Publisher, never_match
from bus.qos import Qos
from bus.reception import Hooks
from bus.rights import EVERYTHING, Rights
from bus.sockets import Sockets
from bus.subscription import AnyCallback, Filing, Subscription
from bus.subtree import Subtree, TreeCallback
from bus.tails import REPEAT_S, Tails
from bus.timers import Timers
from bus.topics import TopicSpec
from bus.upstream import NACK, Word

_log = logging.getLogger(__name__)


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
        self._connected: set[int] = set()
        self.tails = Tails(timers, wall_ns, self.publishers)
        self.name_of: Callable[[int], str] = uid_of
        self.wait_matched: Callable[[Any, int, float], None] = never_match
        self.sim_ns: Callable[[], int] | None = None
        self.events = Events(lambda instance: self.name_of(instance))
        self.deadlines = Deadlines(timers, self._now_s, self.events)
        security = sockets.security
        self._inputs: SharedInput | KeyedInputs = (
            SharedInput(sockets) if security is None else KeyedInputs(sockets, security.keys.own, security.refused)
        )
        self.upstream = self._inputs.upstream
        sockets.handshakes.on_again = self._inputs.connected_again
        self.flow = self._inputs if isinstance(self._inputs, SharedInput) else None
        self._output = Output(sockets, timers, self)
        self.read_notices = self._output.drain
        self.endpoint = self._output.endpoint
        self._publishing = (self._output.send, wall_ns, self._changed, self.tails.add, sockets.framing)
        self._hooks = Hooks(
            admits=self._connected.__contains__,
            say=self._say,
            own_instance=lambda: self.instance,
            clock=timers.now_s,
            age_s=self._age_s,
            later=later,
            after=timers.after,
            on_change=self._changed,
            on_loss=lambda topic, instance, count: self.on_loss(topic, instance, count),
            on_refused=self.report_refused,
            events=self.events,
            drop=drop,
            framing=sockets.framing,
        )
        self._timers = timers
        timers.every(REPEAT_S, self._ask_again)

    # -- topics --------------------------------------------------------------------------------------------------------

    def publisher(self, topic: str, spec: TopicSpec, qos: Qos | None) -> Publisher:
        """See ``Node.publisher``."""
        if topic in self.publishers:
            raise ValueError(f"this process publishes {topic} already; a topic has one publisher per process")
        self._need_instance(topic)
        made = Publisher(topic, spec, qos or spec.qos, self.instance, *self._publishing)
        if made.qos.keeps_all:
            made.credits = Credits(
                made,
                self._output.await_room,
                self._timers.now_s,
                self._name_of_uid,
                partial(self._count_dropped, topic),
            )
        made.wait = self.wait_matched
        self.publishers[topic] = made
        self.deadlines.watch_publisher(made)
        for uid in self._output.notices.wanting(topic):
            made.match(uid)
        for receiver in self._receivers(topic, made.type_id):
            self._join_locally(made, receiver)
        self.on_topics()
        return made

    def subscribe(self, topic: str, spec: TopicSpec, callback: AnyCallback, qos: Qos | None) -> Subscription:
        """See ``Node.subscribe``."""
        made = self._subscription(topic, spec, qos)
        for message, fields in made.latest:
            self._later(with_header(callback), message, Header(*fields))
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
        self._inputs.drains = self._inputs.drains or made.drains
        made.wait = self.wait_matched
        self.deadlines.watch_subscription(made)
        if topic in self.publishers:
            self._join_locally(self.publishers[topic], made)
        self.on_topics()
        return made

    def unsubscribe(self, topic: str, callback: AnyCallback) -> None:
        """Stop calling that callback; the last one takes the subscription along."""
        found = self.subscriptions[topic]
        found.callbacks = tuple(known for known in found.callbacks if known != callback)
        if found.callbacks or found.filings:
            return
        del self.subscriptions[topic]
        found.resign()
        self.deadlines.forget(found)
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
            return Wanted(live, private, receivers[0].receive, receivers[0].take)
        return Wanted(live, private, partial(_each, [receiver.receive for receiver in receivers]), None)

    def _wanted_below(self, tree: Subtree) -> Wanted:
        live = tree.prefix.encode()
        private = b"~" + uid_of(self.instance).encode() + live
        return Wanted(live, private, self._receive_new, None)

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

    def _count_dropped(self, topic: str, uid: str, count: int) -> None:
        self.events.tell("dropped", topic, int(uid, 16), count)

    def _name_of_uid(self, uid: str) -> str:
        return self.name_of(int(uid, 16))

    def _ask_again(self) -> None:
        """The end of a history may be lost like any frame: whoever is heard but not matched is asked for it."""
        for subscription in self.all_subscriptions():
            for link in subscription.links.values():
                if not link.expected:
                    self._say(Word(NACK, link.instance, self.instance, 0, 0, subscription.topic))

    def _say(self, word: Word) -> None:
        self._inputs.say(word.instance, word.topic, word.pack())

    # -- time ----------------------------------------------------------------------------------------------------------

    def _now_s(self) -> float:
        return self._timers.now_s() if self.sim_ns is None else 1e-9 * self.sim_ns()

    def _age_s(self, fields: tuple[int, ...]) -> float:
        """Of a message, by the run's time if there is one, else by the time of day."""
        return 1e-9 * (self._wall_ns() - fields[9] if self.sim_ns is None else self.sim_ns() - fields[8])

    def report_refused(self, error: BusError) -> None:
        """One end does not fit the other."""
        self._changed()
        self.events.tell("incompatible", getattr(error, "topic", ""), 0, 1, str(error))
        self.on_refused(error)

    def _changed(self) -> None:
        self.on_links()

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
        self._output.drop(uid)
        for publisher in self.publishers.values():
            publisher.forget(uid)

    @property
    def words_malformed(self) -> int:
        """What subscribers said that could not be read."""
        return self._output.malformed

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
