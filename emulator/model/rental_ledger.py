"""The books of a rental run: edge servers, slots and totals, from what each edge server settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from emulator.model.ledger import Broken


class RentalEdgeRow(NamedTuple):
    """A line of edges.csv: one edge server in one slot."""

    slot: int
    edge: int
    units: int
    users_in_range: int
    users: int
    tasks: float
    compute_s: float
    delay_s: float
    reward: float
    bandwidth_mhz: float
    price: float
    remembered_s: float


class RentalRow(NamedTuple):
    """A line of slots.csv: all edge servers in one slot.

    cost: of the units; delay_s: per task at the edge; dropped: tasks that did not reach the edge server they went to.
    """

    slot: int
    hour: int
    reward: float
    units: int
    cost: float
    users: int
    tasks: float
    cloud: float
    delay_s: float
    dropped: float = 0.0


class EpisodeRow(NamedTuple):
    """A line of episodes.csv."""

    episode: int
    first_slot: int
    reward: float


def close_slot(
    slot: int, hour: int, edges: Sequence[RentalEdgeRow], cloud: float, sent: Mapping[int, float]
) -> RentalRow:
    """Close one slot; sums are taken in the order of the edge servers.

    Args:
        slot: Its number.
        hour: Of the day.
        edges: One row of each edge server that took part, in order; ``delay_s`` per task.
        cloud: Tasks that found no edge server.
        sent: Tasks that users sent to each edge server.
    Returns: The slot's line; what was sent to an edge server and did not arrive is dropped.
    Raises: Broken: an edge server served more than it was sent.
    Source: N2O section III.B.3 (the ASP's reward is the sum of the local ones).
    """
    reward = cost = tasks = wait_s = dropped = 0.0
    served = dict.fromkeys(sent, 0.0)
    for row in edges:
        reward += row.reward
        cost += row.units * row.price
        tasks += row.tasks
        wait_s += row.delay_s * row.tasks
        served[row.edge] = row.tasks
    for edge, count in served.items():
        missing = sent.get(edge, 0.0) - count
        # Written so that it also trips where something is not a number.
        if not missing >= 0.0:
            raise Broken(f"slot {slot}: edge server {edge} served {count!r} tasks, {-missing!r} more than it was sent")
        dropped += missing
    units, users = sum(row.units for row in edges), sum(row.users for row in edges)
    delay_s = wait_s / tasks if tasks else 0.0
    return RentalRow(slot, hour, reward, units, cost, users, tasks, cloud, delay_s, dropped)


@dataclass
class RentalTotals:
    """What a run came to so far.

    Attributes:
        episode_slots: Slots of an episode; 0 where there are none.
    """

    episode_slots: int
    slots: int = 0
    reward: float = 0.0
    units: int = 0
    cost: float = 0.0
    tasks: float = 0.0
    cloud: float = 0.0
    dropped: float = 0.0
    wait_s: float = 0.0
    episodes: list[float] = field(default_factory=list)
    _open: float = 0.0

    def add_slot(self, row: RentalRow) -> EpisodeRow | None:
        """Add one slot; returns the episode's line if it was its last one.

        Args:
            row: The slot's line.
        Source: N2O section II.C (problem P1 sums rewards over slots).
        """
        self.slots += 1
        self.reward += row.reward
        self.units += row.units
        self.cost += row.cost
        self.tasks += row.tasks
        self.cloud += row.cloud
        self.dropped += row.dropped
        self.wait_s += row.delay_s * row.tasks
        self._open += row.reward
        if not self.episode_slots or (row.slot + 1) % self.episode_slots:
            return None
        self.episodes.append(self._open)
        self._open = 0.0
        return EpisodeRow(len(self.episodes) - 1, row.slot + 1 - self.episode_slots, self.episodes[-1])

    @property
    def delay_s(self) -> float:
        """Mean delay of the tasks that edge servers served, seconds."""
        return self.wait_s / self.tasks if self.tasks else 0.0

    def by_target(self) -> dict[str, float]:
        """Tasks by where they ended.

        Source: ours: each task ends once.
        """
        return {"edge": self.tasks, "cloud": self.cloud, "dropped": self.dropped}

    def facts(self) -> dict[str, Any]:
        """The world's part of ``summary.json``.

        Source: ours: means a slot, and an episode where there are any, as the paper's figures show them.
        """
        slots = max(self.slots, 1)
        facts: dict[str, Any] = {
            "slots": self.slots,
            "frames": self.slots,
            "reward": {"mean": self.reward / slots, "total": self.reward},
            "delay_s": {"mean": self.delay_s},
            "tasks": self.by_target(),
            "units": {"mean": self.units / slots},
            "cost": {"mean": self.cost / slots, "total": self.cost},
        }
        if self.episodes:
            facts["episodes"] = {"count": len(self.episodes), "reward": sum(self.episodes) / len(self.episodes)}
        return facts
