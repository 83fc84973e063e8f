"""What a process sent to whom, by publisher, topic pattern and subscriber: message overhead, exactly.

Copies cost nothing while they are sent; they are worked out from each publisher's traffic when a subscriber matched.
What goes to observers (tools) is kept apart: it is not the run's.
"""

from __future__ import annotations

from collections import defaultdict

from bus.messages import LinkReport, LinkTraffic
from bus.process import Process
from bus.publisher import NOTHING, Publisher, Traffic

Key = tuple[str, str, str, str, str]  # publisher, topic pattern, plane, kind, subscriber


def link_report(process: Process) -> LinkReport:
    """The traffic of every directed link that starts at a process."""
    names = process.membership.known
    owners = {id(publisher): node.name for node in process.nodes.values() for publisher in node.published}
    rows: dict[Key, Traffic] = defaultdict(lambda: NOTHING)
    for publisher in process.publishers.values():
        owner = owners.get(id(publisher), f"/process/{process.name}")
        for key, traffic in _rows(publisher, owner, process, names).items():
            rows[key] = rows[key].plus(traffic)
    links = tuple(LinkTraffic(*key, *traffic) for key, traffic in sorted(rows.items()) if traffic.messages)
    published = {topic: publisher.sequence for topic, publisher in process.publishers.items()}
    return LinkReport(process.name, links, _counters(process), process.instance, published)


def _rows(publisher: Publisher, owner: str, process: Process, names: dict[str, str]) -> dict[Key, Traffic]:
    spec = publisher.spec
    rows: dict[Key, Traffic] = {}
    for uid, traffic in publisher.copies().items():
        if uid in process.membership.observers:
            key = (owner, spec.pattern, spec.plane, "observed", "")
            rows[key] = rows.get(key, NOTHING).plus(traffic)
        else:
            rows[owner, spec.pattern, spec.plane, "data", names.get(uid, uid)] = traffic
    if publisher.local is not None:
        sent = publisher.traffic
        rows[owner, spec.pattern, spec.plane, "data", process.name] = Traffic(sent.messages, sent.payload_bytes, 0)
    if publisher.repairs.messages:
        rows[owner, spec.pattern, spec.plane, "repair", ""] = publisher.repairs
    if publisher.control.messages:
        rows[owner, spec.pattern, spec.plane, "control", ""] = publisher.control
    return rows


def _counters(process: Process) -> dict[str, float]:
    """Counters of the process, summed over labels but for the one that says why or what."""
    totals: dict[str, float] = defaultdict(float)
    for sample in process.measurements.snapshot():
        if sample.kind == "counter" and isinstance(sample.value, float):
            labels = dict(sample.labels)
            detail = labels.get("reason") or labels.get("stage")
            totals[f"{sample.name}{{{detail}}}" if detail else sample.name] += sample.value
    return dict(totals)
