"""One agent that left with a word: since when nobody decides for its edge server, and how long time stood for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bus.slots import Now


@dataclass(slots=True)
class Departure:
    """What is known of it.

    Attributes:
        edge: The edge server that it decided for.
        process: Who left.
        reason: With which word.
        slot: The one that was being computed then.
        waits: Whether somebody is still to be waited for.
        held_from_s: Since when time stands for it; None: it does not.
        held_s: How long time stood for it in all, wall seconds.
        first_frame, last_frame: Between which the frames without a decision are; -1: there was none.
        missed: Frames whose first slot was committed without a valid decision made for them.
    """

    edge: int
    process: str
    reason: str
    slot: int
    waits: bool = False
    held_from_s: float | None = None
    held_s: float = 0.0
    first_frame: int = -1
    last_frame: int = -1
    missed: int = 0

    @property
    def name(self) -> str:
        """Of the agent that is missing."""
        return f"/agent/{self.edge}"

    @property
    def shows(self) -> bool:
        """Whether there is anything to tell: a frame without a decision, or time that stood."""
        return bool(self.missed or self.held_s)

    def commit(self, now: Now, refused: str | None, bound: bool) -> bool:
        """A frame's first slot counts; returns whether the gap is over.

        Args:
            now: The slot, with who took part in it.
            refused: Why the edge server refused its decision; empty: it did not; None: nobody knows.
            bound: Whether somebody decides for the edge server now.
        """
        if self.name in now.members and refused == "":
            return bound  # who left may have decided before, in the very slot
        self.missed += 1
        self.first_frame = now.frame if self.first_frame < 0 else self.first_frame
        self.last_frame = now.frame
        return False

    def begin_again(self) -> None:
        """Time begins again at frame 0; whoever is missing is still missing."""
        self.slot, self.first_frame, self.last_frame, self.missed, self.held_s = 0, -1, -1, 0, 0.0

    def facts(self) -> dict[str, Any]:
        """As the run's books have it."""
        return {
            "edge": self.edge,
            "left": self.process,
            "reason": self.reason,
            "slot": self.slot,
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "missed": self.missed,
            "held_s": round(self.held_s, 3),
        }

    def sentence(self) -> str:
        """The same for people."""
        frames = f"frames {self.first_frame} to {self.last_frame}" if self.missed else "no frame"
        held = f"; time stood {self.held_s:.1f} s for it" if self.held_s else ""
        return f"{self.name}: {self.process} left; {frames} without a decision, missed {self.missed}{held}"
