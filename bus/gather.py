"""gather: one message of a kind from each of some sources, for one (slot, attempt, round). It never blocks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bus.codec import Header
from bus.subscription import Callback
from bus.timers import Timer

Key = tuple[Hashable, int, int, int]  # kind, slot, attempt, round
Then = Callable[[list[Any]], None]

HELD_LIMIT: Final = 65_536  # messages; a peer that invents future slots must not fill the memory


@dataclass(frozen=True, slots=True)
class Absent:
    """Stands in a gather's list where no message came in time."""

    reason: str


class Gather:
    """An open gather; ``open`` turns False when it has called ``then`` or was dropped."""

    __slots__ = ("key", "missing", "open", "sources", "then", "timer")

    def __init__(self, key: Key, sources: tuple[Hashable, ...], missing: set[Hashable], then: Then) -> None:
        self.key = key
        self.sources = sources
        self.missing = missing
        self.then = then
        self.open = True
        self.timer: Timer | None = None


class Collector:
    """What one node holds for its gathers. Messages of later slots are held, older ones dropped and counted."""

    def __init__(self, later: Callable[..., None], after: Callable[[float, Callable[[], None]], Timer]) -> None:
        self.slot = 0
        self.attempt = 0
        self.stale = 0  # came for a slot or attempt that was over
        self.surplus = 0  # came for a gather that had closed, or were held in vain
        self._later = later
        self._after = after
        self._topics: dict[tuple[Hashable, Hashable], str] = {}
        self._held: dict[Key, dict[Hashable, Any]] = {}
        self._held_count = 0
        self._open: dict[Key, Gather] = {}
        self._closed: set[Key] = set()

    def filing(self, kind: Hashable, topic: str, source: Hashable) -> Callback:
        """The callback that files a topic's messages as a source's share of a kind.

        Raises: ValueError: that share is filed from another topic already.
        """
        if (kind, source) in self._topics:
            raise ValueError(f"{kind} of {source} is collected from {self._topics[kind, source]} already")
        self._topics[kind, source] = topic

        def file(message: Any, header: Header) -> None:
            # By index: version, flags, round, attempt, type, instance, slot.
            self._file((kind, header[6], header[3], header[2]), source, message)

        return file

    def gather(
        self,
        kind: Hashable,
        sources: Sequence[Hashable],
        slot: int,
        attempt: int,
        then: Then,
        round: int,  # noqa: A002 -- the header's word
        deadline_s: float | None,
    ) -> Gather:
        """See ``Node.gather``."""
        key = (kind, slot, attempt, round)
        for source in sources:
            if (kind, source) not in self._topics:
                raise ValueError(f"nothing is collected as {kind} of {source}; collect() its topic first")
        if (slot, attempt) < (self.slot, self.attempt):
            raise ValueError(f"slot {slot}, attempt {attempt} is over; now is {self.slot}, {self.attempt}")
        if key in self._open or key in self._closed:
            raise ValueError(f"{kind} of slot {slot}, attempt {attempt}, round {round} is gathered already")
        missing = set(sources).difference(self._held.get(key, ()))
        gather = self._open[key] = Gather(key, tuple(sources), missing, then)
        if not missing:
            # Through the loop: a chain of gathers that are all complete must not recurse.
            self._later(self._close, gather)
        elif deadline_s is not None:
            gather.timer = self._after(deadline_s, lambda: self._close(gather))
        return gather

    def begin(self, slot: int, attempt: int) -> None:
        """See ``Node.begin``."""
        now = (slot, attempt)
        if now < (self.slot, self.attempt):  # the run starts again: nothing held belongs to it
            self._clear()
        self.slot, self.attempt = now
        for key in [key for key in self._open if key[1:3] < now]:
            self._end(self._open.pop(key))
        for key in [key for key in self._held if key[1:3] < now]:
            self.surplus += self._release(key)
        self._closed = {key for key in self._closed if key[1:3] >= now}

    def waiting(self) -> list[str]:
        """See ``Node.waiting``."""
        sentences = []
        for gather in self._open.values():
            kind, slot, attempt, _ = gather.key
            topics = [self._topics[kind, source] for source in gather.sources if source in gather.missing]
            sentences += [f"{kind} from {topic} (slot {slot}, attempt {attempt})" for topic in topics]
        return sentences

    def missing_topics(self) -> list[str]:
        """The topics whose messages open gathers still miss."""
        return [
            self._topics[gather.key[0], source]
            for gather in self._open.values()
            for source in gather.sources
            if source in gather.missing
        ]

    def _file(self, key: Key, source: Hashable, message: Any) -> None:
        slot = key[1]
        if slot < self.slot or (slot == self.slot and key[2] < self.attempt):
            self.stale += 1
            return
        held = self._held.get(key)
        if held is None:
            if key in self._closed or self._held_count >= HELD_LIMIT:
                self.surplus += 1
                return
            held = self._held[key] = {}
        self._held_count += source not in held
        held[source] = message
        gather = self._open.get(key)
        if gather is not None and source in gather.missing:
            gather.missing.remove(source)
            if not gather.missing:
                self._close(gather)

    def _close(self, gather: Gather) -> None:
        if not gather.open:
            return  # dropped by begin() while it stood in the queue
        self._end(gather)
        del self._open[gather.key]
        self._closed.add(gather.key)
        held = self._held.get(gather.key, {})
        messages = [held[s] if s in held else Absent("late") for s in gather.sources]
        self.surplus += max(0, self._release(gather.key) - len(gather.sources))
        gather.then(messages)

    def _clear(self) -> None:
        for gather in self._open.values():
            self._end(gather)
        self.surplus += self._held_count
        self._held_count = 0
        for kept in (self._open, self._held, self._closed):
            kept.clear()

    def _end(self, gather: Gather) -> None:
        gather.open = False
        if gather.timer is not None:
            gather.timer.cancel()

    def _release(self, key: Key) -> int:
        count = len(self._held.pop(key, ()))
        self._held_count -= count
        return count
