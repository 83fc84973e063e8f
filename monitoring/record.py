"""The recorder: an observer that hears what is published and writes it into a bag; it knows what it has missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bus.codec import Header, decode, encode_payload
from bus.errors import UnknownTopic
from bus.messages import Books, Graph, Shutdown, TopicRecord
from bus.node import Node
from bus.qos import Qos
from monitoring.bag_writer import FLUSH_S, BagWriter

GRAPH: Final = "/hub/graph"
SHUTDOWN: Final = "/hub/shutdown"
HUB: Final = "/hub"
MOST_BEHIND: Final = 4096  # unread messages of a best-effort topic before the newest take the place of the oldest

Wanted = Callable[[str], bool]


@dataclass
class Tally:
    """What was heard of one publisher on one topic: sequences from first to last, and those that never came."""

    first: int
    last: int
    messages: int = 1


@dataclass
class Findings:
    """What a recording is worth.

    Attributes:
        messages, lost: Recorded, and known to be missing.
        gaps: Sentences, what is missing.
        closed: Whether the hub's closed books were there to compare with.
        proven: Whether every publisher was in them; then ``lost == 0`` means: all of it.
        unproven: Process instances that went without telling (they died, or the hub did).
        unknown: Topics that were published and are in no table here, so that they could not be recorded.
    """

    messages: int = 0
    lost: int = 0
    closed: bool = False
    proven: bool = False
    gaps: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return self.lost == 0

    def facts(self) -> dict[str, object]:
        """For the bag's metadata."""
        return {
            "messages": self.messages,
            "lost": self.lost,
            "complete": str(self.complete).lower(),
            "closed": str(self.closed).lower(),
            "proven": str(self.proven).lower(),
            "gaps": "; ".join(self.gaps[:64]),
            "unproven": ", ".join(self.unproven),
            "unknown": ", ".join(self.unknown),
        }


class Recorder:
    """Hears every wanted topic of whoever is in the graph. Make it before ``process.register()``.

    Args:
        node: The recorder's node.
        bag: Where messages go.
        wanted: Which topics to record.
        from_start: Whether it was there before anybody spoke: then a first sequence that is not 1 is a loss.
    """

    def __init__(self, node: Node, bag: BagWriter, wanted: Wanted, *, from_start: bool = False) -> None:
        self.shutdown: Shutdown | None = None
        self.topics: set[str] = set()
        self.unknown: set[str] = set()
        self._node = node
        self._process = node.process
        self._bag = bag
        self._wanted = wanted
        self._from_start = from_start
        self._tallies: dict[tuple[str, int], Tally] = {}
        self._lost: Counter[tuple[str, int]] = Counter()
        self._offers: dict[tuple[str, int], tuple[TopicRecord, str, str]] = {}
        self._process.on_loss(self._on_loss)
        # Before the membership hears of the graph: it then knows of our new subscriptions, and is not ready too early.
        node.subscribe(GRAPH, self._on_graph)
        node.subscribe(SHUTDOWN, self._on_message(SHUTDOWN)).leave_undecoded()
        node.timer(FLUSH_S, bag.flush)

    @property
    def messages(self) -> int:
        """Recorded so far."""
        return self._bag.messages

    # -- what comes ----------------------------------------------------------------------------------------------------

    def _on_graph(self, graph: Graph, header: Header) -> None:
        for peer in graph.peers:
            for node in peer.nodes:
                for offer in node.publishes:
                    self._offers[offer.topic, peer.instance] = (offer, node.name, peer.process)
                    self._follow(offer)
        if self._wanted(GRAPH):
            self._take(GRAPH, encode_payload(graph), header)

    def _follow(self, offer: TopicRecord) -> None:
        topic = offer.topic
        if topic in self.topics or topic in (GRAPH, SHUTDOWN) or topic in self.unknown:
            return
        try:
            self._process.table.match(topic)
        except UnknownTopic:
            self.unknown.add(topic)  # somebody's own, or another version's: what it carries has no schema here
            return
        if not self._wanted(topic):
            return
        self.topics.add(topic)
        qos = Qos(
            "reliable" if offer.reliable else "best_effort",
            "transient_local" if offer.transient_local else "volatile",
            depth=1 if offer.reliable else MOST_BEHIND,
            history=MOST_BEHIND,
        )
        self._node.subscribe(topic, self._on_message(topic), qos).leave_undecoded()

    def _on_message(self, topic: str) -> Callable[[Any, Header], None]:
        def take(payload: Any, header: Header) -> None:
            self._take(topic, payload, header)
            if topic == SHUTDOWN:
                self.shutdown = decode(payload, Shutdown)

        return take

    def _take(self, topic: str, payload: bytes, header: Header) -> None:
        key = topic, header.instance
        tally = self._tallies.get(key)
        if tally is None:
            self._tallies[key] = Tally(header.sequence, header.sequence)
            if topic == SHUTDOWN and not self._wanted(SHUTDOWN):
                return
            self._add_channel(topic, header.instance)
        else:
            tally.last = header.sequence
            tally.messages += 1
        if self._bag.has_channel(*key):
            self._bag.write(topic, header, payload)

    def _add_channel(self, topic: str, instance: int) -> None:
        spec = self._process.table.match(topic)
        offer, node, process = self._offers.get((topic, instance), (None, HUB, "hub"))
        qos = spec.qos
        if offer is not None and (offer.reliable, offer.transient_local) != (qos.reliable, qos.latched):
            qos = Qos(
                "reliable" if offer.reliable else "best_effort",
                "transient_local" if offer.transient_local else "volatile",
            )
        self._bag.add_channel(topic, instance, spec, qos, node, process)

    def _on_loss(self, topic: str, instance: int, count: int) -> None:
        self._lost[topic, instance] += count

    # -- the end -------------------------------------------------------------------------------------------------------

    def behind(self, books: Books) -> list[str]:
        """Topics of which the hub's closed books name a last message that has not come yet."""
        late = []
        for published in books.published:
            for topic, last in published.topics.items():
                if self._is_proved(topic) and last > self._reached(topic, published.instance):
                    late.append(topic)
        return late

    def _is_proved(self, topic: str) -> bool:
        # The graph goes on changing while everyone leaves, so its last sequence is nobody's to name.
        return topic in self.topics or (topic == SHUTDOWN and self._wanted(SHUTDOWN))

    def _reached(self, topic: str, instance: int) -> int:
        tally = self._tallies.get((topic, instance))
        return 0 if tally is None else tally.last

    def findings(self, books: Books | None) -> Findings:
        """What the recording is worth, held against the hub's closed books if it has them."""
        found = Findings(self._bag.messages)
        for (topic, instance), count in self._lost.items():
            self._miss(found, topic, instance, count, "lost on the way")
        if self._from_start:
            for (topic, instance), tally in self._tallies.items():
                if tally.first > 1 and topic != GRAPH:
                    self._miss(found, topic, instance, tally.first - 1, "before the first that came")
        told = {published.instance: published.topics for published in books.published} if books is not None else {}
        for instance, topics in told.items():
            for topic, last in topics.items():
                count = last - self._reached(topic, instance)
                if self._is_proved(topic) and count > 0 and (self._from_start or self._reached(topic, instance)):
                    self._miss(found, topic, instance, count, "after the last that came")
        heard = {instance for _, instance in self._tallies}
        found.unproven = [f"{instance:08x}" for instance in sorted(heard - told.keys())]
        found.unknown = sorted(self.unknown)
        found.closed = books is not None and books.closed
        found.proven = found.closed and not found.unproven
        return found

    def _miss(self, found: Findings, topic: str, instance: int, count: int, how: str) -> None:
        found.lost += count
        found.gaps.append(f"{topic} of {instance:08x}: {count} {how}")
