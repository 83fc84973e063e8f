"""What rentals are worth by the local Q-networks: each agent's term of P2's objective, and how negotiations went.

On the bus an agent hears what its neighbours rent, by the messages that their edge servers get anyway, and counts; the
run's summary adds up. In one process the same numbers are added up here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agents.n2o.network import Course
from bus.gather import Absent
from bus.measure import Measurements
from bus.messages import Rental
from bus.node import Node

KIND: Final = "rented nearby"


class Books:
    """Counts what an agent's negotiations came to. A value may be below 0, so gains and losses are counted apart."""

    def __init__(self, measured: Measurements, edge: int) -> None:
        """Count for an edge server's agent."""
        label, count = str(edge), measured.counter
        self._rounds = count("negotiation_rounds", edge=label)
        self._negotiations = count("negotiations", edge=label)
        self._absent, self._malformed = count("letters_absent"), count("letters_malformed")
        self._disagreement = measured.gauge("negotiation_disagreement", edge=label)
        self._disagreements = count("negotiation_disagreements", edge=label)
        self._value = measured.gauge("local_value", edge=label)
        self._value.value = float("nan")
        self._values, self._gained, self._lost = (
            count(f"local_value{end}", edge=label) for end in ("s", "_gained", "_lost")
        )

    def negotiated(self, rounds: int, disagreement: float, absent: int, malformed: int = 0) -> None:
        """One decision: rounds played, how far the last letters were apart, letters that did not come or are none."""
        self._negotiations.value += 1.0
        self._rounds.value += rounds
        self._disagreement.value = disagreement
        self._disagreements.value += disagreement
        self._absent.value += absent
        self._malformed.value += malformed

    def valued(self, value: float) -> None:
        """What was rented is worth so much to this agent's network."""
        self._value.value = value
        self._values.value += 1.0
        self._gained.value += max(0.0, value)
        self._lost.value += max(0.0, -value)


class Neighbourhood:
    """What the neighbours of an agent on the bus rent, slot by slot; for measuring only, no decision reads it."""

    def __init__(self, node: Node, neighbours: Sequence[int]) -> None:
        """Listen to the agents of those edge servers."""
        self._node = node
        self._units = dict.fromkeys(neighbours, 0)
        for other in neighbours:
            node.collect(KIND, f"/agent/{other}/rental", f"/agent/{other}")

    def begin_again(self) -> None:
        """Nobody rents anything."""
        self._units = dict.fromkeys(self._units, 0)

    def gather(self, others: Sequence[int], slot: int, attempt: int, then: Callable[[Mapping[int, int]], None]) -> None:
        """Wait for the rentals of those who take part; ``then`` gets everyone's units, the last known of the others."""

        def came(messages: Sequence[Any]) -> None:
            for other, message in zip(others, messages, strict=True):
                # An emulated link withholds it from whoever decides; these are books.
                told = message.withheld if isinstance(message, Absent) else message
                if isinstance(told, Rental):
                    self._units[other] = told.units
            then(self._units)

        self._node.gather(KIND, [f"/agent/{other}" for other in others], slot, attempt, came)


@dataclass(slots=True)
class Totals:
    """The same of all agents of one process, without a bus; ``counters`` has the names of those of agents there."""

    counters: dict[str, float] = field(default_factory=dict)

    def negotiated(self, course: Course, rounds: int) -> None:
        """One slot's decision of all agents."""
        agents = course.disagreement.size
        self._add("negotiations", agents)
        self._add("negotiation_rounds", rounds * agents)
        self._add("negotiation_disagreements", float(course.disagreement.sum()))
        self._add("letters_absent", course.absent)

    def valued(self, values: Sequence[float]) -> None:
        """What one slot's rentals are worth to each agent's network."""
        self._add("local_values", len(values))
        self._add("local_value_gained", sum(max(0.0, value) for value in values))
        self._add("local_value_lost", sum(max(0.0, -value) for value in values))

    def _add(self, name: str, number: float) -> None:
        self.counters[name] = self.counters.get(name, 0.0) + number
