"""What the learned scheduler remembers: problems, the shares that were tried and the delays that came of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.checkpoint import Arrays
from agents.ddpg.features import Instances, Singles
from emulator.model.streams import Stream


class Tried(NamedTuple):
    """Problems with what was done and what came of it.

    Attributes:
        instances: The problems.
        shares: [p_mn] shape (instance, edge from, target).
        delay_s: Mean delay of the service's tasks, shape (instance,), seconds per task: minus the reward.
    """

    instances: Instances
    shares: NDArray[np.floating]
    delay_s: NDArray[np.floating]


class Replay:
    """A ring of problems."""

    def __init__(self, capacity: int, edges: int, seed: int) -> None:
        """Make room.

        Args:
            capacity: Problems that are kept.
            edges: M.
            seed: The training's seed.
        """

        def room(*shape: int) -> Singles:
            return np.zeros((capacity, *shape), dtype=np.float32)

        hosts = np.zeros((capacity, edges), dtype=np.bool_)
        instances = Instances(room(edges), hosts, room(edges), room(edges, edges), room(edges))
        self._kept = Tried(instances, room(edges, edges + 1), room())
        self._capacity = capacity
        self._added = 0
        self._seed = seed

    def __len__(self) -> int:
        return min(self._added, self._capacity)

    def add(self, tried: Tried) -> None:
        """Keep some problems; the oldest go where there is no room."""
        at = (self._added + np.arange(len(tried.delay_s))) % self._capacity
        for kept, new in zip(_columns(self._kept), _columns(tried), strict=True):
            kept[at] = new
        self._added += len(at)

    def drawn(self, step: int, batch: int) -> Tried:
        """A batch, with replacement, by the step's own random numbers."""
        uniforms = Stream(self._seed, "/scheduler", "replay", draws=batch).uniforms(step)[0]
        at = (uniforms * len(self)).astype(np.int64)
        columns = [kept[at] for kept in _columns(self._kept)]
        return Tried(Instances(*columns[:5]), columns[5], columns[6])

    def arrays(self) -> Arrays:
        """Everything it holds, for a checkpoint."""
        found: Arrays = {f"replay.{k}": column[: len(self)] for k, column in enumerate(_columns(self._kept))}
        return {**found, "replay.added": np.array(self._added)}

    def restore(self, arrays: Arrays) -> None:
        """Take back what ``arrays`` gave."""
        self._added = int(arrays["replay.added"])
        for k, column in enumerate(_columns(self._kept)):
            column[: len(self)] = arrays[f"replay.{k}"]


def _columns(tried: Tried) -> list[NDArray[np.generic]]:
    return [*tried.instances, tried.shares, tried.delay_s]
