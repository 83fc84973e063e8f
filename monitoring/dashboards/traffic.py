"""The bus: what is sent, what it costs, what is lost, and whether emulated links are as they were set."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.declared import NONE_IS_GOOD, RUN, Page, Panel, Query, Row
from monitoring.dashboards.events import EVENTS

BUSIEST: Final = f"topk(40, edgerig_link_messages{{{RUN}}})"

LOST_SHARE: Final = f"edgerig_link_lost_messages{{{RUN}}} / (edgerig_link_messages{{{RUN}}} > 0)"

RECEIVED: Final = f"rate(edgerig_bus_receiver_bytes_total{{{RUN}}}[1m])"
ROLE: Final = '"/?([a-z]+?)s?(?:[-/].*)?"'
"""``/edge/3``, ``edge-0-4`` and ``edges`` are edge."""


def _replaced(expr: str, target: str, source: str, pattern: str) -> str:
    return f'label_replace({expr}, "{target}", "$1", "{source}", {pattern})'


# By way of labels of their own: under the old names two series would be one before they are summed.
_ROLES: Final = _replaced(_replaced(RECEIVED, "one", "instance", ROLE), "other", "receiver", ROLE)
_SUMMED: Final = f"sum by (one, other) ({_ROLES})"
BY_ROLE: Final = _replaced(_replaced(_SUMMED, "instance", "one", '"(.*)"'), "receiver", "other", '"(.*)"')
MOST_PROCESSES: Final = 24
"""Senders that get a row each; where there are more, roles do."""

SENDERS: Final = f"count(count by (instance) (edgerig_bus_receiver_bytes_total{{{RUN}}}))"
PAIRS: Final = (
    f"(sum by (instance, receiver) ({RECEIVED}) > 0 and on () {SENDERS} <= {MOST_PROCESSES}) or "
    f"(sum by (instance, receiver) ({BY_ROLE}) > 0 and on () {SENDERS} > {MOST_PROCESSES})"
)

SENT: Final = Row(
    "What is sent",
    (
        Panel(
            "Messages by plane",
            "Copies a second that are sent to other processes.",
            "ops",
            (Query(f"run_plane:edgerig_bus_messages_sent:rate30s{{{RUN}}}", "{{plane}}"),),
            view="stacked",
        ),
        Panel(
            "Bytes by plane",
            "On the wire, of those copies, a second.",
            "Bps",
            (Query(f"run_plane:edgerig_bus_sent_wire_bytes:rate30s{{{RUN}}}", "{{plane}}"),),
            view="stacked",
        ),
        Panel(
            "Messages by topic",
            "Copies a second of the ten topics that send most; topics are those of the topic table, so that a hundred "
            "edge servers have no more of them than one.",
            "ops",
            (
                Query(
                    f"topk(10, sum by (topic) (rate(edgerig_bus_messages_sent_total{{{RUN}}}[$__rate_interval])))",
                    "{{topic}}",
                ),
            ),
        ),
        Panel(
            "Bytes by topic",
            "On the wire, a second, of the ten topics that weigh most.",
            "Bps",
            (Query(f"topk(10, run_topic:edgerig_bus_sent_wire_bytes:rate30s{{{RUN}}})", "{{topic}}"),),
        ),
    ),
)

OVERHEAD: Final = Row(
    "What it costs",
    (
        Panel(
            "Bytes from process to process",
            "On the wire, a second, over a minute: a row for each sender, a column for each receiver; beyond 24 "
            "processes, for each role. By topic and purpose: `messages.csv` of the run folder.",
            "Bps",
            (Query(PAIRS),),
            view="matrix",
            width=24,
            height=12,
        ),
        Panel(
            "Bytes by sender and purpose",
            "On the wire, a second, over a minute: who sends how much, and what for; the forty heaviest.",
            "Bps",
            (Query(f"topk(40, sum by (instance, class, phase) (rate(edgerig_bus_link_bytes_total{{{RUN}}}[1m])))"),),
            view="table",
        ),
        Panel(
            "Bytes by purpose",
            "On the wire, a second: the world's messages, decisions, the bus itself.",
            "Bps",
            (Query(f"sum by (phase) (rate(edgerig_bus_link_bytes_total{{{RUN}}}[1m]))", "{{phase}}"),),
            view="stacked",
        ),
    ),
)

HARM: Final = Row(
    "What does not come",
    (
        Panel(
            "Lost and repaired",
            "Messages a second: lost for good, and such that came when they were asked for again.",
            "ops",
            (
                Query(
                    f"sum by (plane) (rate(edgerig_bus_messages_lost_total{{{RUN}}}[1m]))", "lost, {{plane}}", calm=True
                ),
                Query(
                    f"sum by (plane) (rate(edgerig_bus_messages_repaired_total{{{RUN}}}[1m]))", "repaired, {{plane}}"
                ),
            ),
            proof="fault",
            width=8,
        ),
        Panel(
            "Dropped on arrival",
            "Messages a second that came twice, too late for their slot, unasked for, unreadable, or after newer ones.",
            "ops",
            (
                Query(f"sum(rate(edgerig_bus_messages_stale_total{{{RUN}}}[1m]))", "stale", calm=True),
                Query(f"sum(rate(edgerig_bus_messages_surplus_total{{{RUN}}}[1m]))", "surplus", calm=True),
                Query(f"sum(rate(edgerig_bus_messages_duplicate_total{{{RUN}}}[1m]))", "duplicate", calm=True),
                Query(f"sum(rate(edgerig_bus_messages_malformed_total{{{RUN}}}[1m]))", "malformed", calm=True),
                Query(f"sum(rate(edgerig_bus_messages_superseded_total{{{RUN}}}[1m]))", "superseded", calm=True),
                Query(f"sum(rate(edgerig_bus_messages_expired_total{{{RUN}}}[1m]))", "expired", calm=True),
            ),
            proof="fault",
            width=8,
        ),
        Panel(
            "What happened to topics",
            "Events over a minute, by kind: deadlines, liveliness, losses, refused ends.",
            "none",
            (Query(f"sum by (reason) (increase(edgerig_bus_events_total{{{RUN}}}[1m]))", "{{reason}}"),),
            proof="fault",
            width=8,
        ),
    ),
)

STRANGERS: Final = Row(
    "Who is refused (runs with keys)",
    (
        Panel(
            "Refused strangers",
            "Connections, messages and calls a second that lack a key or a right, by reason: docs/security.md says "
            "what each is. Nothing in a run without keys.",
            "ops",
            (Query(f"sum by (reason) (rate(edgerig_bus_refused_total{{{RUN}}}[1m]))", "{{reason}}"),),
            view="stacked",
        ),
        Panel(
            "Refused since the run began",
            "The same, summed, by reason and by the process that refused; the forty largest.",
            "short",
            (Query(f"topk(40, sum by (reason, instance) (edgerig_bus_refused_total{{{RUN}}}) > 0)"),),
            view="table",
        ),
    ),
)

LINKS: Final = Row(
    "Emulated links",
    (
        Panel(
            "Delay: set and measured",
            "Means, of the five slowest links. Where the lines part, the link is not what it was set to be.",
            "s",
            (
                Query(f"topk(5, edgerig_link_delay_seconds{{{RUN}}})", "{{link}}, measured"),
                Query(f"topk(5, edgerig_link_set_delay_seconds{{{RUN}}})", "{{link}}, set"),
            ),
            proof="fault",
        ),
        Panel(
            "Loss: set and measured",
            "Share of messages, of the five links that lose most.",
            "percentunit",
            (
                Query(f"topk(5, {LOST_SHARE})", "{{link}}, measured"),
                Query(f"topk(5, edgerig_link_set_loss_ratio{{{RUN}}})", "{{link}}, set"),
            ),
            proof="fault",
        ),
        Panel(
            "Links, one by one",
            "Set and measured side by side: delay in seconds, loss as a share; the forty links with most messages.",
            "short",
            (
                Query(BUSIEST, "messages"),
                Query(f"edgerig_link_set_delay_seconds{{{RUN}}} and on (link) {BUSIEST}", "delay set"),
                Query(f"edgerig_link_delay_seconds{{{RUN}}} and on (link) {BUSIEST}", "delay measured"),
                Query(f"edgerig_link_set_loss_ratio{{{RUN}}} and on (link) {BUSIEST}", "loss set"),
                Query(f"{LOST_SHARE} and on (link) {BUSIEST}", "loss measured"),
            ),
            proof="fault",
            view="table",
            width=24,
        ),
        Panel(
            "Late on a link",
            "Messages that came over a link after their slot, by link; the ten worst.",
            "none",
            (Query(f"topk(10, edgerig_link_late_messages{{{RUN}}})", "{{link}}", calm=True),),
            proof="fault",
        ),
        Panel(
            "Figures outside their tolerance",
            "Figures of links that chance does not explain; 0 while all links are as they were set.",
            "none",
            (Query(f"sum(edgerig_link_outside_figures{{{RUN}}})", "figures", calm=True),),
            proof="fault",
            thresholds=NONE_IS_GOOD,
        ),
    ),
)

PAGE: Final = Page(
    "bus",
    "edgerig: bus",
    "What is sent and what it costs, what is lost, and whether emulated links are as they were set.",
    (SENT, OVERHEAD, HARM, STRANGERS, LINKS),
    events=EVENTS,
)
