"""Who decides for which edge server, told in the metrics."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping

from bus.process import Process


def introduce(process: Process, agents: Mapping[int, str], role: str = "active") -> None:
    """Show a process's agents.

    Args:
        process: Theirs.
        agents: The SPEC of each one's policy, by edge server.
        role: What they are there for.
    """
    measured = process.measurements

    def show() -> None:  # when it is asked for: what version we are is looked up on disk
        for edge, spec in agents.items():
            measured.gauge("agent_info", edge=str(edge), agent=spec, version=own_version(), role=role).value = 1.0

    measured.before_snapshot(show)


@functools.cache
def own_version() -> str:
    """Which edgerig this is; empty where it is not installed."""
    try:
        return importlib.metadata.version("edgerig")
    except importlib.metadata.PackageNotFoundError:
        return ""
