from __future__ import annotations

from typing import Any

import bus_numbers
import pytest
from bus_numbers import Number, Word

from bus import codec
from bus.codec import Header
from bus.errors import BadName
from bus.node import Node
from bus.process import Process
from bus.testing import Cluster, cluster


class Heard:
    """Everything below a name, as topic, number and instance."""

    def __init__(self) -> None:
        self.all: list[tuple[str, int]] = []

    def __call__(self, topic: str, payload: Any, header: Header) -> None:
        assert isinstance(payload, bytes)
        self.all.append((topic, codec.decode(payload, Number).value))


def writer_and_reader(numbers: Cluster, **options: Any) -> tuple[Node, Node, Process]:
    writer, reader = numbers.process("writer"), numbers.process("reader", **options)
    numbers.link(reader, writer)
    return writer.node("/writer"), reader.node("/reader"), reader


def test_a_subtree_gives_every_topic_below_and_none_beside(numbers: Cluster) -> None:
    writer, reader, process = writer_and_reader(numbers)
    heard = Heard()
    tree = reader.subscribe_tree("/edge/1/**", heard)
    publishers = {topic: writer.publisher(topic) for topic in ("/edge/1/number", "/edge/1/gauge", "/edge/10/number")}
    numbers.until(lambda: all(publishers[t].matched for t in ("/edge/1/number", "/edge/1/gauge")))
    assert not publishers["/edge/10/number"].matched
    for value in range(3):
        for publisher in publishers.values():
            publisher.publish(Number(value), slot=0)
    numbers.until(lambda: len(heard.all) == 6)
    assert sorted(heard.all) == sorted((t, v) for t in ("/edge/1/number", "/edge/1/gauge") for v in range(3))
    assert tree.is_matched((writer.process.instance, "/edge/1/gauge"))
    assert sum(s.messages for s in process.pubsub.all_subscriptions()) == 6
    assert publishers["/edge/1/number"].copies()[process.uid].messages == 3


def test_a_publisher_that_comes_later_is_heard_from_its_first_message(numbers: Cluster) -> None:
    writer, reader, _ = writer_and_reader(numbers)
    heard = Heard()
    reader.subscribe_tree("/", heard)
    first = writer.publisher("/edge/1/number")
    numbers.until(lambda: bool(first.matched))
    later = writer.publisher("/edge/2/number")
    later.publish(Number(7), slot=0)
    numbers.until(lambda: heard.all == [("/edge/2/number", 7)])


def test_latched_samples_come_first_and_once(numbers: Cluster) -> None:
    writer, reader, _ = writer_and_reader(numbers)
    latched = writer.publisher("/edge/1/three")
    for value in range(5):
        latched.publish(Number(value), slot=0)
    heard = Heard()
    reader.subscribe_tree("/edge/**", heard)
    numbers.until(lambda: len(heard.all) == 3)
    latched.publish(Number(5), slot=0)
    numbers.until(lambda: len(heard.all) == 4)
    assert [value for _, value in heard.all] == [2, 3, 4, 5]


def test_exact_and_subtree_hear_the_same_messages_side_by_side(numbers: Cluster) -> None:
    writer, reader, process = writer_and_reader(numbers)
    publisher = writer.publisher("/edge/1/number")
    heard, exact = Heard(), []

    def note(message: Number, _header: Header) -> None:
        exact.append(message.value)

    reader.subscribe("/edge/1/number", note)
    reader.subscribe_tree("/edge/**", heard)
    subscription = process.subscriptions["/edge/1/number"]
    tree = process.pubsub.trees["/edge/**"]
    numbers.until(lambda: bool(subscription.matched) and tree.is_matched((1, "/edge/1/number")))
    publisher.publish(Number(1), slot=0)
    numbers.until(lambda: exact == [1] and len(heard.all) == 1)
    reader.unsubscribe("/edge/1/number", note)
    publisher.publish(Number(2), slot=0)
    numbers.until(lambda: len(heard.all) == 2)
    assert publisher.is_matched(process.uid)
    reader.subscribe("/edge/1/number", note)
    numbers.until(lambda: bool(process.subscriptions["/edge/1/number"].matched))
    reader.unsubscribe_tree("/edge/**", heard)
    publisher.publish(Number(3), slot=0)
    numbers.until(lambda: exact == [1, 3])
    assert len(heard.all) == 2


def test_the_last_callback_takes_the_subscription_along(numbers: Cluster) -> None:
    writer, reader, _ = writer_and_reader(numbers)
    publisher = writer.publisher("/edge/1/number")
    heard, other = Heard(), Heard()
    reader.subscribe_tree("/edge/**", heard)
    reader.subscribe_tree("/edge/**", other)
    numbers.until(lambda: bool(publisher.matched))
    publisher.publish(Number(1), slot=0)
    numbers.until(lambda: heard.all == other.all == [("/edge/1/number", 1)])
    reader.unsubscribe_tree("/edge/**", heard)
    publisher.publish(Number(2), slot=0)
    numbers.until(lambda: len(other.all) == 2)
    assert len(heard.all) == 1
    reader.unsubscribe_tree("/edge/**", other)
    numbers.until(lambda: not publisher.matched)


def test_what_is_lost_on_the_way_is_repaired_if_asked_for_and_counted_if_not(numbers: Cluster) -> None:
    for reliable in (True, False):
        dropped: list[int] = []

        def drop(_topic: str, sequence: int, dropped: list[int] = dropped) -> bool:
            dropped.append(sequence)
            return sequence == 2

        writer, reader, process = writer_and_reader(numbers, drop=drop)
        lost: list[int] = []
        process.on_loss(lambda _topic, _instance, count, lost=lost: lost.append(count))
        heard = Heard()
        reader.subscribe_tree("/edge/**", heard, reliable=reliable)
        publisher = writer.publisher("/edge/1/number")
        numbers.until(lambda p=publisher: bool(p.matched))
        for value in range(1, 5):
            publisher.publish(Number(value), slot=0)
        wanted = [1, 2, 3, 4] if reliable else [1, 3, 4]
        numbers.until(lambda h=heard, w=wanted: [value for _, value in h.all] == w)
        assert lost == ([] if reliable else [1])


def test_a_process_hears_its_own_topics_too(numbers: Cluster) -> None:
    process = numbers.process("alone")
    node = process.node("/alone")
    before = node.publisher("/edge/1/latched")
    before.publish(Number(1), slot=0)
    heard = Heard()
    node.subscribe_tree("/edge/**", heard)
    after = node.publisher("/edge/2/number")
    after.publish(Number(2), slot=0)
    numbers.until(lambda: sorted(heard.all) == [("/edge/1/latched", 1), ("/edge/2/number", 2)])
    assert sum(copy.messages for copy in after.copies().values()) == 0


def test_members_and_observers_with_subtrees_are_linked_by_the_graph(numbers: Cluster) -> None:
    registry = numbers.hub({"edge": 2})
    numbers.processes[0].register()
    writer, reader = numbers.member("writer", "edge", 0), numbers.member("reader", "edge", 1)
    publisher = writer.nodes["/edge/0"].publisher("/edge/0/number")
    heard = Heard()
    reader.nodes["/edge/1"].subscribe_tree("/edge/**", heard)
    writer.register()
    reader.register()
    numbers.all_ready()
    assert publisher.is_matched(reader.uid)  # a member's subtree is waited for like any subscription
    (record,) = next(p for p in registry.peers() if p.process == "reader").nodes[0].subscribes
    assert (record.topic, record.type_id) == ("/edge/**", 0)
    guest = numbers.guest("recorder", "/recorder")
    guest.nodes["/recorder"].subscribe_tree("/**", Heard())
    guest.register()
    numbers.until(lambda: publisher.is_matched(guest.uid) and guest.ready)
    numbers.until(lambda: guest.uid in writer.membership.observers)
    publisher.publish(Number(4), slot=0)
    numbers.until(lambda: heard.all == [("/edge/0/number", 4)])
    guest.close()
    numbers.until(lambda: not publisher.is_matched(guest.uid))


def test_a_publisher_that_comes_back_is_matched_again(numbers: Cluster) -> None:
    numbers.hub({"edge": 2})
    numbers.processes[0].register()
    reader = numbers.member("reader", "edge", 1)
    heard = Heard()
    reader.nodes["/edge/1"].subscribe_tree("/edge/**", heard)
    reader.register()
    for life in range(3):
        writer = numbers.member(f"writer-{life}", "edge", 0)
        publisher = writer.nodes["/edge/0"].publisher("/edge/0/number")
        writer.register()
        numbers.all_ready()
        publisher.publish(Number(life), slot=0)
        numbers.until(lambda n=life: len(heard.all) == n + 1)
        numbers.kill(writer)
        assert numbers.registry is not None
        numbers.registry.drop(writer.instance, "killed")
    assert [value for _, value in heard.all] == [0, 1, 2]


def test_an_exact_subscription_to_a_subtree_says_what_to_use(numbers: Cluster) -> None:
    node = numbers.process("p").node("/n")
    with pytest.raises(BadName, match="subscribe_tree"):
        node.subscribe("/edge/**", lambda message, header: None)
    with pytest.raises(BadName, match="ends in"):
        node.subscribe_tree("/edge", Heard())


def test_two_publishers_of_different_types_on_one_topic_are_not_mixed() -> None:
    with cluster(bus_numbers.TABLE) as numbers:
        refused: list[str] = []
        reader = numbers.process("reader")
        reader.on_refused(lambda error: refused.append(str(error)))
        seen: list[bytes] = []
        reader.node("/reader").subscribe_tree("/edge/**", lambda _topic, payload, _header: seen.append(payload))
        for name, table, message in (("a", bus_numbers.TABLE, Number(1)), ("b", bus_numbers.WORDS, Word("x"))):
            writer = numbers.process(name, table=table)
            numbers.link(reader, writer)
            publisher = writer.node(f"/{name}").publisher("/edge/1/number")
            numbers.until(lambda p=publisher: bool(p.matched))
            publisher.publish(message, slot=0)
        numbers.until(lambda: bool(refused))
        assert seen == [codec.encode_payload(Number(1))]
