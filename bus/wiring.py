"""A process's links as the graph wants them: whom it hears, who hears it, and which of these are matched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from bus.description import offer_of
from bus.errors import BusError, QosIncompatible, TypeMismatch
from bus.messages import Peer, TopicRecord
from bus.names import SUBTREE, is_subtree
from bus.outputs import uid_of
from bus.peers import rights_of
from bus.publisher import Publisher
from bus.qos import missing
from bus.subscription import Subscription
from bus.subtree import Subtree

if TYPE_CHECKING:
    from bus.process import Process

OBSERVERS: Final = "/observer/"
RECORDER: Final = "/recorder"


class Wiring:
    """The links of one process."""

    def __init__(self, process: Process) -> None:
        self.observers: set[str] = set()  # uids of all that ever were in the graph: their traffic is not the run's
        self.recorded = False  # a recorder is or was there, and must get all that is published
        self._process = process
        # An end, whom it needs, that one's name.
        self._links: list[tuple[Subscription | Subtree | Publisher, Any, str]] = []
        self._cursor = 0  # where the last look found a link not matched

    def link(self, peers: Iterable[Peer]) -> None:
        """Connect to whoever publishes what we subscribe; note both ends of what must match."""
        process = self._process
        self._links, self._cursor = [], 0
        for peer in peers:
            if peer.instance == process.instance:
                continue
            wanted = [r for node in peer.nodes for r in node.publishes if process.pubsub.covers(r.topic)]
            if wanted:
                process.pubsub.connect(peer.instance, peer.endpoint, peer.public_key, rights_of(peer))
            for record in wanted:
                if record.topic in process.subscriptions:
                    self._want(process.subscriptions[record.topic], record, peer)
                if not is_observer(peer):
                    trees = [tree for tree in process.pubsub.trees.values() if tree.covers(record.topic)]
                    self._links += [(tree, (peer.instance, record.topic), peer.process) for tree in trees]
            for record in (r for node in peer.nodes for r in node.subscribes):
                if record.topic in process.publishers:
                    self._serve(process.publishers[record.topic], record, peer)
                elif is_subtree(record.topic):
                    self._serve_tree(record.topic.removesuffix(SUBTREE[1:]), peer)

    def _want(self, subscription: Subscription, offer: TopicRecord, peer: Peer) -> None:
        error: BusError | None = None
        lacking = subscription.qos.missing_in(offer_of(offer))
        if offer.type_id != subscription.type_id:
            error = TypeMismatch(offer.topic, subscription.type_id, offer.type_id, peer.process)
        elif lacking is not None:
            error = QosIncompatible(offer.topic, *lacking, peer.process)
        if error is not None:
            subscription.refuse(peer.instance, error)
        if not is_observer(peer):  # who only watches may publish now and then; nobody waits for that
            self._links.append((subscription, peer.instance, peer.process))

    def _serve(self, publisher: Publisher, asked: TopicRecord, peer: Peer) -> None:
        error: BusError | None = None
        lacking = missing(offer_of(asked), publisher.qos.offer)
        if asked.type_id != publisher.type_id:
            error = TypeMismatch(asked.topic, publisher.type_id, asked.type_id, peer.process)
        elif lacking is not None:
            error = QosIncompatible(asked.topic, *lacking, peer.process)
        uid = uid_of(peer.instance)
        if error is not None and uid not in publisher.refused:
            publisher.refuse(uid, str(error))
            self._process.pubsub.report_refused(error)
        self._note(publisher, uid, peer)

    def _serve_tree(self, prefix: str, peer: Peer) -> None:
        """Whoever wants all below a name takes what each topic carries and promises."""
        for topic, publisher in self._process.publishers.items():
            if topic.startswith(prefix):
                self._note(publisher, uid_of(peer.instance), peer)

    def _note(self, publisher: Publisher, uid: str, peer: Peer) -> None:
        recorder = any(node.name == RECORDER for node in peer.nodes)  # it watches, but the run waits for it
        self.recorded |= recorder
        if recorder or is_observer(peer):
            self.observers.add(uid)
        if not is_observer(peer):
            self._links.append((publisher, uid, peer.process))

    def unmatched_of(self, end: Publisher | Subscription) -> list[str]:
        """Who is still to match with one end of a topic."""
        return [name for known, key, name in self._links if known is end and not known.is_matched(key)]

    def unmatched(self) -> list[str]:
        """What is not matched yet, as sentences."""
        sentences = []
        for end, key, name in self._links:
            if not end.is_matched(key):
                way = "to" if isinstance(end, Publisher) else "from"
                refusal = f" (refused: {end.refused[key]})" if key in end.refused else ""
                sentences.append(f"{end.topic} {way} {name}{refusal}")
        return sentences

    def all_matched(self) -> bool:
        """Whether every link is."""
        # Thousands of links match one after the other, and each time this is asked: go on from where it failed before.
        links, count = self._links, len(self._links)
        for step in range(count):
            end, key, _ = links[(self._cursor + step) % count]
            if not end.is_matched(key):
                self._cursor = (self._cursor + step) % count
                return False
        return True


def is_observer(peer: Peer) -> bool:
    """Whether a process only watches, or is a guest: nobody waits for it."""
    return peer.guest or all(node.name.startswith(OBSERVERS) for node in peer.nodes)
