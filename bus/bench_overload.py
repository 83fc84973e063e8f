"""A reliable topic in trouble: ten times more offered than its subscriber can take, its link cut again and again,
and one message in a hundred lost on arrival.

The publisher keeps all (credits), the subscriber works on each message; the link passes a relay that cuts it. What was
lost or came twice is told by the numbers inside the messages, not by the bus's own counters.
"""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bus.bench_crew import Crew, Line, settle
from bus.bench_rates import Figures
from bus.bench_relay import Relay
from bus.bench_sample import FIRST, TABLE, TOPIC, Board, Sample, nap, sample
from bus.codec import Header
from bus.process import Process
from bus.publisher import Publisher
from bus.qos import KEEP_ALL

PUBLISHER, SUBSCRIBER = 1, 2
WORK_S: Final = 400e-6
"""What the subscriber does with each message: its processor is busy for so long."""
OVERLOAD: Final = 10.0
LOST_PER_CENT: Final = 1
STALL_S: Final = 30.0
LOOK_S: Final = 0.01


def measure(messages: int, cuts: int, seed: int, step: Callable[[str], None]) -> Figures:
    """Publish so many messages while the link is cut so often.

    Returns: ``overload_lost`` and ``overload_duplicated`` messages, ``overload_disordered`` (came after a later one),
        ``repair_share`` of the publisher's bytes on the wire, ``overload_cuts`` and ``overload_dropped`` as they were
        done, ``overload_factor`` (offers a message that was taken), ``overload_per_s`` delivered.
    """
    with tempfile.TemporaryDirectory(prefix="edgerig-bench-") as place:
        path = str(Path(place) / "board")
        with Crew(_main, {name: (name, path, messages, seed) for name in ("publisher", "relay", "subscriber")}) as crew:
            crew.tell(crew.hear("publisher"), "relay")
            crew.tell(crew.hear("relay"), "subscriber")
            crew.ask("link", "publisher")
            crew.tell("publish", "publisher")
            done = _cut(crew, Board(path, 1), messages, cuts, step)
            crew.hear("publisher", STALL_S)
            sent, came = crew.ask("end", "publisher", "subscriber").values()
    step(f"overload: {came['lost']} lost, {came['duplicated']} duplicated, repair {sent['repair_share']:.1%}")
    return {
        "overload_messages": messages,
        "overload_lost": came["lost"],
        "overload_duplicated": came["duplicated"],
        "overload_disordered": came["disordered"],
        "repair_share": sent["repair_share"],
        "overload_cuts": done,
        "overload_dropped": came["dropped"],
        "overload_factor": sent["offers"] / messages,
        "overload_per_s": came["per_s"],
    }


def _cut(crew: Crew, board: Board, messages: int, cuts: int, step: Callable[[str], None]) -> int:
    """Cut the link at equal distances, and wait until nothing comes any more; returns how often it was cut."""
    done = 0
    moved_s, had = time.monotonic(), 0
    while had < messages:
        count = board.counts()[0]
        if count > had:
            moved_s, had = time.monotonic(), count
        elif time.monotonic() - moved_s > STALL_S:
            break  # what has not come is lost
        if done < cuts and had >= (done + 1) * messages // (cuts + 1) and crew.ask("cut", "relay")["relay"]:
            done += 1
            step(f"overload: the link is cut at message {had} of {messages}")
        nap(LOOK_S)
    return done


def _main(line: Line, name: str, path: str, messages: int, seed: int) -> None:
    if name == "publisher":
        _publish(line, messages)
    elif name == "relay":
        _relay(line)
    else:
        _subscribe(line, Board(path, 1), messages, seed)


def _relay(line: Line) -> None:
    relay = Relay(line.word())
    line.answer(relay.endpoint)
    cut_at = 0
    while line.word() == "cut":
        # A connection is cut once; the next cut waits for the next connection.
        ready = relay.connections > cut_at and relay.cut()
        cut_at = relay.connections if ready else cut_at
        line.answer(ready)


def _publish(line: Line, messages: int) -> None:
    process = Process("publisher", instance=PUBLISHER, table=TABLE)
    publisher = process.publisher(TOPIC, KEEP_ALL)
    line.answer(process.endpoint)
    line.word()
    if not process.spin(lambda: bool(publisher.matched), STALL_S):
        raise TimeoutError(f"the subscriber does not match within {STALL_S:g} s")
    settle()
    line.answer("linked")
    line.word()
    clock, due_s, index, offers = time.perf_counter, time.perf_counter(), 0, 0
    while index < messages:
        if clock() >= due_s:
            due_s += WORK_S / OVERLOAD
            offers += 1
            index += publisher.try_publish(sample(index), slot=0)
        process.spin_once(0.0)
    line.answer("published")
    while not line.said():  # the tail is repaired while the subscriber works on
        process.spin_once(LOOK_S)
    line.answer({"offers": offers, "repair_share": _repair_share(publisher)})


def _repair_share(publisher: Publisher) -> float:
    """Bytes of repairs as a part of all that went to the subscriber."""
    links = publisher.links()
    repair = sum(traffic.wire_bytes for (_, kind), traffic in links.items() if kind == "repair")
    return repair / sum(traffic.wire_bytes for traffic in links.values())


def _subscribe(line: Line, board: Board, messages: int, seed: int) -> None:
    judge = _Judge(board, messages)
    process = Process("subscriber", instance=SUBSCRIBER, table=TABLE, drop=_lost_on_arrival(seed))
    subscription = process.subscribe(TOPIC, judge.on_sample, KEEP_ALL)
    process.connect(PUBLISHER, line.word())
    settle()
    while not line.said():
        process.spin_once(LOOK_S)
    line.answer(judge.verdict() | {"dropped": subscription.injected})


def _lost_on_arrival(seed: int) -> Callable[[str, int], bool]:
    def drop(_topic: str, sequence: int) -> bool:
        return zlib.crc32(f"{seed}/{sequence}".encode()) % 100 < LOST_PER_CENT

    return drop


class _Judge:
    """Sees what comes, and works on it."""

    def __init__(self, board: Board, messages: int) -> None:
        self._board = board
        self._times = [0] * messages
        self._last = -1
        self._count = self._disordered = 0
        self._first_s = self._last_s = 0.0

    def on_sample(self, message: Sample, _header: Header) -> None:
        """One message."""
        start = time.perf_counter()
        index = message.index - FIRST
        self._times[index] += 1
        self._disordered += index < self._last
        self._last = max(self._last, index)
        self._first_s = self._first_s or start
        while time.perf_counter() < start + WORK_S:
            pass
        self._last_s = time.perf_counter()
        self._count += 1
        self._board.numbers[self._board.place(0)] = self._count

    def verdict(self) -> dict[str, Any]:
        """What went wrong."""
        return {
            "lost": self._times.count(0),
            "duplicated": sum(times - 1 for times in self._times if times > 1),
            "disordered": self._disordered,
            "per_s": self._count / max(self._last_s - self._first_s, 1e-9),
        }
