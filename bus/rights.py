"""Who may publish what, and ask for what, when keys are in use. The names of a lease say it all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

SHARED: Final[frozenset[str]] = frozenset({"/log", "/parameter_events"})
"""Topics that every process may publish, each under its own instance."""
EDGE: Final = "/edge/"
DECIDED: Final = ("deployment", "rental")


class Rights(NamedTuple):
    """What one process instance may publish; prefixes None: everything (processes without a registry).

    topics: Besides what is below its names: what the hub let a guest or an operator announce.
    """

    prefixes: tuple[str, ...] | None
    topics: frozenset[str] = frozenset()

    @classmethod
    def of(cls, process: str, names: Iterable[str], topics: Iterable[str] = ()) -> Rights:
        """A node publishes below its own name, a process below ``/process/`` and its name.

        An edge server's also what a foreign agent decides for it: that speaks on the bus through it.
        """
        held = sorted(names)
        played = [
            f"/agent/{name.removeprefix(EDGE)}/{what}" for name in held if name.startswith(EDGE) for what in DECIDED
        ]
        return cls((*(f"{name}/" for name in held), f"/process/{process}/"), frozenset((*topics, *played)))

    def publishes(self, topic: str) -> bool:
        """Whether a topic is among them."""
        return self.prefixes is None or topic.startswith(self.prefixes) or topic in SHARED or topic in self.topics


EVERYTHING: Final = Rights(None)
