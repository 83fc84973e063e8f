"""What the nodes of a run are asked to do."""

from __future__ import annotations

from typing import Final

ACTING: Final = ("cell", "edge", "cloud", "scheduler")
"""Roles whose processes acknowledge every slot; agents only ever answer their edge server."""

IN_ROSTERS: Final = (*ACTING, "agent")
"""Roles whose nodes take part in slots."""
