from __future__ import annotations

import pytest
from bus_numbers import WORDS, Number, Word

from bus.codec import Header
from bus.errors import QosIncompatible, TypeMismatch, UnknownTopic
from bus.qos import LATCHED, RELIABLE
from bus.testing import Cluster, cluster


def test_fifty_late_joiners_get_the_latched_value_first(numbers: Cluster) -> None:
    source = numbers.process("source")
    publisher = source.node("/edge/1").publisher("/edge/1/latched")
    publisher.publish(Number(41), slot=0)
    publisher.publish(Number(42), slot=1)
    for joiner in range(50):
        seen: list[int] = []
        process = numbers.process(f"joiner-{joiner}")
        process.node("/edge/2").subscribe("/edge/1/latched", lambda m, h, seen=seen: seen.append(m.value))
        numbers.link(process, source)
        numbers.until(lambda seen=seen: bool(seen))
        publisher.publish(Number(42), slot=2)
        numbers.until(lambda seen=seen: len(seen) == 2)
        assert seen == [42, 42]
        process.close()
        numbers.until(lambda: not publisher.matched)


def test_a_depth_of_three_gives_the_last_three_in_order(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/three")
    for value in range(5):
        publisher.publish(Number(value), slot=value)
    seen: list[tuple[int, int]] = []
    sink.node("/edge/2").subscribe("/edge/1/three", lambda m, h: seen.append((m.value, h.sequence)))
    numbers.link(sink, source)
    numbers.until(lambda: len(seen) == 3)
    assert seen == [(2, 3), (3, 4), (4, 5)]


def test_what_is_published_after_the_match_is_never_missed(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    publisher.publish(Number(-1), slot=0)
    seen: list[int] = []
    subscription = sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: seen.append(m.value))
    numbers.link(sink, source)
    numbers.until(lambda: sink.uid in publisher.matched)
    for value in range(100):
        publisher.publish(Number(value), slot=value)
    numbers.until(lambda: len(seen) == 100)
    assert seen == list(range(100))
    assert subscription.matched == {source.instance}
    assert subscription.lost == subscription.duplicates == 0


def test_a_subscriber_to_edge_1_does_not_receive_edge_10(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    node = source.node("/edge/1")
    one, ten = node.publisher("/edge/1/number"), node.publisher("/edge/10/number")
    seen: list[int] = []
    sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: seen.append(m.value))
    numbers.link(sink, source)
    numbers.until(lambda: bool(one.matched))
    assert not ten.matched
    ten.publish(Number(10), slot=0)
    one.publish(Number(1), slot=0)
    numbers.until(lambda: bool(seen))
    assert seen == [1]


def test_nodes_of_one_process_meet_without_a_wire(numbers: Cluster) -> None:
    process = numbers.process("both")
    node, other = process.node("/edge/1"), process.node("/edge/2")
    seen: list[tuple[str, int]] = []
    publisher = node.publisher("/edge/1/latched")
    publisher.publish(Number(1), slot=0)
    other.subscribe("/edge/1/latched", lambda m, h: seen.append(("early", m.value)))
    numbers.until(lambda: len(seen) == 1)
    other.subscribe("/edge/1/latched", lambda m, h: seen.append(("late", m.value)))
    publisher.publish(Number(2), slot=1)
    assert len(seen) == 1  # never from inside publish()
    numbers.until(lambda: len(seen) == 4)
    assert seen == [("early", 1), ("late", 1), ("early", 2), ("late", 2)]
    assert publisher.traffic.messages == 2
    assert publisher.copies() == {}


def test_copies_are_counted_per_subscribing_process_from_its_match_on(numbers: Cluster) -> None:
    source = numbers.process("source")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    sinks = [numbers.process(f"sink-{i}") for i in range(2)]
    for count, sink in enumerate(sinks, 1):
        sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: None)
        numbers.link(sink, source)
        numbers.until(lambda count=count: len(publisher.matched) == count)
        payload = publisher.publish(Number(7), slot=0)
    copies = publisher.copies()
    assert [copies[sink.uid].messages for sink in sinks] == [2, 1]
    frame_bytes = len("/edge/1/number") + 1 + 40 + len(payload)
    assert copies[sinks[1].uid].wire_bytes == frame_bytes + 2
    numbers.until(lambda: sinks[0].subscriptions["/edge/1/number"].messages == 2)
    samples = {s.labels: s.value for s in source.measurements.snapshot() if s.name == "bus_wire_bytes"}
    assert samples[("direction", "sent"), ("plane", "data"), ("topic", "/edge/{m}/number")] == 3 * (frame_bytes + 2)


def test_another_type_is_refused_by_the_subscriber() -> None:
    with cluster(WORDS) as words, cluster() as other:
        source = words.process("source", instance=7)
        publisher = source.node("/edge/1").publisher("/edge/1/number")
        from bus_numbers import TABLE

        other.table = TABLE
        sink = other.process("sink", instance=8)
        refusals: list[BaseException] = []
        sink.on_refused(refusals.append)
        seen: list[int] = []
        sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: seen.append(m.value))
        sink.connect(7, source.endpoint)
        for _ in range(1000):
            words.step()
            source.spin_once(0.001)
            other.step()
            if refusals:
                break
        publisher.publish(Word("x"), slot=0)
        words.step()
        other.step()
        assert [type(refusal) for refusal in refusals] == [TypeMismatch]
        assert seen == []


def test_asking_for_more_than_is_promised_is_refused_by_the_subscriber(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    node = source.node("/edge/1")
    node.publisher("/edge/1/gauge")
    node.publisher("/edge/1/number")
    refusals: list[BaseException] = []
    sink.on_refused(refusals.append)
    asking = sink.node("/edge/2")
    subscription = asking.subscribe("/edge/1/gauge", lambda m, h: None, RELIABLE)
    asking.subscribe("/edge/1/number", lambda m, h: None, LATCHED)
    numbers.link(sink, source)
    numbers.until(lambda: len(refusals) == 2)
    asked = {r.topic: (r.asked, r.offered) for r in refusals if isinstance(r, QosIncompatible)}
    assert asked == {
        "/edge/1/gauge": ("reliable", "best_effort"),
        "/edge/1/number": ("transient_local", "volatile"),
    }
    assert subscription.matched == frozenset()


def test_misuse_is_told_at_once(numbers: Cluster) -> None:
    process = numbers.process("p")
    node = process.node("/edge/1")
    publisher = node.publisher("/edge/1/number")
    with pytest.raises(ValueError, match="publishes /edge/1/number already"):
        node.publisher("/edge/1/number")
    with pytest.raises(TypeError, match="carries Number, not Word"):
        publisher.publish(Word("x"), slot=0)
    with pytest.raises(UnknownTopic):
        node.subscribe("/edge/1/numbers", lambda m, h: None)
    with pytest.raises(RuntimeError, match="no instance yet"):
        numbers.process("unjoined", instance=0).node("/edge/3").publisher("/edge/3/number")


def test_a_closed_subscription_hears_nothing_more(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    node = sink.node("/edge/2")
    seen: list[int] = []

    def callback(message: Number, _header: object) -> None:
        seen.append(message.value)

    node.subscribe("/edge/1/number", callback)
    numbers.link(sink, source)
    numbers.until(lambda: bool(publisher.matched))
    node.unsubscribe("/edge/1/number", callback)
    numbers.until(lambda: not publisher.matched)
    publisher.publish(Number(1), slot=0)
    for _ in range(20):
        numbers.step()
    assert seen == []


def test_a_callback_may_take_the_message_without_its_header(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/latched")
    publisher.publish(Number(1), slot=0)
    bare: list[object] = []
    seen: list[tuple[object, int]] = []
    everything: list[int] = []
    node = sink.node("/edge/2")
    node.subscribe("/edge/1/latched", bare.append)
    numbers.link(sink, source)
    numbers.until(lambda: bare == [Number(1)])

    def with_both(message: Number, header: Header) -> None:
        seen.append((message, header.sequence))

    node.subscribe("/edge/1/latched", with_both)
    node.subscribe("/edge/1/latched", lambda *given: everything.append(len(given)))
    node.subscribe("/edge/1/number", lambda message, kept=bare: kept.append(message))
    other = source.nodes["/edge/1"].publisher("/edge/1/number")
    numbers.until(lambda: sink.uid in other.matched)
    publisher.publish(Number(2), slot=1)
    numbers.until(lambda: len(seen) == 2)
    other.publish(Number(3), slot=1)
    numbers.until(lambda: len(bare) == 3)
    assert bare == [Number(1), Number(2), Number(3)]
    assert seen == [(Number(1), 1), (Number(2), 2)]
    assert everything == [2, 2]


def test_who_leaves_while_messages_follow_each_other_gets_none_any_more(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    node = sink.node("/edge/2")
    seen: list[int] = []

    def leave_at_ten(message: Number) -> None:
        seen.append(message.value)
        if message.value == 10:
            node.unsubscribe("/edge/1/number", leave_at_ten)

    node.subscribe("/edge/1/number", leave_at_ten)
    numbers.link(sink, source)
    numbers.until(lambda: sink.uid in publisher.matched)
    for value in range(100):
        publisher.publish(Number(value), slot=value)
    numbers.until(lambda: sink.uid not in publisher.matched)
    assert seen == list(range(11))
