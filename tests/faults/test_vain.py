"""What attempts took that were given up: every message of them counts as repair, and nothing else does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from thread_run import TICK, Kill, ThreadRun, small

from bus.messages import LinkTraffic

CLASSES = ("data", "clock", "repair")


def published(run: ThreadRun, process: str) -> tuple[Counter[str], Counter[str]]:
    """Publications of a process by topic: in attempts that were committed, and in those given up."""
    counted: Counter[str] = Counter()
    in_vain: Counter[str] = Counter()
    for sent in run.sent:
        if sent.process == process:
            last = sent.attempt == run.attempts(sent.slot) - 1
            (counted if last else in_vain)[sent.topic] += 1
    return counted, in_vain


def by_topic(rows: list[LinkTraffic], kinds: tuple[str, ...]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        if row.kind in kinds:
            found[row.topic] += row.messages
    return found


@pytest.mark.parametrize(
    ("victim", "topic"),
    [
        ("cloud", "/scheduler/schedule"),  # everyone had sent what the schedule is made of
        ("edge-1", "/edge/1/outcome"),
        ("agent-1", "/agent/1/deployment"),
        ("cell-0", TICK),
    ],
)
def test_an_attempt_that_was_given_up_counts_as_repair(tmp_path: Path, victim: str, topic: str) -> None:
    scenario = small(frames=8, seed=20, demand={"workload": "drift"})
    run = ThreadRun(scenario, tmp_path / "run", [Kill(victim, 4, topic, restart=False)])
    assert run.play() == 0
    assert sum(run.attempts(slot) - 1 for slot in range(scenario.slots)) == 1
    found = 0
    for name, report in run.reports.items():
        if name == "hub":
            continue  # rosters and ticks belong to no attempt
        counted, in_vain = published(run, name)
        for listener in {row.subscriber for row in report.links} - {victim, "", "/hub"}:
            rows = [row for row in report.links if row.subscriber == listener and not row.topic.startswith("call:")]
            repaired = by_topic(rows, ("repair",))
            for subject, messages in by_topic(rows, CLASSES).items():
                # Edge servers listen to more topics once nobody schedules; those are told less than was published.
                if messages == counted[subject] + in_vain[subject]:
                    assert repaired[subject] == in_vain[subject], (name, subject, listener)
                    found += in_vain[subject]
        assert all(row.wire_bytes >= 0 and row.payload_bytes >= 0 for row in report.links)
    assert found > 0, "nobody had sent anything yet when it died; choose another stage"
