"""A process's traffic by topic pattern and plane, brought into its measurements when somebody looks."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from bus.accounting import sent
from bus.names import HUB
from bus.peers import shown_as

if TYPE_CHECKING:
    from bus.process import Process

Totals = Counter[tuple[str, str, str, str]]  # (name, and three of its labels)

MOST_RECEIVERS: Final = 12
"""Other processes for each own node to whom bytes are counted one by one; where there are more, they are by role.

A node has no hundred series, however many edge servers there are.
"""

RECEIVED_COUNTS: Final = ("lost", "repaired", "duplicates", "malformed", "superseded", "expired")


class Accounts:
    """Copies what publishers and subscriptions count into the measurements, before each snapshot."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._shown: dict[str, str] = {}
        """What other processes are called in metrics, also those that are gone."""
        process.measurements.before_snapshot(self._collect)

    def _collect(self) -> None:
        totals: Totals = Counter()
        events: Counter[tuple[str, str]] = Counter()
        self._add_sent(totals)
        self._add_received(totals)
        measurements = self._process.measurements
        for (name, direction, pattern, plane), value in totals.items():
            measurements.counter(name, direction=direction, topic=pattern, plane=plane).value = float(value)
        links, receivers = self._links()
        for (name, plane, kind, phase), value in links.items():
            measurements.counter(name, plane=plane, phase=phase, **{"class": kind}).value = float(value)
        for receiver, sent_bytes in self._named(receivers).items():
            measurements.counter("bus_receiver_bytes", receiver=receiver).value = float(sent_bytes)
        stale = sum(node.collector.stale for node in self._process.nodes.values())
        measurements.counter("bus_messages_stale").value = float(stale)
        surplus = sum(node.collector.surplus for node in self._process.nodes.values())
        measurements.counter("bus_messages_surplus").value = float(surplus)
        pubsub = self._process.pubsub
        for (kind, topic), count in pubsub.events.counts.items():
            end = pubsub.subscriptions.get(topic) or pubsub.publishers.get(topic)
            pattern = end.spec.pattern if end is not None else topic
            events[kind, pattern] += count
        for (kind, pattern), count in events.items():
            measurements.counter("bus_events", reason=kind, topic=pattern).value = float(count)
        measurements.counter("bus_calls_malformed").value = float(self._process.answering.malformed)
        measurements.counter("bus_words_malformed").value = float(self._process.pubsub.words_malformed)

    def _add_sent(self, totals: Totals) -> None:
        for publisher in self._process.publishers.values():
            where = ("sent", publisher.spec.pattern, publisher.spec.plane)
            published = publisher.traffic
            copies = publisher.copies().values()
            totals["bus_messages_published", *where] += published.messages
            totals["bus_payload_bytes", *where] += published.payload_bytes
            totals["bus_messages", *where] += sum(copy.messages for copy in copies)
            totals["bus_wire_bytes", *where] += sum(copy.wire_bytes for copy in copies)

    def _links(self) -> tuple[Totals, Counter[str]]:
        """All that was sent, by plane, class and phase, and by receiver: the sums of messages.csv.

        What the bus says for itself is one phase here, or a node would have seven series of it.
        """
        totals: Totals = Counter()
        receivers: Counter[str] = Counter()
        for (_publisher, _topic, plane, kind, subscriber, phase), traffic in sent(self._process):
            phase = "bus" if kind == "control" else phase
            totals["bus_link_messages", plane, kind, phase] += traffic.messages
            totals["bus_link_bytes", plane, kind, phase] += traffic.wire_bytes
            if traffic.wire_bytes and subscriber and kind != "observed":
                receivers[subscriber.removeprefix("/process/")] += traffic.wire_bytes
        return totals, receivers

    def _named(self, receivers: Counter[str]) -> Counter[str]:
        """Bytes by receiver as metrics call it; by role where there are many."""
        peers = self._process.membership.peers.values()
        self._shown.update((peer.process, shown_as(peer)) for peer in peers)
        named: Counter[str] = Counter()
        for receiver, sent_bytes in receivers.items():
            name = "hub" if receiver == HUB else self._shown.get(receiver, receiver)
            named[name] += sent_bytes
        if len(named) <= MOST_RECEIVERS * max(1, len(self._process.nodes)):
            return named
        roles: Counter[str] = Counter()
        for name, sent_bytes in named.items():
            roles[re.split("[-/]", name.lstrip("/"))[0] + "s"] += sent_bytes
        return roles

    def _add_received(self, totals: Totals) -> None:
        for subscription in self._process.pubsub.all_subscriptions():
            where = ("received", subscription.spec.pattern, subscription.spec.plane)
            totals["bus_messages", *where] += subscription.messages
            totals["bus_payload_bytes", *where] += subscription.payload_bytes
            totals["bus_wire_bytes", *where] += subscription.wire_bytes
            for count in RECEIVED_COUNTS:
                totals[f"bus_messages_{count}", *where] += getattr(subscription, count)
