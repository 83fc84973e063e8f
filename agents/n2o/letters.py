"""What orchestrators are, and what they write to each other: numbers of single precision, and a rental of one byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.n2o.tables import Floats, Ints

Singles = NDArray[np.float32]
NUMBER_BYTES: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """What one edge server's orchestrator tells a neighbour's in a round, for each state.

    Attributes:
        values: Shape (state, number).
        rented: Its rental as it stands, shape (state,); None where the algorithm does not tell.
    """

    values: Singles
    rented: Ints | None = None

    @property
    def payload_bytes(self) -> int:
        """What it weighs for one state, without any header or framing."""
        return NUMBER_BYTES * self.values.shape[1] + (self.rented is not None)


class Orchestrator(Protocol):
    """One edge server's part of an algorithm; pure: what comes and goes, and when, is somebody else's.

    A round is ``outgoing`` and then ``take``. It never waits: who is not heard of in a round is missing in ``take``.
    """

    def outgoing(self) -> Mapping[int, Letter]:
        """Letters to neighbours, by edge server; those of equal content are the same object."""
        ...

    def take(self, received: Mapping[int, Letter]) -> None:
        """What came from neighbours in this round, by edge server."""
        ...

    def rented(self) -> Ints:
        """[a_n] what to rent, after any number of rounds, shape (state,)."""
        ...


def relative(values: Floats) -> Singles:
    """Values of each rental (..., actions), less that of renting nothing, as they are sent, (..., actions - 1).

    Source: ours: a constant changes no argmax, so it need not travel.
    """
    return (values[..., 1:] - values[..., :1]).astype(np.float32)


def whole(sent: NDArray[np.floating]) -> Floats:
    """What ``relative`` left, with the 0 of renting nothing: shape (..., actions)."""
    return np.concatenate([np.zeros((*sent.shape[:-1], 1)), sent], axis=-1)


def apart(sent: Letter, came: Letter) -> Floats:
    """How far two letters of equal length are apart: their largest difference, by the largest number in both.

    Returns: 0, the same, to 2, the opposite; shape (state,).
    Source: ours: how far apart two servers' copies of what all have to agree about still are.
    """
    ours, theirs = (letter.values.astype(np.float64) for letter in (sent, came))
    largest = np.abs(np.concatenate([ours, theirs], axis=1)).max(axis=1, initial=0.0)
    farthest = np.abs(ours - theirs).max(axis=1, initial=0.0)
    found: Floats = np.divide(farthest, largest, out=np.zeros(len(ours)), where=largest > 0.0)
    return found
