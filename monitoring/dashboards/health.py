"""Whether everybody is there and keeps up, and what each process uses."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.declared import LESS_IS_BETTER, NONE_IS_GOOD, RUN, Page, Panel, Query, Row
from monitoring.dashboards.events import EVENTS

ROLE: Final = '"role", "$1", "node", "/([a-z]+).*"'
"""A node's role is its name's first word."""

WHO: Final = Row(
    "Who is there",
    (
        Panel(
            "Nodes by role",
            "Nodes that the hub has heard of within the liveliness time.",
            "none",
            (Query(f"sum by (role) (label_replace(edgerig_node_up{{{RUN}}}, {ROLE}))", "{{role}}"),),
            proof="fault",
            view="timeline",
        ),
        Panel(
            "Alerts that fire",
            "What they mean and what to do: docs/containers.md.",
            "none",
            (Query(f'ALERTS{{{RUN}, alertstate="firing"}}'),),
            proof="fault",
            view="table",
            width=12,
        ),
        Panel(
            "Lost nodes",
            "Missed, and replaced by nobody. Start a container again, or let a spare take the name.",
            "none",
            (Query(f"edgerig_node_up{{{RUN}}} == 0", calm=True),),
            proof="fault",
            view="table",
            width=8,
        ),
        Panel(
            "Processes whose metrics come",
            "Scraped, and not to be reached: paused, or cut off.",
            "none",
            (
                Query(f'sum(up{{{RUN}, job="edgerig"}})', "reached"),
                Query(f'sum(1 - up{{{RUN}, job="edgerig"}})', "not reached", calm=True),
            ),
            width=8,
        ),
        Panel(
            "Processes that began last",
            "Seconds since each began; the ten youngest. Who is younger than the run has replaced another.",
            "s",
            (Query(f"bottomk(10, time() - edgerig_process_start_time_seconds{{{RUN}}})"),),
            view="table",
            width=8,
        ),
    ),
)

PACE: Final = Row(
    "Pace",
    (
        Panel(
            "Slots a second",
            "Over half a minute.",
            "none",
            (Query(f"run:edgerig_slots:rate30s{{{RUN}}}", "slots"),),
        ),
        Panel(
            "Stalls",
            "Half minutes in which no slot ended are 1. `edgerig clock status` names who holds the slot.",
            "none",
            (
                Query(f"changes(edgerig_slot_number{{{RUN}}}[30s]) == bool 0", "stands still", calm=True),
                Query(f"rate(edgerig_slots_late_total{{{RUN}}}[1m])", "slots late, a second", calm=True),
            ),
            thresholds=NONE_IS_GOOD,
        ),
        Panel(
            "Slot lag",
            "How late the last slot began, on the wall clock.",
            "s",
            (Query(f"edgerig_slot_lag_seconds{{{RUN}}}", "lag"),),
            thresholds=LESS_IS_BETTER,
        ),
        Panel(
            "Scrapes",
            "How long Prometheus waits for the slowest process, and for all together.",
            "s",
            (
                Query(f'max(scrape_duration_seconds{{{RUN}, job="edgerig"}})', "slowest"),
                Query(f'sum(scrape_duration_seconds{{{RUN}, job="edgerig"}})', "all"),
            ),
        ),
    ),
)

USE: Final = Row(
    "What processes use",
    (
        Panel(
            "Processors",
            "Processor seconds a second: the ten busiest processes, and all together.",
            "none",
            (
                Query(f"topk(10, instance:edgerig_process_cpu:rate30s{{{RUN}}})", "{{instance}}"),
                Query(f"sum(instance:edgerig_process_cpu:rate30s{{{RUN}}})", "all"),
            ),
            width=8,
        ),
        Panel(
            "Memory",
            "Resident: the ten largest processes.",
            "bytes",
            (Query(f"topk(10, edgerig_process_memory_bytes{{{RUN}}})", "{{instance}}"),),
            width=8,
        ),
        Panel(
            "Measurements that no metric shows",
            "A process's log names them; 0 in what we ship.",
            "none",
            (Query(f"sum(edgerig_measurements_undeclared{{{RUN}}})", "measurements", calm=True),),
            thresholds=NONE_IS_GOOD,
            width=8,
        ),
    ),
)

PAGE: Final = Page(
    "health",
    "edgerig: health",
    "Whether everybody is there and keeps up, and what each process uses.",
    (WHO, PACE, USE),
    events=EVENTS,
)
