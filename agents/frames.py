"""An agent's place in the hub's time: it follows frames, not slots, and sleeps while slots pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bus.codec import Header
from bus.messages import Roster, Tick
from bus.node import Node
from bus.swap_messages import BESIDE

Begin = Callable[[int, int, frozenset[str]], None]
"""Told of a frame's first slot: its number, the attempt, and who takes part."""

NEVER: Final = -1


class FrameFollower:
    """Tells of each frame's first slot once its roster is known, and again where it is computed again.

    Who comes while a first slot is computed again has not heard it begin: the roster alone tells of it then.
    """

    def __init__(self, node: Node, slots_per_frame: int, begin: Begin) -> None:
        self._node = node
        self._slots_per_frame = slots_per_frame
        self._begin = begin
        self._members: frozenset[str] = frozenset()
        self._bound: dict[int, int] = {}
        self._roster = -1
        self.begin_again()
        node.subscribe("/hub/roster", self._on_roster)
        node.subscribe("/hub/frame", self._on_frame)

    def begin_again(self) -> None:
        """The run starts again at slot 0; the roster stays until the next comes."""
        self._frames: list[tuple[int, int]] = []  # slot and roster of frames whose roster is not here yet
        self._again: tuple[int, int] | None = None  # slot and attempt of a roster whose frame is not here yet
        self._begun = NEVER

    def decides(self, edge: int) -> bool:
        """Whether this process is the one that an edge server obeys; if not, it only stands by for that one."""
        own = self._node.process.instance
        return self._bound.get(edge, own) == own

    def _on_roster(self, roster: Roster, header: Header) -> None:
        links = self._node.process.links
        if links is not None:
            links.follow(roster.links)
        self._members = frozenset(member.node for member in roster.members)
        self._bound = {binding.edge: binding.instance for binding in roster.bindings if binding.role not in BESIDE}
        self._roster = roster.number
        if header.attempt > 0 and header.slot % self._slots_per_frame == 0:
            self._again = (header.slot, header.attempt)
        self._in_order()

    def _on_frame(self, tick: Tick, header: Header) -> None:
        if header.slot > self._begun:
            self._frames.append((header.slot, tick.roster))
            self._in_order()

    def _in_order(self) -> None:
        """Frames and rosters are two topics, and either may have been lost and repaired: take them as the hub said."""
        while self._frames and self._frames[0][1] <= self._roster:
            self._begun = self._frames.pop(0)[0]
            self._begin(self._begun, 0, self._members)
        if self._again is not None and self._begun in (self._again[0], NEVER):
            (slot, attempt), self._again = self._again, None
            self._begun = slot
            self._node.process.give_up(slot, attempt)
            self._begin(slot, attempt, self._members)
