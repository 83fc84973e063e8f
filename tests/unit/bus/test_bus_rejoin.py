"""Publishers that restart, subscribers that die and come back in a burst, links that break: for each kind of topic."""

from __future__ import annotations

import pytest
from bus_numbers import Number

from bus.process import Process
from bus.qos import BEST_EFFORT, LATCHED, RELIABLE, Qos
from bus.testing import Cluster

KINDS = {"best effort": BEST_EFFORT, "reliable": RELIABLE, "latched": LATCHED, "all": Qos(keep="all", history=64)}
TOPIC = "/edge/1/number"


def listen(numbers: Cluster, qos: Qos, source: Process, name: str) -> tuple[Process, list[int]]:
    sink = numbers.process(name)
    seen: list[int] = []
    sink.node("/edge/2").subscribe(TOPIC, lambda m, h: seen.append(m.value), qos)
    numbers.link(sink, source)
    return sink, seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_restarted_publisher_is_matched_again_and_counts_from_one(numbers: Cluster, kind: str) -> None:
    qos = KINDS[kind]
    first = numbers.process("first")
    publisher = first.node("/edge/1").publisher(TOPIC, qos)
    sink, seen = listen(numbers, qos, first, "sink")
    numbers.until(lambda: bool(publisher.matched))
    for value in range(10):
        publisher.publish(Number(value), slot=0)
    numbers.until(lambda: len(seen) == 10)
    numbers.kill(first)
    sink.pubsub.disconnect(first.instance)
    second = numbers.process("second")
    successor = second.node("/edge/1").publisher(TOPIC, qos)
    successor.publish(Number(10), slot=0)
    numbers.link(sink, second)
    numbers.until(lambda: bool(successor.matched))
    for value in range(11, 20):
        successor.publish(Number(value), slot=0)
    numbers.until(lambda: 19 in seen)
    latched = [10] if qos.latched else []
    assert seen == [*range(10), *latched, *range(11, 20)]
    assert sink.subscriptions[TOPIC].lost == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_subscriber_that_dies_in_a_burst_holds_nobody_up_and_its_successor_misses_nothing(
    numbers: Cluster, kind: str
) -> None:
    qos = KINDS[kind]
    source = numbers.process("source")
    publisher = source.node("/edge/1").publisher(TOPIC, qos)
    other, heard = listen(numbers, qos, source, "other")
    victim, _ = listen(numbers, qos, source, "victim")
    numbers.until(lambda: len(publisher.matched) == 2)
    for value in range(30):
        publisher.publish(Number(value), slot=0)
    numbers.kill(victim)
    source.pubsub.disconnect(victim.instance)
    numbers.until(lambda: len(heard) == 30)
    _, seen = listen(numbers, qos, source, "successor")
    numbers.until(lambda: len(publisher.matched) == 2)
    for value in range(30, 60):
        publisher.publish(Number(value), slot=0)
    numbers.until(lambda: 59 in seen and 59 in heard)
    assert heard == list(range(60))
    assert seen == [*([29] if qos.latched else []), *range(30, 60)]
    assert other.subscriptions[TOPIC].lost == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_link_loses_nothing_that_was_promised(numbers: Cluster, kind: str) -> None:
    qos = KINDS[kind]
    source = numbers.process("source")
    publisher = source.node("/edge/1").publisher(TOPIC, qos)
    sink, seen = listen(numbers, qos, source, "sink")
    numbers.until(lambda: bool(publisher.matched) and bool(sink.subscriptions[TOPIC].matched))
    publisher.publish(Number(0), slot=0)
    numbers.until(lambda: seen == [0])
    xsub = sink.pubsub._inputs.xsub  # type: ignore[union-attr]
    xsub.disconnect(source.endpoint)
    numbers.until(lambda: not publisher.matched)
    for value in range(1, 30):
        publisher.publish(Number(value), slot=0)
    xsub.connect(source.endpoint)
    numbers.until(lambda: bool(publisher.matched))
    publisher.publish(Number(30), slot=0)
    numbers.until(lambda: 30 in seen)
    subscription = sink.subscriptions[TOPIC]
    if qos.reliable:
        assert seen == list(range(31))
        assert subscription.lost == 0
    else:
        assert seen == [0, 30]
        assert subscription.lost == 29
