from __future__ import annotations

import numpy as np
import pytest
from bus_numbers import Number

from bus.testing import Cluster


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_injected_loss_on_a_reliable_topic_leaves_no_trace(numbers: Cluster, share: float) -> None:
    stream = np.random.default_rng(7)
    source = numbers.process("source")
    sink = numbers.process("sink", drop=lambda topic, sequence: bool(stream.random() < share))
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    seen: list[int] = []
    subscription = sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: seen.append(m.value))
    numbers.link(sink, source)
    numbers.until(lambda: bool(publisher.matched))
    for value in range(400):
        publisher.publish(Number(value), slot=value)
        if value % 20 == 19:
            numbers.until(lambda value=value: len(seen) > value - 40)
    numbers.until(lambda: len(seen) == 400)
    assert seen == list(range(400))
    assert subscription.lost == 0
    assert subscription.repaired == subscription.injected > 0


def test_a_lost_last_message_is_noticed_by_the_heartbeat(numbers: Cluster) -> None:
    source = numbers.process("source")
    sink = numbers.process("sink", drop=lambda topic, sequence: True)
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    seen: list[int] = []
    sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: seen.append(m.value))
    numbers.link(sink, source)
    numbers.until(lambda: bool(publisher.matched))
    publisher.publish(Number(1), slot=0)
    numbers.until(lambda: seen == [1], 1.0)


def test_loss_beyond_the_history_is_reported_and_the_rest_goes_on(numbers: Cluster) -> None:
    source = numbers.process("source")
    sink = numbers.process("sink", drop=lambda topic, sequence: sequence <= 10)
    publisher = source.node("/edge/1").publisher("/edge/1/short")
    losses: list[tuple[str, int, int]] = []
    sink.on_loss(lambda topic, instance, count: losses.append((topic, instance, count)))
    seen: list[int] = []
    subscription = sink.node("/edge/2").subscribe("/edge/1/short", lambda m, h: seen.append(h.sequence))
    numbers.link(sink, source)
    numbers.until(lambda: bool(publisher.matched))
    for value in range(12):
        publisher.publish(Number(value), slot=value)
    numbers.until(lambda: len(seen) == 4)
    assert seen == [9, 10, 11, 12]
    assert sum(count for _, _, count in losses) == subscription.lost == 8


def test_best_effort_counts_what_it_lost_and_never_asks_again(numbers: Cluster) -> None:
    source = numbers.process("source")
    sink = numbers.process("sink", drop=lambda topic, sequence: sequence in (3, 4, 8))
    publisher = source.node("/edge/1").publisher("/edge/1/gauge")
    seen: list[int] = []
    subscription = sink.node("/edge/2").subscribe("/edge/1/gauge", lambda m, h: seen.append(h.sequence))
    numbers.link(sink, source)
    numbers.until(lambda: bool(publisher.matched))
    for value in range(10):
        publisher.publish(Number(value), slot=value)
    numbers.until(lambda: 10 in seen)
    assert seen == [1, 2, 5, 6, 7, 9, 10]
    assert subscription.lost == 3
    assert sum(t.messages for (_, kind), t in publisher.links().items() if kind == "repair") == 0


def test_a_link_cut_and_made_again_loses_nothing(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    seen: list[int] = []
    subscription = sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: seen.append(m.value))
    numbers.link(sink, source)
    numbers.until(lambda: bool(publisher.matched))
    publisher.publish(Number(0), slot=0)
    numbers.until(lambda: len(seen) == 1)
    sink.pubsub._inputs.xsub.disconnect(source.endpoint)
    numbers.until(lambda: not publisher.matched)
    for value in range(1, 30):
        publisher.publish(Number(value), slot=value)
    sink.pubsub._inputs.xsub.connect(source.endpoint)
    numbers.until(lambda: len(seen) == 30)
    assert seen == list(range(30))
    assert subscription.repaired == 29


def test_malformed_frames_are_counted_and_dropped(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    seen: list[int] = []
    subscription = sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: seen.append(m.value))
    numbers.link(sink, source)
    numbers.until(lambda: bool(publisher.matched))
    publisher.publish(Number(1), slot=0)
    good = publisher._history[-1]
    for bad in (good[:20], good[:-1] + b"\xc1", good[:15] + b"\x09" + good[16:], b"no topic at all"):
        source.pubsub._output.send(bad)
    publisher.publish(Number(2), slot=0)
    numbers.until(lambda: seen == [1, 2])
    assert subscription.malformed >= 2
