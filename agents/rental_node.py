"""An agent of the rental world as a node: an observation in, a rental out, every slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.frames import FrameFollower
from agents.rental_policy import RentalObservation, RentalPolicy
from bus.gather import Absent
from bus.messages import Rental
from bus.node import Node
from emulator.model.rental import OBSERVED

INPUT_SHARE = 0.15
"""Share of a slot after which, on the wall clock, it decides on what has come."""


class RentalAgentNode:
    """Decides the rentals of one edge server; asked again, where a slot is computed again, it answers again."""

    def __init__(self, node: Node, edge: int, edges: int, policy: RentalPolicy, slot_wall_s: float | None) -> None:
        """Decide for an edge server.

        Args:
            node: Its name on the bus.
            edge: The edge server.
            edges: How many there are.
            policy: Decides.
            slot_wall_s: Wall seconds of a slot; None in lockstep.
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
        self._follower = FrameFollower(node, 1, self._begin)

    def begin_again(self, policy: RentalPolicy) -> None:
        """Back to the initial state with a policy that has learned nothing."""
        self._policy = policy
        self._follower.begin_again()

    def _begin(self, slot: int, attempt: int, members: frozenset[str]) -> None:
        self._node.begin(slot, attempt)
        if f"/edge/{self._edge}" not in members or self.name not in members:
            return
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
        values = self._values(messages)
        if values is None:
            return  # what the edge server saw did not come; it keeps what is rented
        wanted = self._policy.decide(RentalObservation(slot, values))
        units = int(wanted) if self._policy.observes == "local" else int(np.asarray(wanted)[self._edge])
        self._publish(slot, attempt, units)

    def _values(self, messages: Sequence[Any]) -> Any:
        """As the policy wants them: (5,), or (edge, 5) with zeros of whom nothing came; None without one's own."""
        seen = {m.edge: m.values.numpy() for m in messages if not isinstance(m, Absent)}
        if self._edge not in seen:
            return None
        if self._policy.observes == "local":
            return seen[self._edge]
        table = np.zeros((self._edges, len(OBSERVED)))
        for n, values in seen.items():
            table[n] = values
        return table

    def _publish(self, slot: int, attempt: int, units: int) -> None:
        into_ns = self._node.reached_ns("observation")
        links = self._node.process.links
        t_sim_ns = slot * links.clock.slot_ns + into_ns if links is not None and into_ns else 0
        self._rental.publish(Rental(self._edge, units), slot=slot, attempt=attempt, t_sim_ns=t_sim_ns)
