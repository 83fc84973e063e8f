"""Which recorded messages count: a slot's last attempt, once a later tick or the run's end has committed it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from bus.codec import decode
from bus.digest import Entry, RunDigest
from bus.messages import Done
from monitoring.bag_reader import Record

TICK, ROSTER, SHUTDOWN = "/hub/tick", "/hub/roster", "/hub/shutdown"


@dataclass
class Commits:
    """What a bag's control messages say; feed it every record of them, in any order.

    Attributes:
        slots: Slots below it are committed.
        attempts: The attempt that counts, of slots where it is not the first.
    """

    slots: int = 0
    ended: bool = False
    attempts: dict[int, int] = field(default_factory=dict)

    def see(self, record: Record) -> None:
        """Take note of a tick, a roster or the end."""
        topic = record.topic
        if topic in (TICK, SHUTDOWN):
            # A tick commits all slots before it; the end's slot is the first that does not count.
            self.slots = max(self.slots, record.place().slot)
            self.ended = self.ended or topic == SHUTDOWN
        elif topic == ROSTER:
            place = record.place()
            if place.attempt > self.attempts.get(place.slot, 0):
                self.attempts[place.slot] = place.attempt

    def count(self, slot: int, attempt: int) -> bool:
        """Whether what was said in that attempt of a slot counts."""
        return slot < self.slots and attempt == self.attempts.get(slot, 0)


def commits_of(found: Iterable[Record]) -> Commits:
    """The commits of a bag."""
    commits = Commits()
    for record in found:
        commits.see(record)
    return commits


@dataclass
class DigestCheck:
    """The digest of what was recorded, and how it fits what the publishers acknowledged.

    Attributes:
        digest: As ``bus.digest`` makes it.
        messages: How many went into it.
        missing: What was acknowledged, and is not in the bag, or not the same.
    """

    digest: str
    messages: int
    missing: list[str]


@dataclass
class _Part:
    """What one process instance said in one attempt of a slot, and what it acknowledged of that."""

    said: list[Entry] = field(default_factory=list)
    acknowledged: set[Entry] = field(default_factory=set)


def digest_of(found: Iterable[Record]) -> DigestCheck:
    """The run's digest from the messages themselves, each hashed again.

    Who acknowledges slots lists what belongs to the digest: a deployment said again for nodes that are new does not.
    Of who does not (the hub) everything on a marked topic does.
    """
    commits = Commits()
    parts: dict[tuple[int, int], dict[int, _Part]] = {}
    acknowledging: set[int] = set()
    for record in found:
        commits.see(record)
        spec = record.channel.spec
        if spec is None or not (spec.digest or spec.message is Done):
            continue
        place, payload, instance = record.place(), record.payload(), record.channel.instance
        part = parts.setdefault((place.slot, place.attempt), {}).setdefault(instance, _Part())
        if spec.digest:
            part.said.append((record.topic, place.round, hashlib.sha256(payload).digest()))
        else:
            acknowledging.add(instance)
            part.acknowledged.update((topic, round_, digest) for topic, round_, digest in decode(payload, Done).digests)
    digest, messages, missing = RunDigest(), 0, []
    for slot in range(commits.slots):
        counted: list[Entry] = []
        for instance, part in parts.get((slot, commits.attempts.get(slot, 0)), {}).items():
            if instance in acknowledging:
                missing += [f"slot {slot}: {entry[0]}" for entry in sorted(part.acknowledged.difference(part.said))]
                counted += [entry for entry in part.said if entry in part.acknowledged]
            else:
                counted += part.said
        digest.commit(slot, counted)
        messages += len(counted)
    return DigestCheck(digest.hex(), messages, missing)
