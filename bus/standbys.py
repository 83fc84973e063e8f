"""Agents that could decide for an edge server if somebody bound them: leases of no name, a list by edge server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from bus.messages import Failure, Lease, Leased, NodeRecord, Peer
from bus.swap_messages import Standby

if TYPE_CHECKING:
    from bus.entries import Entry
    from bus.registry import Registry

MOST: Final = 8
"""Of one edge server."""


class Standbys:
    """Who stands by; names pass between them and whoever is bound."""

    def __init__(self, registry: Registry, entries: Mapping[int, Entry], admit: Callable[[str], Entry]) -> None:
        self.expected: set[str] = set()
        """Processes that are standbys though they do not say so: whoever had them started knows."""
        self.unwanted: set[str] = set()
        """Processes that were, and are not needed any more."""
        self.on_lease: list[Callable[[int, str], None]] = []
        """Told of the instance and the process of whoever comes."""
        self.on_ready: list[Callable[[int], None]] = []
        """Told of an instance that has done its warm-up."""
        self.on_gone: list[Callable[[int, str], None]] = []
        """Told of every instance that is no more, and why."""
        self._kept: dict[str, int] = {}
        self._registry = registry
        self._entries = entries
        self._admit = admit

    def lease(self, request: Lease, name: str) -> Leased | Failure:
        """Let a process stand by for a name, whoever holds that now."""
        if len(self.of(name)) >= MOST:
            return Failure(0, "surplus", f"{MOST} agents stand by for {name} already")
        entry = self._admit(request.process)
        entry.stands_by = (name,)
        for tell in self.on_lease:
            tell(entry.instance, request.process)
        return Leased((name,), entry.instance, self._registry.liveliness_s)

    def has(self, instance: int) -> bool:
        """Whether an instance stands by for something."""
        entry = self._entries.get(instance)
        return entry is not None and bool(entry.stands_by)

    def of(self, name: str) -> list[Entry]:
        """Those that stand by for a name, in the order in which they came."""
        return [entry for entry in self._entries.values() if name in entry.stands_by]

    def describe(self, instance: int) -> tuple[str, str]:
        """What a foreign agent calls itself, and its version; empty for processes of ours."""
        desk = self._registry.desk
        return ("", "") if desk is None else desk.describe(instance)

    def state_of(self, instance: int) -> tuple[str, bool]:
        """The format of an agent's state, empty for processes of ours, and whether it needs that of the one before."""
        desk = self._registry.desk
        return ("", False) if desk is None else desk.state_of(instance)

    def all(self) -> tuple[Standby, ...]:
        """Everyone who stands by, for tools."""
        found = []
        for entry in self._entries.values():
            state = "ready" if entry.peer is not None else "warm-up"
            for name in entry.stands_by:
                edge = int(name.rpartition("/")[2])
                found.append(Standby(edge, entry.instance, entry.process, state, *self.describe(entry.instance)))
        return tuple(found)

    def process(self, instance: int) -> str:
        """The process name of an instance; empty when it is no more."""
        entry = self._entries.get(instance)
        return "" if entry is None else entry.process

    def is_there(self, instance: int) -> bool:
        """Whether an instance lives and could be bound now."""
        entry = self._entries.get(instance)
        return entry is not None and entry.peer is not None

    def exchange(self, name: str, bound: int, before: int = 0) -> None:
        """Let an instance have a name; whoever had it stands by for it from now on.

        before: An instance that it is kept for: should it be free again, nobody else gets it, until ``let_go``.
        """
        self._kept[name] = before
        for entry in self._entries.values():
            if name in entry.names and entry.instance != bound:
                entry.names = tuple(held for held in entry.names if held != name)
                entry.stands_by += (name,)
                self._show(entry)
        entry = self._entries[bound]
        entry.stands_by = tuple(other for other in entry.stands_by if other != name)
        entry.observer = False
        entry.names += (name,)
        self._show(entry)

    def let_go(self, name: str) -> None:
        """Whoever comes may have it again."""
        self._kept.pop(name, None)

    def kept(self) -> dict[str, str]:
        """Names that are kept, and the processes for which they are; the dead need none."""
        return {name: self.process(one) for name, one in self._kept.items() if self.is_there(one)}

    def _show(self, entry: Entry) -> None:
        """A foreign agent is in the graph under the name that it has; processes of ours say theirs themselves."""
        peer = entry.peer
        if peer is not None and entry.foreign:
            nodes = tuple(NodeRecord(name) for name in entry.names)
            self._registry.enter(
                entry, Peer(peer.process, peer.instance, peer.pid, peer.host, "", "", "", nodes, peer.guest)
            )
