"""Who decides for which edge server, told in the metrics."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping
from typing import Final

from bus.codec import Header
from bus.messages import Roster
from bus.process import Process

DECIDES: Final = "deployment"
"""The role, in a roster, of who decides in either world; another one stands by."""


def introduce(process: Process, agents: Mapping[int, str]) -> None:
    """Show a process's agents: each decides, or stands by since another one does, or is needed no more.

    Args:
        process: Theirs.
        agents: The SPEC of each one's policy, by edge server.
    """
    measured = process.measurements
    roles: dict[tuple[int, str], bool] = {(edge, "active"): True for edge in agents}

    def follow(roster: Roster, _header: Header) -> None:
        own = {(found.edge, found.role != DECIDES) for found in roster.bindings if found.instance == process.instance}
        others = {found.edge for found in roster.bindings} - {edge for edge, _ in own}
        for edge in agents:
            if edge in others or (edge, True) in own or (edge, False) in own:
                roles[edge, "active"] = (edge, False) in own
                roles[edge, "standby"] = (edge, True) in own

    def show() -> None:  # when it is asked for: what version we are is looked up on disk
        for (edge, role), has in list(roles.items()):
            found = measured.gauge("agent_info", edge=str(edge), agent=agents[edge], version=own_version(), role=role)
            found.value = 1.0 if has else float("nan")

    process.subscribe("/hub/roster", follow)
    measured.before_snapshot(show)


@functools.cache
def own_version() -> str:
    """Which edgerig this is; empty where it is not installed."""
    try:
        return importlib.metadata.version("edgerig")
    except importlib.metadata.PackageNotFoundError:
        return ""
