"""Flow control: who keeps all is waited for, who does not is not, and nobody is waited for without end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bus_numbers import Number

from bus.errors import Backlog
from bus.events import Event
from bus.process import Process
from bus.publisher import Publisher
from bus.qos import RELIABLE, Qos
from bus.subscription import Subscription
from bus.testing import Cluster

ALL = Qos(keep="all", history=8, when_full="raise")


def ends(numbers: Cluster, qos: Qos = ALL, asks: Qos = ALL) -> tuple[Process, Publisher, Subscription, list[int]]:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/number", qos)
    seen: list[int] = []
    subscription = sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: seen.append(m.value), asks)
    numbers.link(sink, source)
    numbers.until(lambda: bool(publisher.matched) and bool(subscription.matched))
    return sink, publisher, subscription, seen


def fill(publisher: Publisher, first: int = 0) -> int:
    count = 0
    while count < 1000 and publisher.try_publish(Number(first + count), slot=0):
        count += 1
    return count


def test_no_more_is_sent_than_can_be_repaired(numbers: Cluster) -> None:
    sink, publisher, subscription, seen = ends(numbers)
    assert fill(publisher) == 8
    with pytest.raises(Backlog) as caught:
        publisher.publish(Number(8), slot=0)
    assert caught.value.slow == (sink.uid,)
    assert publisher.sequence == 8
    numbers.until(publisher.credits.has_room)  # type: ignore[union-attr]
    publisher.publish(Number(8), slot=0)
    numbers.until(lambda: len(seen) == 9)
    assert seen == list(range(9))
    assert subscription.lost == 0


def test_a_stream_of_many_windows_arrives_whole(numbers: Cluster) -> None:
    _, publisher, subscription, seen = ends(numbers)
    sent = 0
    while sent < 500:
        sent += fill(publisher, sent)
        numbers.step()
    numbers.until(lambda: len(seen) == sent)
    assert seen == list(range(sent))
    assert publisher.credits is not None
    assert publisher.credits.acknowledged
    assert subscription.lost == 0


def test_who_keeps_the_last_is_never_waited_for(numbers: Cluster) -> None:
    _, publisher, _, _ = ends(numbers, asks=RELIABLE)
    numbers.until(lambda: publisher.credits is not None and not publisher.credits.acknowledged)
    for value in range(100):
        publisher.publish(Number(value), slot=0)
    assert publisher.sequence == 100


def test_a_wait_ends_at_its_deadline_and_says_for_whom(numbers: Cluster) -> None:
    sink, publisher, _, _ = ends(numbers, replace(ALL, when_full="block", block_s=0.05))
    assert fill(publisher) == 8
    with pytest.raises(Backlog, match=rf"/edge/1/number: {sink.uid} did not acknowledge any of 8 messages within 0.05"):
        publisher.publish(Number(8), slot=0)


def test_the_oldest_are_dropped_and_counted_where_that_is_asked_for(numbers: Cluster) -> None:
    _, publisher, _, seen = ends(numbers, replace(ALL, when_full="drop_oldest"))
    events: list[Event] = []
    node = next(p.nodes["/edge/1"] for p in numbers.processes if "/edge/1" in p.nodes)
    node.on_event(events.append, "/edge/1/number")
    for value in range(20):
        publisher.publish(Number(value), slot=0)
    assert publisher.credits is not None
    assert publisher.credits.dropped == 12
    assert {event.kind for event in events} == {"dropped"}
    numbers.until(lambda: 19 in seen)
    assert seen == sorted(set(seen))


def test_who_unsubscribes_is_not_waited_for_any_more(numbers: Cluster) -> None:
    sink, publisher, subscription, _ = ends(numbers)
    assert fill(publisher) == 8
    sink.nodes["/edge/2"].unsubscribe("/edge/1/number", subscription.callbacks[0])
    numbers.until(publisher.credits.has_room)  # type: ignore[union-attr]
    for value in range(100):
        publisher.publish(Number(value), slot=0)


def test_what_a_cut_link_withholds_is_held_until_it_is_back(numbers: Cluster) -> None:
    sink, publisher, subscription, seen = ends(numbers)
    source = numbers.processes[0]
    inputs = sink.pubsub._inputs.xsub  # type: ignore[union-attr]
    inputs.disconnect(source.endpoint)
    numbers.until(lambda: not publisher.matched)
    assert fill(publisher) == 8
    inputs.connect(source.endpoint)
    numbers.until(lambda: len(seen) == 8)
    assert seen == list(range(8))
    assert subscription.lost == subscription.duplicates == 0
    numbers.until(publisher.credits.has_room)  # type: ignore[union-attr]


def test_who_is_declared_gone_is_not_waited_for(numbers: Cluster) -> None:
    sink, publisher, _, _ = ends(numbers)
    assert fill(publisher) == 8
    numbers.processes[0].pubsub.disconnect(sink.instance)
    for value in range(8, 100):
        publisher.publish(Number(value), slot=0)


def test_keeping_all_needs_reliability() -> None:
    with pytest.raises(ValueError, match="needs reliability"):
        Qos("best_effort", keep="all")
    with pytest.raises(ValueError, match="deadline_s is -1"):
        Qos(deadline_s=-1.0)
