"""Every metric, declared once: what it is called in Prometheus, and which measurement it shows.

Nodes count into ``Measurements`` under short names; what is not declared here is not shown, and said so in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

LABELS: Final = frozenset(
    {
        "edge",
        "target",
        "service",
        "agent",
        "version",
        "role",
        "node",
        "topic",
        "plane",
        "link",
        "reason",
        "class",
        "phase",
    }
)
"""The only labels there are; ``run`` and ``instance`` come from service discovery."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: ``edgerig_<noun>_<unit>``, and ``_total`` for counters.
        kind: As the measurement's.
        help: One sentence.
        reads: The measurement's name.
        labels: Those of the measurement's labels that are shown; a counter is summed over its others.
        where: Labels that the measurement must have for this metric to show it.
    """

    name: str
    kind: Kind
    help: str
    reads: str
    labels: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()


SENT: Final = (("direction", "sent"),)
RECEIVED: Final = (("direction", "received"),)
BY_TOPIC: Final = ("topic", "plane")
BY_PURPOSE: Final = ("plane", "class", "phase")

WORLD: Final = (
    Metric("edgerig_task_delay_seconds", "histogram", "Delay of completed tasks.", "task_delay_seconds"),
    Metric("edgerig_tasks_total", "counter", "Tasks by where they ended.", "tasks", ("target",)),
    Metric(
        "edgerig_slot_delay_seconds",
        "gauge",
        "Mean delay per task of the last slot.",
        "slot_delay_seconds",
        where=(("scheme", "run"),),
    ),
    Metric(
        "edgerig_slot_all_cloud_delay_seconds",
        "gauge",
        "The same had the slot's tasks all gone to the cloud.",
        "slot_delay_seconds",
        where=(("scheme", "all_cloud"),),
    ),
    Metric("edgerig_frame_reward_seconds", "gauge", "Reward of the last frame.", "frame_reward_seconds"),
    Metric("edgerig_reward_seconds_total", "counter", "Sum of the frames' positive rewards.", "reward_seconds"),
    Metric("edgerig_slot_reward_money", "gauge", "Reward of the last slot, all edge servers (rental).", "slot_reward"),
    Metric("edgerig_edge_reward_money", "gauge", "Local reward of the last slot (rental).", "edge_reward", ("edge",)),
    Metric(
        "edgerig_rented_units", "gauge", "Units of compute rented in the last slot (rental).", "rented_units", ("edge",)
    ),
    Metric("edgerig_slot_number", "gauge", "Number of the last slot that was committed.", "slot"),
    Metric("edgerig_frame_number", "gauge", "Number of the frame of that slot.", "frame"),
)

DECISIONS: Final = (
    Metric(
        "edgerig_decision_seconds",
        "histogram",
        "From an edge server's observation to its agent's answer.",
        "decision_seconds",
        ("edge",),
    ),
    Metric(
        "edgerig_decisions_refused_total",
        "counter",
        "Decisions that an edge server did not accept.",
        "decisions_refused",
        ("reason",),
    ),
    Metric("edgerig_decisions_missed_total", "counter", "Frames that nobody decided for.", "decisions_missed"),
    Metric(
        "edgerig_foreign_frames_refused_total",
        "counter",
        "What foreign agents said that was not taken.",
        "foreign_refused",
        ("reason",),
    ),
    Metric("edgerig_frames_learned_total", "counter", "Frames that an agent has learned from.", "frames_learned"),
    Metric(
        "edgerig_frames_not_learned_total",
        "counter",
        "Frames that it let go since learning was slower than frames.",
        "frames_not_learned",
    ),
    Metric(
        "edgerig_learning_seconds_total",
        "counter",
        "Wall time of learning and of keeping what was learned, beside the loop.",
        "learning_seconds",
    ),
    Metric("edgerig_messages_late_total", "counter", "Messages that came after their deadline.", "late_messages"),
    Metric("edgerig_letters_absent_total", "counter", "Letters between agents that did not come.", "letters_absent"),
    Metric("edgerig_letters_malformed_total", "counter", "Letters that came and are none.", "letters_malformed"),
    Metric("edgerig_slots_late_total", "counter", "Wall-clock slots closed before everyone was done.", "slots_late"),
)

BUS: Final = (
    Metric(
        "edgerig_bus_messages_published_total",
        "counter",
        "Messages published, once each.",
        "bus_messages_published",
        ("plane",),
        SENT,
    ),
    Metric(
        "edgerig_bus_published_payload_bytes_total",
        "counter",
        "Their payload, once each.",
        "bus_payload_bytes",
        ("plane",),
        SENT,
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
    Metric("edgerig_bus_messages_received_total", "counter", "Messages received.", "bus_messages", BY_TOPIC, RECEIVED),
    Metric(
        "edgerig_bus_received_wire_bytes_total",
        "counter",
        "Bytes of those messages on the wire.",
        "bus_wire_bytes",
        ("plane",),
        RECEIVED,
    ),
    Metric(
        "edgerig_bus_received_payload_bytes_total",
        "counter",
        "Payload of those messages.",
        "bus_payload_bytes",
        ("plane",),
        RECEIVED,
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
        ("plane",),
        RECEIVED,
    ),
    Metric(
        "edgerig_bus_messages_malformed_total",
        "counter",
        "Messages that could not be read.",
        "bus_messages_malformed",
        ("plane",),
        RECEIVED,
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
        ("plane",),
        RECEIVED,
    ),
    Metric(
        "edgerig_bus_messages_expired_total",
        "counter",
        "Messages that were older than their lifespan when their turn came.",
        "bus_messages_expired",
        ("plane",),
        RECEIVED,
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
        BY_PURPOSE,
    ),
    Metric(
        "edgerig_bus_link_bytes_total",
        "counter",
        "Its bytes on the wire.",
        "bus_link_bytes",
        BY_PURPOSE,
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
        "edgerig_link_outside_figures",
        "gauge",
        "Figures of a link that lie outside their tolerance; 0 while it is as it was set.",
        "link_outside",
        ("link",),
    ),
)

PROCESS: Final = (
    Metric("edgerig_node_up", "gauge", "1 while a node is there, 0 once it is lost (hub only).", "node_up", ("node",)),
    Metric("edgerig_process_nodes", "gauge", "Nodes of this process by role.", "process_nodes", ("role", "version")),
    Metric("edgerig_process_cpu_seconds_total", "counter", "Processor time of this process.", "process_cpu_seconds"),
    Metric("edgerig_process_memory_bytes", "gauge", "Resident memory of this process.", "process_memory_bytes"),
    Metric(
        "edgerig_measurements_undeclared",
        "gauge",
        "Measurements that no metric shows; the log names them.",
        "measurements_undeclared",
    ),
)

METRICS: Final = (*WORLD, *DECISIONS, *BUS, *LINKS, *PROCESS)


def markdown() -> str:
    """The table of docs/metrics.md."""
    lines = ["| metric | kind | labels | what it is |", "|---|---|---|---|"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"
