"""With keys: whom the door of an edge server's process lets in besides the graph, and who is who there.

The key of a foreign agent is in no graph, since it has business with the hub and one edge server only. So the gate asks
the hub about a key that it does not know, and again and again about one that it has let in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final

from bus.messages import Failure, Seat, SeatQuery
from bus.process import Process

LOOK_S: Final = 1.0
"""So long may a key outlive its lease; nothing that it says is obeyed meanwhile, for the hub has bound nobody to it."""


class SeatKeys:
    """The keys of the foreign agents of a process's edge servers.

    Args:
        process: Where they connect.
        edges: Its edge servers.
        on_lost: Called with edge and instance when the hub knows of no such lease any more.
    """

    def __init__(self, process: Process, edges: Collection[int], on_lost: Callable[[int, int], None]) -> None:
        self._process = process
        self._edges = edges
        self._on_lost = on_lost
        self._seats: dict[str, tuple[int, int]] = {}  # edge and instance by key
        self._security = process.security
        if self._security is not None:
            self._security.gate.asks = self._ask_who
            process.timers.every(LOOK_S, self._look)

    def may_speak(self, key: str, instance: int) -> bool:
        """Whether the holder of a key is that instance; without keys, anybody may be."""
        return self._security is None or self._security.instance_of(key) == instance

    def _ask_who(self, key: str) -> None:
        def told(answer: Seat | Failure) -> None:
            if isinstance(answer, Seat) and answer.edge in self._edges and self._security is not None:
                self._seats[key] = answer.edge, answer.instance
                self._security.seat(key, answer.instance)

        self._ask(SeatQuery(-1, 0, key), told)

    def _look(self) -> None:
        for key in list(self._seats):
            self._ask(SeatQuery(-1, 0, key), partial(self._found, key))

    def _found(self, key: str, answer: Seat | Failure) -> None:
        if isinstance(answer, Failure) and answer.kind == "unknown_instance" and key in self._seats:
            edge, instance = self._seats.pop(key)
            if self._security is not None:
                self._security.expel(key)
            self._on_lost(edge, instance)

    def _ask(self, query: SeatQuery, then: Callable[[Any], None]) -> None:
        self._process.membership.ask("seat", query, Seat, then)
