"""What a trial measures of a run and of its twin, and how figures of frames become figures of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Arm = Literal["baseline", "candidate"]
Guardrail = Literal["crash", "infeasible", "late"]

UNITS: Final = {"delay": "s", "reward": "", "message_bytes": "B", "memory": "B"}
"""Figures of a run, and what they are counted in."""

HIGHER_IS_BETTER: Final = frozenset({"reward"})


@dataclass(frozen=True)
class Incident:
    """A decision that was not there, or no good, or late.

    Attributes:
        guardrail: Which rule it breaks.
        edge: Whose decision it would have been.
        frame: Of the run.
        arm: Who failed.
        text: What happened.
        covered: Whether the other arm's decision of the same frame was taken, so that none was missed.
    """

    guardrail: Guardrail
    edge: int
    frame: int
    arm: Arm
    text: str
    covered: bool = False


@dataclass(frozen=True)
class FrameSeen:
    """One committed frame of a world; sums over slots by cell where there are cells.

    Attributes:
        frame: Which.
        completed: Tasks that were served, by cell of origin.
        cost_s: Their delays summed, by cell of origin, task-seconds.
        reward: Of the network: seconds of gain (offloading), or reward of a slot (rental).
        message_bytes: What agents wrote to each other and were shown of others' cells, payload; None if not counted.
        incidents: Decisions that failed.
        decision_s: What each decision took, by arm.
    """

    frame: int
    completed: tuple[float, ...]
    cost_s: tuple[float, ...]
    reward: float
    message_bytes: float | None = None
    incidents: tuple[Incident, ...] = ()
    decision_s: dict[Arm, list[float]] = field(default_factory=dict)

    @property
    def delay_s(self) -> float:
        """Mean delay over tasks; 0 without any."""
        return _per_task(sum(self.cost_s), sum(self.completed))


def _per_task(cost_s: float, completed: float) -> float:
    return cost_s / completed if completed else 0.0


def totals(frames: Sequence[FrameSeen], cells: Iterable[int] | None = None) -> dict[str, float]:
    """Figures of a run: delay over its tasks, seconds; reward and message bytes a frame.

    Args:
        frames: Its frames that count.
        cells: Of these cells' tasks only; then there is a delay alone, since the rest is the network's.
    """
    wanted = range(len(frames[0].completed)) if cells is None else list(cells)
    cost_s = sum(frame.cost_s[m] for frame in frames for m in wanted)
    completed = sum(frame.completed[m] for frame in frames for m in wanted)
    found = {"delay": _per_task(cost_s, completed)}
    if cells is not None:
        return found
    found["reward"] = sum(frame.reward for frame in frames) / len(frames)
    if frames[0].message_bytes is not None:
        found["message_bytes"] = sum(frame.message_bytes or 0.0 for frame in frames) / len(frames)
    return found


def harm(name: str, run: float, twin: float, allowed_share: float = 0.0) -> float:
    """By how much a figure is worse than the twin's, beyond what is allowed; in its own unit.

    Source: ours: an allowance is a share of the twin's figure of the same seed, so pairs stay pairs.
    """
    worse = twin - run if name in HIGHER_IS_BETTER else run - twin
    return worse - allowed_share * abs(twin)


def gain(name: str, run: float, twin: float) -> float:
    """By how much a figure is better than the twin's."""
    return -harm(name, run, twin)


def quantiles(seconds: Sequence[float]) -> dict[str, Any]:
    """How long decisions took: count, median, 95th percentile and longest, seconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {"count": 0, "p50": None, "p95": None, "max": None}
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": ordered[round(0.5 * last)],
        "p95": ordered[round(0.95 * last)],
        "max": ordered[-1],
    }
