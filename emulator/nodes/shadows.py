"""Shadows: agents that decide every frame on what the bound one is shown, and are obeyed by nobody.

How to use it: call ``shadow`` with ``Shadow(edges=(1, 3), agent="popularity")`` (or ``to=`` who stands by already) at
the hub's address. Each is asked from the first frame boundary on at which it is ready. What it decides is in
``shadows.csv`` of the run folder, by frame and edge server; time waits for nobody's shadow. ``shadow_end`` lets those
of edge servers go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bus.messages import BeatAck, Query, ToStart
from bus.registry import Registry
from bus.slots import Now
from bus.swap_messages import NotStarted, Shadow, Shadowed, ShadowEnd, ShadowState, ShadowStates, Swap
from emulator.folder import Writer
from emulator.nodes.members import Members
from emulator.nodes.swap_request import Part
from emulator.nodes.swap_rules import check, choose
from emulator.scenario import Scenario

TABLE: Final = "shadows.csv"
FIELDS: Final = ("frame", "edge", "process", "agent", "decision", "refused")


class Casting:
    """One shadow: whose, since when, and how often it decided."""

    def __init__(self, part: Part, agent: str) -> None:
        self.part = part
        self.agent = agent
        self.since_frame = self.frame = -1
        self.decided = self.refused = 0
        self.over = ""

    def state(self) -> ShadowState:
        """As tools see it."""
        part = self.part
        return ShadowState(
            part.edge, part.process, part.instance, self.agent, self.since_frame, self.decided, self.refused, self.over
        )


class Shadows:
    """Those of one run. The hub tells each boundary."""

    def __init__(
        self,
        registry: Registry,
        members: Members,
        scenario: Scenario,
        writer: Writer,
        now: Callable[[], tuple[str, Now | None, bool]],
        note: Callable[[str], None],
    ) -> None:
        """Let shadows be asked for; arguments as for ``Swaps``."""
        self._registry = registry
        self._standbys = registry.standbys
        self._members = members
        self._scenario = scenario
        self._writer = writer
        self._now = now
        self._note = note
        self._number = 0
        self._live: list[Casting] = []
        self._ended: list[Casting] = []
        self._standbys.on_lease.append(self._on_lease)
        self._standbys.on_ready.append(self._on_ready)
        self._standbys.on_gone.append(self._on_gone)
        registry.serve("shadow", Shadow, self.ask, ShadowStates)
        registry.serve("shadow_status", Query, lambda _: self.status(), ShadowStates, reads=True)
        registry.serve("shadow_end", ShadowEnd, self._on_end, ShadowStates)
        registry.serve("shadowed", Shadowed, self._on_decided, BeatAck)

    def ask(self, asked: Shadow) -> ShadowStates:
        """Somebody wants shadows.

        Raises: ValueError: not now, or not like this.
        """
        phase, now, _ = self._now()
        check(Swap(asked.edges, asked.agent, asked.to), phase, now, self._scenario, self._registry)
        self._number += 1
        made = [Casting(Part(edge, f"agent-{edge}-shadow-{self._number}"), asked.agent) for edge in asked.edges]
        if not asked.agent:
            taken = {known.part.instance for known in self._live}
            for casting, token in zip(made, asked.to, strict=True):
                choose(casting.part, token, self._registry, taken)
        else:
            self._standbys.expected.update(casting.part.process for casting in made)
        self._live += made
        return self.status()

    def status(self) -> ShadowStates:
        """Every shadow there is or was."""
        return ShadowStates(tuple(casting.state() for casting in (*self._ended, *self._live)))

    def to_start(self) -> tuple[ToStart, ...]:
        """Whom the launcher shall start, until they are there."""
        waits = (casting for casting in self._live if casting.agent and not casting.part.instance)
        return tuple(ToStart(casting.part.process, casting.part.edge, casting.agent) for casting in waits)

    def facts(self) -> dict[str, Any]:
        """What the run's books say of shadows; nothing where there was none."""
        states = self.status().shadows
        return {"shadows": [{n: getattr(s, n) for n in s.__struct_fields__} for s in states]} if states else {}

    def at_boundary(self, frame: int) -> None:
        """A frame begins: whoever is ready is asked from now on."""
        for casting in self._live:
            if casting.part.ready and casting.since_frame < 0:
                casting.since_frame = frame
                self._members.shadow(casting.part.edge, casting.part.instance)
                self._note(f"{casting.part.process} shadows edge {casting.part.edge} from frame {frame} on")

    # -- what happens meanwhile ----------------------------------------------------------------------------------------

    def _on_decided(self, told: Shadowed) -> BeatAck:
        for casting in self._live:
            if casting.part.instance == told.instance and casting.frame < told.frame:
                casting.frame = told.frame
                casting.decided += not told.refused
                casting.refused += bool(told.refused)
                decision = " ".join(map(str, told.decision))
                row = (told.frame, told.edge, casting.part.process, casting.agent, decision, told.refused)
                self._writer.row(TABLE, FIELDS, row)
        return BeatAck(True)

    def _on_lease(self, instance: int, process: str) -> None:
        for casting in self._live:
            if casting.part.process == process and not casting.part.instance:
                casting.part.instance = instance

    def _on_ready(self, instance: int) -> None:
        for casting in self._live:
            casting.part.ready = casting.part.ready or casting.part.instance == instance

    def _on_gone(self, instance: int, reason: str) -> None:
        for casting in [casting for casting in self._live if casting.part.instance == instance]:
            self._close(casting, reason)

    def not_started(self, told: NotStarted) -> bool:
        """The launcher could not start a process, or it has ended; whether it was a shadow."""
        found = [casting for casting in self._live if casting.part.process == told.process]
        for casting in found:
            self._close(casting, told.reason)
        return bool(found)

    def _on_end(self, asked: ShadowEnd) -> ShadowStates:
        for casting in [casting for casting in self._live if casting.part.edge in asked.edges]:
            self._close(casting, "it was asked for")
            desk = self._registry.desk
            if casting.agent and desk is not None and desk.knows(casting.part.instance):
                desk.retire(casting.part.instance, "no shadow is needed any more")
        return self.status()

    def _close(self, casting: Casting, why: str) -> None:
        self._live.remove(casting)
        self._ended = [*self._ended[-255:], casting]
        casting.over = why
        self._members.unshadow(casting.part.edge, casting.part.instance)
        if casting.part.process in self._standbys.expected:
            self._standbys.expected.discard(casting.part.process)
            if not casting.part.ready:
                self._standbys.unwanted.add(casting.part.process)
        if self._now()[0] != "ending":
            self._note(f"{casting.part.process} shadows edge {casting.part.edge} no longer: {why}")
