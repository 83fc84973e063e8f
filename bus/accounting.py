"""What a process sent to whom, by publisher, topic, subscriber and purpose: message overhead, exactly.

Copies cost nothing while they are sent; they are worked out from each publisher's traffic when a subscriber matched.
What goes to observers (tools) is kept apart: it is not the run's. docs/overhead.md has the rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bus.calls import FOREIGN, identity_of
from bus.codec import encode_payload
from bus.copies import HERE
from bus.errors import UnknownTopic
from bus.framing import Framing
from bus.handshakes import LINK
from bus.messages import Call, LinkReport, LinkTraffic
from bus.names import HUB
from bus.outputs import uid_of
from bus.tally import NOTHING, Kind, Tally, Traffic
from bus.topics import DEPLOYMENT, MEMBERSHIP, OTHER, RENTAL, SETTLEMENT

if TYPE_CHECKING:
    from bus.process import Process

Key = tuple[str, str, str, Kind, str, str]  # publisher, topic, plane, kind, subscriber, phase
Row = tuple[Key, Traffic]

FOREIGN_PHASES: Final = {
    "Observation": DEPLOYMENT,
    "Deployment": DEPLOYMENT,
    "RentalObservation": RENTAL,
    "Rental": RENTAL,
    "Reward": SETTLEMENT,
    "Outcome": SETTLEMENT,
}
REPORT: Final = "report"
"""The method by which a process hands its report to the hub."""


def link_report(process: Process) -> LinkReport:
    """The traffic of every directed link that starts at a process; from its loop."""
    process.sockets.handshakes.count()
    rows: dict[Key, Traffic] = defaultdict(lambda: NOTHING)
    for key, traffic in sent(process):
        rows[key] = rows[key].plus(traffic)
    links = tuple(_record(key, traffic) for key, traffic in sorted(rows.items()) if traffic.messages)
    published = {topic: publisher.sequence for topic, publisher in process.publishers.items()}
    return LinkReport(process.name, links, counters_of(process), process.instance, published)


def sent(process: Process) -> Iterator[Row]:
    """All that a process sent, or handed over within; several rows may have one key."""
    yield from _published(process)
    yield from _said_upstream(process)
    yield from _said_outside_topics(process)
    yield from _said_with_foreign_agents(process)


def of_report(report: LinkReport, framing: Framing) -> tuple[LinkTraffic, ...]:
    """What it took a process to hand its report in, which the report itself cannot hold."""
    payload = encode_payload(report)
    body_bytes = len(encode_payload(Call(1, HUB, REPORT, payload)))
    tally = Tally(framing)
    identity_bytes = len(identity_of(report.process))
    tally.add_bytes(LINK, "control", HUB, framing.link_bytes("DEALER", binds=False, identity_bytes=identity_bytes))
    tally.add(f"call:{HUB}/{REPORT}", "control", HUB, body_bytes, len(payload))
    keys = {key: (f"/process/{report.process}", key[0], "control", key[1], key[2], MEMBERSHIP) for key in tally.rows}
    return tuple(_record(keys[key], traffic) for key, traffic in tally.rows.items())


def _published(process: Process) -> Iterator[Row]:
    names, observers = process.membership.known, process.membership.observers
    owners = {id(publisher): node.name for node in process.nodes.values() for publisher in node.published}
    for publisher in process.publishers.values():
        owner = owners.get(id(publisher), _own(process))
        spec = publisher.spec
        for (uid, kind), traffic in publisher.links().items():
            kind = spec.kind if kind == "data" else kind
            subscriber = process.name if uid == HERE else names.get(uid, uid)
            if uid in observers:
                kind, subscriber = "observed", ""
            yield (owner, publisher.topic, spec.plane, kind, subscriber, spec.phase), traffic


def _said_upstream(process: Process) -> Iterator[Row]:
    names = process.membership.known
    for (instance, topic), traffic in process.pubsub.upstream.rows().items():
        plane, phase = _place_of(process, topic)
        uid = uid_of(instance)
        yield (_own(process), topic, plane, "control", names.get(uid, uid), phase), traffic


def _said_outside_topics(process: Process) -> Iterator[Row]:
    tools = {process.membership.known[uid] for uid in process.membership.observers}
    for (topic, kind, other), traffic in process.sockets.tally.rows.items():
        if other in tools:
            kind, other = "observed", ""
        yield (_own(process), topic, "control", kind, other, MEMBERSHIP), traffic


def _said_with_foreign_agents(process: Process) -> Iterator[Row]:
    """Both ways, since a foreign agent reports nothing itself."""
    for (topic, _, hearer), traffic in process.sockets.foreign_tally.rows.items():
        teller, _, what = topic.removeprefix(FOREIGN).rpartition("/")
        phase = FOREIGN_PHASES.get(what, MEMBERSHIP)
        is_data = phase != MEMBERSHIP
        yield (
            (teller, topic, "data" if is_data else "control", "data" if is_data else "control", hearer, phase),
            traffic,
        )


def _place_of(process: Process, topic: str) -> tuple[str, str]:
    """Plane and phase of a topic that a process subscribes, or once did."""
    try:
        known = process.subscriptions.get(topic)
        spec = process.table.match(topic) if known is None else known.spec
    except UnknownTopic:
        return "data", OTHER
    return spec.plane, spec.phase


def _own(process: Process) -> str:
    return f"/process/{process.name}"


def _record(key: Key, traffic: Traffic) -> LinkTraffic:
    publisher, topic, plane, kind, subscriber, phase = key
    messages, payload_bytes, header_bytes, wire_bytes = traffic
    return LinkTraffic(
        publisher, topic, plane, kind, subscriber, messages, payload_bytes, wire_bytes, phase, header_bytes
    )


def counters_of(process: Process) -> dict[str, float]:
    """Counters of the process, summed over labels but for the one that says why or what."""
    totals: dict[str, float] = defaultdict(float)
    for sample in process.measurements.snapshot():
        if sample.kind == "counter" and isinstance(sample.value, float):
            labels = dict(sample.labels)
            detail = labels.get("reason") or labels.get("stage")
            totals[f"{sample.name}{{{detail}}}" if detail else sample.name] += sample.value
    return dict(totals)
