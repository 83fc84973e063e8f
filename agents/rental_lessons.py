"""How an agent of the rental world that learns comes to its experiences.

An experience is whole with what was observed, what came of the slot (the own reward, what oneself and the neighbours
rented), and what is observed one slot later. Of what edge servers publish, the policy gets no more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.rental_policy import LearningRental, RentalExperience, RentalObservation, RentalOutcome
from agents.study import Study
from bus.gather import Absent
from bus.messages import RentalInForce
from bus.messages import RentalOutcome as Told
from bus.node import Node
from emulator.model.graph import Floats
from emulator.model.rental import Ints


@dataclass(slots=True)
class _Slot:
    """What is known yet of one slot."""

    number: int
    units: Ints
    missing: int = 2
    complete: bool = True
    seen: Floats | None = None
    reward: float = 0.0

    @property
    def whole(self) -> bool:
        return self.missing == 0 and self.complete and self.seen is not None


class RentalLessons:
    """Puts experiences together and has the policy learn from them, slot by slot."""

    def __init__(
        self, node: Node, edge: int, neighbours: Iterable[int], policy: LearningRental, *, wall: bool = False
    ) -> None:
        """Listen to the own edge server, and to what the neighbours' say they rent.

        Args:
            node: The agent's.
            edge: Its edge server.
            neighbours: Of that, in the graph's order.
            policy: Who learns.
            wall: Whether slots end by the clock, so that nothing is waited for.
        """
        self._node = node
        self._edge = f"/edge/{edge}"
        self._near = [f"/edge/{n}" for n in neighbours]
        self._policy = policy
        self._wall = wall
        self._study = Study(node, edge, policy)
        self._now: _Slot | None = None
        self._last: _Slot | None = None
        self._held: Callable[[], None] | None = None
        node.collect("outcome", f"{self._edge}/rental_outcome", self._edge)
        for name in self._near:
            node.collect("near", f"{name}/rental_in_force", name)

    def begin_again(self, policy: LearningRental) -> None:
        """Go on with a policy that has learned nothing, once the thread is done with the one before."""
        self._study.begin_again()
        self._policy = policy
        self.pause()

    def pause(self) -> None:
        """A slot goes on without our edge server, and what was to be learned ends there."""
        self._now = self._last = self._held = None

    # -- what comes in -------------------------------------------------------------------------------------------------

    def hold(self, slot: int, attempt: int, begin: Callable[[], None]) -> bool:
        """Whether a slot must wait for news of the one before, which are on their way; then ``begin`` is called later.

        News come from those who live; where one of them died, the slot is attempted again, and that waits for nobody.
        """
        now = self._now
        waits = not self._wall and attempt == 0 and now is not None and now.number == slot - 1 and now.missing > 0
        self._held = begin if waits else None
        return waits

    def begin(self, slot: int, attempt: int, members: frozenset[str]) -> None:
        """A slot begins, perhaps not for the first time."""
        before = self._now
        if before is not None and before.number != slot:  # a later slot tells that this one counts
            follows = before.number == slot - 1 and before.whole
            for missed in (self._last, None if follows else before):
                if missed is not None and missed.seen is not None:
                    self._study.let_go()
            self._last = before if follows else None
        now = self._now = _Slot(slot, np.zeros(1 + len(self._near), dtype=np.int64))
        there = [name for name in self._near if name in members]
        sources = {"outcome": [self._edge] if self._edge in members else [], "near": there}
        for kind, names in sources.items():

            def came(messages: list[Any]) -> None:
                self._take(now, messages)

            self._node.gather(kind, names, slot, attempt, came)

    def _take(self, now: _Slot, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, Told):
                now.units[0], now.reward = message.units, message.reward
            elif isinstance(message, RentalInForce):
                now.units[1 + self._near.index(f"/edge/{message.edge}")] = message.units
            now.complete &= not isinstance(message, Absent)
        now.missing -= 1
        if now.missing == 0 and self._held is not None:
            held, self._held = self._held, None
            held()

    def seen(self, observation: RentalObservation) -> None:
        """What our edge server observes in the slot that has begun; with it the one before is whole."""
        if self._now is not None and self._now.number == observation.slot:
            self._now.seen = observation.values
        last, self._last = self._last, None
        if last is None or last.seen is None:
            return
        outcome = RentalOutcome(last.number, last.units, np.array(last.reward))
        experience = RentalExperience(last.seen, outcome, observation.values)
        policy = self._policy

        def learn() -> None:
            policy.learn(experience)
            policy.save()

        self._study.take(learn, policy)

    def when_learned(self, then: Callable[[], None]) -> None:
        """Call once everything that is whole is learned from; at once if it is."""
        self._study.when_idle(then)
