"""The lifecycle states of all nodes, as the registry sees them: told by managed nodes, found out of all others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from bus.entries import Entry
from bus.lifecycle import ACTIVE, FINALIZED, INACTIVE, UNCONFIGURED
from bus.messages import NodeState, NodeStates
from bus.pool import NamePool

MOST_ENDED: Final = 1024
"""Guests that ended and are remembered; of a run's own names all are."""

OBSERVERS: Final = "/observer/"


class StateBook:
    """Who is in which state.

    Args:
        pool: The names that a run is made of; those are unconfigured until somebody holds them.
    """

    def __init__(self, pool: NamePool) -> None:
        self.takes_part: Callable[[str], bool | None] = _nobody_conducts
        """Whether a node takes part in what the hub conducts; None: it is none of those that could."""
        self._pool = pool
        self._ended: dict[str, NodeState] = {}
        self._most_ended = MOST_ENDED + len(pool.all())

    def end(self, entry: Entry, reason: str) -> None:
        """A process is gone, and its nodes with it."""
        managed = {state.node for state in entry.beat.states} if entry.beat is not None else set()
        for name in entry.names:
            if not name.startswith(OBSERVERS):
                self._ended.pop(name, None)
                self._ended[name] = NodeState(name, FINALIZED, entry.process, name in managed, reason)
        while len(self._ended) > self._most_ended:
            del self._ended[next(iter(self._ended))]

    def of(self, entry: Entry, name: str, *, own: bool = False) -> NodeState:
        """The state of a node that a process holds; own: it is of the hub's process, and there before all others."""
        process = entry.process
        told = next((s for s in entry.beat.states if s.node == name), None) if entry.beat is not None else None
        if told is not None:
            return NodeState(name, told.state, process, True, told.reason, told.unsent)
        if entry.peer is None or all(node.name != name for node in entry.peer.nodes):
            return NodeState(name, UNCONFIGURED, process, False, "it has not registered")
        if own:
            return NodeState(name, ACTIVE, process)
        if not (entry.ready_graph or entry.foreign):
            return NodeState(name, UNCONFIGURED, process, False, "its links are not matched")
        return NodeState(name, INACTIVE if self.takes_part(name) is False else ACTIVE, process)

    def all(self, entries: Iterable[Entry], own: Entry) -> NodeStates:
        """Every node that there is, was, or should be."""
        found = {name: self.of(entry, name, own=entry is own) for entry in entries for name in entry.names}
        for name in self._pool.all():
            if name not in found and name not in self._ended:
                found[name] = NodeState(name, UNCONFIGURED, "", False, "nobody holds it")
        return NodeStates((*found.values(), *(state for name, state in self._ended.items() if name not in found)))


def _nobody_conducts(_name: str) -> None:
    """A hub without a run: who is there and matched is active."""
