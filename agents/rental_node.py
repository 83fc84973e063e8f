"""An agent of the rental world as a node: an observation in, a rental out, every slot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from agents.frames import FrameFollower
from agents.rental_lessons import RentalLessons
from agents.rental_policy import LearningRental, RentalObservation, RentalPolicy
from bus.gather import Absent
from bus.messages import Rental
from bus.node import Node
from emulator.model.graph import Floats
from emulator.model.rental import OBSERVED

INPUT_SHARE = 0.15
"""Share of a slot after which, on the wall clock, it decides on what has come."""


class RentalAgentNode:
    """Decides the rentals of one edge server; asked again, where a slot is computed again, it answers again.

    Its edge server waits for it, so where a link withholds the observation it goes by the last one it had.
    """

    def __init__(
        self,
        node: Node,
        edge: int,
        edges: int,
        policy: RentalPolicy,
        slot_wall_s: float | None,
        neighbours: Iterable[int] = (),
    ) -> None:
        """Decide for an edge server.

        Args:
            node: Its name on the bus.
            edge: The edge server.
            edges: How many there are.
            policy: Decides.
            slot_wall_s: Wall seconds of a slot; None in lockstep.
            neighbours: Edge servers whose rentals it learns from, if it learns.
        """
        self.name = node.name
        self._node = node
        self._edge = edge
        self._edges = edges
        self._deadline_s = None if slot_wall_s is None else INPUT_SHARE * slot_wall_s
        self._rental = node.publisher(f"/agent/{edge}/rental")
        self._shown = range(edges) if policy.observes == "network" else (edge,)
        for n in self._shown:
            node.collect("observation", f"/edge/{n}/observation", f"/edge/{n}")
        self._policy = policy
        self._now = (-1, 0)
        self._latest, self._before = _nothing_seen(), _nothing_seen()
        self._lessons: RentalLessons | None = None
        if isinstance(policy, LearningRental):
            self._lessons = RentalLessons(node, edge, neighbours, policy, wall=slot_wall_s is not None)
        count = node.process.measurements.counter
        self._inferences, self._inference_s = count("inferences"), count("inference_seconds")
        self._follower = FrameFollower(node, 1, self._begin)

    def begin_again(self, policy: RentalPolicy) -> None:
        """Back to the initial state with a policy that has learned nothing."""
        self._policy = policy
        if self._lessons is not None and isinstance(policy, LearningRental):
            self._lessons.begin_again(policy)
        self._latest, self._before = _nothing_seen(), _nothing_seen()
        self._follower.begin_again()

    def _begin(self, slot: int, attempt: int, members: frozenset[str]) -> None:
        lessons = self._lessons
        if lessons is not None and lessons.hold(slot, attempt, partial(self._begin, slot, attempt, members)):
            return
        self._node.begin(slot, attempt)
        self._now = (slot, attempt)
        if self._latest.slot < slot:
            self._before = self._latest
        if f"/edge/{self._edge}" not in members or self.name not in members:
            if lessons is not None:
                lessons.pause()
            return
        if lessons is not None:
            lessons.begin(slot, attempt, members)
        shown = [n for n in self._shown if f"/edge/{n}" in members]
        self._node.gather(
            "observation",
            [f"/edge/{n}" for n in shown],
            slot,
            attempt,
            lambda messages: self._decide(slot, attempt, messages),
            deadline_s=self._deadline_s,
        )

    def _decide(self, slot: int, attempt: int, messages: Sequence[Any]) -> None:
        seen = {m.edge: m.values.numpy() for m in messages if not isinstance(m, Absent)}
        came = self._edge in seen
        own = seen.setdefault(self._edge, self._before.values)
        self._latest = RentalObservation(slot, own)
        observation = self._latest if self._policy.observes == "local" else RentalObservation(slot, self._table(seen))
        answer = partial(self._answer, slot, attempt, observation)
        lessons, waits = self._lessons, self._deadline_s is None
        if lessons is None or not waits:  # slots of the wall clock wait for nobody
            answer()
        if lessons is not None and came:
            lessons.seen(observation)
        if lessons is not None and waits:
            lessons.when_learned(answer)

    def _answer(self, slot: int, attempt: int, observation: RentalObservation) -> None:
        if (slot, attempt) != self._now:
            return  # learning took longer than the attempt
        start_s = perf_counter()
        wanted = self._policy.decide(observation)
        self._inference_s.value += perf_counter() - start_s
        self._inferences.value += 1.0
        units = int(wanted) if self._policy.observes == "local" else int(np.asarray(wanted)[self._edge])
        self._publish(slot, attempt, units)

    def _table(self, seen: Mapping[int, Floats]) -> Floats:
        """What all observe, shape (edge, 5), with zeros of whom nothing came."""
        table = np.zeros((self._edges, len(OBSERVED)))
        for n, values in seen.items():
            table[n] = values
        return table

    def _publish(self, slot: int, attempt: int, units: int) -> None:
        into_ns = self._node.reached_ns("observation")
        links = self._node.process.links
        t_sim_ns = slot * links.clock.slot_ns + into_ns if links is not None and into_ns else 0
        self._rental.publish(Rental(self._edge, units), slot=slot, attempt=attempt, t_sim_ns=t_sim_ns)


def _nothing_seen() -> RentalObservation:
    return RentalObservation(-1, np.zeros(len(OBSERVED)))
