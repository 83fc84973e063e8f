"""Agents that leave with a word (Goodbye, SIGTERM), and who comes after them.

In lockstep time stands for a successor, for ``agent.successor_s`` seconds at most: before the next frame, or within a
frame's first slot if the one who left can have left it undecided. On the wall clock, and once nobody came, the frames
without a decision are counted and told. Who dies without a word is none of these: see docs/faults.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from bus.slots import Now
from emulator.nodes.departures import Departure
from emulator.nodes.events import Events
from emulator.nodes.members import Members

LOOK_S: Final = 0.02
"""How often it is looked whether somebody has come, wall seconds."""
AGENT: Final = "/agent/"
MOST_KEPT: Final = 1000


class Successors:
    """Those of one run. The hub asks ``may_begin`` and ``may_repeat``, and tells who leaves and what is committed."""

    def __init__(
        self,
        clock: Callable[[], float],
        after: Callable[[float, Callable[[], None]], object],
        members: Members,
        patience_s: float,
        joins: Callable[[int], bool],
        takes_over: Callable[[int], bool],
        runs: Callable[[], bool],
        note: Events,
    ) -> None:
        """Wait for nobody yet.

        Args:
            clock: Wall seconds.
            after: Calls something once, seconds from now.
            members: Those of slots.
            patience_s: Wall seconds for which time stands at most; 0: never.
            joins: Whether somebody has come who can be bound for an edge server now.
            takes_over: Whether a swap has somebody ready for it, who is bound at the next boundary.
            runs: Whether the run goes on.
            note: Takes what happens.
        """
        self._clock = clock
        self._after = after
        self._members = members
        self._patience_s = patience_s
        self._joins = joins
        self._takes_over = takes_over
        self._runs = runs
        self._note = note
        self._open: dict[int, Departure] = {}
        self._over: list[Departure] = []
        self._go_on: Callable[[], None] | None = None
        self._place = ""
        self._within = False  # time stands within a slot, not before a frame

    # -- who leaves ----------------------------------------------------------------------------------------------------

    def left(self, process: str, names: Iterable[str], reason: str, slot: int) -> None:
        """A process that had names in a slot left with a word."""
        for name in names:
            if name.startswith(AGENT):
                edge = int(name.removeprefix(AGENT))
                known = self._open.get(edge)  # nothing was decided since the one before left: it is one gap
                found = known or Departure(edge, process, reason, slot)
                found.process, found.waits = process, self._patience_s > 0.0
                self._open[edge] = found

    def _missing(self) -> list[Departure]:
        """Who is waited for now: those whom nobody has come for, and who still have an edge server."""
        found = []
        for one in self._open.values():
            there = f"/edge/{one.edge}" in self._members.names
            if one.waits and (self._members.bound(one.edge) or not there):
                self._let_go(one)
            elif one.waits and not (self._within and self._takes_over(one.edge)):
                found.append(one)
        return found

    def _let_go(self, one: Departure) -> None:
        one.waits = False
        if one.held_from_s is not None:
            one.held_s += self._clock() - one.held_from_s
            one.held_from_s = None

    # -- time stands ---------------------------------------------------------------------------------------------------

    @property
    def holding(self) -> bool:
        """Whether time stands for somebody."""
        return self._go_on is not None

    def waiting(self) -> list[str]:
        """Who is waited for, as sentences."""
        if not self.holding:
            return []
        return [
            f"{self._place} waits up to {max(0.0, self._left_s(one)):.0f} s more for somebody to hold {one.name}, "
            f"which {one.process} left"
            for one in self._open.values()
            if one.held_from_s is not None
        ]

    def _left_s(self, one: Departure) -> float:
        """For how long time may still stand for it."""
        return self._patience_s if one.held_from_s is None else self._patience_s - self._clock() + one.held_from_s

    def may_begin(self, frame: int, go_on: Callable[[], None]) -> bool:
        """A frame is about to begin; False: not yet, ``go_on`` is called when it is time."""
        return self._may(f"frame {frame}", go_on, within=False)

    def may_repeat(self, now: Now, go_on: Callable[[], None]) -> bool:
        """A slot is about to be computed again; False: not yet, as above."""
        return not now.first or self._may(f"slot {now.slot} (frame {now.frame})", go_on, within=True)

    def _may(self, place: str, go_on: Callable[[], None], *, within: bool) -> bool:
        self._within = within
        missing = self._missing()
        if not missing:
            return True
        self._go_on, self._place = go_on, place
        for one in missing:
            if one.held_from_s is None:
                one.held_from_s = self._clock()
                text = f"{place} waits up to {self._patience_s:g} s for somebody to hold {one.name}"
                self._note.tell("waits", f"{text}: {one.process} left", [one.name])
        self._after(LOOK_S, self._look)
        return False

    def _look(self) -> None:
        if self._go_on is None or not self._runs():
            return
        for one in self._open.values():
            if self._left_s(one) <= 0.0:
                self._let_go(one)
                text = f"nobody came for {one.name} within {self._patience_s:g} s (agent.successor_s)"
                self._note.tell("waits", f"{text}; the orphan rule holds", [one.name])
        missing = self._missing()
        if missing and not any(self._joins(one.edge) or self._takes_over(one.edge) for one in missing):
            self._after(LOOK_S, self._look)
            return
        go_on, self._go_on = self._go_on, None
        go_on()

    # -- when a slot counts --------------------------------------------------------------------------------------------

    def commit(self, now: Now, refusals: Callable[[], Mapping[int, str]]) -> None:
        """A slot counts; refusals: why decisions were refused in it, by edge server (empty: they were not)."""
        if not now.first or not self._open:
            return
        refused = refusals()
        for one in list(self._open.values()):
            if one.commit(now, refused.get(one.edge), bool(self._members.bound(one.edge))):
                self._close(one)

    def _close(self, one: Departure) -> None:
        del self._open[one.edge]
        if one.shows:
            self._over = [*self._over[1 - MOST_KEPT :], one]
            self._note.tell("gap", one.sentence(), [one.name], **one.facts())

    def begin_again(self) -> None:
        """Time begins again at frame 0."""
        self._over = []
        for one in self._open.values():
            one.begin_again()

    def facts(self) -> dict[str, Any]:
        """What the run's books say of it; nothing where nobody was missed."""
        gaps = [one.facts() for one in (*self._over, *self._open.values()) if one.shows]
        return {"gaps": gaps} if gaps else {}
