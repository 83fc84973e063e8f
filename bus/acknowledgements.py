"""What a subscriber that keeps all tells its publishers: how far it has handed over. See bus/credits.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bus.credits import NEVER
from bus.reception import Link
from bus.timers import Timer

LATEST_S: Final = 0.02
MOST: Final = 256
"""Messages that one word acknowledges, if no quarter of what the publisher holds is less."""


class Acknowledgements:
    """Those of one subscription."""

    def __init__(
        self,
        links: Mapping[int, Link],
        history: int,
        after: Callable[[float, Callable[[], None]], Timer],
        say: Callable[[int, int], None],
    ) -> None:
        self._links = links
        self._each = max(1, min(history // 4, MOST))
        self._after = after
        self._say = say
        self._timer: Timer | None = None

    def begin(self, link: Link, wanted: bool) -> None:
        """A publisher waits for acknowledgements: give it the first, or say that it need not wait."""
        link.owes = wanted
        link.acknowledged = link.expected - 1
        self._say(link.instance, link.acknowledged if wanted else NEVER)

    def look(self) -> None:
        """Something may have been handed over."""
        for link in self._links.values():
            count = link.expected - 1 - link.acknowledged
            if count and link.owes:
                if count >= self._each:
                    self._tell(link)
                elif self._timer is None:
                    self._timer = self._after(LATEST_S, self._tell_all)

    def end(self) -> None:
        """Nobody listens any more."""
        for link in self._links.values():
            if link.owes:
                self._say(link.instance, NEVER)

    def _tell_all(self) -> None:
        self._timer = None
        for link in self._links.values():
            if link.owes and link.expected - 1 > link.acknowledged:
                self._tell(link)

    def _tell(self, link: Link) -> None:
        link.acknowledged = link.expected - 1
        self._say(link.instance, link.acknowledged)
