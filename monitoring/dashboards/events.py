"""What is marked on the panels: agents that begin to decide, swaps, nodes lost or replaced, hubs that begin."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.declared import RUN, Event

STARTED: Final = "edgerig_process_start_time_seconds"
ACTIVE: Final = f'edgerig_agent_info{{{RUN}, role="active"}}'

EVENTS: Final = (
    Event(
        "Agents that begin to decide",
        f"{ACTIVE} unless ({ACTIVE} offset 10s)",
        "{{agent}} {{version}} decides for edge server {{edge}}",
        "green",
        "fault",
    ),
    Event(
        "Swaps",
        f'sum by (reason) (increase(edgerig_swap_events_total{{{RUN}, reason!~"asked|ready"}}[10s])) > 0',
        "a swap: {{reason}}",
        "purple",
        "swap",
    ),
    Event("Lost nodes", f"edgerig_node_up{{{RUN}}} == 0", "{{node}} is lost", "red", "fault"),
    Event(
        "Replaced processes",
        # Who began when the run did has replaced nobody.
        f'1000 * ({STARTED}{{{RUN}}} > on (run) group_left () ({STARTED}{{{RUN}, instance="hub"}} + 30))',
        "{{instance}} begins again",
        "orange",
        "fault",
        is_time=True,
    ),
    Event(
        "Hubs that begin",
        f'1000 * {STARTED}{{instance="hub"}}',
        "the hub of run {{run}} begins",
        "blue",
        "offloading",
        is_time=True,
    ),
)
