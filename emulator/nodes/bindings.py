"""Which process instance decides for each edge server, the how-manieth that is, and who stands by since a swap."""

from __future__ import annotations

from collections.abc import Mapping

from bus.messages import Binding
from bus.swap_messages import HELD, SHADOW


class Bindings:
    """Those of one run; an epoch begins whenever another instance comes to decide."""

    def __init__(self) -> None:
        self._epochs: dict[int, int] = {}
        self._bound: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._shadows: dict[int, list[int]] = {}

    def bind(self, edge: int, instance: int) -> int:
        """An agent's process takes part; returns the epoch."""
        if self._bound.get(edge) != instance:
            self._bound[edge] = instance
            self._epochs[edge] = self._epochs.get(edge, 0) + 1
        return self._epochs[edge]

    def hold(self, edge: int, instance: int) -> None:
        """Let an instance stand by for an edge server; 0: nobody."""
        if instance:
            self._held[edge] = instance
        else:
            self._held.pop(edge, None)

    def shadow(self, edge: int, instance: int) -> None:
        """Let an instance be asked, too."""
        self._shadows.setdefault(edge, []).append(instance)

    def unshadow(self, edge: int, instance: int) -> bool:
        """Ask it no longer; whether it was."""
        known = self._shadows.get(edge, [])
        if instance in known:
            known.remove(instance)
            return True
        return False

    def held(self, edge: int) -> int:
        """Who stands by for an edge server since a swap; 0: nobody."""
        return self._held.get(edge, 0)

    def among(self, members: Mapping[str, tuple[int, str]]) -> tuple[Binding, ...]:
        """The bindings of those who take part; members: node to instance and process."""
        found = []
        for edge, epoch in sorted(self._epochs.items()):
            if f"/agent/{edge}" in members:
                found.append(Binding(edge, "deployment", members[f"/agent/{edge}"][0], epoch))
            if edge in self._held:
                found.append(Binding(edge, HELD, self._held[edge], epoch))
            found += [Binding(edge, SHADOW, instance, epoch) for instance in self._shadows.get(edge, ())]
        return tuple(found)
