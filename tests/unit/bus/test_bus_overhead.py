"""The books of a bus against the kernel: every byte on a TCP connection stands in some row, and none besides."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from bus_numbers import Number
from kernel_counters import own_connections

from bus.accounting import link_report, sent
from bus.framing import CURVE, PLAIN
from bus.messages import Array, Arrivals, LinkTraffic, Tick
from bus.process import Process
from bus.testing import Cluster
from bus.traffic import MOST_RECEIVERS


def booked(bus: Cluster) -> int:
    """Bytes that the processes say they have sent on the wire."""
    total = 0
    for process in bus.processes:
        process.sockets.handshakes.count()
        total += sum(traffic.wire_bytes for _, traffic in sent(process))
    return total


def measured(bus: Cluster) -> int:
    """Bytes that the kernel has sent for them."""
    addresses = [p.endpoint for p in bus.processes] + [p.call_endpoint for p in bus.processes]
    if bus.registry is not None:
        addresses.append(bus.registry.address)
    ports = {int(address.rpartition(":")[2]) for address in addresses}
    ends = own_connections()
    return sum(end.sent_bytes for end in ends if {end.local_port, end.remote_port} & ports)


def assert_exact(bus: Cluster) -> None:
    """Equal to the byte, as soon as nothing is on its way."""
    bus.until(lambda: booked(bus) == measured(bus) > 0)


def rows(process: Process, kind: str) -> list[LinkTraffic]:
    return [row for row in link_report(process).links if row.kind == kind]


def test_set_up_and_first_messages_are_exact(numbers: Cluster) -> None:
    source = numbers.process("source")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    sinks = [numbers.process(f"sink-{i}") for i in range(3)]
    for sink in sinks:
        sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: None)
        numbers.link(sink, source)
    numbers.until(lambda: len(publisher.matched) == 3)
    assert_exact(numbers)
    for value in range(50):
        publisher.publish(Number(value), slot=value)
    assert_exact(numbers)


@pytest.mark.parametrize("payload_bytes", [1, 100, 300, 70_000])
def test_messages_of_any_size_are_exact(bus: Cluster, payload_bytes: int) -> None:
    source, sink = bus.process("source"), bus.process("sink")
    publisher = source.node("/cell/1").publisher("/cell/1/arrivals")
    seen: list[int] = []
    sink.node("/edge/1").subscribe("/cell/1/arrivals", lambda m, h: seen.append(h.slot))
    bus.link(sink, source)
    bus.until(lambda: bool(publisher.matched))
    for slot in range(20):
        publisher.publish(Arrivals(Array.of(np.zeros(payload_bytes, np.uint8))), slot=slot)
    bus.until(lambda: len(seen) == 20)
    assert_exact(bus)


def test_history_repairs_requests_and_marks_are_exact(numbers: Cluster) -> None:
    stream = np.random.default_rng(3)
    source = numbers.process("source")
    node = source.node("/edge/1")
    number, short, three = (node.publisher(f"/edge/1/{topic}") for topic in ("number", "short", "three"))
    for value in range(5):
        three.publish(Number(value), slot=value)
    sink = numbers.process("sink", drop=lambda topic, sequence: bool(stream.random() < 0.3))
    late = numbers.process("late")
    numbers.process("other").node("/edge/3").publisher("/edge/3/number")
    for listener in (sink, late):
        for topic in ("number", "short", "three"):
            listener.node(f"/edge/2/{topic}" if listener is sink else f"/edge/4/{topic}").subscribe(
                f"/edge/1/{topic}", lambda m, h: None
            )
    numbers.link(sink, source)
    numbers.link(sink, numbers.processes[3])  # what a subscriber asks for again goes to all it listens to
    numbers.until(lambda: len(number.matched) == len(three.matched) == 1)
    for value in range(60):
        number.publish(Number(value), slot=value)
        if value < 20:
            short.publish(Number(value), slot=value)
    numbers.until(lambda: sink.subscriptions["/edge/1/number"].messages == 60)
    numbers.link(late, source)
    numbers.until(lambda: late.subscriptions["/edge/1/three"].messages == 3)
    assert_exact(numbers)
    (again,) = [row for row in rows(source, "repair") if row.topic == "/edge/1/number"]
    heard = sink.subscriptions["/edge/1/number"]
    assert (again.subscriber, again.messages) == (sink.uid, heard.repaired + heard.duplicates)
    assert again.messages > 0


def test_a_topic_subscribed_and_left_is_exact(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    numbers.link(sink, source)
    node = sink.node("/edge/2")

    def hear(_message: object, _header: object) -> None:
        pass

    for _ in range(3):
        node.subscribe("/edge/1/number", hear)
        numbers.until(lambda: bool(publisher.matched))
        publisher.publish(Number(1), slot=0)
        node.unsubscribe("/edge/1/number", hear)
        numbers.until(lambda: not publisher.matched)
    assert_exact(numbers)


def test_a_run_with_a_registry_is_exact(bus: Cluster) -> None:
    registry = bus.hub({"cell": 3, "edge": 2})
    hub = bus.processes[0]
    tick = hub.node("/hub").publisher("/hub/tick")
    hub.register()
    for role, count in (("cell", 3), ("edge", 2)):
        for index in range(count):
            process = bus.member(f"{role}-{index}", role, index)
            node = process.nodes[f"/{role}/{index}"]
            if role == "cell":
                publisher = node.publisher(f"/cell/{index}/arrivals")
                node.subscribe("/hub/tick", lambda m, h, p=publisher: p.publish(ARRIVALS, slot=h.slot))
            else:
                for cell in range(3):
                    node.subscribe(f"/cell/{cell}/arrivals", lambda m, h: None)
            process.register()
    bus.all_ready()
    for slot in range(30):
        tick.publish(Tick(slot, 0, 0), slot=slot)
    for process in bus.processes:
        process.membership.beat()
    bus.all_answered()
    assert_exact(bus)
    bus.until(lambda: all(p.subscriptions["/hub/graph"].latest for p in bus.processes))
    phases = Counter(row.phase for process in bus.processes for row in link_report(process).links)
    assert phases.keys() == {"scheduling", "clock", "membership"}
    heard = {row.subscriber for process in bus.processes for row in link_report(process).links}
    assert heard <= {"", "/hub", *(process.name for process in bus.processes)}
    assert registry.missing() == []


ARRIVALS = Arrivals(Array.of(np.arange(4.0)))


def test_the_parts_of_a_row_make_up_its_bytes(numbers: Cluster) -> None:
    source, sink = numbers.process("source"), numbers.process("sink")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    sink.node("/edge/2").subscribe("/edge/1/number", lambda m, h: None)
    numbers.link(sink, source)
    numbers.until(lambda: bool(publisher.matched))
    payload = publisher.publish(Number(7), slot=0)
    (row,) = rows(source, "data")
    header_bytes = len("/edge/1/number") + 1 + 40
    assert (row.publisher, row.topic, row.subscriber) == ("/edge/1", "/edge/1/number", sink.uid)
    assert (row.messages, row.payload_bytes, row.header_bytes) == (1, len(payload), header_bytes)
    assert row.wire_bytes == len(payload) + header_bytes + 2


def test_set_up_costs_what_the_kernel_was_seen_to_send() -> None:
    assert [PLAIN.link_bytes(kind, binds=True) for kind in ("PUB", "XPUB", "ROUTER")] == [91, 92, 107]
    assert PLAIN.link_bytes("DEALER", binds=False, identity_bytes=5) == 112
    assert [CURVE.link_bytes(kind, binds=True) for kind in ("PUB", "XPUB", "ROUTER")] == [285, 286, 301]
    assert [CURVE.link_bytes(kind, binds=False) for kind in ("SUB", "XSUB")] == [551, 552]
    assert [CURVE.wire_bytes(size) for size in (222, 223)] == [257, 265]


def by_receiver(process: Process) -> dict[str, float]:
    return {
        dict(sample.labels)["receiver"]: float(sample.value)
        for sample in process.measurements.snapshot()
        if sample.name == "bus_receiver_bytes" and isinstance(sample.value, float)
    }


def test_bytes_by_receiver_are_all_bytes_and_name_nodes_as_metrics_do(bus: Cluster) -> None:
    bus.hub({"edge": 2})
    members = [bus.member(f"edge-{k}", "edge", k) for k in range(2)]
    for k, member in enumerate(members):
        member.nodes[f"/edge/{k}"].publisher(f"/edge/{k}/outcome")
        member.nodes[f"/edge/{k}"].subscribe(f"/edge/{1 - k}/outcome", lambda m, h: None)
        member.register()
    bus.processes[0].register()
    bus.all_ready()
    found = by_receiver(members[0])
    assert set(found) == {"hub", "/edge/1"}
    assert sum(found.values()) == sum(traffic.wire_bytes for _, traffic in sent(members[0]))


def test_many_receivers_are_counted_by_role(numbers: Cluster) -> None:
    source = numbers.process("source")
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    sinks = [numbers.process(f"{'agent' if k % 2 else 'edge'}-{k}") for k in range(MOST_RECEIVERS + 1)]
    source.membership.known.update((sink.uid, sink.name) for sink in sinks)
    for sink in sinks:
        sink.node("/log").subscribe("/edge/1/number", lambda m, h: None)
        numbers.link(sink, source)
    numbers.until(lambda: len(publisher.matched) == len(sinks))
    found = by_receiver(source)
    assert set(found) == {"edges", "agents"}
    assert sum(found.values()) == sum(traffic.wire_bytes for _, traffic in sent(source))
