"""What a bag holds, topic by topic, and where two bags differ."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitoring.bag_commits import Commits
from monitoring.bag_reader import Bag, Record
from monitoring.bag_writer import RECORDING, RUN, SEQUENCES

Key = tuple[int, str, int, int]  # slot, topic, round, how often before


def chosen(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a topic is meant: by its name, with ``*`` for a part, ``**`` for all below; no pattern: all."""
    if not patterns:
        return lambda topic: True
    parts = []
    for pattern in patterns:
        bits = re.split(r"(\*\*|\*|\{\w+\})", pattern)
        parts.append("".join(_WILD.get(bit, "[^/]*" if bit.startswith("{") else re.escape(bit)) for bit in bits))
    expression = re.compile("|".join(f"(?:{part})" for part in parts))
    return lambda topic: expression.fullmatch(topic) is not None


_WILD = {"**": ".*", "*": "[^/]*"}


@dataclass
class TopicFacts:
    """What a bag holds of one topic; bytes as they stand in the file before compression."""

    topic: str
    type: str
    plane: str
    qos: str
    encoding: str
    publishers: set[str] = field(default_factory=set)
    messages: int = 0
    bytes: int = 0
    first_slot: int = 1 << 32
    last_slot: int = 0
    first_ns: int = 1 << 63
    last_ns: int = 0
    gaps: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON can hold it."""
        seconds = (self.last_ns - self.first_ns) / 1e9
        return {
            "topic": self.topic,
            "type": self.type,
            "plane": self.plane,
            "qos": self.qos,
            "encoding": self.encoding,
            "publishers": sorted(self.publishers),
            "messages": self.messages,
            "bytes": self.bytes,
            "rate_hz": (self.messages - 1) / seconds if seconds > 0.0 and self.messages > 1 else None,
            "slots": [self.first_slot, self.last_slot],
            "gaps": self.gaps,
        }


def info(bag: Bag) -> dict[str, Any]:
    """Everything about a bag, however it ended.

    Raises: BagError: it is none.
    """
    topics: dict[str, TopicFacts] = {}
    sequences: dict[int, int] = {}
    commits = Commits()
    for record in bag.records():
        commits.see(record)
        found = topics.get(record.topic)
        if found is None:
            found = topics[record.topic] = _of(record)
        _count(found, record, sequences)
    documents = [topics[name].document() for name in sorted(topics)]
    run, recording = bag.notes.get(RUN, {}), bag.notes.get(RECORDING, {})
    first_ns = min((t.first_ns for t in topics.values()), default=0)
    last_ns = max((t.last_ns for t in topics.values()), default=0)
    return {
        "file": str(bag.path),
        "file_bytes": bag.path.stat().st_size,
        "whole": bag.whole,
        "damage": bag.damage,
        "run": run,
        "recording": recording,
        "attachments": {name: len(data) for name, data in bag.attachments.items()},
        "messages": sum(t.messages for t in topics.values()),
        "lost": int(recording["lost"]) if "lost" in recording else None,
        "gaps": sum(t.gaps for t in topics.values()),
        "complete": recording.get("complete") == "true" and bag.whole,
        "start_ns": first_ns,
        "duration_s": (last_ns - first_ns) / 1e9,
        "slots": commits.slots,
        "attempts_again": len(commits.attempts),
        "topics": documents,
    }


def _of(record: Record) -> TopicFacts:
    facts = record.channel.facts
    qos = facts.get("reliability", "?") + (", latched" if facts.get("durability") == "transient_local" else "")
    return TopicFacts(record.topic, facts.get("type", "?"), facts.get("plane", "?"), qos, record.channel.encoding)


def _count(found: TopicFacts, record: Record, sequences: dict[int, int]) -> None:
    slot = record.place().slot
    found.publishers.add(record.channel.facts.get("publisher", "?"))
    found.messages += 1
    found.bytes += len(record.data)
    found.first_slot, found.last_slot = min(found.first_slot, slot), max(found.last_slot, slot)
    found.first_ns, found.last_ns = min(found.first_ns, record.wall_ns), max(found.last_ns, record.wall_ns)
    before = sequences.get(record.channel.number)
    if before is not None:
        found.gaps += (record.sequence - before - 1) % SEQUENCES
    sequences[record.channel.number] = record.sequence


# -- two bags ----------------------------------------------------------------------------------------------------------


@dataclass
class Difference:
    """One message that is not the same: in one bag only (the other's record is None), or with another payload."""

    slot: int
    topic: str
    ours: Record | None
    theirs: Record | None


@dataclass
class Comparison:
    """Two bags side by side: committed messages by slot, topic and round, whenever and by whichever process.

    Attributes:
        equal, different, only_ours, only_theirs: Messages by topic.
        first: The first difference by (slot, topic); None if there is none.
    """

    equal: dict[str, int] = field(default_factory=dict)
    different: dict[str, int] = field(default_factory=dict)
    only_ours: dict[str, int] = field(default_factory=dict)
    only_theirs: dict[str, int] = field(default_factory=dict)
    first: Difference | None = None

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.first is None


def compare(ours: Bag, theirs: Bag, wanted: Callable[[str], bool], planes: Sequence[str] = ("data",)) -> Comparison:
    """Hold two bags against each other.

    Args:
        ours, theirs: The bags.
        wanted: Which topics.
        planes: The control plane names processes and says how long things took, so it differs from run to run.
    Raises: BagError: one of them is none.
    """
    left, right = (_committed(bag, wanted, planes) for bag in (ours, theirs))
    comparison = Comparison()
    first: Key | None = None
    for key in sorted(left.keys() | right.keys()):
        topic = key[1]
        if key not in right:
            place = comparison.only_ours
        elif key not in left:
            place = comparison.only_theirs
        else:
            place = comparison.equal if left[key] == right[key] else comparison.different
        place[topic] = place.get(topic, 0) + 1
        if first is None and place is not comparison.equal:
            first = key
    if first is not None:
        found = [_find(bag, wanted, planes, first) for bag in (ours, theirs)]
        comparison.first = Difference(first[0], first[1], *found)
    return comparison


def _keyed(bag: Bag, wanted: Callable[[str], bool], planes: Sequence[str]) -> Iterable[tuple[Key, Record]]:
    commits = Commits()
    for record in bag.records():
        commits.see(record)
    counts: dict[tuple[int, str, int], int] = {}
    for record in bag.records():
        facts = record.channel.facts
        if facts.get("plane") not in planes or not wanted(record.topic):
            continue
        place = record.place()
        if commits.count(place.slot, place.attempt):
            key = (place.slot, record.topic, place.round)
            counts[key] = counts.get(key, -1) + 1
            yield (*key, counts[key]), record


def _committed(bag: Bag, wanted: Callable[[str], bool], planes: Sequence[str]) -> dict[Key, bytes]:
    return {key: hashlib.sha256(record.payload()).digest() for key, record in _keyed(bag, wanted, planes)}


def _find(bag: Bag, wanted: Callable[[str], bool], planes: Sequence[str], key: Key) -> Record | None:
    return next((record for found, record in _keyed(bag, wanted, planes) if found == key), None)
