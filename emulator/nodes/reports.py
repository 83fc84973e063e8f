"""What every process reports to the hub at a run's end, and the closed books that a recorder compares itself with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from bus.accounting import REPORT, link_report, of_report
from bus.messages import Books, LinkReport, LinkTraffic, Message, Published, Query, Stopped
from bus.process import Process
from bus.registry import Registry
from bus.wiring import RECORDER

RECORDER_S: Final = 60.0
"""For a recorder that is behind: what it has not written yet is lost when everyone goes."""


class Reports:
    """The hub's side; ``next_slot`` is what a reporter is answered."""

    def __init__(self, process: Process, registry: Registry, next_slot: Callable[[], int]) -> None:
        self._process = process
        self._registry = registry
        self._next_slot = next_slot
        self._reports: dict[str, LinkReport] = {}
        self._books = Books(closed=False)
        self._before: dict[int, dict[str, float]] = {}
        registry.serve(REPORT, LinkReport, self._on_report)
        registry.serve("books", Query, lambda _: self._books)

    def _on_report(self, report: LinkReport) -> Message:
        handing_in = of_report(report, self._process.sockets.framing)
        self._reports[report.process] = msgspec.structs.replace(report, links=(*report.links, *handing_in))
        return Stopped(self._next_slot())

    def begin_again(self, counters: dict[int, dict[str, float]]) -> None:
        """A new episode begins: what processes had counted by then, by instance, is not its."""
        self._before = counters

    def gather(self, expected: set[str], deadline_s: float, digest: str) -> None:
        """Wait for the reports of those processes, close the books, and let a recorder come to its end."""
        self._process.spin(lambda: self._reports.keys() >= expected, deadline_s)
        reports = (*self._reports.values(), link_report(self._process))
        self._books = Books(True, digest, tuple(Published(report.instance, report.published) for report in reports))
        if self._registry.holder(RECORDER) is not None:
            self._process.spin(lambda: self._registry.holder(RECORDER) is None, RECORDER_S)
        self._reports[self._process.name] = link_report(self._process)

    def links(self) -> list[LinkTraffic]:
        """What was sent to whom, by process."""
        return [link for _, report in sorted(self._reports.items()) for link in report.links]

    def counters(self) -> dict[str, float]:
        """Counters of the episode by name, summed over processes."""
        totals: dict[str, float] = {}
        for report in self._reports.values():
            before = self._before.get(report.instance, {})
            for name, value in report.counters.items():
                totals[name] = totals.get(name, 0.0) + value - before.get(name, 0.0)
        return totals
