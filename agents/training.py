"""What trainings on the offloading world share: worlds that can be resumed, and a word now and then on their pace."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agents.errors import AgentError
from emulator.scenario import Scenario

SAVE_FRAMES: Final = 50
TELL_S: Final = 2.0
COUNTED_FRAMES: Final = 200
"""Frames at the end by which trainings are compared."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is: frames done, of how many, mean delay of late, seconds left."""

    frame: int
    frames: int
    delay_s: float
    left_s: float


class Pace:
    """Tells how far a training is, every two seconds."""

    def __init__(self, first: int, end: int, tell: Callable[[Progress], None]) -> None:
        self._first, self._end, self._tell = first, end, tell
        self._started_s = self._told_s = time.monotonic()

    def after(self, done: int, delay_s: Callable[[], float]) -> None:
        """So many frames are done; ``delay_s`` is asked for the mean delay of late if it is time to tell."""
        now_s = time.monotonic()
        if now_s - self._told_s < TELL_S:
            return
        self._told_s = now_s
        left_s = (now_s - self._started_s) / (done - self._first) * (self._end - done)
        self._tell(Progress(done, self._end, delay_s(), left_s))


def refuse_untrainable(scenario: Scenario) -> None:
    """Refuse another world, and worlds whose state is more than their slot: they could not be resumed.

    Raises: AgentError: it is such a world.
    """
    if scenario.world != "offloading":
        what = f"is of the {scenario.world} world; TTOSC's agents and schedulers learn in the offloading world"
        raise AgentError(f"{scenario.name}: {what}")
    if scenario.tasks == "queued" or scenario.link or scenario.agent.lost:
        what = "tasks = 'queued'" if scenario.tasks == "queued" else "emulated links" if scenario.link else "agent.lost"
        raise AgentError(f"{scenario.name}: training does not know {what}; train without, and run the export with it")
