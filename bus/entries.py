"""What the registry knows of one process instance."""

from __future__ import annotations

from typing import Final

from bus.messages import Beat, Peer

SILENT_SHARE: Final = 0.4  # of its life, after two beats that did not come

LEFT: Final = "left"
SAID_GOODBYE: Final = "said goodbye"
"""How the reason begins for which somebody is out who took his leave: a process of ours, a foreign agent."""


def took_leave(reason: str) -> bool:
    """Whether somebody who is out said so himself, and did not die."""
    return reason.startswith((LEFT, SAID_GOODBYE))


class Entry:
    """One process instance that holds, or has asked for, names."""

    def __init__(self, process: str, instance: int, now_s: float) -> None:
        self.process = process
        self.instance = instance
        self.names: tuple[str, ...] = ()
        self.stands_by: tuple[str, ...] = ()  # names that it could have: somebody else decides under them
        self.observer = True
        self.peer: Peer | None = None
        self.heard_s = now_s
        self.busy_until_s = 0.0
        self.ready_graph = 0  # the last version of the graph that it has matched
        self.foreign = False  # a foreign agent: it has no links that could match
        self.beat: Beat | None = None
        # With keys: that of the instance, that of the enrolment that let it in, and whose it was then.
        self.key = self.enrolled_by = self.enrolled_as = ""

    def lacks(self, version: int) -> str:
        """What it has still to do before it is ready for a version of the graph, as a sentence."""
        who = f"{self.process} ({', '.join(self.names)})"
        if self.peer is None:
            return f"{who} {'is not warm yet' if self.foreign else 'has not registered'}"
        if self.beat is not None and self.beat.waiting:
            return f"{who} waits for {'; '.join(self.beat.waiting)}"
        return f"{who} has not matched graph {version} yet"


def condition(quiet_s: float, busy_s: float, liveliness_s: float, *, ready: bool) -> str:
    """How a process is, in one word, by how long it was quiet and announces to be busy (wall seconds)."""
    if busy_s > 0.0:
        return "busy"
    if quiet_s > SILENT_SHARE * liveliness_s:
        return "silent"
    return "ready" if ready else "joining"
