"""Looks whether messages and signs of life come as often as the QoS says, on the process's clock or the run's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bus.events import Events
from bus.publisher import Publisher
from bus.reception import Link
from bus.subscription import Subscription
from bus.timers import Timer, Timers

LOOKS_PER_PERIOD: Final = 4.0
BEATS_PER_LEASE: Final = 3.0


@dataclass
class _Seen:
    """What one end had seen of the other when we last looked, and since when."""

    sequence: int
    beats: int
    message_s: float
    life_s: float
    missed: int = 0  # deadlines since the last message


class Deadlines:
    """The looks of one process; nothing is done per message."""

    def __init__(self, timers: Timers, clock: Callable[[], float], events: Events) -> None:
        self._timers = timers
        self._clock = clock
        self._events = events
        self._seen: dict[tuple[str, int], _Seen] = {}
        self._looks: dict[int, tuple[Callable[[], None], list[Timer]]] = {}

    def watch_publisher(self, publisher: Publisher) -> None:
        """Look after a publisher that promises something, and give its signs of life."""
        qos = publisher.qos
        timers = []
        if qos.lease_s:
            timers.append(self._timers.every(qos.lease_s / BEATS_PER_LEASE, publisher.show_life))
        look = partial(self._look_at_publisher, publisher)
        if qos.deadline_s:
            timers.append(self._timers.every(qos.deadline_s / LOOKS_PER_PERIOD, look))
            look()
        if timers:
            self._looks[id(publisher)] = look, timers

    def watch_subscription(self, subscription: Subscription) -> None:
        """Look after what a subscription asks for."""
        periods = [period_s for period_s in (subscription.qos.deadline_s, subscription.qos.lease_s) if period_s]
        if periods:
            look = partial(self._look_at_subscription, subscription)
            timers = [self._timers.every(min(periods) / LOOKS_PER_PERIOD, look)]
            self._looks[id(subscription)] = look, timers

    def forget(self, end: Publisher | Subscription) -> None:
        """Look no longer."""
        _, timers = self._looks.pop(id(end), (None, []))
        for timer in timers:
            timer.cancel()

    def look(self) -> None:
        """Look at everything now: time has advanced."""
        for look, _ in list(self._looks.values()):
            look()

    def _look_at_publisher(self, publisher: Publisher) -> None:
        missed = self._count(publisher.topic, 0, publisher.sequence, publisher.qos.deadline_s)
        if missed:
            self._events.tell("offered_deadline_missed", publisher.topic, 0, missed)

    def _look_at_subscription(self, subscription: Subscription) -> None:
        qos = subscription.qos
        for link in subscription.links.values():
            if link.expected:
                missed = self._count(subscription.topic, link.instance, link.expected, qos.deadline_s)
                if missed:
                    self._events.tell("deadline_missed", subscription.topic, link.instance, missed)
                if qos.lease_s:
                    self._look_for_life(subscription, link)

    def _count(self, topic: str, instance: int, sequence: int, deadline_s: float) -> int:
        """Deadlines missed since the last look."""
        now_s = self._clock()
        seen = self._seen.get((topic, instance))
        if seen is None or now_s < seen.message_s:
            self._seen[topic, instance] = _Seen(sequence, 0, now_s, now_s)
            return 0
        if sequence != seen.sequence:
            seen.sequence, seen.message_s, seen.missed, seen.life_s = sequence, now_s, 0, now_s
        due = int((now_s - seen.message_s) / deadline_s + 1e-9) if deadline_s else 0
        missed, seen.missed = max(0, due - seen.missed), max(due, seen.missed)
        return missed

    def _look_for_life(self, subscription: Subscription, link: Link) -> None:
        now_s, topic = self._clock(), subscription.topic
        seen = self._seen[topic, link.instance]
        if link.beats != seen.beats:
            seen.beats, seen.life_s = link.beats, now_s
        silent = now_s - seen.life_s > subscription.qos.lease_s
        if silent != link.silent:
            link.silent = silent
            self._events.tell("liveliness_lost" if silent else "liveliness_back", topic, link.instance)
