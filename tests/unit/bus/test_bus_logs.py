from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator

import pytest

from bus.logs import BURST, KEPT
from bus.messages import LogEntry
from bus.process import Process
from bus.testing import Cluster

COUNT = itertools.count()


class Logged:
    """A process with two nodes that logs under a root of its own, and one that listens."""

    def __init__(self, bus: Cluster) -> None:
        self.bus = bus
        self.root = logging.getLogger(f"tested-{next(COUNT)}")
        self.root.setLevel(logging.INFO)
        self.root.propagate = False
        bus.hub({"edge": 3})
        bus.processes[0].register()
        self.speaker = bus.member("speaker", "edge", 0, 2)
        self.log = self.speaker.log_to_bus(slot_s=60.0, root=self.root)
        self.speaker.register()
        self.heard: list[LogEntry] = []

    def listen(self) -> Process:
        listener = self.bus.member("listener", "edge", 2)
        listener.nodes["/edge/2"].subscribe("/log", lambda entry, _: self.heard.append(entry))
        listener.register()
        self.bus.until(lambda: self.speaker.publishers["/log"].heard)
        return listener

    def until(self, count: int) -> list[str]:
        self.bus.until(lambda: len(self.heard) >= count)
        return [entry.text for entry in self.heard]


@pytest.fixture
def logged(bus: Cluster) -> Iterator[Logged]:
    made = Logged(bus)
    yield made
    made.log.close()


def test_a_record_travels_with_its_place_and_both_times(logged: Logged) -> None:
    logged.listen()
    logged.speaker.nodes["/edge/1"].begin(7, 0)
    logged.log.logger("/edge/1").warning("%d tasks are late", 3)
    logged.until(1)
    (entry,) = logged.heard
    assert (entry.level, entry.node, entry.text) == (logging.WARNING, "/edge/1", "3 tasks are late")
    assert entry.file == "test_bus_logs.py"
    assert entry.line > 0
    assert entry.sim_s == 420.0
    assert entry.wall_ns > 10**18


def test_nothing_is_kept_or_sent_while_nobody_listens(logged: Logged) -> None:
    for _ in range(10):
        logged.root.warning("nobody hears this")
    logged.bus.all_answered()
    assert logged.speaker.publishers["/log"].sequence == 0
    logged.listen()
    logged.root.warning("this is heard")
    assert logged.until(1) == ["this is heard"]


def test_the_level_of_a_node_is_set_live_and_of_that_node_alone(logged: Logged) -> None:
    logged.listen()
    first, second = logged.log.logger("/edge/0"), logged.log.logger("/edge/1")
    second.debug("too fine")
    logged.speaker.nodes["/edge/1"].parameters.set({"log_level": "DEBUG"})
    second.debug("fine enough")
    first.debug("too fine for the other")
    logged.speaker.nodes["/edge/0"].parameters.set({"log_level": "ERROR"})
    first.warning("not grave enough")
    first.error("grave")
    assert logged.until(2) == ["fine enough", "grave"]
    with pytest.raises(ValueError, match="is one of DEBUG, INFO"):
        logged.speaker.nodes["/edge/0"].parameters.set({"log_level": "LOUD"})


def test_a_flood_neither_slows_the_loop_nor_is_kept_whole(logged: Logged) -> None:
    logged.listen()
    for count in range(3 * KEPT):
        logged.root.info("flood %d", count)
    assert logged.log.dropped == 2 * KEPT
    logged.bus.until(lambda: any("too many" in entry.text for entry in logged.heard))
    said = [entry.text for entry in logged.heard]
    assert said[0] == f"flood {2 * KEPT}"  # the oldest went
    assert said[-1] == f"{2 * KEPT} records were too many to be sent"
    assert len(said) == KEPT + 1
    assert BURST < KEPT  # so that this took several turns


def test_what_publishing_logs_is_not_published(logged: Logged) -> None:
    logged.listen()
    publish = logged.log._publish

    def noisy(entry: LogEntry) -> None:
        logged.root.warning("publishing %s", entry.text)
        publish(entry)

    logged.log._publish = noisy  # type: ignore[method-assign]
    logged.root.warning("once")
    logged.until(1)
    logged.root.warning("twice")
    assert logged.until(2) == ["once", "twice"]


def test_a_record_whose_arguments_do_not_fit_is_said_all_the_same(logged: Logged) -> None:
    logged.listen()
    # By hand, since pytest's own handler would stumble over it.
    logged.log.emit(logging.makeLogRecord({"msg": "%d apples", "args": ("no",), "levelno": logging.WARNING}))
    try:
        raise OSError("the disk is full")
    except OSError:
        logged.root.exception("cannot write")
    first, second = logged.until(2)
    assert first.startswith("%d apples (")
    assert second == "cannot write: OSError: the disk is full"


def test_after_the_process_is_closed_its_records_are_nobodys(logged: Logged) -> None:
    logged.listen()
    logged.speaker.close()
    assert logged.log not in logged.root.handlers
    logged.root.warning("this goes nowhere")
