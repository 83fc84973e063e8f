"""Letters between agents as messages of the bus: a topic for each directed link, a gather for each round."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.n2o.negotiation import Came
from agents.n2o.network import letter_topic
from bus.messages import Orchestration
from bus.node import Node

KIND = "orchestration"

LeftS = Callable[[int], float | None]
"""Round to wall seconds until it ends, come what may; None: it ends when everyone was heard."""


class BusExchange:
    """One agent's end of its letters, slot after slot."""

    def __init__(self, node: Node, edge: int, neighbours: Sequence[int]) -> None:
        """Publish to and collect from all neighbours.

        Args:
            node: The agent's.
            edge: The edge server it decides for.
            neighbours: Those of the edge server, in the graph's order.
        """
        self.neighbours: Sequence[int] = tuple(neighbours)
        self._node = node
        self._publishers = {other: node.publisher(letter_topic(edge, other)) for other in neighbours}
        self._all = self.neighbours
        self._slot = self._attempt = self._slot_ns = self._into_ns = 0
        self._left_s: LeftS = lambda _: None
        for other in neighbours:
            node.collect(KIND, letter_topic(other, edge), f"/agent/{other}")

    def begin(self, slot: int, attempt: int, members: frozenset[str], left_s: LeftS, into_ns: int = 0) -> None:
        """Begin the letters of a slot.

        Args:
            slot, attempt: Which.
            members: Who takes part; a neighbour that does not, or whose edge server does not, is neither written to nor
                waited for.
            left_s: When each round ends.
            into_ns: Simulated nanoseconds into the slot at which what the first letters follow came.
        """
        links = self._node.process.links
        self._slot, self._attempt, self._left_s, self._into_ns = slot, attempt, left_s, into_ns
        self._slot_ns = 0 if links is None else links.clock.slot_ns
        self.neighbours = tuple(
            other for other in self._all if f"/agent/{other}" in members and f"/edge/{other}" in members
        )

    @property
    def reached_ns(self) -> int:
        """Simulated nanoseconds into the slot at which the last letter that counted came."""
        return self._into_ns

    def send(self, round_: int, neighbour: int, message: Orchestration) -> None:
        """See ``Exchange``."""
        t_sim_ns = self._slot * self._slot_ns + self._into_ns if self._into_ns else 0
        self._publishers[neighbour].publish(
            message, slot=self._slot, attempt=self._attempt, round=round_, t_sim_ns=t_sim_ns
        )

    def ended(self, rounds: int) -> bool:
        """See ``Exchange``; in lockstep time is never over."""
        left_s = self._left_s(rounds - 1)
        return left_s is not None and left_s <= 0.0

    def receive(self, round_: int, then: Callable[[Came], None]) -> None:
        """See ``Exchange``."""

        def over(came: Came) -> None:
            self._into_ns = max(self._into_ns, self._node.reached_ns(KIND))
            then(came)

        self._node.gather(
            KIND,
            [f"/agent/{other}" for other in self.neighbours],
            self._slot,
            self._attempt,
            over,
            round=round_,
            deadline_s=self._left_s(round_),
        )
