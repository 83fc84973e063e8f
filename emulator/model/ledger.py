"""The books of a run: slots, frames and totals, from how the tasks of every cell ended.

The same functions on arrays of the same shape serve the ledger node and the in-process world.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.offloading import Floats, frame_reward, grand_total, slot_delay, slot_gain
from emulator.model.serving import Ends

TOLERANCE = 1e-9
"""Relative gap that is allowed between tasks that arrived and tasks that ended."""


class SlotRow(NamedTuple):
    """One line of slots.csv: tasks, and seconds per task."""

    slot: int
    frame: int
    tasks: float
    delay_s: float
    all_cloud_delay_s: float
    gain_s: float
    local: float
    peer: float
    cloud: float
    dropped: float
    in_flight: float


class FrameRow(NamedTuple):
    """One line of frames.csv: reward in seconds, delays in seconds per task, services deployed over all servers."""

    frame: int
    reward_s: float
    delay_s: float
    all_cloud_delay_s: float
    tasks: float
    deployed: int
    refused: int


class Sums(NamedTuple):
    """A slot's ``Ends`` summed over cells and services: tasks, task-seconds."""

    arrived: float
    local: float
    peer: float
    cloud: float
    dropped: float
    cost_s: float
    all_cloud_s: float


class Broken(ValueError):
    """Tasks were lost or ended twice."""


def sums_of(ends: Ends) -> Sums:
    """Sum how the tasks of a slot ended.

    Args:
        ends: Arrays of shape (edge, service).
    Source: TTOSC eq. (7), (8), numerators and denominators.
    """
    return Sums(*(grand_total(part) for part in ends[: len(Sums._fields)]))


def settle(
    slot: int, frame: int, ends: Ends, in_flight: float = 0.0, before: float = 0.0, *, sums: Sums | None = None
) -> SlotRow:
    """Close one slot.

    Args:
        slot: Its number.
        frame: Its frame.
        ends: How tasks ended, arrays of shape (edge, service).
        in_flight: Tasks that are still being worked on at the slot's end (queued tasks only).
        before: The same of the slot before.
        sums: ``sums_of(ends)`` where the caller has them already.
    Returns: The slot's row.
    Raises: Broken: arrived tasks did not end exactly once.
    Source: TTOSC eq. (8) and the gain of Algorithm 1, line 8.
    """
    arrived, local, peer, cloud, dropped, cost_s, all_cloud_s = sums or sums_of(ends)
    completed = local + peer + cloud
    ended = completed + dropped
    # Written so that it also trips where something is not a number.
    if not abs(before + arrived - ended - in_flight) <= TOLERANCE * max(1.0, arrived + before):
        raise Broken(
            f"slot {slot}: {before + arrived!r} tasks to serve, but {ended!r} ended and {in_flight!r} are in flight"
        )
    delay_s = slot_delay(completed, cost_s)
    all_cloud_delay_s = slot_delay(completed, all_cloud_s)
    gain_s = slot_gain(all_cloud_delay_s, delay_s)
    return SlotRow(slot, frame, arrived, delay_s, all_cloud_delay_s, gain_s, local, peer, cloud, dropped, in_flight)


def close_frame(rows: list[SlotRow], deployed: int, refused: int) -> FrameRow:
    """Close one frame.

    Args:
        rows: Its slots, in order.
        deployed: Services deployed, summed over edge servers.
        refused: Decisions refused in the frame.
    Returns: The frame's row; its delays are means over completed tasks.
    Source: TTOSC Algorithm 1, line 9.
    """
    tasks = sum(row.tasks for row in rows)
    completed = [row.local + row.peer + row.cloud for row in rows]
    delay_s = slot_delay(sum(completed), sum(row.delay_s * n for row, n in zip(rows, completed, strict=True)))
    all_cloud_s = slot_delay(
        sum(completed), sum(row.all_cloud_delay_s * n for row, n in zip(rows, completed, strict=True))
    )
    reward_s = frame_reward([row.gain_s for row in rows])
    return FrameRow(rows[0].frame, reward_s, delay_s, all_cloud_s, tasks, deployed, refused)


@dataclass
class Totals:
    """What a run adds up to."""

    edges_s: Floats
    slots: int = 0
    frames: int = 0
    tasks: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("local", "peer", "cloud", "dropped"), 0.0))
    reasons: dict[str, float] = field(default_factory=dict)
    cost_s: float = 0.0
    all_cloud_s: float = 0.0
    reward_s: float = 0.0
    in_flight: float = 0.0
    histogram: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.histogram = np.zeros(len(self.edges_s) + 1)

    def add_slot(self, row: SlotRow, ends: Ends, *, sums: Sums | None = None) -> None:
        """Add one slot.

        Args:
            row: What ``settle`` made of it.
            ends: How its tasks ended, arrays of shape (edge, service).
            sums: ``sums_of(ends)`` where the caller has them already.
        Source: TTOSC eq. (9), weighted by tasks: total cost over total tasks.
        """
        self.slots += 1
        self.tasks["local"] += row.local
        self.tasks["peer"] += row.peer
        self.tasks["cloud"] += row.cloud
        self.tasks["dropped"] += row.dropped
        sums = sums or sums_of(ends)
        self.cost_s += sums.cost_s
        self.all_cloud_s += sums.all_cloud_s
        self.histogram += ends.histogram.sum(axis=0)
        self.in_flight = row.in_flight

    def add_frame(self, row: FrameRow) -> None:
        """Add one frame.

        Args:
            row: What ``close_frame`` made of it.
        Source: TTOSC Algorithm 1, line 9.
        """
        self.frames += 1
        self.reward_s += row.reward_s

    @property
    def completed(self) -> float:
        """Tasks that were served."""
        return self.tasks["local"] + self.tasks["peer"] + self.tasks["cloud"]

    def quantile_s(self, share: float) -> float:
        """Delay that a share of the tasks stays below.

        Args:
            share: Between 0 and 1.
        Returns: Seconds, interpolated within its bucket; 0 without tasks; the last edge where it lies beyond.
        Source: ours: the paper reports means only.
        """
        total = float(self.histogram.sum())
        if total <= 0.0:
            return 0.0
        cumulative = np.cumsum(self.histogram)
        bucket = int(np.searchsorted(cumulative, share * total))
        if bucket >= len(self.edges_s):
            return float(self.edges_s[-1])
        low = float(self.edges_s[bucket - 1]) if bucket else 0.0
        below = float(cumulative[bucket - 1]) if bucket else 0.0
        within = (share * total - below) / float(self.histogram[bucket])
        return low + within * (float(self.edges_s[bucket]) - low)

    def facts(self) -> dict[str, object]:
        """The world's part of ``summary.json``.

        Returns: Counts, delays in seconds per completed task, rewards in seconds.
        Source: TTOSC eq. (9), over completed tasks.
        """
        completed = max(self.completed, 1e-300)
        mean = self.cost_s / completed if self.completed else 0.0
        return {
            "slots": self.slots,
            "frames": self.frames,
            "delay_s": {"mean": mean, "p50": self.quantile_s(0.5), "p95": self.quantile_s(0.95)},
            "all_cloud_delay_s": self.all_cloud_s / completed if self.completed else 0.0,
            "reward": {"mean": self.reward_s / max(self.frames, 1), "total": self.reward_s},
            "tasks": {**self.tasks, "in_flight": self.in_flight},
            "dropped_by_reason": dict(self.reasons),
        }
