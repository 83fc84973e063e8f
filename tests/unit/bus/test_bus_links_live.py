"""Emulated links between processes: plain subscriptions on a clock of the test's own, and gathers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bus_numbers import TABLE, Number

from bus.gather import Absent
from bus.link_table import LinkTable
from bus.links import LinkClock, Links
from bus.messages import LinkRule, LinkShape
from bus.node import Node
from bus.publisher import Publisher
from bus.testing import Cluster, cluster

TOPIC = "/edge/1/number"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Pair:
    """A talker /edge/1 and a listener /agent/2, with links between them."""

    def __init__(self, bus: Cluster, shape: LinkShape | None, clock: LinkClock) -> None:
        self.bus = bus
        self.clock = Clock()
        rules = [] if shape is None else [LinkRule("set", "edge/*", "agent/*", shape)]
        talker, self.listener = bus.process("talker"), bus.process("listener", clock=self.clock)
        self.listener.links = self.links = Links(self.listener, LinkTable(rules), 1, clock)
        self.publisher: Publisher = talker.node("/edge/1").publisher(TOPIC)
        self.node: Node = self.listener.node("/agent/2")
        bus.link(self.listener, talker)

    def match(self) -> None:
        self.bus.until(lambda: bool(self.publisher.matched))

    def came(self, count: int) -> None:
        """Step until so many have come over the wire, whatever the link does with them then."""
        subscription = self.listener.subscriptions[TOPIC]
        self.bus.until(lambda: subscription.messages >= count)


@contextmanager
def pair(shape: LinkShape | None, clock: LinkClock = LinkClock()) -> Iterator[Pair]:  # noqa: B008 -- frozen
    with cluster(TABLE) as bus:
        yield Pair(bus, shape, clock)


def test_on_the_wall_clock_a_delay_is_waited_for() -> None:
    got: list[int] = []
    with pair(LinkShape(latency_s=0.5)) as ends:
        ends.node.subscribe(TOPIC, lambda message, header: got.append(message.value))
        ends.match()
        ends.publisher.publish(Number(1), slot=0)
        ends.came(1)
        assert got == []
        ends.clock.now_s = 0.499
        ends.bus.step()
        assert got == []
        ends.clock.now_s = 0.501
        ends.bus.step()
        assert got == [1]


def test_a_queue_of_a_wall_clock_keeps_its_rate_and_loss_its_share() -> None:
    count, got = 400, []
    with pair(LinkShape(rate_bps=1e5, loss=0.25, latency_s=0.01)) as ends:
        ends.node.subscribe(TOPIC, lambda message, header: got.append((message.value, ends.clock.now_s)))
        ends.match()
        for value in range(count):
            ends.publisher.publish(Number(value), slot=0)
        ends.came(count)
        while ends.listener.timers.next_due_s() < 60.0:
            ends.clock.now_s = ends.listener.timers.next_due_s()
            ends.bus.step()
        (figures,) = ends.links.figures().links
        assert figures.messages == count
        assert len(got) == count - figures.lost
        assert figures.outside == ()
        assert figures.rate_bps == pytest.approx(1e5, rel=1e-3)
        assert [value for value, _ in got] == sorted(value for value, _ in got)


def test_a_link_without_a_shape_is_passed_at_once_and_counts_nothing() -> None:
    got: list[int] = []
    with pair(None) as ends:
        ends.node.subscribe(TOPIC, lambda message, header: got.append(message.value))
        ends.match()
        ends.publisher.publish(Number(1), slot=0)
        ends.came(1)
        assert got == [1]
        assert ends.links.figures().links == ()
        assert ends.node.collector.end is None


def test_an_unsubscribed_callback_is_not_called_by_its_link() -> None:
    got: list[int] = []

    def callback(message: Any, header: Any) -> None:
        got.append(message.value)

    with pair(LinkShape(latency_s=0.0, duplicate=1.0)) as ends:
        ends.node.subscribe(TOPIC, callback)
        ends.node.subscribe(TOPIC, lambda message, header: None)
        ends.match()
        ends.node.unsubscribe(TOPIC, callback)
        ends.publisher.publish(Number(1), slot=0)
        ends.came(1)
        ends.clock.now_s = 1.0
        ends.bus.step()
        assert got == []


LOCKSTEP = LinkClock(60.0, None)


def gathered(shape: LinkShape, slot: int = 0) -> tuple[Any, int]:
    """What one gather of one slot gets, and when."""
    got: list[Any] = []
    with pair(shape, LOCKSTEP) as ends:
        ends.node.collect("number", TOPIC, "/edge/1")
        ends.match()
        ends.node.begin(slot, 0)
        ends.node.gather("number", ("/edge/1",), slot, 0, got.extend)
        ends.publisher.publish(Number(7), slot=slot)
        ends.bus.until(lambda: bool(got))
        return got[0], ends.node.reached_ns("number")


def test_in_lockstep_a_delay_shifts_time_and_past_the_slot_it_is_late() -> None:
    assert gathered(LinkShape(latency_s=59.0), slot=3) == (Number(7), 59_000_000_000)
    assert gathered(LinkShape(latency_s=61.0), slot=3) == (Absent("late", Number(7)), 0)


def test_what_a_link_loses_stands_in_its_place_with_the_reason() -> None:
    assert gathered(LinkShape(loss=1.0)) == (Absent("link", Number(7)), 0)
    assert gathered(LinkShape(cut=((4, 6),)), slot=4) == (Absent("link", Number(7)), 0)
    assert gathered(LinkShape(cut=((4, 6),)), slot=6) == (Number(7), 0)


def test_a_message_that_came_before_its_slot_passes_the_link_of_its_slot() -> None:
    got: list[Any] = []
    with pair(None, LOCKSTEP) as ends:
        ends.node.collect("number", TOPIC, "/edge/1")
        ends.match()
        ends.node.begin(0, 0)
        ends.publisher.publish(Number(1), slot=1)
        ends.came(1)
        ends.links.follow((LinkRule("cut", "edge/1", "*"),))
        ends.node.begin(1, 0)
        ends.node.gather("number", ("/edge/1",), 1, 0, got.extend)
        ends.bus.until(lambda: bool(got))
        assert got == [Absent("link", Number(1))]
        ends.links.follow((LinkRule("heal", "edge/1", "*"),))
        ends.node.begin(2, 0)
        ends.node.gather("number", ("/edge/1",), 2, 0, got.extend)
        ends.publisher.publish(Number(2), slot=2)
        ends.bus.until(lambda: len(got) == 2)
        assert got[1] == Number(2)


def test_links_beyond_the_first_few_share_their_metrics() -> None:
    with cluster(TABLE) as bus:
        listener = bus.process("listener")
        table = LinkTable([LinkRule("set", "*", "*", LinkShape(loss=0.5))])
        listener.links = Links(listener, table, 1, LOCKSTEP)
        node = listener.node("/agent/2")
        talkers = [bus.process(f"talker-{m}") for m in range(30)]
        publishers = []
        for m, talker in enumerate(talkers):
            publishers.append(talker.node(f"/edge/{m}").publisher(f"/edge/{m}/number"))
            node.collect("number", f"/edge/{m}/number", m)
            bus.link(listener, talker)
        bus.until(lambda: all(publisher.matched for publisher in publishers))
        node.begin(0, 0)
        got: list[Any] = []
        node.gather("number", tuple(range(30)), 0, 0, got.extend)
        for publisher in publishers:
            publisher.publish(Number(1), slot=0)
        bus.until(lambda: bool(got))
        samples = [sample for sample in listener.measurements.snapshot() if sample.name.startswith("link_")]
        assert len(samples) <= 65
        messages = [sample.value for sample in samples if sample.name == "link_messages"]
        assert sum(value for value in messages if isinstance(value, float)) == 30.0
