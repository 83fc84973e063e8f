"""What the agents remember: the last frames, for drawing batches of trajectories from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.offloading import Bools, Floats
from emulator.model.streams import Stream

Singles = NDArray[np.float32]


class Trajectory(NamedTuple):
    """One frame, or a batch of them, as the agents saw it.

    Attributes:
        seen: [S^t] tasks of the frame before, shape (agent, slot, service).
        deployed: [A^t] shape (agent, service).
        reward_s: [R^t] seconds.
        gains_s: What each service of each server saved, shape (agent, service), seconds; 0 where not deployed.
        seen_next: [S^t+1] tasks of the frame itself, shape (agent, slot, service).
    Source: TTOSC Algorithm 1, line 11; the gains are ours.
    """

    seen: Singles
    deployed: Bools
    reward_s: Singles
    gains_s: Singles
    seen_next: Singles


class Replay:
    """A ring of trajectories; every agent draws batches of its own from it."""

    def __init__(self, capacity: int, agents: list[int], slots: int, services: int, seed: int) -> None:
        """Make room.

        Args:
            capacity: [E] trajectories.
            agents: Edge servers of the agents.
            slots: K.
            services: J.
            seed: The training's seed; each agent draws by a stream of its own.
        """
        frame, each = (capacity, len(agents), slots, services), (capacity, len(agents), services)
        self._kept = Trajectory(
            np.zeros(frame, dtype=np.float32),
            np.zeros(each, dtype=np.bool_),
            np.zeros(capacity, dtype=np.float32),
            np.zeros(each, dtype=np.float32),
            np.zeros(frame, dtype=np.float32),
        )
        self._capacity = capacity
        self._added = 0
        self._agents = agents
        self._seed = seed

    def __len__(self) -> int:
        return min(self._added, self._capacity)

    def add(self, seen: Floats, deployed: Bools, reward_s: float, gains_s: Floats, seen_next: Floats) -> None:
        """Keep a frame; the oldest goes where there is no room."""
        at = self._added % self._capacity
        kept = self._kept
        kept.seen[at], kept.seen_next[at] = seen, seen_next
        kept.deployed[at], kept.reward_s[at], kept.gains_s[at] = deployed, reward_s, gains_s
        self._added += 1

    def drawn(self, frame: int, batch: int) -> Trajectory:
        """A batch for each agent, with replacement, by the frame's own random numbers.

        Returns: Arrays of shape (agent, batch, ...).
        Source: TTOSC Algorithm 1, line 12.
        """
        rows = []
        for agent in self._agents:
            uniforms = Stream(self._seed, f"/agent/{agent}", "replay", draws=batch).uniforms(frame)[0]
            rows.append((uniforms * len(self)).astype(np.int64))
        at = np.stack(rows)
        own = np.arange(len(self._agents))[:, None]
        kept = self._kept
        return Trajectory(
            kept.seen[at, own],
            kept.deployed[at, own],
            kept.reward_s[at],
            kept.gains_s[at, own],
            kept.seen_next[at, own],
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything it holds, for a checkpoint."""
        kept = {f"replay.{name}": part[: len(self)] for name, part in self._kept._asdict().items()}
        return {**kept, "replay.added": np.array(self._added)}

    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        """Take back what ``arrays`` gave."""
        self._added = int(arrays["replay.added"])
        for name, part in self._kept._asdict().items():
            part[: len(self)] = arrays[f"replay.{name}"]
