"""What may change at a frame boundary while a run goes on: whether it goes on, who is bound, who only shadows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bus.digest import Entry
from bus.messages import BeatAck, ToStart
from bus.node import Node
from bus.process import Process
from bus.registry import Registry
from bus.slots import Now
from bus.swap_messages import NotStarted
from emulator.folder import Writer
from emulator.nodes.control import Controlled
from emulator.nodes.events import Events
from emulator.nodes.members import Members
from emulator.nodes.shadows import Shadows
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
        end: Callable[[int, str], None],
    ) -> None:
        """Let them be asked for; now: the run's phase in a word, and its slot; the rest as for ``Swaps``."""
        self._now = now
        at = (registry, members, scenario, writer, lambda: (*now(), self.holding))
        self.swaps = Swaps(process, node, *at, events, again)
        self.shadows = Shadows(*at, lambda text: events.tell("shadow", text))
        wall = scenario.clock == "wall"
        self.control = Controlled(process, registry, self._present, self.swaps.give_back, events, end, wall=wall)
        registry.serve("not_started", NotStarted, self._on_not_started, BeatAck)

    def _present(self) -> tuple[str, int]:
        phase, now = self._now()
        return phase, -1 if now is None else now.frame

    @property
    def holding(self) -> bool:
        """Whether time stands at a frame boundary."""
        return self.control.holding or self.swaps.holding

    def waiting(self) -> set[str]:
        """Who is waited for there, as sentences."""
        return {*self.control.waiting(), *self.swaps.waiting()}

    def may_begin(self, frame: int, go_on: Callable[[], None]) -> bool:
        """A frame is about to begin; False: not yet, ``go_on`` is called when it is time."""
        may = self.control.may_begin(frame, go_on) and self.swaps.may_begin(frame, go_on)
        if may:
            self.shadows.at_boundary(frame)
        return may

    def commit(self, now: Now, refusals: Callable[[], dict[int, str]]) -> list[Entry]:
        """A slot counts; returns what the digest covers of what has changed."""
        return self.swaps.commit(now, refusals)

    def begin_again(self) -> None:
        """Time begins again at frame 0."""
        self.swaps.begin_again()
        self.control.begin_again()

    def to_start(self) -> tuple[ToStart, ...]:
        """Whom the launcher shall start."""
        return self.swaps.to_start() + self.shadows.to_start()

    def facts(self) -> dict[str, Any]:
        """What the run's books say of it."""
        return {**self.swaps.facts(), **self.shadows.facts()}

    def _on_not_started(self, told: NotStarted) -> BeatAck:
        return BeatAck(self.swaps.not_started(told) or self.shadows.not_started(told))
