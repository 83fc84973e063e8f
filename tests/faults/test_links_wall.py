"""Bad links on the wall clock: what is withheld or late is counted, each task is in the books once. One thread."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_late import check_tasks, play, scenario

from emulator.scenario import Link

pytestmark = pytest.mark.processes

LINKS = {
    "lossy": (Link(source="*", target="*", loss=0.15),),
    "slow": (Link(source="*", target="*", latency_s=20.0, jitter_s=10.0),),
    "cut": (Link(source="edge/1", target="*", both=True, cut=((2, 5),)),),
}


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("tasks", ["expected", "queued"])
def test_on_the_wall_clock_no_task_is_forgotten(tmp_path: Path, links: str, tasks: str) -> None:
    changes = {"slot_s": 1.0} if tasks == "queued" else {}
    found = LINKS[links]
    if tasks == "queued":
        found = tuple(
            Link(**{**fields(link), "latency_s": link.latency_s / 60.0, "jitter_s": link.jitter_s / 60.0})
            for link in found
        )
    run = play(tmp_path, scenario(tasks=tasks, link=found, **changes))
    check_tasks(run)
    reasons = run.ledger()["dropped_by_reason"]
    assert reasons.get("link" if links != "slow" else "late", 0.0) > 0.0


def fields(link: Link) -> dict[str, object]:
    return {name: getattr(link, name) for name in link.__struct_fields__}
