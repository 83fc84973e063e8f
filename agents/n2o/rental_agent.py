"""An agent of the rental world as a node: an observation in, letters to and from neighbours, a rental out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, Protocol

import numpy as np

from agents.n2o.bus_exchange import BusExchange
from agents.n2o.dual_averaging import Slopes, slopes_without
from agents.n2o.letters import Orchestrator
from agents.n2o.negotiation import Negotiation
from agents.n2o.orchestrators import Recipe
from agents.n2o.tables import Floats, LocalTable, lacking
from agents.n2o.worth import Books, Neighbourhood
from bus.gather import Absent
from bus.messages import Rental
from bus.node import Node
from bus.slots import Now, SlotDriver
from emulator.model.graph import Graph

FIELDS: Final = 5
"""Numbers of an observation."""

OBSERVED_SHARE: Final = 0.1
"""Share of a slot after which, on the wall clock, no observation is waited for."""

DECIDED_SHARE: Final = 0.3
"""Share of a slot after which, on the wall clock, the last round is over; the ones before end evenly spaced.

Well before the edge server stops waiting (``emulator.nodes.deadlines.RENTED``): where a neighbour is slow, every
round lasts to its deadline, and a rental that is sent only when nobody waits for it any more is none.
"""


class RentalPolicy(Protocol):
    """How one edge server's rentals are decided."""

    rounds: int
    actions: int

    def part(self, observed: Floats, slot: int) -> Orchestrator:
        """Its part in a slot's decision, by what was observed, shape (field,); asked again, it is as good as new."""
        ...

    def linked(self, slot: int) -> tuple[int, ...]:
        """The neighbours that are there in a slot."""
        ...

    def worth(self, rented: Sequence[int]) -> float:
        """What rentals, its own and then those of the neighbours that are there, are worth by the last ``part``."""
        ...


Valued = Callable[[Floats], tuple[LocalTable, Slopes | None]]
"""Observations (state, field), as they are, to the local table and, where the network gives them, its slopes."""


class Orchestrated:
    """A local Q function and an orchestrator."""

    def __init__(
        self,
        graph: Graph,
        edge: int,
        recipe: Recipe,
        actions: int,
        valued: Valued,
        graph_at: Callable[[int], Graph] | None = None,
    ) -> None:
        """Decide for an edge server.

        Args:
            graph: Who is whose neighbour, as the network was trained.
            edge: The edge server.
            recipe: The orchestrator.
            actions: Rentals to choose from.
            valued: The local Q function.
            graph_at: Who is linked in a slot, where some are away; None: all are always there.
        """
        self.rounds = recipe.rounds
        self.actions = actions
        self._graph = graph
        self._edge = edge
        self._recipe = recipe
        self._valued = valued
        self._graph_at = graph_at
        self._table: LocalTable | None = None

    def part(self, observed: Floats, slot: int) -> Orchestrator:
        """See ``RentalPolicy``."""
        table, slopes = self._valued(observed[None])
        graph = self._now(slot)
        away = lacking(self._graph.neighbours[self._edge], graph.neighbours[self._edge])
        if away:
            table = table.without(away)
            slopes = None if slopes is None else slopes_without(slopes, away)
        self._table = table
        return self._recipe.make(graph, self._edge, table, slopes)

    def linked(self, slot: int) -> tuple[int, ...]:
        """See ``RentalPolicy``."""
        return self._now(slot).neighbours[self._edge]

    def worth(self, rented: Sequence[int]) -> float:
        """See ``RentalPolicy``.

        Raises: RuntimeError: before any ``part``.
        Source: N2O problem P2, one edge server's term of the objective.
        """
        if self._table is None:
            raise RuntimeError("worth() before part()")
        return float(self._table.at(np.array([rented]))[0])

    def _now(self, slot: int) -> Graph:
        return self._graph if self._graph_at is None else self._graph_at(slot)


class RentalAgentNode:
    """Decides what one edge server rents, every slot.

    A slot: observation -> rounds of letters with neighbours -> rental. Every arrow is a gather; nothing blocks.
    Neighbours wait for its letters, so where a link withholds the observation it goes by the last one it had.
    """

    def __init__(self, node: Node, driver: SlotDriver, graph: Graph, edge: int, policy: RentalPolicy) -> None:
        """Make an agent.

        Args:
            node: Its name on the bus.
            driver: Its process's place in time.
            graph: Who is whose neighbour.
            edge: The edge server it decides for.
            policy: How.
        """
        self.name = node.name
        self._node = node
        self._driver = driver
        self._edge = edge
        self._policy = policy
        self._neighbours = graph.neighbours[edge]
        self._exchange = BusExchange(node, edge, self._neighbours)
        self._rental = node.publisher(f"/agent/{edge}/rental")
        measured = node.process.measurements
        self._kept = self._seen = np.zeros(FIELDS)
        self._inferences, self._inference_s = measured.counter("inferences"), measured.counter("inference_seconds")
        self._books = Books(measured, edge)
        self._nearby = Neighbourhood(node, self._neighbours)
        self._valued = -1
        """The last slot whose rentals were valued; an attempt that follows another does not count again."""
        node.collect("observation", f"/edge/{edge}/observation", f"/edge/{edge}")
        driver.add(self)

    def commit(self) -> None:
        """The slot computed last counts."""
        self._kept = self._seen

    def begin_again(self, policy: RentalPolicy) -> None:
        """Back to the initial state."""
        self._policy = policy
        self._kept = self._seen = np.zeros(FIELDS)
        self._nearby.begin_again()
        self._valued = -1

    def start(self, now: Now) -> None:
        """Begin a slot."""
        self._node.begin(now.slot, now.attempt)
        if f"/edge/{self._edge}" not in now.members:
            self._driver.finish(self, now)
            return
        self._node.gather(
            "observation",
            (f"/edge/{self._edge}",),
            now.slot,
            now.attempt,
            lambda got: self._observed(now, got[0]),
            deadline_s=self._driver.left_s(OBSERVED_SHARE),
        )

    def _observed(self, now: Now, message: Any) -> None:
        self._seen = self._kept
        if not isinstance(message, Absent):
            self._seen = np.array(message.values.numpy(), dtype=np.float64)
        start_s = perf_counter()
        part, rounds = self._policy.part(self._seen, now.slot), self._policy.rounds
        self._inference_s.value += perf_counter() - start_s
        self._inferences.value += 1.0
        spread = (DECIDED_SHARE - OBSERVED_SHARE) / max(1, rounds)

        def left_s(round_: int) -> float | None:
            return self._driver.left_s(OBSERVED_SHARE + (round_ + 1) * spread)

        into_ns = self._node.reached_ns("observation")
        self._exchange.begin(now.slot, now.attempt, self._taking_part(now), left_s, into_ns)
        negotiation = Negotiation(
            part, rounds, self._exchange, self._policy.actions, lambda units: self._decided(now, negotiation, units)
        )
        negotiation.start()

    def _taking_part(self, now: Now) -> frozenset[str]:
        """Members, less the neighbours that are away or from whom it is away itself."""
        linked = self._policy.linked(now.slot)
        return now.members - {f"/agent/{other}" for other in self._neighbours if other not in linked}

    def _decided(self, now: Now, negotiation: Negotiation, units: int) -> None:
        done = negotiation
        self._books.negotiated(done.rounds, done.disagreement, done.absent, done.malformed)
        self._driver.publish(self._rental, Rental(self._edge, units), now, into_ns=self._exchange.reached_ns)

        def value(nearby: Mapping[int, int]) -> None:
            self._value(now, units, nearby)
            if not self._driver.paced:
                self._driver.finish(self, now)

        # In lockstep the slot waits for what neighbours rent, whose word might come after it; no clock waits for books.
        self._nearby.gather(self._exchange.neighbours, now.slot, now.attempt, value)
        if self._driver.paced:
            self._driver.finish(self, now)

    def _value(self, now: Now, units: int, nearby: Mapping[int, int]) -> None:
        """P2's term of this edge server, where its neighbours rent what they said."""
        if now.slot > self._valued:
            self._valued = now.slot
            there = [nearby[other] for other in self._policy.linked(now.slot)]
            self._books.valued(self._policy.worth([units, *there]))
