"""gather: one message of a kind from each of some sources, for one (slot, attempt, round). It never blocks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bus.codec import Header
from bus.subscription import Filing
from bus.timers import Timer

if TYPE_CHECKING:
    from bus.links import End

Key = tuple[Hashable, int, int, int]  # kind, slot, attempt, round
Then = Callable[[list[Any]], None]

LATE: Final = "late"
"""Why something is absent that had not come when the gather closed."""

HELD_LIMIT: Final = 65_536  # messages; a peer that invents future slots must not fill the memory


@dataclass(frozen=True, slots=True)
class Absent:
    """Stands in a gather's list where no message came in time, or where an emulated link withheld it."""

    reason: str
    withheld: Any = None
    """What the link did not let through: not for whoever decides, but for the books."""


def late(messages: Sequence[Any]) -> int:
    """How many of a gather's messages did not come in time; what an emulated link lost is not late."""
    return sum(isinstance(message, Absent) and message.reason == LATE for message in messages)


class Gather:
    """An open gather; ``open`` turns False when it has called ``then`` or was dropped."""

    __slots__ = ("got", "key", "missing", "open", "sources", "then", "timer")

    def __init__(
        self, key: Key, sources: Sequence[Hashable], missing: set[Hashable], got: dict[Hashable, Any], then: Then
    ) -> None:
        self.key = key
        self.sources = sources
        self.missing = missing
        self.got = got
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
        self._topics: dict[Hashable, dict[Hashable, str]] = {}  # by kind and source
        self._held: dict[Key, dict[Hashable, Any]] = {}  # what came before its gather was opened
        self._held_count = 0
        self._open: dict[Key, Gather] = {}
        self._closed: set[Key] = set()
        self.linkable = False
        """Whether there may be emulated links one day."""
        self.end: End | None = None
        """The end of the emulated links that lead here."""
        self._fields: dict[tuple[Key, Hashable], tuple[int, ...]] = {}  # headers of what is held, while linkable
        self.closed_ns: dict[Hashable, int] = {}
        """Kind to simulated nanoseconds into the slot at which its last message came; only where links shift time."""
        self._came: dict[tuple[Key, Hashable], int] = {}
        self._early: list[tuple[Key, Hashable, Any, tuple[int, ...]]] = []

    def filing(self, kind: Hashable, topic: str, source: Hashable) -> Filing:
        """What files a topic's messages as a source's share of a kind.

        Raises: ValueError: that share is filed from another topic already.
        """
        topics = self._topics.setdefault(kind, {})
        if source in topics:
            raise ValueError(f"{kind} of {source} is collected from {topics[source]} already")
        topics[source] = topic
        gathers = self._open

        def file(message: Any, fields: tuple[int, ...]) -> None:
            # By index: version, flags, round, attempt, type, instance, slot.
            key = (kind, fields[6], fields[3], fields[2])
            if self.end is not None:
                self._pass(key, source, message, fields)
                return
            gather = gathers.get(key)
            if gather is None:
                self._hold(key, source, message, fields)
                return
            gather.got[source] = message
            missing = gather.missing
            if source in missing:
                missing.remove(source)
                if not missing:
                    self._close(gather)

        return file

    def link_to(self, end: End | None) -> None:
        """From the slot that begins next on, messages come by these links; also those that are here already."""
        if self.end is None and end is not None:
            for (key, source), fields in self._fields.items():
                if source in self._held.get(key, ()):
                    self._early.append((key, source, self._held[key].pop(source), fields))
                    self._held_count -= 1
            self._fields = {}
        self.end = end

    def _pass(self, key: Key, source: Hashable, message: Any, fields: tuple[int, ...]) -> None:
        """Let a message through the emulated link it came by, as that is in the message's slot."""
        if self.end is None or key[1:3] < (self.slot, self.attempt):
            self._file(key, source, message)
        elif key[1:3] > (self.slot, self.attempt):
            # What is done to links by hand comes with a roster, which may not be here yet.
            if len(self._early) < HELD_LIMIT:
                self._early.append((key, source, message, fields))
            else:
                self.surplus += 1
        else:
            topic = self._topics[key[0]][source]
            self.end.receive(topic, message, Header._make(fields), partial(self._came_at, key, source))

    def _came_at(self, key: Key, source: Hashable, message: Any, came_ns: int) -> None:
        if came_ns:
            self._came[key, source] = came_ns
        self._file(key, source, message)

    def _file(self, key: Key, source: Hashable, message: Any) -> None:
        gather = self._open.get(key)
        if gather is None:
            self._hold(key, source, message, ())
            return
        gather.got[source] = message
        if source in gather.missing:
            gather.missing.remove(source)
            if not gather.missing:
                self._close(gather)

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
        missing = set(sources)
        if not missing <= self._topics.get(kind, {}).keys():
            source = next(source for source in sources if source not in self._topics.get(kind, {}))
            raise ValueError(f"nothing is collected as {kind} of {source}; collect() its topic first")
        if slot < self.slot or (slot == self.slot and attempt < self.attempt):
            raise ValueError(f"slot {slot}, attempt {attempt} is over; now is {self.slot}, {self.attempt}")
        if key in self._open or key in self._closed:
            raise ValueError(f"{kind} of slot {slot}, attempt {attempt}, round {round} is gathered already")
        got = self._held.pop(key, None)
        if got is None:
            got = {}
        else:
            self._held_count -= len(got)
            missing.difference_update(got)
        gather = self._open[key] = Gather(key, sources, missing, got, then)
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
        if self._open:
            for key in [key for key in self._open if key[1:3] < now]:
                self._end(self._open[key])
        if self._held:
            for key in [key for key in self._held if key[1:3] < now]:
                count = len(self._held.pop(key))
                self._held_count -= count
                self.surplus += count
        if self._closed:
            self._closed = {key for key in self._closed if key[1:3] >= now}
        if self._fields:
            self._fields = {found: fields for found, fields in self._fields.items() if found[0][1:3] > now}
        if self._early or self._came or self.closed_ns:
            self.closed_ns = {}
            self._came = {found: came_ns for found, came_ns in self._came.items() if found[0][1:3] >= now}
            early, self._early = self._early, []
            for entry in early:
                self._pass(*entry)

    def begin_again(self) -> None:
        """The run starts again at slot 0: nothing that is held or open belongs to it."""
        self._clear()
        self.slot = self.attempt = 0
        self._fields, self._came, self._early, self.closed_ns = {}, {}, [], {}

    def waiting(self) -> list[str]:
        """See ``Node.waiting``."""
        sentences = []
        for gather in self._open.values():
            kind, slot, attempt, _ = gather.key
            topics = [self._topics[kind][source] for source in gather.sources if source in gather.missing]
            sentences += [f"{kind} from {topic} (slot {slot}, attempt {attempt})" for topic in topics]
        return sentences

    def missing_topics(self) -> list[str]:
        """The topics whose messages open gathers still miss."""
        return [
            self._topics[gather.key[0]][source]
            for gather in self._open.values()
            for source in gather.sources
            if source in gather.missing
        ]

    def _hold(self, key: Key, source: Hashable, message: Any, fields: tuple[int, ...]) -> None:
        """Nobody gathers it (yet)."""
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
        if self.linkable and self.end is None and key[1:3] != (self.slot, self.attempt):
            self._fields[key, source] = fields

    def _close(self, gather: Gather) -> None:
        if not gather.open:
            return  # dropped by begin() while it stood in the queue
        gather.open = False
        if gather.timer is not None:
            gather.timer.cancel()
        key, got, sources = gather.key, gather.got, gather.sources
        del self._open[key]
        self._closed.add(key)
        if gather.missing:
            messages = [got[source] if source in got else Absent(LATE) for source in sources]
        else:
            messages = [got[source] for source in sources]
        self.surplus += max(0, len(got) - len(sources))
        if self._came:
            self.closed_ns[key[0]] = max([self._came.pop((key, source), 0) for source in sources], default=0)
        gather.then(messages)

    def _end(self, gather: Gather) -> None:
        """Drop an open gather with what has come for it."""
        gather.open = False
        if gather.timer is not None:
            gather.timer.cancel()
        del self._open[gather.key]
        self.surplus += len(gather.got)

    def _clear(self) -> None:
        for gather in list(self._open.values()):
            self._end(gather)
        self.surplus += self._held_count
        self._held_count = 0
        self._held.clear()
        self._closed.clear()
