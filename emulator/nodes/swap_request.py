"""One swap, from the moment somebody asks for it: who comes to which edge server, and how far it is. No socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from bus.swap_messages import Swap, SwappedEdge, SwapState

Stage = Literal["starting", "warm-up", "ready", "taking over", "bound", "done", "failed", "rolled back"]
OVER: Final = ("done", "failed", "rolled back")
TAKEN: Final = ("taking over", "bound")


@dataclass(slots=True)
class Part:
    """One edge server of a swap.

    Attributes:
        edge: Its number.
        process: What the agent that comes is called by whoever started it.
        instance: Its lease; 0 before there is one.
        ready: Whether its warm-up is over.
        before: Who was bound when it took over and stands by since; 0: nobody (any more).
        epoch: That began when it took over.
        state: What became of the state of the one before; the rest of it as in ``SwappedEdge``.
    """

    edge: int
    process: str
    instance: int = 0
    ready: bool = False
    before: int = 0
    epoch: int = 0
    state: Literal["", "handed over", "cold start"] = ""
    state_reason: str = ""
    state_format: str = ""
    state_bytes: int = 0
    state_sha256: str = ""
    state_frame: int = -1
    state_s: float = 0.0

    def shown(self) -> SwappedEdge:
        """As tools see it."""
        return SwappedEdge(**{name: getattr(self, name) for name in SwappedEdge.__struct_fields__})


@dataclass(slots=True)
class Request:
    """A swap.

    Attributes:
        number: Of the swap in its run.
        asked: As it was asked for.
        asked_frame: When.
        parts: By edge server.
        frame: From which on those who came decide; -1: not yet.
        counted: Whether a slot with them was committed.
        title: What those who came call themselves, with their versions.
        at_once: Whoever was bound is gone, so ``at_frame`` is not waited for.
        failed: The stage it failed in.
        reason: Why it failed, or was rolled back.
        revert: Why those before shall be bound again at the next boundary; empty: they shall not.
        end: It is over; how.
    """

    number: int
    asked: Swap
    asked_frame: int
    parts: dict[int, Part]
    frame: int = -1
    counted: bool = False
    at_once: bool = False
    title: str = ""
    failed: str = ""
    reason: str = ""
    revert: str = ""
    missed: int = 0
    gap_frames: int = 0
    held_s: float = 0.0
    back_frame: int = -1
    end: Stage | None = None
    last_decided: dict[int, int] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        """How far it is."""
        if self.end is not None:
            return self.end
        if self.frame >= 0:
            return "bound" if self.counted else "taking over"
        if all(part.ready for part in self.parts.values()):
            return "ready"
        return "warm-up" if all(part.instance for part in self.parts.values()) else "starting"

    @property
    def name(self) -> str:
        """Who is meant to come, as it was asked for."""
        return self.asked.agent or ", ".join(self.asked.to)

    def part_of(self, instance: int) -> Part | None:
        """The part that an instance comes to."""
        return next((part for part in self.parts.values() if part.instance == instance != 0), None)

    def is_due(self, frame: int) -> bool:
        """Whether it may take over at a boundary."""
        return self.at_once or frame >= self.asked.at_frame

    def waits_at(self, frame: int) -> bool:
        """Whether time in lockstep waits at a boundary until it is ready."""
        return 0 <= self.asked.at_frame <= frame and self.stage in ("starting", "warm-up")

    def lacking(self) -> list[str]:
        """Who must still get ready, as sentences."""
        return [
            f"swap {self.number}: {part.process} ({'in its warm-up' if part.instance else 'not there yet'})"
            for part in self.parts.values()
            if not part.ready
        ]

    def state(self) -> SwapState:
        """As tools see it."""
        parts = tuple(part.shown() for part in self.parts.values())
        return SwapState(
            self.number, self.stage, self.asked.agent, parts, self.asked_frame, self.asked.at_frame, self.frame,
            self.failed, self.reason, self.missed, self.gap_frames, self.held_s, self.back_frame,
            self.asked.hold_frames,
        )  # fmt: skip


def facts_of(state: SwapState) -> dict[str, object]:
    """A swap as the run's books have it."""
    named = {name: getattr(state, name) for name in state.__struct_fields__}
    named["parts"] = [{name: getattr(part, name) for name in part.__struct_fields__} for part in state.parts]
    return named
