"""What an edge server tells of its cell's tasks, by service, and of its work: kept by slot, shown when asked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from bus.messages import Outcome
from bus.node import Node
from emulator.model.offloading import Bools

SHOWN: Final = 9
"""Deployed services that have metrics at a time, those of lowest index; a node has fewer than 100 series."""


class EdgeMeasured:
    """Counts of one edge server; only slots that count are in them.

    A slot costs a few sums of arrays; what has a name and labels is made of them when metrics are read.
    """

    def __init__(self, node: Node, edge: int, services: int) -> None:
        """Count for an edge server of a world with so many services."""
        measured = node.process.measurements
        label = str(edge)
        self._tasks = [measured.counter("service_tasks", edge=label, service=str(j)) for j in range(services)]
        self._delay = [measured.counter("service_delay_seconds", edge=label, service=str(j)) for j in range(services)]
        self._completed = measured.counter("completed_tasks", edge=label)
        self._completed_s = measured.counter("completed_delay_seconds", edge=label)
        self._executed = {by: measured.counter("executed_tasks", edge=label, target=by) for by in ("own", "peers")}
        self._done = self._cost_s = np.zeros(services)
        self._in_force = np.zeros(services, dtype=np.bool_)
        self._own = self._peers = 0.0
        self._came = 0.0
        self._outcome: Outcome | None = None
        measured.before_snapshot(self._show)

    def begin(self) -> None:
        """A slot is computed, perhaps again."""
        self._outcome, self._came = None, 0.0

    def came(self, offloads: Iterable[tuple[Any, Any]]) -> None:
        """Others sent tasks: (origin, ``Offload``)."""
        self._came = sum(float(message.tasks.numpy().sum()) for _, message in offloads)

    def ended(self, outcome: Outcome) -> None:
        """How the own cell's tasks ended."""
        self._outcome = outcome

    def commit(self, deployed: Bools) -> None:
        """The slot computed last counts; deployed in it were these, shape (service,)."""
        self._in_force = deployed
        outcome = self._outcome
        if outcome is None:
            return
        local = outcome.local.numpy()
        # Replaced, not changed: whoever reads metrics meanwhile sees the slot before or after.
        self._done = self._done + local + outcome.peer.numpy() + outcome.cloud.numpy()
        self._cost_s = self._cost_s + outcome.cost_s.numpy()
        self._own += float(local.sum())
        self._peers += self._came
        self._outcome = None

    def _show(self) -> None:
        shown = set(np.flatnonzero(self._in_force)[:SHOWN].tolist())
        for values, amounts in ((self._tasks, self._done), (self._delay, self._cost_s)):
            for j, amount in enumerate(amounts.tolist()):
                values[j].value = amount if j in shown else math.nan
        self._completed.value, self._completed_s.value = float(self._done.sum()), float(self._cost_s.sum())
        self._executed["own"].value, self._executed["peers"].value = self._own, self._peers
