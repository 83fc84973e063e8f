"""What an agent of the rental world that learns is taught, when, and by whom; whatever dies, is lost or takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
from thread_run import TICK, Kill, ThreadRun

from agents import rental_policy
from agents.policy import Figures
from agents.rental_policy import RentalExperience, RentalObservation, RentalSetting
from agents.study import BACKLOG, FIGURES
from bus.messages import Reset, ResetStatus
from emulator import run as runs
from emulator.folder import read_table
from emulator.scenario_file import parse

SMALL = """
name = "small-rental"
world = "rental"
frames = 12
[edges]
count = 4
[agent]
policy = "diary"
[rental.demand]
load = 0.4
[rental.users]
cells = 2
[deadlines]
stop_s = 0.05
liveliness_s = 60.0
hub_s = 60.0
"""
NEIGHBOURS = {0: (1, 2), 1: (0, 3), 2: (0, 3), 3: (1, 2)}


class Diary:
    """Rents by what it sees, and writes down what happens."""

    observes: Literal["local"] = "local"

    def __init__(self, setting: RentalSetting) -> None:
        self.edge = setting.edge
        self.events: list[tuple[str, int]] = []
        self.learned: list[RentalExperience] = []

    def decide(self, observation: RentalObservation) -> int:
        self.events.append(("decide", observation.slot))
        return int(observation.slot + (self.edge or 0) + len(self.learned)) % 3

    def learn(self, experience: RentalExperience) -> None:
        if not self.learned and FIRST_S:
            threading.Event().wait(FIRST_S[0])
        self.events.append(("learn", experience.outcome.slot))
        self.learned.append(experience)

    def figures(self) -> Figures:
        return Figures(0.5, 0.25, len(self.learned))

    def save(self) -> None:
        self.events.append(("save", len(self.learned)))

    def resume(self) -> None:
        self.events.append(("resume", 0))

    @property
    def slots(self) -> list[int]:
        return [experience.outcome.slot for experience in self.learned]


DIARIES: dict[int, list[Diary]] = {}
FIRST_S: list[float] = []
"""Seconds that learning from the first experience takes; none: no time."""


@pytest.fixture(autouse=True)
def diaries() -> Iterator[None]:
    DIARIES.clear()
    FIRST_S.clear()

    def make(setting: RentalSetting, _argument: str) -> Any:
        made = Diary(setting)
        if setting.state is not None:  # not the one that is made to see whether it can be
            DIARIES.setdefault(int(setting.edge or 0), []).append(made)
        return made

    with rental_policy.lent("diary", "local", make):
        yield


def played(folder: Path, *kills: Kill, more: str = "", name: str = "run", **options: Any) -> ThreadRun:
    changes = options.pop("changes", {})
    scenario = msgspec.structs.replace(runs.prepare(parse(SMALL + more, origin="small"), on_bus=True), **changes)
    run = ThreadRun(scenario, folder / name, list(kills), **options)
    assert run.play() == 0, run.hub.reason
    return run


def taught(folder: Path) -> dict[tuple[int, int], tuple[int, float]]:
    """Units and reward by edge server and slot, as the ledger wrote them."""
    edges = read_table(folder / "edges.csv")
    columns = (edges["edge"], edges["slot"], edges["units"], edges["reward"])
    return {(int(edge), int(slot)): (int(u), float(r)) for edge, slot, u, r in zip(*columns, strict=True)}


def check_books(run: ThreadRun, diary: Diary) -> None:
    """What an agent learned is what the ledger wrote: its reward, and what it and its neighbours rented."""
    books, edge = taught(run.folder), int(diary.edge or 0)
    for experience in diary.learned:
        slot = experience.outcome.slot
        known = [books.get((each, slot), (0, 0.0))[0] for each in (edge, *NEIGHBOURS[edge])]
        assert experience.outcome.units.tolist() == known
        assert float(experience.outcome.reward) == books[edge, slot][1]
        assert experience.seen.shape == experience.seen_next.shape == (5,)


def test_each_slot_is_learned_from_once_and_kept_before_the_next_is_decided(tmp_path: Path) -> None:
    run = played(tmp_path)
    here = runs.in_process(run.scenario, str(tmp_path / "here"), lambda status: None)
    assert run.ledger()["digest"] == here.summary["digest"]
    for edge in range(4):
        on_bus, in_process = DIARIES[edge]
        assert on_bus.slots == in_process.slots == list(range(11))
        for ours, theirs in zip(on_bus.learned, in_process.learned, strict=True):
            assert np.array_equal(ours.seen, theirs.seen)
            assert np.array_equal(ours.seen_next, theirs.seen_next)
            assert np.array_equal(ours.outcome.units, theirs.outcome.units)
            assert ours.outcome.reward == theirs.outcome.reward
        check_books(run, on_bus)
        wanted = [("resume", 0), ("decide", 0), ("decide", 0)]  # the first to warm up
        for slot in range(1, 12):
            wanted += [("learn", slot - 1), ("save", slot), ("decide", slot)]
        assert on_bus.events == wanted
    measured = run.processes["agent-2"].measurements
    assert measured.counter("frames_learned").value == 11.0
    figures = [measured.gauge(name, edge="2").value for name in FIGURES]
    assert figures == [0.5, 0.25, 11.0]


@pytest.mark.parametrize("topic", ["observation", "rental_in_force", "rental_outcome"])
@pytest.mark.parametrize("before", [True, False])
def test_whoever_dies_the_others_learn_from_what_counted(tmp_path: Path, topic: str, before: bool) -> None:
    run = played(tmp_path, Kill("edge-0", 4, f"/edge/0/{topic}", before=before))
    back = min(found.slot for found in run.sent if found.process == "edge-0" and found.slot > 4)
    assert run.attempts(4) == 2
    for edge in (1, 2, 3):
        (diary,) = DIARIES[edge]
        assert diary.slots == list(range(11))
        check_books(run, diary)
    (own,) = DIARIES[0]
    assert own.slots == [*range(3 if before and topic == "observation" else 4), *range(back, 11)]
    check_books(run, own)


@pytest.mark.parametrize("topic", [TICK, "/agent/1/rental"])
def test_an_agent_that_dies_goes_on_and_has_lost_what_it_was_at(tmp_path: Path, topic: str) -> None:
    run = played(tmp_path, Kill("agent-1", 4, topic))
    back = min(found.slot for found in run.sent if found.process == "agent-1" and found.slot > 4)
    first, second = DIARIES[1]
    assert first.slots == list(range(3 if topic == TICK else 4))
    assert second.events[0] == ("resume", 0)
    assert second.slots == list(range(back, 11))
    check_books(run, first)
    check_books(run, second)
    assert DIARIES[0][0].slots == list(range(11))


def test_what_a_link_withholds_is_not_learned_from_and_nobody_waits_for_it(tmp_path: Path) -> None:
    lossy = '[[link]]\nfrom = "edge/*"\nto = "agent/*"\nloss = 0.2\n'
    apart = played(tmp_path, more=lossy, changes={"frames": 40})
    together = played(tmp_path, more=lossy, changes={"frames": 40}, name="grouped", layout={"agent": [(0, 4)]})
    assert apart.ledger()["digest"] == together.ledger()["digest"]
    for edge in range(4):
        diary, other = DIARIES[edge]
        assert diary.slots == other.slots
        assert 4 < len(diary.slots) < 30, "an own observation, the next, the outcome, two neighbours: .8 ** 5"
        check_books(apart, diary)
        let_go = apart.processes[f"agent-{edge}"].measurements.counter("frames_not_learned").value
        assert 0 < let_go <= 39 - len(diary.slots)


def test_edge_servers_that_come_and_go_rent_nothing_while_they_are_away(tmp_path: Path) -> None:
    run = played(tmp_path, more="[rental.membership]\nleave = [[3, 1]]\njoin = [[1, 0], [6, 1]]\n")
    here = runs.in_process(run.scenario, str(tmp_path / "here"), lambda status: None)
    assert run.ledger()["digest"] == here.summary["digest"]
    for edge in range(4):
        on_bus, in_process = DIARIES[edge]
        assert on_bus.slots == in_process.slots == list(range(11))
        check_books(run, on_bus)
    third = {experience.outcome.slot: experience.outcome.units.tolist() for experience in DIARIES[3][0].learned}
    assert [third[slot][1] for slot in (3, 4, 5)] == [0, 0, 0]


def test_after_a_reset_agents_learn_anew(tmp_path: Path) -> None:
    asked: list[int] = []
    answers: list[Any] = []

    def reset(run: ThreadRun) -> None:
        if not asked and run.hub.phase == "running" and run.hub.status().slot >= 5:
            asked.append(1)
            asking = run.processes["agent-1"].asking(run.registry.address, "/hub")
            asking.ask("/hub", "reset", Reset(run.scenario.seed), ResetStatus, 60.0, answers.append)

    run = played(tmp_path, on_turn=reset)
    assert run.ledger()["resets"] == 1
    for edge in range(4):
        before, after = DIARIES[edge]
        assert before.slots == list(range(len(before.slots)))
        assert after.slots == list(range(11))
        assert ("resume", 0) not in after.events
        check_books(run, after)


@pytest.mark.processes
def test_on_the_wall_clock_decisions_do_not_wait_for_learning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    slot_wall_s = 0.15
    FIRST_S.append(slot_wall_s * 2 * BACKLOG)
    begun_s = time.monotonic()
    changes = {"clock": "wall", "rate": 600.0 / slot_wall_s, "slot_s": 600.0, "frames": 3 * BACKLOG}
    run = played(tmp_path, changes=changes)
    assert time.monotonic() - begun_s < 30.0
    (diary,) = DIARIES[0]
    decided = [found.slot for found in run.sent if found.topic == "/agent/0/rental"]
    first = diary.events.index(("learn", diary.slots[0]))
    assert sum(what == "decide" for what, _ in diary.events[:first]) > BACKLOG, "it decided while it learned"
    assert len(decided) > run.scenario.frames // 2
    assert diary.slots == sorted(diary.slots)
    assert len(diary.slots) < run.scenario.frames - 1
    assert "learning is slower than frames" in caplog.text
    check_books(run, diary)
