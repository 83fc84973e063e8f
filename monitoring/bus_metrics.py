"""The metrics of the bus and of emulated links; see ``metrics``."""

from __future__ import annotations

from typing import Final

from monitoring.metric import Metric

SENT: Final = (("direction", "sent"),)
RECEIVED: Final = (("direction", "received"),)
BY_TOPIC: Final = ("topic", "plane")
BY_PURPOSE: Final = ("class", "phase")

BUS: Final = (
    Metric(
        "edgerig_bus_messages_published_total",
        "counter",
        "Messages published, once each.",
        "bus_messages_published",
        where=SENT,
    ),
    Metric(
        "edgerig_bus_published_payload_bytes_total",
        "counter",
        "Their payload, once each.",
        "bus_payload_bytes",
        where=SENT,
    ),
    Metric(
        "edgerig_bus_messages_sent_total",
        "counter",
        "Copies of messages sent to other processes.",
        "bus_messages",
        BY_TOPIC,
        SENT,
    ),
    Metric(
        "edgerig_bus_sent_wire_bytes_total",
        "counter",
        "Bytes of those copies on the wire.",
        "bus_wire_bytes",
        BY_TOPIC,
        SENT,
    ),
    Metric("edgerig_bus_messages_received_total", "counter", "Messages received.", "bus_messages", where=RECEIVED),
    Metric(
        "edgerig_bus_received_wire_bytes_total",
        "counter",
        "Bytes of those messages on the wire.",
        "bus_wire_bytes",
        where=RECEIVED,
    ),
    Metric(
        "edgerig_bus_received_payload_bytes_total",
        "counter",
        "Payload of those messages.",
        "bus_payload_bytes",
        where=RECEIVED,
    ),
    Metric(
        "edgerig_bus_messages_lost_total",
        "counter",
        "Messages lost for good.",
        "bus_messages_lost",
        ("plane",),
        RECEIVED,
    ),
    Metric(
        "edgerig_bus_messages_repaired_total",
        "counter",
        "Messages that came at the second asking.",
        "bus_messages_repaired",
        ("plane",),
        RECEIVED,
    ),
    Metric(
        "edgerig_bus_messages_duplicate_total",
        "counter",
        "Messages that came twice.",
        "bus_messages_duplicates",
        where=RECEIVED,
    ),
    Metric(
        "edgerig_bus_messages_malformed_total",
        "counter",
        "Messages that could not be read.",
        "bus_messages_malformed",
        where=RECEIVED,
    ),
    Metric(
        "edgerig_bus_messages_stale_total",
        "counter",
        "Messages of a slot or attempt that was over.",
        "bus_messages_stale",
    ),
    Metric(
        "edgerig_bus_messages_surplus_total",
        "counter",
        "Messages of a slot that nobody waited for.",
        "bus_messages_surplus",
    ),
    Metric(
        "edgerig_bus_messages_superseded_total",
        "counter",
        "Messages that a slow best-effort subscriber left out for newer ones.",
        "bus_messages_superseded",
        where=RECEIVED,
    ),
    Metric(
        "edgerig_bus_messages_expired_total",
        "counter",
        "Messages that were older than their lifespan when their turn came.",
        "bus_messages_expired",
        where=RECEIVED,
    ),
    Metric(
        "edgerig_bus_events_total",
        "counter",
        "What happened to topics: deadlines, liveliness, losses, refused ends.",
        "bus_events",
        ("reason",),
    ),
    Metric("edgerig_bus_calls_malformed_total", "counter", "Calls that could not be read.", "bus_calls_malformed"),
    Metric(
        "edgerig_bus_words_malformed_total",
        "counter",
        "What subscribers said that could not be read.",
        "bus_words_malformed",
    ),
    Metric(
        "edgerig_bus_refused_total",
        "counter",
        "Connections, messages and calls that were refused for want of a key or a right.",
        "bus_refused",
        ("reason",),
    ),
    Metric(
        "edgerig_bus_link_messages_total",
        "counter",
        "All that was sent to others or handed over within, calls and marks too, by what it was for.",
        "bus_link_messages",
        ("class",),
    ),
    Metric(
        "edgerig_bus_link_bytes_total",
        "counter",
        "Its bytes on the wire; phase is bus for all of class control.",
        "bus_link_bytes",
        BY_PURPOSE,
    ),
    Metric(
        "edgerig_bus_receiver_bytes_total",
        "counter",
        "The same by the process that it is for, where that is known, without tools; by role where those are many.",
        "bus_receiver_bytes",
        ("receiver",),
    ),
)

LINKS: Final = (
    Metric(
        "edgerig_link_messages",
        "gauge",
        "Messages that came to an emulated link since it was last set.",
        "link_messages",
        ("link",),
    ),
    Metric("edgerig_link_lost_messages", "gauge", "Those that it let not pass.", "link_lost", ("link",)),
    Metric("edgerig_link_late_messages", "gauge", "Those that came after their slot.", "link_late", ("link",)),
    Metric(
        "edgerig_link_delay_seconds",
        "gauge",
        "Mean delay on an emulated link, without its queue.",
        "link_delay_seconds",
        ("link",),
    ),
    Metric(
        "edgerig_link_set_delay_seconds",
        "gauge",
        "Mean delay that it was set to.",
        "link_set_delay_seconds",
        ("link",),
    ),
    Metric(
        "edgerig_link_set_loss_ratio",
        "gauge",
        "Share of messages that it was set to lose; 1 while it is down.",
        "link_set_loss_share",
        ("link",),
    ),
    Metric(
        "edgerig_link_outside_figures",
        "gauge",
        "Figures of a link that lie outside their tolerance; 0 while it is as it was set.",
        "link_outside",
        ("link",),
    ),
)
