"""What may change at a frame boundary while a run goes on: whether it goes on, who is bound, who only shadows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bus.digest import Entry
from bus.entries import took_leave
from bus.messages import BeatAck, Peer, ToStart
from bus.node import Node
from bus.process import Process
from bus.registry import Registry
from bus.slots import Now
from bus.swap_messages import NotStarted, SwapQuery
from emulator.folder import Writer
from emulator.nodes.control import Controlled
from emulator.nodes.events import Events
from emulator.nodes.members import Members
from emulator.nodes.shadows import Shadows
from emulator.nodes.successors import Successors
from emulator.nodes.swap_rules import negotiates
from emulator.nodes.swaps import Swaps
from emulator.scenario import Scenario


class Changes:
    """Those of one run, as the hub asks about them."""

    def __init__(
        self,
        process: Process,
        node: Node,
        registry: Registry,
        members: Members,
        scenario: Scenario,
        writer: Writer,
        now: Callable[[], tuple[str, Now | None]],
        events: Events,
        again: Callable[[], None],
        joiners: Callable[[], list[Peer]],
        end: Callable[[int, str], None],
    ) -> None:
        """Let them be asked for.

        Args:
            now: The run's phase in a word, and its slot.
            joiners: Who could take part from now on.
            process, node, registry, members, scenario, writer, events, again, end: As for ``Swaps``, ``Controlled``.
        """
        self._now = now
        self._registry = registry
        self._joiners = joiners
        at = (registry, members, scenario, writer, lambda: (*now(), self.holding))
        self.swaps = Swaps(process, node, *at, events, again)
        self.shadows = Shadows(*at, lambda text: events.tell("shadow", text))
        wall = scenario.clock == "wall"
        silent_s = scenario.deadlines.controller_s
        self.control = Controlled(
            process, registry, self._present, self.swaps.give_back, events, end, wall=wall, deadline_s=silent_s
        )
        self.successors = Successors(
            process.clock, process.after, members, 0.0 if wall else scenario.agent.successor_s, self._joins,
            self._takes_over, lambda: now()[0] == "running", events,
        )  # fmt: skip
        registry.serve("not_started", NotStarted, self._on_not_started, BeatAck)

    def _present(self) -> tuple[str, int]:
        phase, now = self._now()
        return phase, -1 if now is None else now.frame

    @property
    def holding(self) -> bool:
        """Whether time stands at a frame boundary."""
        return self.control.holding or self.swaps.holding or self.successors.holding

    def waiting(self) -> set[str]:
        """Who is waited for there, as sentences."""
        return {*self.control.waiting(), *self.swaps.waiting(), *self.successors.waiting()}

    def may_begin(self, frame: int, go_on: Callable[[], None]) -> bool:
        """A frame is about to begin; False: not yet, ``go_on`` is called when it is time."""
        may = self.control.may_begin(frame, go_on) and self.swaps.may_begin(frame, go_on)
        if may and self.successors.may_begin(frame, go_on):
            self.shadows.at_boundary(frame)
            return True
        return False

    def may_repeat(self, now: Now, go_on: Callable[[], None]) -> bool:
        """A slot is about to be computed again without somebody; False: not yet, ``go_on`` is called when it is time.

        Agents that negotiate count slots from the tick on, so who comes to one takes part from the next slot on.
        """
        return negotiates(self._registry) or self.successors.may_repeat(now, go_on)

    def on_lost(self, peer: Peer, names: list[str], reason: str) -> None:
        """A process is no more; names: of its nodes that took part until now."""
        self.swaps.on_lost(peer.instance, reason)
        now = self._now()[1]
        if took_leave(reason):
            self.successors.left(peer.process, names, reason, 0 if now is None else now.slot)

    def _joins(self, edge: int) -> bool:
        return any(node.name == f"/agent/{edge}" for peer in self._joiners() for node in peer.nodes)

    def _takes_over(self, edge: int) -> bool:
        ready = [state for state in self.swaps.status(SwapQuery()).swaps if state.stage == "ready"]
        return any(part.edge == edge for state in ready for part in state.parts)

    def commit(self, now: Now, refusals: Callable[[], dict[int, str]]) -> list[Entry]:
        """A slot counts; returns what the digest covers of what has changed."""
        self.successors.commit(now, refusals)
        return self.swaps.commit(now, refusals)

    def begin_again(self) -> None:
        """Time begins again at frame 0."""
        self.swaps.begin_again()
        self.successors.begin_again()
        self.control.begin_again()

    def to_start(self) -> tuple[ToStart, ...]:
        """Whom the launcher shall start."""
        return self.swaps.to_start() + self.shadows.to_start()

    def facts(self) -> dict[str, Any]:
        """What the run's books say of it."""
        return {**self.swaps.facts(), **self.shadows.facts(), **self.successors.facts()}

    def _on_not_started(self, told: NotStarted) -> BeatAck:
        return BeatAck(self.swaps.not_started(told) or self.shadows.not_started(told))
