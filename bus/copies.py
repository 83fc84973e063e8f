"""What one publisher sent to whom, worked out when somebody asks: sending a copy costs nothing more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bus.codec import HEADER, HEADER_BYTES
from bus.framing import Framing
from bus.tally import NOTHING, Kind, Traffic

HERE = ""
"""Stands for the publisher's own process, which it reaches without a wire."""


class Since(NamedTuple):
    """What was published, and how many heartbeats were sent, when a subscriber matched."""

    traffic: Traffic
    beats: Traffic


class Copies:
    """The books of one publisher."""

    def __init__(self, prefix_bytes: int, framing: Framing) -> None:
        self.matched: dict[str, Since] = {}
        self._framing = framing
        self._prefix_bytes = prefix_bytes
        self._beats = NOTHING
        self._here: Traffic | None = None  # what was published when our own process began to listen
        self._gone: dict[str, Traffic] = {}  # copies to those who are not matched any more
        self._went: dict[str, tuple[int, int]] = {}  # uid: first and last sequence that went to one of those
        self._apart: dict[tuple[str, Kind], Traffic] = {}  # what was not a copy for all, and what is counted otherwise
        self._given_up = 0  # up to this sequence, what was sent in vain is counted so

    def traffic(self, messages: int, frame_bytes: int, long_frames: int) -> Traffic:
        """What was published, once each."""
        header_bytes = messages * (self._prefix_bytes + HEADER_BYTES)
        wire_bytes = self._framing.wire_bytes_of(messages, frame_bytes, long_frames)
        return Traffic(messages, frame_bytes - header_bytes, header_bytes, wire_bytes)

    def match(self, uid: str, published: Traffic) -> None:
        """From now on that subscriber gets a copy of everything."""
        if uid not in self.matched:
            self.matched[uid] = Since(published, self._beats)

    def unmatch(self, uid: str, published: Traffic) -> bool:
        """It gets none any more; returns whether it did."""
        since = self.matched.pop(uid, None)
        if since is None:
            return False
        self._gone[uid] = self._gone.get(uid, NOTHING).plus(published.minus(since.traffic))
        self._add(uid, "control", self._beats.minus(since.beats))
        self._went[uid] = (since.traffic.messages + 1, published.messages)
        return True

    def listen_here(self, listens: bool, published: Traffic) -> None:
        """Our own process listens from now on, or no longer."""
        if self._here is not None:
            self._gone[HERE] = self._gone.get(HERE, NOTHING).plus(_within(published.minus(self._here)))
        self._here = published if listens else None

    def beat(self, frame_bytes: int) -> None:
        """A heartbeat went to all who are matched."""
        self._beats = self._beats.plus(Traffic(1, 0, frame_bytes, self._framing.wire_bytes(frame_bytes)))

    def mark(self, uid: str, frame_bytes: int) -> None:
        """A mark without a message went to one."""
        self._add(uid, "control", Traffic(1, 0, frame_bytes, self._framing.wire_bytes(frame_bytes)))

    def private(self, uid: str, frame: bytes, kind: Kind) -> None:
        """A message went to one alone, over its private channel: of the history, or again."""
        self._add(uid, kind, self._one(frame, 1 + len(uid)))

    def give_up(self, slot: int, attempt: int, newest_first: Iterable[tuple[int, bytes]]) -> None:
        """A slot is computed again: what was published of it before this attempt was in vain, and counts as repair.

        Args:
            slot, attempt: What is computed from now on.
            newest_first: Sequence and frame of what the history holds, which is more than a slot; reading it costs
                only now, while nothing is kept for it as long as all is well.
        """
        newest = 0
        for sequence, frame in newest_first:
            newest = newest or sequence
            fields = HEADER.unpack_from(frame, self._prefix_bytes)
            if fields[6] != slot or sequence <= self._given_up:
                break
            if fields[3] < attempt:
                self._count_in_vain(sequence, self._one(frame, 0))
        self._given_up = max(newest, self._given_up)

    def close_attempts(self, sequence: int) -> None:
        """What was published up to here belongs to no slot that is computed again."""
        self._given_up = max(self._given_up, sequence)

    def all(self, published: Traffic) -> dict[str, Traffic]:
        """Copies for each subscribing process, by uid."""
        copies = {uid: traffic for uid, traffic in self._gone.items() if uid != HERE}
        for uid, since in self.matched.items():
            now = published.minus(since.traffic)
            copies[uid] = copies[uid].plus(now) if uid in copies else now
        return copies

    def links(self, published: Traffic) -> dict[tuple[str, Kind], Traffic]:
        """All that went to each subscribing process, by uid and what it was for: "data", "control" or "repair"."""
        links = dict(self._apart)
        copies = self.all(published)
        copies[HERE] = self._gone.get(HERE, NOTHING)
        if self._here is not None:
            copies[HERE] = copies[HERE].plus(_within(published.minus(self._here)))
        for uid, traffic in copies.items():
            apart = links.get((uid, "data"))
            links[uid, "data"] = traffic if apart is None else apart.plus(traffic)
        for uid, since in self.matched.items():
            beats = self._beats.minus(since.beats)
            apart = links.get((uid, "control"))
            links[uid, "control"] = beats if apart is None else apart.plus(beats)
        return links

    def _count_in_vain(self, sequence: int, traffic: Traffic) -> None:
        for uid, since in self.matched.items():
            if since.traffic.messages < sequence:
                self._move_to_repair(uid, traffic)
        for uid, (first, last) in self._went.items():
            if uid not in self.matched and first <= sequence <= last:
                self._move_to_repair(uid, traffic)
        if self._here is not None and self._here.messages < sequence:
            self._move_to_repair(HERE, _within(traffic))

    def _move_to_repair(self, uid: str, traffic: Traffic) -> None:
        self._add(uid, "data", NOTHING.minus(traffic))
        self._add(uid, "repair", traffic)

    def _one(self, frame: bytes, channel_bytes: int) -> Traffic:
        """One message; the name of a private channel makes it so many bytes longer."""
        header_bytes = self._prefix_bytes + HEADER_BYTES
        wire_bytes = self._framing.wire_bytes(len(frame) + channel_bytes)
        return Traffic(1, len(frame) - header_bytes, header_bytes + channel_bytes, wire_bytes)

    def _add(self, uid: str, kind: Kind, traffic: Traffic) -> None:
        self._apart[uid, kind] = self._apart.get((uid, kind), NOTHING).plus(traffic)


def _within(traffic: Traffic) -> Traffic:
    """The same, delivered within a process."""
    return traffic._replace(header_bytes=0, wire_bytes=0)
