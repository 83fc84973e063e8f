"""Orchestrators of all edge servers in one process: their rounds, with seeded loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from agents.n2o.letters import Letter, Orchestrator, apart
from agents.n2o.tables import Floats, Ints
from bus.link_channel import Draw, draw_of
from bus.link_table import LinkTable

Lost = Callable[[int, int, int], bool]
"""Round, sender and receiver to whether that letter is lost."""

Kind = Literal["one_way", "symmetric"]


def nothing_lost(_round: int, _sender: int, _receiver: int) -> bool:
    """Every letter comes."""
    return False


def losing(share: float, seed: int, slot: int, kind: Kind = "one_way") -> Lost:
    """Loss of a share of the letters of one slot.

    Args:
        share: Probability, the same for all.
        seed: Of the run.
        slot: The slot in which it is orchestrated.
        kind: ``one_way``: each letter for itself, as an emulated link with that loss and seed draws it on the bus;
            ``symmetric``: a link fails for both ends, so that mixing weights stay doubly stochastic.
    Source: N2O section IV.C (stochastic links, symmetric); ours: messages are lost one by one (one way).
    """
    draws: dict[tuple[int, int], Draw] = {}

    def lost(round_: int, sender: int, receiver: int) -> bool:
        link = (sender, receiver) if kind == "one_way" else (min(sender, receiver), max(sender, receiver))
        if link not in draws:
            topic = letter_topic(*link) if kind == "one_way" else "symmetric"
            draws[link] = draw_of(seed, f"/agent/{link[0]}", f"/agent/{link[1]}", topic)
        return draws[link](slot, round_, 0)[0] < share

    return lost


def withheld(table: LinkTable, seed: int, slot: int) -> Lost:
    """Which letters of a slot the emulated links between agents lose, as they do on the bus.

    Args:
        table: The links.
        seed: Of the run.
        slot: The slot.
    Source: ours: messages are lost one by one, each way.
    """
    draws: dict[tuple[int, int], tuple[Draw, float]] = {}

    def lost(round_: int, sender: int, receiver: int) -> bool:
        link = sender, receiver
        if link not in draws:
            source, target = f"/agent/{sender}", f"/agent/{receiver}"
            shaped = table.find(source, target)
            draw = draw_of(seed, source, target, letter_topic(sender, receiver))
            draws[link] = draw, 0.0 if shaped is None else shaped.shape.loss
        draw, share = draws[link]
        return share > 0.0 and draw(slot, round_, 0)[0] < share

    return lost


def letter_topic(sender: int, receiver: int) -> str:
    """Where one agent's letters to another travel."""
    return f"/agent/{sender}/orchestration/{receiver}"


@dataclass(slots=True, eq=False)
class Course:
    """What came of some rounds.

    Attributes:
        rented: Shape (state, edge), after each round; before the first one as well, so one more than rounds.
        disagreement: How far each edge server's last letters were from its neighbours' at most, shape (state, edge).
        absent: Letters that were lost, for one state.
        payload_bytes: Sent over each directed link (sender, receiver), for one state; lost letters were sent.
    """

    rented: list[Ints]
    disagreement: Floats
    absent: int = 0
    payload_bytes: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def last(self) -> Ints:
        """What is rented in the end, shape (state, edge)."""
        return self.rented[-1]


def orchestrated(parts: Sequence[Orchestrator], rounds: int, lost: Lost = nothing_lost) -> Course:
    """Let the orchestrators of all edge servers talk.

    Args:
        parts: One for each edge server.
        rounds: How many.
        lost: Which letters do not come; the same for all states that are looked at together.
    """
    first = _rented(parts)
    course = Course([first], np.zeros(first.shape))
    latest: dict[int, tuple[Mapping[int, Letter], Mapping[int, Letter]]] = {}
    """What each wrote and what came to it in the last round in which anything did."""
    for round_ in range(rounds):
        received: list[dict[int, Letter]] = [{} for _ in parts]
        written = [part.outgoing() for part in parts]
        for sender, letters in enumerate(written):
            for receiver, letter in letters.items():
                link = (sender, receiver)
                course.payload_bytes[link] = course.payload_bytes.get(link, 0) + letter.payload_bytes
                if lost(round_, sender, receiver):
                    course.absent += 1
                else:
                    received[receiver][sender] = letter
        for part, letters in zip(parts, received, strict=True):
            part.take(letters)
        course.rented.append(_rented(parts))
        for edge, letters in enumerate(received):
            if letters:
                latest[edge] = written[edge], letters
    for edge, (sent, letters) in latest.items():
        for other, letter in letters.items():
            farthest = np.maximum(course.disagreement[:, edge], apart(sent[other], letter))
            course.disagreement[:, edge] = farthest
    return course


def _rented(parts: Sequence[Orchestrator]) -> Ints:
    return np.stack([part.rented() for part in parts], axis=1)
