"""Deadlines, age, liveliness and refusals: each is an event on a node, and counted."""

from __future__ import annotations

import pytest
from bus_numbers import Number

from bus.errors import NotMatched, QosIncompatible
from bus.events import Event
from bus.process import Process
from bus.publisher import Publisher
from bus.qos import BEST_EFFORT, RELIABLE, Qos
from bus.subscription import Subscription
from bus.testing import Cluster


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def seconds(self) -> float:
        return self.now_s

    def nanoseconds(self) -> int:
        return int(self.now_s * 1e9)


class Pair:
    def __init__(self, numbers: Cluster, offer: Qos, asks: Qos) -> None:
        self.clock = Clock()
        options = {"clock": self.clock.seconds, "wall_ns": self.clock.nanoseconds}
        self.source: Process = numbers.process("source", **options)
        self.sink: Process = numbers.process("sink", **options)
        self.numbers = numbers
        self.events: list[Event] = []
        self.offered: list[Event] = []
        self.seen: list[int] = []
        self.publisher: Publisher = self.source.node("/edge/1").publisher("/edge/1/number", offer)
        node = self.sink.node("/edge/2")
        node.on_event(self.events.append)
        self.source.nodes["/edge/1"].on_event(self.offered.append)
        self.subscription: Subscription = node.subscribe("/edge/1/number", self._take, asks)
        numbers.link(self.sink, self.source)

    def _take(self, message: Number, _header: object) -> None:
        self.seen.append(message.value)

    def match(self) -> None:
        self.numbers.until(lambda: bool(self.subscription.matched) and bool(self.publisher.matched))
        self.events.clear()

    def after(self, seconds: float, steps: int = 20) -> None:
        for _ in range(steps):
            self.clock.now_s += seconds / steps
            for _ in range(20):  # what was said at that time has to get through a socket, on a busy machine too
                self.numbers.step()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def test_a_deadline_that_nothing_met_is_told_to_both_ends(numbers: Cluster) -> None:
    pair = Pair(numbers, Qos(deadline_s=1.0), Qos(deadline_s=2.0))
    pair.match()
    pair.publisher.publish(Number(1), slot=0)
    numbers.until(lambda: pair.seen == [1])
    pair.after(0.9)
    assert pair.events == pair.offered == []
    pair.after(6.0, 60)
    assert sum(event.times for event in pair.events) in (2, 3)
    assert set(pair.kinds()) == {"deadline_missed"}
    assert {event.kind for event in pair.offered} == {"offered_deadline_missed"}
    assert sum(event.times for event in pair.offered) in (5, 6)
    samples = {s.labels: s.value for s in pair.sink.measurements.snapshot() if s.name == "bus_events"}
    assert samples[("reason", "deadline_missed"), ("topic", "/edge/{m}/number")] in (2.0, 3.0)


def test_what_comes_in_time_misses_no_deadline(numbers: Cluster) -> None:
    pair = Pair(numbers, Qos(deadline_s=1.0), Qos(deadline_s=1.0))
    pair.match()
    for value in range(10):
        pair.publisher.publish(Number(value), slot=0)
        numbers.until(lambda value=value: value in pair.seen)  # type: ignore[misc]
        pair.after(0.5)
    assert pair.events == pair.offered == []


def test_deadlines_follow_the_runs_time_where_there_is_one(numbers: Cluster) -> None:
    pair = Pair(numbers, Qos(deadline_s=1.0), Qos(deadline_s=1.0))
    sim_ns = [0]
    pair.sink.use_sim_time(lambda: sim_ns[0])
    pair.match()
    pair.sink.sim_advanced()
    pair.after(50.0, 100)
    assert pair.events == []
    sim_ns[0] = 3_000_000_000
    pair.sink.sim_advanced()
    assert pair.kinds() == ["deadline_missed"]
    assert pair.events[0].times == 3


def test_messages_older_than_their_lifespan_are_dropped_and_counted(numbers: Cluster) -> None:
    pair = Pair(numbers, RELIABLE, Qos(lifespan_s=1.0))
    pair.match()
    pair.publisher.publish(Number(1), slot=0)
    pair.clock.now_s += 2.0
    pair.publisher.publish(Number(2), slot=0)
    numbers.until(lambda: pair.seen == [2])
    assert pair.subscription.expired == 1
    assert pair.kinds() == ["expired"]
    assert pair.subscription.lost == 0


def test_a_slow_subscriber_gets_the_newest_and_counts_what_it_skips(numbers: Cluster) -> None:
    pair = Pair(numbers, BEST_EFFORT, Qos("best_effort", depth=3))
    pair.match()
    for value in range(100):
        pair.publisher.publish(Number(value), slot=0)
    numbers.until(lambda: 99 in pair.seen)
    assert pair.seen[-3:] == [97, 98, 99]
    assert len(pair.seen) + pair.subscription.superseded == 100
    assert pair.subscription.superseded >= 90
    assert pair.subscription.lost == 0
    assert sum(event.times for event in pair.events if event.kind == "superseded") == pair.subscription.superseded


def test_a_publisher_without_a_sign_of_life_is_told_lost_and_back(numbers: Cluster) -> None:
    pair = Pair(numbers, Qos(lease_s=1.0), Qos(lease_s=1.0))
    pair.match()
    (link,) = pair.subscription.links.values()
    for _ in range(15):
        beats = link.beats
        pair.clock.now_s += 0.35
        numbers.until(lambda beats=beats: link.beats > beats)  # type: ignore[misc]
    assert pair.events == []  # it publishes nothing, but shows that it lives
    for _ in range(40):
        pair.clock.now_s += 0.1
        pair.sink.spin_once(0.0)
    assert pair.kinds()[0] == pair.kinds()[-1] == "liveliness_lost"  # a sign that was still on its way may come between

    def is_back() -> bool:
        pair.clock.now_s += 0.05
        return pair.kinds()[-1] == "liveliness_back"

    numbers.until(is_back)


def test_a_publisher_that_is_declared_gone_is_told_lost_once(numbers: Cluster) -> None:
    pair = Pair(numbers, RELIABLE, RELIABLE)
    numbers.until(lambda: pair.kinds() == ["liveliness_back"])
    pair.sink.pubsub.disconnect(pair.source.instance)
    assert pair.kinds() == ["liveliness_back", "liveliness_lost"]


@pytest.mark.parametrize(
    ("offer", "asks", "asked", "offered"),
    [
        (BEST_EFFORT, RELIABLE, "reliable", "best_effort"),
        (RELIABLE, Qos(durability="transient_local"), "transient_local", "volatile"),
        (RELIABLE, Qos(deadline_s=1.0), "deadline 1 s", "no deadline"),
        (Qos(deadline_s=2.0), Qos(deadline_s=1.0), "deadline 1 s", "deadline 2 s"),
        (Qos(lease_s=2.0), Qos(lease_s=0.5), "lease 0.5 s", "lease 2 s"),
    ],
)
def test_ends_that_do_not_fit_are_refused_on_both_with_the_reason(
    numbers: Cluster, offer: Qos, asks: Qos, asked: str, offered: str
) -> None:
    pair = Pair(numbers, offer, asks)
    at_source: list[QosIncompatible] = []
    pair.source.on_refused(lambda error: at_source.append(error))  # type: ignore[arg-type]
    at_sink: list[QosIncompatible] = []
    pair.sink.on_refused(lambda error: at_sink.append(error))  # type: ignore[arg-type]
    numbers.until(lambda: bool(at_source) and bool(at_sink))
    assert [(error.asked, error.offered) for error in at_source + at_sink] == [(asked, offered)] * 2
    assert pair.kinds() == [event.kind for event in pair.offered] == ["incompatible"]
    assert asked in pair.events[0].text
    pair.publisher.publish(Number(1), slot=0)
    numbers.step()
    assert not pair.publisher.matched
    assert pair.seen == []


def test_offers_that_promise_more_than_is_asked_fit(numbers: Cluster) -> None:
    pair = Pair(numbers, Qos(durability="transient_local", deadline_s=0.5, lease_s=0.5), Qos(deadline_s=1.0))
    pair.match()
    pair.publisher.publish(Number(1), slot=0)
    numbers.until(lambda: pair.seen == [1])


def test_a_wait_for_a_match_ends_and_says_who_is_missing(bus: Cluster) -> None:
    registry = bus.hub({"cell": 2, "edge": 1})
    bus.processes[0].node("/hub")
    bus.processes[0].register()
    edge = bus.member("edge-0", "edge", 0)
    subscriptions = [edge.nodes["/edge/0"].subscribe(f"/cell/{m}/arrivals", lambda m, h: None) for m in range(2)]
    edge.register()
    cell = bus.member("cell-0", "cell", 0)
    publisher = cell.nodes["/cell/0"].publisher("/cell/0/arrivals")
    cell.register()
    bus.call(cell, lambda: publisher.wait_matched(1, 10.0))
    bus.call(edge, lambda: subscriptions[0].wait_matched(1, 10.0))
    with pytest.raises(
        NotMatched, match=r"0 of 1 matched within 0\.05 s; missing: 1 more that the graph does not show"
    ):
        bus.call(edge, lambda: subscriptions[1].wait_matched(1, 0.05))
    late = bus.member("cell-1", "cell", 1)
    late.nodes["/cell/1"].publisher("/cell/1/arrivals")
    late.register()
    bus.until(lambda: edge.membership.version == registry.version and len(edge.membership.peers) == 4)
    with pytest.raises(NotMatched, match="missing: cell-1"):
        edge.pubsub.subscriptions["/cell/1/arrivals"].wait_matched(1, 0.0)


def test_an_end_of_history_that_is_lost_is_asked_for_again(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/latched")
    publisher.publish(Number(1), slot=0)
    private, sent = publisher._send, []

    def lose_first(frame: bytes) -> None:
        sent.append(frame)
        if len(sent) > 2:  # the latched message and its END are lost
            private(frame)

    publisher._send = lose_first
    seen: list[int] = []
    subscription = sink.node("/edge/2").subscribe("/edge/1/latched", lambda m, h: seen.append(m.value))
    numbers.link(sink, source)
    numbers.until(lambda: len(sent) == 2)
    publisher.publish(Number(2), slot=0)
    numbers.until(lambda: bool(subscription.matched))
    numbers.until(lambda: seen == [2])
