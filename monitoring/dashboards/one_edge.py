"""One edge server: its load, its cell's delay, what it has deployed, and how its agent keeps up."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.declared import EDGE, LESS_IS_BETTER, Page, Panel, Query, Row, stat
from monitoring.dashboards.events import EVENTS

NOW: Final = Row(
    "Now",
    (
        stat(
            "Delay in its cell",
            "Mean over a minute, of all tasks of the cell wherever they ended.",
            "s",
            f"run_edge:edgerig_cell_delay_seconds:mean1m{{{EDGE}}}",
        ),
        stat(
            "Tasks of its cell",
            "Completed a second.",
            "ops",
            f"rate(edgerig_completed_tasks_total{{{EDGE}}}[1m])",
        ),
        stat(
            "Services deployed",
            "Of those that are shown: nine at most.",
            "none",
            f"count(edgerig_service_tasks_total{{{EDGE}}})",
        ),
        stat(
            "Age of its decision",
            "Slots since the decision in force was made.",
            "none",
            f"edgerig_decision_age_slots{{{EDGE}}}",
        ),
        stat(
            "Time of a decision, 99th percentile",
            "From its observation to its agent's answer, over five minutes.",
            "s",
            f"run_edge:edgerig_decision_seconds:p99_5m{{{EDGE}}}",
            thresholds=LESS_IS_BETTER,
        ),
        Panel(
            "Who decides",
            "Its agent.",
            "none",
            (Query(f"edgerig_agent_info{{{EDGE}}}", "{{agent}} ({{role}})"),),
            view="names",
            width=4,
            height=4,
        ),
    ),
)

WORK: Final = Row(
    "Work",
    (
        Panel(
            "Load",
            "Tasks a second that come to be executed here: its own cell's, and its peers'.",
            "ops",
            (Query(f"rate(edgerig_executed_tasks_total{{{EDGE}}}[1m])", "{{target}}"),),
            view="stacked",
        ),
        Panel(
            "Delay by service",
            "Mean over a minute of the cell's tasks, wherever they ended; of services that are deployed here.",
            "s",
            (
                Query(
                    f"rate(edgerig_service_delay_seconds_total{{{EDGE}}}[1m]) "
                    f"/ (rate(edgerig_service_tasks_total{{{EDGE}}}[1m]) > 0) "
                    f"and edgerig_service_tasks_total{{{EDGE}}}",
                    "service {{service}}",
                ),
            ),
        ),
        Panel(
            "Deployment in force",
            "Which services the edge server has; a bar ends when the service has to go.",
            "none",
            (Query(f"clamp_max(edgerig_service_tasks_total{{{EDGE}}} + 1, 1)", "service {{service}}"),),
            view="timeline",
            words=((1.0, "deployed", "green"),),
            width=24,
        ),
    ),
)

AGENT: Final = Row(
    "Its agent",
    (
        Panel(
            "Time of a decision",
            "The mean over a minute, and the 99th percentile over five.",
            "s",
            (
                Query(
                    f"rate(edgerig_decision_seconds_sum{{{EDGE}}}[1m]) "
                    f"/ rate(edgerig_decision_seconds_count{{{EDGE}}}[1m])",
                    "mean",
                ),
                Query(f"run_edge:edgerig_decision_seconds:p99_5m{{{EDGE}}}", "99th percentile"),
            ),
        ),
        Panel(
            "Decisions by how long they took",
            "Decisions a second up to each time.",
            "ops",
            (
                Query(
                    f"sum by (le) (rate(edgerig_decision_seconds_bucket{{{EDGE}}}[1m]))",
                    "up to {{le}} s",
                ),
            ),
        ),
        Panel(
            "Units rented (rental)",
            "Units of compute rented in the last slot. Only in the rental world.",
            "none",
            (Query(f"edgerig_rented_units{{{EDGE}}}", "units", calm=True),),
            proof="rental",
        ),
        Panel(
            "Reward (rental)",
            "Local reward of the last slot; money. Only in the rental world.",
            "short",
            (Query(f"edgerig_edge_reward_money{{{EDGE}}}", "reward"),),
            proof="rental",
        ),
    ),
)

PAGE: Final = Page(
    "edge-server",
    "edgerig: edge server",
    "One edge server, chosen above: load, delay by service, deployment in force, decisions.",
    (NOW, WORK, AGENT),
    asks_edge=True,
    events=EVENTS,
)
