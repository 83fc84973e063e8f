"""Which process instance decides for each edge server, and the how-manieth that is."""

from __future__ import annotations

from collections.abc import Mapping

from bus.messages import Binding


class Bindings:
    """Those of one run; an epoch begins whenever another instance comes to decide."""

    def __init__(self) -> None:
        self._epochs: dict[int, int] = {}
        self._bound: dict[int, int] = {}

    def bind(self, edge: int, instance: int) -> None:
        """An agent's process takes part."""
        if self._bound.get(edge) != instance:
            self._bound[edge] = instance
            self._epochs[edge] = self._epochs.get(edge, 0) + 1

    def among(self, members: Mapping[str, tuple[int, str]]) -> tuple[Binding, ...]:
        """The bindings of those who take part; members: node to instance and process."""
        return tuple(
            Binding(edge, "deployment", members[f"/agent/{edge}"][0], epoch)
            for edge, epoch in sorted(self._epochs.items())
            if f"/agent/{edge}" in members
        )
