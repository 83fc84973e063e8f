"""What a metric is, and the labels that metrics may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

LABELS: Final = frozenset(
    {
        "edge",
        "target",
        "service",
        "agent",
        "version",
        "role",
        "node",
        "topic",
        "plane",
        "link",
        "reason",
        "class",
        "phase",
        "receiver",
    }
)
"""The only labels there are; ``run`` and ``instance`` come from service discovery."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: ``edgerig_<noun>_<unit>``, and ``_total`` for counters.
        kind: As the measurement's.
        help: One sentence.
        reads: The measurement's name.
        labels: Those of the measurement's labels that are shown; a counter is summed over its others.
        where: Labels that the measurement must have for this metric to show it.
    """

    name: str
    kind: Kind
    help: str
    reads: str
    labels: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
