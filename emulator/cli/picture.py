"""The topics of a live system, put together from what each process registered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bus import codec, topics
from bus.errors import UnknownTopic
from bus.messages import Peer, TopicRecord
from bus.names import is_subtree
from bus.topics import TopicSpec
from emulator.cli.columns import natural


@dataclass(frozen=True)
class End:
    """One end of a topic: the node, its process, and what it promises or asks."""

    node: str
    peer: Peer
    record: TopicRecord


@dataclass
class Topic:
    """A topic with everyone at it; spec is None when our topic table has no such row."""

    name: str
    spec: TopicSpec | None
    publishers: list[End] = field(default_factory=list)
    subscribers: list[End] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The message type's name, or its id where that is not ours."""
        record = (self.publishers or self.subscribers)[0].record
        if is_subtree(self.name):
            return "any"
        if self.spec is not None and codec.type_id(self.spec.message) == record.type_id:
            return self.spec.message.__name__
        return f"unknown type {record.type_id:08x}"

    @property
    def qos(self) -> str:
        """What is promised; what is asked, where nobody publishes."""
        return qos((self.publishers or self.subscribers)[0].record)

    @property
    def plane(self) -> str:
        """Control or data."""
        return self.spec.plane if self.spec is not None else "?"

    @property
    def pattern(self) -> str:
        """The row of the topic table."""
        return self.spec.pattern if self.spec is not None else self.name

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "topic": self.name,
            "message": self.message,
            "qos": self.qos,
            "plane": self.plane,
            "pattern": self.pattern,
            "publishers": [{"node": end.node, "process": end.peer.process} for end in self.publishers],
            "subscribers": [{"node": end.node, "process": end.peer.process} for end in self.subscribers],
        }


def topics_of(peers: Iterable[Peer]) -> list[Topic]:
    """All topics that somebody publishes or subscribes, in natural order."""
    found: dict[str, Topic] = {}
    for peer in peers:
        for node in peer.nodes:
            for record in node.publishes:
                _topic(found, record.topic).publishers.append(End(node.name, peer, record))
            for record in node.subscribes:
                _topic(found, record.topic).subscribers.append(End(node.name, peer, record))
    for topic in found.values():
        for ends in (topic.publishers, topic.subscribers):
            ends.sort(key=lambda end: natural(end.node))
    return sorted(found.values(), key=lambda topic: natural(topic.name))


def _topic(found: dict[str, Topic], name: str) -> Topic:
    if name not in found:
        try:
            spec = topics.match(name)
        except UnknownTopic:
            spec = None
        found[name] = Topic(name, spec)
    return found[name]


def qos(record: TopicRecord) -> str:
    """Quality of service in words."""
    return ("reliable" if record.reliable else "best effort") + (", latched" if record.transient_local else "")


def refusal(publisher: End, subscriber: End) -> str | None:
    """Why two ends do not fit; None when they do."""
    offered, asked = publisher.record, subscriber.record
    if offered.type_id != asked.type_id:
        return "another message type"
    if asked.reliable and not offered.reliable:
        return "asked reliable, offered best effort"
    if asked.transient_local and not offered.transient_local:
        return "asked latched, offered volatile"
    return None


def span(names: Iterable[str]) -> str:
    """Many names as few words: /edge/0, /edge/1, /edge/2 is /edge/0-2."""
    runs: list[tuple[str, list[int]]] = []
    words = []
    for name in sorted(names, key=natural):
        stem, _, index = name.rpartition("/")
        if not index.isdigit():
            words.append(name)
        elif runs and runs[-1][0] == stem and runs[-1][1][1] + 1 == int(index):
            runs[-1][1][1] = int(index)
        else:
            runs.append((stem, [int(index), int(index)]))
    spans = [f"{stem}/{first}" + (f"-{last}" if last > first else "") for stem, (first, last) in runs]
    return ", ".join([*spans, *words])
