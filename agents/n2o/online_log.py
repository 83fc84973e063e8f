"""What agents that learn on the bus write down about it, slot by slot, and the curve of a run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from agents.checkpoint import CURVE
from agents.curve import Axes, draw_curve
from emulator.folder import state_of

LEARNED: Final = "learning.csv"
WINDOW: Final = 144
"""Slots of the smoothed curve: a day of ten-minute slots."""


class OnlineRow(NamedTuple):
    """One slot that an agent learned from: its reward, the odds of a random rental, and the loss of the step."""

    slot: int
    reward: float
    epsilon: float
    loss: float


class RunRow(NamedTuple):
    """One slot of a run: all agents' reward, and means over those that learned from it."""

    slot: int
    reward: float
    epsilon: float
    loss: float
    agents: int


class OnlineLog:
    """Lines that are appended when what was learned is kept, so that a line tells of a state that is there."""

    def __init__(self, path: Path | None) -> None:
        """Begin anew at a file, when first written; None: nowhere."""
        self._path = path
        self._rows: list[OnlineRow] = []
        self._begun = False

    def go_on(self) -> None:
        """Keep the lines that a process before this one wrote."""
        self._begun = self._path is not None and self._path.exists()

    def add(self, row: OnlineRow) -> None:
        """Note a slot."""
        if self._path is not None:
            self._rows.append(row)

    def write(self) -> None:
        """Append what was noted.

        Raises: OSError: the disk does not take it.
        """
        if self._path is None:
            return
        with self._path.open("a" if self._begun else "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            if not self._begun:
                lines.writerow(OnlineRow._fields)
            lines.writerows([repr(value) for value in row] for row in self._rows)
        self._begun, self._rows = True, []


def read_log(path: Path) -> list[OnlineRow]:
    """The lines of one agent; a line that a kill cut short is left out."""
    found = []
    with path.open(newline="", encoding="utf-8") as file:
        for line in list(csv.reader(file))[1:]:
            if len(line) == len(OnlineRow._fields):
                slot, *others = line
                found.append(OnlineRow(int(slot), *map(float, others)))
    return found


def write_curve(run: Path, edges: int) -> list[RunRow]:
    """Put the agents' lines of a run together: ``learning.csv`` and, with matplotlib, ``learning.png``.

    Returns: A row for each slot that any agent learned from; empty where none did, and then there are no files.
    """
    by_slot: dict[int, list[OnlineRow]] = {}
    for edge in range(edges):
        path = state_of(run, edge) / LEARNED
        for row in read_log(path) if path.exists() else []:
            by_slot.setdefault(row.slot, []).append(row)
    rows = [_mean(slot, those) for slot, those in sorted(by_slot.items())]
    if not rows:
        return []
    with (run / LEARNED).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(RunRow._fields)
        lines.writerows([repr(value) for value in row] for row in rows)
    title = "agents that learn while they act"
    axes = Axes(title, "slot", "reward of a slot, exploration included", WINDOW, from_zero=False)
    draw_curve(run / CURVE, np.array([row.reward for row in rows]), {}, axes)
    return rows


def learning_facts(rows: list[RunRow]) -> dict[str, Any] | None:
    """What a summary says of a curve; None where nobody learned."""
    if not rows:
        return None
    first, last = rows[:WINDOW], rows[-WINDOW:]
    return {
        "slots": len(rows),
        "epsilon": rows[-1].epsilon,
        "loss": float(np.mean([row.loss for row in last])),
        "window_slots": len(first),
        "reward_first": float(np.mean([row.reward for row in first])),
        "reward_last": float(np.mean([row.reward for row in last])),
    }


def _mean(slot: int, rows: list[OnlineRow]) -> RunRow:
    def mean(name: str) -> float:
        return float(np.mean([getattr(row, name) for row in rows]))

    return RunRow(slot, sum(row.reward for row in rows), mean("epsilon"), mean("loss"), len(rows))
