"""Flow control of a publisher that keeps all: it sends no further than its slowest subscriber can still be repaired.

A subscriber that keeps all, too, acknowledges what it has handed over, on the link that carries its subscription. One
that does not says so once, and is never waited for. While a subscriber's link is broken it is waited for as if it were
there, up to ``PATIENCE_S`` or until its process is declared gone: what it missed is still held when it comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bus.errors import Backlog

if TYPE_CHECKING:
    from bus.publisher import Publisher

NEVER: Final = (1 << 64) - 1
"""What a subscriber acknowledges that nobody shall wait for."""
NO_LIMIT: Final = 1 << 62
PATIENCE_S: Final = 5.0

Wait = Callable[["Publisher", Callable[[], bool], float], bool]
"""Take acknowledgements in until a condition holds or so many seconds have passed; returns whether it holds."""


class Credits:
    """Who has acknowledged what of one topic."""

    def __init__(
        self,
        publisher: Publisher,
        wait: Wait,
        clock: Callable[[], float],
        name_of: Callable[[str], str],
        on_dropped: Callable[[str, int], None],
    ) -> None:
        self.acknowledged: dict[str, int] = {}
        self.dropped = 0
        self._publisher = publisher
        self._wait = wait
        self._clock = clock
        self._name_of = name_of
        self._on_dropped = on_dropped
        self._broken: dict[str, float] = {}  # uid: when its link broke

    def owe(self, uid: str) -> None:
        """A subscriber has matched, or its link is back."""
        self._broken.pop(uid, None)
        self.acknowledged.setdefault(uid, self._publisher.sequence)
        self._set_limit()

    def acknowledge(self, uid: str, sequence: int) -> None:
        """A subscriber has had everything up to there."""
        if uid not in self.acknowledged:
            return
        if sequence == NEVER:
            self.forget(uid)
        elif sequence > self.acknowledged[uid]:
            self.acknowledged[uid] = min(sequence, self._publisher.sequence)
            self._set_limit()

    def lose_link(self, uid: str) -> None:
        """Its subscription went; whether it comes back is not known yet."""
        if uid in self.acknowledged:
            self._broken.setdefault(uid, self._clock())

    def forget(self, uid: str) -> None:
        """Nobody waits for that one any more."""
        self.acknowledged.pop(uid, None)
        self._broken.pop(uid, None)
        self._set_limit()

    def has_room(self) -> bool:
        """Whether one more can be published now."""
        publisher = self._publisher
        return publisher.sequence < publisher.limit or self._wait(publisher, self._is_open, 0.0)

    def make_room(self) -> None:
        """Wait until one more can be published, or do what the QoS says instead.

        Raises: Backlog: it says so, or the wait was too long.
        """
        qos = self._publisher.qos
        if qos.when_full == "drop_oldest":
            if not self.has_room():
                self._drop_oldest()
        elif not self._wait(self._publisher, self._is_open, qos.block_s if qos.when_full == "block" else 0.0):
            names = tuple(self._name_of(uid) for uid in self._slow())
            raise Backlog(self._publisher.topic, names, qos.history, qos.block_s if qos.when_full == "block" else 0.0)

    def _is_open(self) -> bool:
        now_s = self._clock()
        for uid in [uid for uid, since_s in self._broken.items() if now_s - since_s > PATIENCE_S]:
            self.forget(uid)
        return self._publisher.sequence < self._publisher.limit

    def _slow(self) -> list[str]:
        least = min(self.acknowledged.values())
        return sorted(uid for uid, sequence in self.acknowledged.items() if sequence == least)

    def _drop_oldest(self) -> None:
        oldest = self._publisher.sequence + 1 - self._publisher.qos.history
        for uid in self._slow():
            self.acknowledged[uid] = max(self.acknowledged[uid], oldest)
            self.dropped += 1
            self._on_dropped(uid, 1)
        self._set_limit()

    def _set_limit(self) -> None:
        held = self._publisher.qos.history
        self._publisher.limit = min(self.acknowledged.values(), default=NO_LIMIT) + held
