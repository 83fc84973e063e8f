"""What happens to a topic besides its messages: loss, deadlines, age, publishers that go and come, refused ends."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Literal, NamedTuple

_log = logging.getLogger(__name__)

Kind = Literal[
    "lost",  # messages that nobody holds any more (subscriber)
    "superseded",  # newer messages took the place of unread ones (subscriber)
    "expired",  # messages older than the lifespan came (subscriber)
    "deadline_missed",  # nothing came in time (subscriber)
    "offered_deadline_missed",  # nothing was published in time (publisher)
    "liveliness_lost",  # a publisher is gone or silent (subscriber)
    "liveliness_back",  # a publisher is there, for the first time or again (subscriber)
    "dropped",  # what a slow subscriber may lose so that others need not wait (publisher)
    "incompatible",  # the two ends ask and offer different things (both)
]


class Event(NamedTuple):
    """One thing that happened; peer is the process at the other end, "" when there is none in particular."""

    kind: Kind
    topic: str
    peer: str
    times: int
    text: str


Listener = Callable[[Event], None]


class Events:
    """Counts what happens, and tells who asked for it. Listeners are called from the loop."""

    def __init__(self, name_of: Callable[[int], str]) -> None:
        self.counts: Counter[tuple[Kind, str]] = Counter()  # by kind and topic
        self._name_of = name_of
        self._listeners: list[tuple[str, Listener]] = []

    def listen(self, topic: str, listener: Listener) -> None:
        """Call with each event of a topic, or of all ("")."""
        self._listeners.append((topic, listener))

    def tell(self, kind: Kind, topic: str, instance: int = 0, times: int = 1, text: str = "") -> None:
        """It happened so many times; instance is that of the process at the other end."""
        self.counts[kind, topic] += times
        if not self._listeners:
            return
        event = Event(kind, topic, self._name_of(instance) if instance else "", times, text)
        for wanted, listener in self._listeners:
            if wanted in ("", topic):
                listener(event)
