"""Publishes what a bag holds, in the order and at the pace in which it was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bus.codec import decode
from bus.errors import BusError
from bus.names import Remap
from bus.node import Node
from bus.process import Process
from bus.publisher import Publisher
from bus.qos import Qos
from monitoring.bag_reader import Bag, Record
from monitoring.bag_writer import BagError

GRAPH: Final = "/hub/graph"  # the registry's own: what it said of processes that are gone helps nobody
AT_ONCE: Final = 256  # messages to publish before the loop has its turn


@dataclass(frozen=True)
class Choice:
    """What to play, and how.

    Attributes:
        wanted: Which topics.
        first, last: Slots; None: to the end.
        rate: How many times as fast as recorded; 0: as fast as it goes.
        loop: Start again at the end.
        remap: What is called otherwise.
    """

    wanted: Callable[[str], bool]
    first: int = 0
    last: int | None = None
    rate: float = 1.0
    loop: bool = False
    remap: Remap = field(default_factory=Remap)

    def fits(self, record: Record) -> bool:
        """Whether a message is played."""
        if record.topic == GRAPH or not self.wanted(record.topic):
            return False
        slot = record.place().slot
        return self.first <= slot and (self.last is None or slot <= self.last)


@dataclass(frozen=True)
class Part:
    """A topic to play: who published it in the run, its name there and now, and what was promised."""

    publisher: str
    topic: str
    name: str
    qos: Qos
    carries: type[Any]


def parts_of(bag: Bag, choice: Choice) -> list[Part]:
    """The topics that will be played.

    Raises: BagError: it is none, or nothing in it is to be played. BadName, ValueError: a rule of ``remap`` is bad.
    """
    parts: dict[str, Part] = {}
    for record in bag.records():
        if record.topic in parts or not choice.fits(record):
            continue
        facts = record.channel.facts
        publisher = facts.get("publisher", "/player")
        qos = Qos(
            "reliable" if facts.get("reliability") == "reliable" else "best_effort",
            "transient_local" if facts.get("durability") == "transient_local" else "volatile",
            int(facts.get("depth", 1)),
            int(facts.get("history", 64)),
        )
        name = choice.remap.apply(record.topic, "/", publisher)
        parts[record.topic] = Part(publisher, record.topic, name, qos, record.message_type())
    if not parts:
        raise BagError(f"{bag.path}: nothing to play; `edgerig bag info` lists topics and slots")
    return list(parts.values())


class Playback:
    """Plays a bag on a process that has its names already.

    Args:
        process: Whose loop it is.
        node_of: The node that publishes in somebody's name.
        bag, choice, parts: What to play.
    Raises: UnknownTopic: a topic is remapped to one that is in no table. TypeMismatch: or to one of another message.
    """

    def __init__(
        self, process: Process, node_of: Callable[[str], Node], bag: Bag, choice: Choice, parts: list[Part]
    ) -> None:
        self.messages = 0
        self.ended = False
        self._process = process
        self._bag = bag
        self._choice = choice
        self._publishers: dict[str, Publisher] = {}
        for part in parts:
            spec = process.table.match(part.name)
            if spec.message is not part.carries:
                carries, there = part.carries.__name__, spec.message.__name__
                raise CannotPlay(f"--remap {part.topic}:={part.name}: carries {carries}, not {there} as the table says")
            self._publishers[part.topic] = node_of(part.publisher).publisher(part.name, part.qos)
        self._found: Iterator[Record] = iter(())
        self._due: Record | None = None
        self._offset_s = 0.0
        self._first_ns = 0

    def start(self) -> None:
        """Publish from the loop from now on."""
        self._found = (record for record in self._bag.records() if self._choice.fits(record))
        self._due = next(self._found, None)
        if self._due is None:
            self.ended = True
            return
        self._first_ns, self._offset_s = self._due.wall_ns, self._process.clock()
        self._process.later(self._step)

    def _step(self) -> None:
        for _ in range(AT_ONCE):
            if self._due is None:
                self._end()
                return
            wait_s = self._wait_s(self._due)
            if wait_s > 0.0:
                self._process.after(wait_s, self._step)
                return
            self._publish(self._due)
            self._due = next(self._found, None)
        self._process.after(0.0, self._step)

    def _wait_s(self, record: Record) -> float:
        if not self._choice.rate:
            return 0.0
        at_s = (record.wall_ns - self._first_ns) / 1e9 / self._choice.rate
        return at_s - (self._process.clock() - self._offset_s)

    def _publish(self, record: Record) -> None:
        header = record.header()
        self._publishers[record.topic].publish(
            decode(record.payload(), record.message_type()),
            slot=header.slot,
            attempt=header.attempt,
            round=header.round,
            t_sim_ns=header.t_sim_ns,
        )
        self.messages += 1

    def _end(self) -> None:
        if self._choice.loop:
            self.start()
        else:
            self.ended = True


class CannotPlay(BusError):
    """What was asked for cannot be played on this bus."""
