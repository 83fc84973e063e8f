"""What a run's messages came to, from its messages.csv: by class, plane, phase and topic, and for each decision."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bus.errors import UnknownTopic
from bus.topics import DEPLOYMENT, ORCHESTRATION, RENTAL, SCHEDULING, match

OBSERVED: Final = "observed"
WORK: Final = ("data", "repair")
"""Classes that a decision is made of; control and clock are what a run takes, whatever it decides."""

DECIDING: Final = (DEPLOYMENT, RENTAL, ORCHESTRATION)
"""Phases of what agents decide, in either world."""

Row = dict[str, str]


def read(path: Path, slots: int, frames: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Messages and bytes of a run, as they stand in summary.json.

    What tools looked at stands in ``observed`` and in no other figure.

    Args:
        path: messages.csv; where it is missing, all is 0.
        slots, frames: How many were computed.
    """
    messages, sizes = _Sums(), _Sums()
    payload = header = 0
    work: dict[str, int] = defaultdict(int)
    for row in _rows(path):
        wire_bytes = int(row["wire_bytes"])
        messages.add(row, int(row["messages"]))
        sizes.add(row, wire_bytes)
        if row["class"] != OBSERVED:
            payload += int(row["payload_bytes"])
            header += int(row["header_bytes"])
        if row["class"] in WORK:
            work[row["phase"]] += wire_bytes
    total = sizes.total
    return (
        {"total": messages.total, **messages.document()},
        {
            "wire": total,
            "payload": payload,
            "header": header,
            **sizes.document(),
            "per_slot": _each(total, slots),
            "per_frame_decision": _each(sum(work[phase] for phase in DECIDING), frames),
            "per_slot_schedule": _each(work[SCHEDULING], slots),
        },
    )


class _Sums:
    """One amount, added up in every way that is asked for."""

    def __init__(self) -> None:
        self.total = 0
        self._observed = 0
        self._by: dict[str, dict[str, int]] = {name: defaultdict(int) for name in ("class", "plane", "phase", "topic")}

    def add(self, row: Row, amount: int) -> None:
        if row["class"] == OBSERVED:
            self._observed += amount
            return
        self.total += amount
        for name, sums in self._by.items():
            sums[_pattern(row["topic"]) if name == "topic" else row[name]] += amount

    def document(self) -> dict[str, Any]:
        sums = {f"by_{name}": dict(sorted(sums.items())) for name, sums in self._by.items()}
        return {**sums, "repair": self._by["class"].get("repair", 0), OBSERVED: self._observed}


def _rows(path: Path) -> Iterator[Row]:
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)


def _pattern(topic: str) -> str:
    """The row of the topic table; topics of one's own, and what is no topic, stand for themselves."""
    try:
        return match(topic).pattern
    except UnknownTopic:
        return topic


def _each(amount: int, count: int) -> float | None:
    return amount / count if count else None
