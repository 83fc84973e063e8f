"""What is marked on the panels: losses of nodes, and runs that begin."""

from __future__ import annotations

from typing import Final

from monitoring.dashboards.declared import RUN, Event

EVENTS: Final = (
    Event("Lost nodes", f"edgerig_node_up{{{RUN}}} == 0", "{{node}} is lost", "red", "fault"),
    Event(
        "Runs that begin",
        "count by (run) (edgerig_slot_number) unless count by (run) (edgerig_slot_number offset 10s)",
        "run {{run}} begins: another hub",
        "blue",
        "offloading",
    ),
)
