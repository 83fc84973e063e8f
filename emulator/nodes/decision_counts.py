"""What an edge server counts about its agent's decisions, whatever they decide; a slot counts once it is committed."""

from __future__ import annotations

from bus.node import Node

REFUSALS = ("late", "link", "malformed", "infeasible", "stale")
"""Why a decision may be refused: late, not through an emulated link, and three ways of being no good."""

MISSED = "missed"
"""Nobody decided."""

DECISION_S = (0.001, 0.005, 0.01, 0.05, 0.1, 1.0, 5.0)
"""Upper edges of the buckets of the metric, seconds."""


class DecisionCounts:
    """Decisions refused and missed, how long they took, and how old the one in force is."""

    def __init__(self, node: Node, edge: int) -> None:
        count = node.process.measurements.counter
        self._ends = {r: count("decisions_refused", reason=r) for r in REFUSALS} | {MISSED: count("decisions_missed")}
        self._took = node.process.measurements.histogram("decision_seconds", DECISION_S, edge=str(edge))
        self._age = node.process.measurements.gauge("decision_age_slots", edge=str(edge))
        self._end, self._is_new = "", False

    def begin_again(self) -> None:
        """Nothing is decided yet; counts go on."""
        self._age.value = 0.0
        self.ends("")

    def took(self, seconds: float) -> None:
        """A decision came, after so many seconds."""
        self._took.observe(seconds)

    def ends(self, end: str) -> None:
        """How deciding ends in the slot being computed: ``MISSED``, one of ``REFUSALS``, or empty: it went well."""
        self._end, self._is_new = end, False

    def accepted(self) -> None:
        """A decision comes into force in the slot being computed."""
        self._is_new = True

    def commit(self) -> None:
        """The slot computed last counts."""
        if self._end:
            self._ends[self._end].value += 1.0
        self._age.value = 0.0 if self._is_new else self._age.value + 1.0
        self._end, self._is_new = "", False
