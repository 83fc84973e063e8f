"""Asking again for what has not come: at once when a gap shows, then with patience until it is filled or given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from bus.reception import LAST_RETRY_S, Hooks, Link

RUNS_PER_RETRY: Final = 32


class Gaps:
    """Those of one reliable subscription."""

    def __init__(self, links: Mapping[int, Link], hooks: Hooks, ask: Callable[[int, int, int], None]) -> None:
        self._links = links
        self._hooks = hooks
        self._ask = ask  # a publisher instance, for first .. last

    def note(self, link: Link, last: int) -> None:
        """The publisher has published up to ``last``: ask for what has not come."""
        if last < link.expected or last <= link.highest:
            return
        first = max(link.highest + 1, link.expected)
        link.highest = last
        missing = (
            [s for s in range(first, last + 1) if s not in link.early] if last - first < 100_000 else [first, last]
        )
        if missing:
            self._nack(link, missing[0], missing[-1])
            if link.retry is None:
                self._retry_later(link, link.first_retry_s)

    def _retry(self, link: Link) -> None:
        link.retry = None
        if link.expected > link.highest or self._links.get(link.instance) is not link:
            return
        first, runs = link.expected, 0
        # Not what was asked for since the retry was set: its answer is still on its way.
        for sequence in [*sorted(s for s in link.early if s <= link.retry_to), link.retry_to + 1]:
            if sequence > first:
                self._nack(link, first, sequence - 1)
                runs += 1
            first = sequence + 1
            if runs == RUNS_PER_RETRY:
                break
        moves = link.expected > link.retry_from
        self._retry_later(link, link.first_retry_s if moves else min(2 * link.retry_s, LAST_RETRY_S))

    def _retry_later(self, link: Link, delay_s: float) -> None:
        link.retry_s, link.retry_from, link.retry_to = delay_s, link.expected, link.highest
        link.retry = self._hooks.after(delay_s, partial(self._retry, link))

    def _nack(self, link: Link, first: int, last: int) -> None:
        link.asked_s = link.asked_s or self._hooks.clock()
        self._ask(link.instance, first, last)
