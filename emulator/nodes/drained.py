"""An agent of ours that was swapped for another one sees by the roster that nobody needs it any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bus.codec import Header
from bus.messages import Roster, Shutdown
from bus.process import Process


class Drained:
    """Watches the rosters for a process of agents."""

    def __init__(self, process: Process, agents: Iterable[str], then: Callable[[Shutdown], None]) -> None:
        """Call ``then`` once all edge servers of these agents have others, and nobody holds a process's agents back."""
        self._process = process
        self._edges = {int(name.rpartition("/")[2]) for name in agents}
        self._then = then
        self._was_bound = False
        process.subscribe("/hub/roster", self._on_roster)

    def _on_roster(self, roster: Roster, _header: Header) -> None:
        own = any(binding.instance == self._process.instance for binding in roster.bindings)
        others = {binding.edge for binding in roster.bindings}
        if self._was_bound and not own and self._edges <= others:
            self._then(Shutdown("another agent has taken over"))
        self._was_bound = self._was_bound or own
