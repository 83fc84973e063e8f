"""What a process sent, in numbers: books that cost nothing, or next to nothing, while it is sent."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, Literal, NamedTuple

from bus.framing import Framing

Kind = Literal["data", "control", "repair", "clock", "observed"]
"""What bytes are for: the work itself; what keeps it whole and known; what was sent in vain or again; the hub's time;
what tools looked at, which is not the run's."""


class Traffic(NamedTuple):
    """Messages, their payload (what applications gave), their headers (what the bus adds), and all that on the wire."""

    messages: int
    payload_bytes: int
    header_bytes: int
    wire_bytes: int

    def plus(self, other: Traffic) -> Traffic:
        """Both together."""
        messages, payload_bytes, header_bytes, wire_bytes = other  # a scrape adds up hundreds of these
        return Traffic(self[0] + messages, self[1] + payload_bytes, self[2] + header_bytes, self[3] + wire_bytes)

    def minus(self, other: Traffic) -> Traffic:
        """What came since the other."""
        messages, payload_bytes, header_bytes, wire_bytes = other
        return Traffic(self[0] - messages, self[1] - payload_bytes, self[2] - header_bytes, self[3] - wire_bytes)


NOTHING: Final = Traffic(0, 0, 0, 0)
MOST_ROWS: Final = 10_000


class Tally:
    """Traffic by topic, kind and subscriber, added up message by message: for what is not on the hot path."""

    def __init__(self, framing: Framing) -> None:
        self.rows: dict[tuple[str, Kind, str], Traffic] = defaultdict(lambda: NOTHING)
        self.framing = framing

    def add(self, topic: str, kind: Kind, subscriber: str, frame_bytes: int, payload_bytes: int = 0) -> None:
        """Note a frame; what of it is not payload is the bus's own."""
        wire_bytes = self.framing.wire_bytes(frame_bytes)
        self._plus((topic, kind, subscriber), Traffic(1, payload_bytes, frame_bytes - payload_bytes, wire_bytes))

    def add_bytes(self, topic: str, kind: Kind, subscriber: str, wire_bytes: int) -> None:
        """Note bytes that are in no frame."""
        self._plus((topic, kind, subscriber), Traffic(1, 0, 0, wire_bytes))

    def merge(self, other: Tally) -> None:
        """Take another's rows over."""
        for key, traffic in other.rows.items():
            self._plus(key, traffic)

    def _plus(self, key: tuple[str, Kind, str], traffic: Traffic) -> None:
        if key not in self.rows and len(self.rows) >= MOST_ROWS:
            key = (key[0], key[1], "")  # whoever asks chooses his name
        self.rows[key] = self.rows[key].plus(traffic)


class Upstream:
    """What one XSUB says to publishers: each frame goes to every one that it is connected to.

    A copy for each is only worked out when somebody asks: from what was said in all since that one was connected.
    """

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._said: dict[str, Traffic] = {}
        self._since: dict[int, dict[str, Traffic]] = {}
        self._before: dict[tuple[int, str], Traffic] = defaultdict(lambda: NOTHING)

    def say(self, topic: str, frame_bytes: int) -> None:
        """Note a frame about a topic."""
        self._said[topic] = self._said.get(topic, NOTHING).plus(self._traffic(frame_bytes))

    def connect(self, instance: int, subscriptions: list[tuple[str, int]]) -> None:
        """Note a link, new or made again: it begins with everything that is subscribed, as (topic, frame bytes)."""
        self._since.setdefault(instance, dict(self._said))
        for topic, frame_bytes in subscriptions:
            self.tell(instance, topic, frame_bytes)

    def tell(self, instance: int, topic: str, frame_bytes: int) -> None:
        """Note a frame to one publisher alone."""
        self._before[instance, topic] = self._before[instance, topic].plus(self._traffic(frame_bytes))

    def disconnect(self, instance: int) -> None:
        """Note that a link is gone."""
        for topic, traffic in self._new(instance).items():
            self._before[instance, topic] = self._before[instance, topic].plus(traffic)
        self._since.pop(instance, None)

    def rows(self) -> dict[tuple[int, str], Traffic]:
        """What each publishing instance was told, by (instance, topic)."""
        rows = dict(self._before)
        for instance in self._since:
            for topic, traffic in self._new(instance).items():
                rows[instance, topic] = rows.get((instance, topic), NOTHING).plus(traffic)
        return rows

    def _new(self, instance: int) -> dict[str, Traffic]:
        since = self._since.get(instance)
        if since is None:
            return {}
        return {topic: said.minus(since.get(topic, NOTHING)) for topic, said in self._said.items()}

    def _traffic(self, frame_bytes: int) -> Traffic:
        return Traffic(1, 0, frame_bytes, self._framing.wire_bytes(frame_bytes))
