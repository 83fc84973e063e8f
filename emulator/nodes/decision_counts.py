"""What an edge server counts about its agent's decisions, whatever they decide; a slot counts once it is committed."""

from __future__ import annotations

from bus.node import Node

REFUSALS = ("late", "link", "malformed", "infeasible", "stale")
"""Why a decision may be refused: late, not through an emulated link, and three ways of being no good."""

MISSED = "missed"
"""Nobody decided."""

DECISION_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
"""Upper edges of the buckets of the metric, seconds."""


class DecisionCounts:
    """Decisions refused and missed, and how long they took."""

    def __init__(self, node: Node, edge: int) -> None:
        count = node.process.measurements.counter
        self._ends = {r: count("decisions_refused", reason=r) for r in REFUSALS} | {MISSED: count("decisions_missed")}
        self._took = node.process.measurements.histogram("decision_seconds", DECISION_S, edge=str(edge))
        self._end = ""

    def took(self, seconds: float) -> None:
        """A decision came, after so many seconds."""
        self._took.observe(seconds)

    def ends(self, end: str) -> None:
        """How deciding ends in the slot being computed: ``MISSED``, one of ``REFUSALS``, or empty: it went well."""
        self._end = end

    def commit(self) -> None:
        """The slot computed last counts."""
        if self._end:
            self._ends[self._end].value += 1.0
        self._end = ""
