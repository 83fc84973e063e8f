"""Numbers that nodes count into, without knowing who reads them. A child is resolved once and then only added to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]


class Value:
    """A counter or a gauge: add to ``value`` or set it; nan while there is nothing to show."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Histogram:
    """Counts by bucket; ``counts`` has one more place than ``edges`` for what lies above the last edge."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = list(edges)
        self.counts = [0.0] * (len(self.edges) + 1)
        self.total = 0.0

    def observe(self, value: float, weight: float = 1.0) -> None:
        """Count a value; an edge belongs to the bucket below it."""
        self.counts[bisect_left(self.edges, value)] += weight
        self.total += value * weight


@dataclass(frozen=True, slots=True)
class Sample:
    """One child at the moment of a snapshot; value is a float, or (edges, counts, total) of a histogram."""

    name: str
    kind: str
    labels: Labels
    value: float | tuple[list[float], list[float], float]


class Measurements:
    """All children of a process by (name, labels)."""

    def __init__(self) -> None:
        self._children: dict[tuple[str, Labels], tuple[str, Value | Histogram]] = {}
        self._collectors: list[Callable[[], None]] = []

    def counter(self, name: str, **labels: str) -> Value:
        """The counter of that name and labels; ``value`` only grows."""
        return self._value("counter", name, labels)

    def gauge(self, name: str, **labels: str) -> Value:
        """The gauge of that name and labels."""
        return self._value("gauge", name, labels)

    def histogram(self, name: str, edges: Sequence[float], **labels: str) -> Histogram:
        """The histogram of that name and labels."""
        child = self._child("histogram", name, labels, lambda: Histogram(edges))
        assert isinstance(child, Histogram)  # noqa: S101 -- _child has checked the kind
        return child

    def before_snapshot(self, collector: Callable[[], None]) -> None:
        """Call this before each snapshot, so that numbers kept elsewhere need not be copied on the hot path."""
        self._collectors.append(collector)

    def snapshot(self) -> list[Sample]:
        """All children that have something to show, in the order in which they were made."""
        for collector in self._collectors:
            collector()
        samples = []
        for (name, labels), (kind, child) in self._children.items():
            value = child.value if isinstance(child, Value) else (child.edges, list(child.counts), child.total)
            if value != value:
                continue
            samples.append(Sample(name, kind, labels, value))
        return samples

    def _value(self, kind: str, name: str, labels: dict[str, str]) -> Value:
        child = self._child(kind, name, labels, Value)
        assert isinstance(child, Value)  # noqa: S101 -- _child has checked the kind
        return child

    def _child(
        self, kind: str, name: str, labels: dict[str, str], make: Callable[[], Value | Histogram]
    ) -> Value | Histogram:
        key = (name, tuple(sorted(labels.items())))
        if key not in self._children:
            self._children[key] = (kind, make())
        found, child = self._children[key]
        if found != kind:
            raise ValueError(f"{name} is a {found}, not a {kind}")
        return child
