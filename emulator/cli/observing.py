"""A tool as an observer on the bus: it listens, nobody waits for it, and it holds nobody up."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import click

from bus import codec
from bus.errors import BusError, CallTimeout
from bus.live import Callback
from bus.messages import Shutdown, TopicRecord, TypeQuery, Types
from bus.names import OBSERVER
from bus.qos import Qos
from bus.schemas import message_class
from bus.topics import TABLE, TopicSpec, TopicTable
from emulator.cli.finding import ANSWER_S, HubSilent, Run, asking

if TYPE_CHECKING:
    from bus.process import Process

INTERRUPTED = 130
GRAPH = "/hub/graph"
PIECE_BYTES = 4096  # what a pipe that says it is writable takes without blocking
MOST_WAITING = 2000  # lines
LOOK_S = 0.5
LAST_WORDS_S = 0.1


class Observer:
    """Hears one topic until the run ends, the tool has enough, or somebody stops it. Made by ``observe``."""

    def __init__(self, process: Process, topic: str, *, published: bool) -> None:
        self.process = process
        self.topic = topic
        self.lost = 0
        self.shutdown: Shutdown | None = None
        self.enough = False
        self._published = published

    def spin(self, deadline_s: float | None = None) -> bool:
        """Listen; returns whether it ended (``code``) before the deadline, in seconds from now."""
        return self.process.spin(lambda: self.enough or self.shutdown is not None, deadline_s) or self.process.stopping

    @property
    def code(self) -> int:
        """The exit code: 130 when stopped by hand, otherwise 0."""
        return INTERRUPTED if self.process.stopping and not self.enough else 0

    def is_published(self) -> bool:
        """Whether a process in the graph publishes the topic; the graph itself is the hub's, and in no record."""
        if self.topic == GRAPH:
            return True
        peers = self.process.membership.peers.values()
        return any(record.topic == self.topic for peer in peers for node in peer.nodes for record in node.publishes)

    def look(self) -> None:
        """Say when the topic loses its publisher, and when it has one again."""
        published = self.is_published()
        if self.process.membership.version and published != self._published:
            self._published = published
            click.echo(f"{self.topic}: {'published now' if published else 'nobody publishes it any more'}", err=True)


@contextlib.contextmanager
def observe(
    run: Run, tool: str, record: TopicRecord, callback: Callback, *, published: bool = True, table: TopicTable = TABLE
) -> Iterator[Observer]:
    """Join a run as an observer of one topic; published says whether somebody publishes it already.

    The table must have the topic, see ``table_for``.
    Loss is counted, never repaired, so that an observer asks nothing of the publishers.
    Raises: HubSilent: no hub answers, or it falls silent later. BusError: the link is refused.
    """
    from bus.process import Process, stop_on_signals  # here, because who only lists topics is no process on the bus

    process = Process(f"{tool}-{os.getpid()}", table=table, keys=run.keys())
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop_on_signals(process)
    observer = Observer(process, record.topic, published=published)
    try:
        names = _join(process, run)
        process.on_hub_lost(lambda reason: _hub_lost(run, reason), ANSWER_S)
        process.on_loss(lambda topic, instance, count: _count_loss(observer, count))
        process.on_refused(_refused)
        node = process.node(names[0])
        node.subscribe("/hub/shutdown", lambda message, header: _shut_down(observer, message))
        durability: Literal["transient_local", "volatile"] = "transient_local" if record.transient_local else "volatile"
        qos = Qos("best_effort", durability, depth=MOST_WAITING, history=MOST_WAITING)
        node.subscribe(record.topic, callback, qos)
        process.timers.every(LOOK_S, observer.look)
        process.register()
        yield observer
    finally:
        process.close(f"({tool} ended)")
        for number, handler in before.items():
            signal.signal(number, handler)


def table_for(run: Run, record: TopicRecord | None) -> TopicTable:
    """A topic table that can read a topic: the registry tells what we do not import.

    Raises: click.ClickException: nobody told the topic's type.
    """
    if record is None or not record.type_id or record.topic == GRAPH:
        return TABLE
    if TABLE.has(record.topic) and codec.type_id(TABLE.match(record.topic).message) == record.type_id:
        return TABLE
    with asking(run) as client:
        told = client.call("types", TypeQuery(ids=(record.type_id,)), Types).types
    if not told:
        raise click.ClickException(f"{record.topic}: nobody told its type ({record.type_id:08x})")
    return TopicTable((TopicSpec(record.topic, message_class(told[0])), *TABLE.rows))


def _join(process: Process, run: Run) -> tuple[str, ...]:
    try:
        return process.join(run.address, OBSERVER, deadline_s=ANSWER_S)
    except CallTimeout as error:
        if process.stopping:
            raise KeyboardInterrupt from None
        raise HubSilent(run.address, f"call 'lease' got no reply within {error.deadline_s:g} s") from None


def _count_loss(observer: Observer, count: int) -> None:
    observer.lost += count


def _shut_down(observer: Observer, message: Any) -> None:
    # What was sent before may still come on other links.
    def end() -> None:
        observer.shutdown = message

    observer.process.after(LAST_WORDS_S, end)


def _hub_lost(run: Run, reason: str) -> None:
    raise HubSilent(run.address, f"{reason.partition(';')[0]}; it died, or the network did")


def _refused(error: BusError) -> None:
    raise error


class Outlet:
    """Standard output that never holds up the loop.

    A reader that has stopped (``less``, a suspended terminal) would otherwise stop us from reading, and what we do not
    read piles up in the publishers. What does not fit is dropped and counted.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._waiting: deque[bytes] = deque()
        self._fd: int | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._fd = sys.stdout.fileno()

    def say(self, text: str) -> None:
        """Write a line, now or soon."""
        if self._fd is None:
            click.echo(text)
        elif len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
        else:
            self._waiting.append(text.encode() + b"\n")
            self.flush()

    def flush(self, patience_s: float = 0.0) -> None:
        """Write what the reader takes, waiting for it at most that long at a time.

        Raises: BrokenPipeError: it is gone.
        """
        while self._waiting and self._fd is not None:
            if not select.select([], [self._fd], [], patience_s)[1]:
                return
            line = self._waiting.popleft()
            written = os.write(self._fd, line[:PIECE_BYTES])
            if written < len(line):
                self._waiting.appendleft(line[written:])

    def close(self) -> None:
        """Write what is left, and say what was dropped."""
        self.flush(1.0)
        if self.dropped:
            click.echo(f"{self.dropped} messages not printed: the reader was too slow", err=True)
