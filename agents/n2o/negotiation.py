"""The rounds before one decision, by whatever means letters travel; pure but for the exchange it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from agents.n2o.letters import NUMBER_BYTES, Letter, Orchestrator, apart
from bus.gather import Absent
from bus.messages import Orchestration

UNTOLD: Final = -1

Came = Sequence[Orchestration | Absent]
"""What came in a round, in the order of the neighbours."""


class Exchange(Protocol):
    """How letters of one decision get to neighbours and back."""

    neighbours: Sequence[int]
    """Who takes part, ascending."""

    def send(self, round_: int, neighbour: int, message: Orchestration) -> None:
        """Send one letter; it may be lost."""
        ...

    def receive(self, round_: int, then: Callable[[Came], None]) -> None:
        """Call once, never from within, when the round is over: all came, or there is no more time."""
        ...

    def ended(self, rounds: int) -> bool:
        """Whether the time for so many rounds is over, so that no other should begin."""
        ...


class Negotiation:
    """Runs one orchestrator through its rounds, then tells what to rent."""

    def __init__(
        self, part: Orchestrator, rounds: int, exchange: Exchange, actions: int, then: Callable[[int], None]
    ) -> None:
        """Prepare a decision of one state.

        Args:
            part: The orchestrator.
            rounds: How many rounds it gets.
            exchange: How letters travel.
            actions: Rentals to choose from; whoever says another one is not heard.
            then: Called with the units to rent.
        """
        self.rounds = 0
        """Rounds that were played; fewer than planned where time was over before."""
        self.absent = 0
        """Letters that did not come."""
        self.malformed = 0
        """Letters that came and are none."""
        self._latest: tuple[Mapping[int, Letter], Mapping[int, Letter]] = {}, {}
        """What was written and what came in the last round in which anything did."""
        self._part = part
        self._rounds = rounds
        self._exchange = exchange
        self._actions = actions
        self._then = then

    @property
    def disagreement(self) -> float:
        """How far the last letter of a neighbour was from the own one: 0, the same, to 2, the opposite."""
        sent, received = self._latest
        return max((float(apart(sent[other], letter)[0]) for other, letter in received.items()), default=0.0)

    def start(self) -> None:
        """Begin with the first round; with none, decide now."""
        self._begin(0)

    def _begin(self, round_: int) -> None:
        if round_ == self._rounds or self._exchange.ended(self._rounds):
            self._then(int(self._part.rented()[0]))
            return
        letters = self._part.outgoing()
        written: dict[int, Orchestration] = {}
        for other in self._exchange.neighbours:
            letter = letters[other]
            if id(letter) not in written:  # a letter to all is one object
                written[id(letter)] = message_of(letter)
            self._exchange.send(round_, other, written[id(letter)])
        self._exchange.receive(round_, lambda came: self._heard(round_, letters, came))

    def _heard(self, round_: int, sent: Mapping[int, Letter], came: Came) -> None:
        received = {}
        for other, message in zip(self._exchange.neighbours, came, strict=True):
            if isinstance(message, Absent):
                self.absent += 1
                continue
            letter = letter_of(message, self._actions)
            # Neighbours write as much as they are written to.
            if letter is None or letter.payload_bytes != sent[other].payload_bytes:
                self.malformed += 1
            else:
                received[other] = letter
        self._part.take(received)
        self.rounds = round_ + 1
        if received:
            self._latest = sent, received
        self._begin(round_ + 1)


def message_of(letter: Letter) -> Orchestration:
    """A letter of one state as it travels."""
    rented = UNTOLD if letter.rented is None else int(letter.rented[0])
    return Orchestration(letter.values[0].astype("<f4").tobytes(), rented)


def letter_of(message: Orchestration, actions: int) -> Letter | None:
    """The letter in a message; None if it holds no whole and finite numbers, or no rental."""
    if len(message.values) % NUMBER_BYTES or not UNTOLD <= message.rented < actions:
        return None
    values = np.frombuffer(message.values, "<f4").reshape(1, -1).astype(np.float32)
    if not np.isfinite(values).all():
        return None
    rented = None if message.rented == UNTOLD else np.array([message.rented])
    return Letter(values, rented)
