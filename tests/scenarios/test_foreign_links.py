"""Programs behind emulated links: what these withhold from them, or of what they say, is what it would be for ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from foreign_agent import OBSERVATION, REFUSED, ForeignAgent
from test_foreign_agents import POPULARITY, Played, popular
from thread_run import Kill, small

from emulator import run as runs
from emulator.scenario import Link

TO_IT = Link(source="edge/0", target="agent/0", loss=0.4, latency_s=0.2)
FROM_IT = Link(source="agent/0", target="edge/0", loss=0.4)
DELAYED = (
    Link(source="edge/0", target="agent/0", latency_s=0.4, jitter_s=0.15),
    Link(source="agent/0", target="edge/0", latency_s=0.4, jitter_s=0.15),
)
LINKS: dict[str, tuple[Link, ...]] = {
    "lossy to it": (TO_IT,),
    "lossy from it": (FROM_IT,),
    "now and then too slow there and back together": DELAYED,
    "slow": (Link(source="*", target="*", rate_bps=6e3, duplicate=0.2, reorder=0.1),),
    "cut": (Link(source="edge/0", target="*", both=True, cut=((2, 5), (8, 9))),),
}
FRAMES = 12


def scenario_with(links: tuple[Link, ...]) -> Any:
    return small(agent=POPULARITY, seed=7, frames=FRAMES, slot_s=1.0, link=links)


@pytest.mark.parametrize("links", LINKS)
def test_a_program_behind_links_decides_as_the_same_rule_of_ours(tmp_path: Path, links: str) -> None:
    scenario = scenario_with(LINKS[links])
    here = runs.in_process(scenario, str(tmp_path / "here"), lambda status: None)
    plain = runs.in_process(scenario_with(()), str(tmp_path / "plain"), lambda status: None)
    assert here.summary["digest"] != plain.summary["digest"], "or the test would say nothing"
    played = Played(tmp_path / "run", scenario=scenario)
    played.play()
    assert played.run.ledger()["digest"] == here.summary["digest"]


def shown(agent: ForeignAgent) -> dict[int, int]:
    """Rows of each frame's observation (not of the warm-up), by frame."""
    told = [(header[6], said) for kind, header, said in agent.heard if kind == OBSERVATION and not said["warm_up"]]
    assert len({frame for frame, _ in told}) == len(told), "each frame is shown once"
    return {frame: said["slots"] for frame, said in told}


def test_it_is_asked_every_frame_and_told_what_came_of_it(tmp_path: Path) -> None:
    agent = Played(tmp_path / "to", scenario=scenario_with((TO_IT,))).play()
    rows = shown(agent)
    assert list(rows) == list(range(FRAMES))
    lost = [frame for frame in rows if frame and not rows[frame]]
    assert 0 < len(lost) < FRAMES - 1, "of the 11 frames in which there was something to see"
    agent = Played(tmp_path / "from", scenario=scenario_with((FROM_IT,))).play()
    assert 0 not in list(shown(agent).values())[1:]
    reasons = [said["reason"] for kind, header, said in agent.heard if kind == REFUSED and header[5]]
    assert 0 < len(reasons) < FRAMES
    assert set(reasons) == {"link"}


def test_a_slot_that_is_computed_again_finds_the_same_lost(tmp_path: Path) -> None:
    """Another edge server dies in a frame's first slot: what links did to this one's agent is not drawn again."""
    scenario = scenario_with((TO_IT, FROM_IT))
    shown_to: list[dict[int, int]] = []
    deployed: list[list[tuple[int, ...]]] = []
    for name, kills in (("whole", []), ("killed", [Kill("edge-2", 6, "/edge/2/frame_observation", restart=False)])):
        played = Played(tmp_path / name, popular, scenario=scenario)
        played.run.kills = kills
        shown_to.append(shown(played.play()))
        deployed.append(played.deployments())
    assert shown_to[0] == shown_to[1]
    assert deployed[0] == deployed[1]
