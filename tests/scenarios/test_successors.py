"""Agents leave with a word, in a run of one thread: time stands until somebody comes, or until a deadline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from foreign_agent import ForeignAgent, pack
from test_foreign_agents import POPULARITY, popular
from thread_run import Kill, ThreadRun, small

from bus.accounting import counters_of
from emulator import run as runs
from emulator.scenario import Scenario
from emulator.scenario_file import parse

FRAMES = 6
LONG_S, SHORT_S = 60.0, 0.05
TURNS = 40
"""Until somebody comes: far more than a slot takes."""

GOODBYE = 6
RENTAL_WORLD = """
name = "small-rental"
world = "rental"
frames = 8
[edges]
count = 4
[rental]
episode_slots = 5
[rental.demand]
load = 0.4
[rental.users]
cells = 3
[agent]
policy = "greedy-rule"
successor_s = 60.0
[deadlines]
stop_s = 0.05
liveliness_s = 60.0
hub_s = 60.0
"""


def offloading(successor_s: float = LONG_S, **more: Any) -> Scenario:
    return small(agent=POPULARITY | {"successor_s": successor_s}, frames=FRAMES, **more)


class Scene:
    """Agent 1 leaves in a slot; somebody comes some turns later, unless nobody does."""

    def __init__(self, folder: Path, scenario: Scenario, slot: int, *, comes: bool = True) -> None:
        self.run = ThreadRun(scenario, folder)
        self.slot, self.comes = slot, comes
        self.left = False
        self.waited: set[str] = set()
        self.run.on_turn = self.turn

    def turn(self, run: ThreadRun) -> None:
        now = run.hub._now
        if not self.left and now is not None and now.slot >= self.slot:
            self.left = True
            run.processes["agent-1"].close()
            if self.comes:
                run.later(TURNS, lambda: run.start("agent-1", "agent", 1, 1))
        self.waited |= {found for found in run.hub.clock_status().unacknowledged if "/agent/" in found}

    def play(self) -> dict[str, Any]:
        assert self.run.play() == 0
        return self.run.ledger()

    def told(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.run.folder / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["kind"] == kind]


def missed(run: ThreadRun) -> float:
    """Frames that edge server 1 itself counted without a decision."""
    return counters_of(run.processes["edge-1"]).get("decisions_missed", 0.0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> ThreadRun:
    run = ThreadRun(offloading(), tmp_path_factory.mktemp("undisturbed"))
    assert run.play() == 0
    return run


@pytest.mark.parametrize("slot", [4, 5])
def test_time_stands_until_somebody_comes_and_no_number_changes(
    tmp_path: Path, undisturbed: ThreadRun, slot: int
) -> None:
    scene = Scene(tmp_path, offloading(), slot)
    books = scene.play()
    assert scene.run.slots() == undisturbed.slots()
    assert (books["digest"], missed(scene.run)) == (undisturbed.ledger()["digest"], 0)
    (gap,) = books["gaps"]
    assert (gap["edge"], gap["left"], gap["missed"], gap["first_frame"]) == (1, "agent-1", 0, -1)
    assert gap["held_s"] > 0.0
    place = {4: "slot 4 (frame 2)", 5: "frame 3"}[slot]
    assert all(found.startswith(f"{place} waits up to") for found in scene.waited), scene.waited
    assert any(found.endswith("more for somebody to hold /agent/1, which agent-1 left") for found in scene.waited)
    assert [event["text"] for event in scene.told("waits")] == [
        f"{place} waits up to 60 s for somebody to hold /agent/1: agent-1 left"
    ]
    assert len(scene.told("gap")) == 1
    assert "gaps" not in undisturbed.ledger()


@pytest.mark.parametrize("slot", [4, 5])
def test_nobody_comes_and_the_run_goes_on_by_the_orphan_rule(tmp_path: Path, slot: int) -> None:
    held = Scene(tmp_path / "held", offloading(SHORT_S), slot, comes=False)
    plain = Scene(tmp_path / "plain", offloading(0.0), slot, comes=False)
    books, today = held.play(), plain.play()
    assert held.run.slots() == plain.run.slots()
    assert books["digest"] == today["digest"]
    first = 2 if slot == 4 else 3
    for each, run in ((books, held.run), (today, plain.run)):
        (gap,) = each["gaps"]
        assert (gap["first_frame"], gap["last_frame"], gap["missed"]) == (first, FRAMES - 1, FRAMES - first)
        assert gap["missed"] == missed(run)
    assert books["gaps"][0]["held_s"] >= SHORT_S
    assert today["gaps"][0]["held_s"] == 0.0
    assert "nobody came for /agent/1 within 0.05 s (agent.successor_s)" in held.told("waits")[-1]["text"]
    assert not plain.waited
    assert not plain.told("waits")


def test_in_the_rental_world_each_slot_is_a_boundary(tmp_path: Path) -> None:
    scenario = runs.prepare(parse(RENTAL_WORLD, origin="small"), on_bus=True)
    undisturbed = ThreadRun(scenario, tmp_path / "undisturbed")
    assert undisturbed.play() == 0
    scene = Scene(tmp_path / "left", scenario, 3)
    books = scene.play()
    assert (tmp_path / "left" / "edges.csv").read_bytes() == (tmp_path / "undisturbed" / "edges.csv").read_bytes()
    assert books["digest"] == undisturbed.ledger()["digest"]
    assert [(gap["missed"], gap["held_s"] > 0.0) for gap in books["gaps"]] == [(0, True)]


def test_who_dies_without_a_word_is_not_waited_for(tmp_path: Path) -> None:
    run = ThreadRun(offloading(), tmp_path, kills=[Kill("agent-1", 4, "/agent/1/deployment", restart=False)])
    assert run.play() == 0
    assert "gaps" not in run.ledger()
    assert missed(run) == FRAMES - 2


def leaves(agent: ForeignAgent) -> None:
    agent.hub.send(pack(GOODBYE, {"reason": "stopped", "again": False}, agent.edge, agent.instance, 0, 0, 10**6))
    agent.silent = True


@pytest.mark.parametrize("slot", [4, 5])
def test_a_program_says_goodbye_and_another_one_comes(tmp_path: Path, undisturbed: ThreadRun, slot: int) -> None:
    run = ThreadRun(offloading(), tmp_path, layout={"agent": [(0, 1), (2, 1)]})
    agents: list[ForeignAgent] = []

    def greet() -> None:
        agents.append(ForeignAgent(run.bus.context, run.registry.address, popular, 1, "offloading"))

    def turn(run: ThreadRun) -> None:
        if not agents:
            greet()
        now = run.hub._now
        if now is not None and now.slot >= slot and not agents[0].silent:
            leaves(agents[0])
            run.later(TURNS, greet)
        for agent in agents:
            agent.step()

    run.on_turn = turn
    try:
        assert run.play() == 0
    finally:
        for agent in agents:
            agent.close()
    books = run.ledger()
    assert run.slots() == undisturbed.slots()
    assert (books["digest"], missed(run)) == (undisturbed.ledger()["digest"], 0)
    (gap,) = books["gaps"]
    assert (gap["edge"], gap["left"], gap["reason"]) == (1, "foreign-toy", "said goodbye stopped")
    assert len(agents) == 2
