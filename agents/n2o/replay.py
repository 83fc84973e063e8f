"""What the agents remember: the last steps of all copies of the world, for drawing batches of slots from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.checkpoint import Arrays
from agents.n2o.layout import FIELDS, Singles
from agents.n2o.tables import Ints
from emulator.model.offloading import Bools
from emulator.model.streams import Stream


class Slots(NamedTuple):
    """Slots of one step, or a batch of them.

    Attributes:
        seen: [o_n] scaled observations, shape (slot, agent, field).
        rented: [a_n] what every agent whose rental is known rented, shape (slot, known).
        reward: [r_n] each agent's own, shape (slot, agent).
        seen_next: Scaled observations one slot later, shape (slot, agent, field).
        ended: Whether the episode ended, so that the next observation belongs to another one, shape (slot,).
    Source: N2O section III.B (experiences).
    """

    seen: Singles
    rented: Ints
    reward: Singles
    seen_next: Singles
    ended: Bools


class Replay:
    """A ring of steps."""

    def __init__(
        self,
        capacity_steps: int,
        copies: int,
        agents: int,
        seed: int,
        *,
        known: int | None = None,
        learner: str = "/learner",
    ) -> None:
        """Make room.

        Args:
            capacity_steps: Steps.
            copies: Copies of the world, each of which adds a slot a step.
            agents: [N].
            seed: Draws the batches.
            known: Edge servers whose rentals are known; None: those of the agents.
            learner: Whose draws the batches are.
        """
        slots = capacity_steps * copies
        self._kept = Slots(
            np.zeros((slots, agents, FIELDS), dtype=np.float32),
            np.zeros((slots, agents if known is None else known), dtype=np.int64),
            np.zeros((slots, agents), dtype=np.float32),
            np.zeros((slots, agents, FIELDS), dtype=np.float32),
            np.zeros(slots, dtype=np.bool_),
        )
        self._copies = copies
        self._added = 0
        self._seed, self._learner = seed, learner

    def __len__(self) -> int:
        return min(self._added, len(self._kept.ended))

    def add(self, slots: Slots) -> None:
        """Keep a step, copied; the oldest goes where there is no room."""
        at = self._added % len(self._kept.ended)
        for name, kept in self._parts():
            kept[at : at + self._copies] = getattr(slots, name)
        self._added += self._copies

    def drawn(self, step: int, batch: int) -> Slots:
        """A batch, with replacement, by the step's own random numbers; the same slots for all agents.

        Source: N2O section III.B and Appendix A: each agent draws its own there, which is the same law.
        """
        uniforms = Stream(self._seed, self._learner, "replay", draws=batch).uniforms(step)[0]
        at = (uniforms * len(self)).astype(np.int64)
        return Slots(*(part[at] for part in self._kept))

    def arrays(self) -> Arrays:
        """Everything it holds, for a checkpoint."""
        kept = {f"replay.{name}": part[: len(self)] for name, part in self._parts()}
        return {**kept, "replay.added": np.array(self._added)}

    def restore(self, arrays: Arrays) -> None:
        """Take back what ``arrays`` gave."""
        self._added = int(arrays["replay.added"])
        for name, part in self._parts():
            part[: len(self)] = arrays[f"replay.{name}"]

    def _parts(self) -> list[tuple[str, NDArray[Any]]]:
        return list(self._kept._asdict().items())
