"""The rental world: however its nodes share processes, and in process, the tables and the digest are equal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from thread_run import TICK, Kill, ThreadRun

from agents.errors import AgentError
from agents.rental_networks import TEAMS
from bus.accounting import counters_of
from emulator import run as runs
from emulator.folder import read_table
from emulator.scenario import Link, Scenario
from emulator.scenario_file import load, parse
from emulator.summary import orchestration_of

SMALL = """
name = "small-rental"
world = "rental"
frames = 8
[edges]
count = 4
[rental]
episode_slots = 5
random_start = true
[rental.demand]
load = 0.4
[rental.users]
cells = 3
[deadlines]
stop_s = 0.05
liveliness_s = 60.0
hub_s = 60.0
"""
TABLES = ("slots.csv", "edges.csv", "episodes.csv")
APART = {"cell": [(0, 1), (1, 1), (2, 1)]}
GROUPED = {"cell": [(0, 3)], "edge": [(0, 4)], "agent": [(0, 4)]}
AUTHORS = '\n[rental]\nspec = "A"\nzero_delay_bug = "authors"\nepisode_slots = 6\n'

WORLDS: dict[str, str] = {
    "greedy": '[agent]\npolicy = "greedy-rule"\n',
    "random": '[agent]\npolicy = "random"\n',
    "mixed": '[agent]\npolicy = "0=all2,2=random,all1"\n',
    "authors": '[agent]\npolicy = "random"\n',
}


def scenario_of(world: str) -> Scenario:
    text = SMALL + WORLDS[world]
    if world == "authors":
        start, _, rest = text.partition("[rental]\n")
        text = start + AUTHORS.lstrip("\n") + rest.partition("random_start = true\n")[2]
    return runs.prepare(parse(text, origin=world), on_bus=True)


def play(scenario: Scenario, folder: Path, **options: Any) -> ThreadRun:
    run = ThreadRun(scenario, folder, **options)
    assert run.play() == 0
    return run


@pytest.mark.parametrize("world", WORLDS)
def test_grouping_changes_nothing_and_in_process_is_equal(tmp_path: Path, world: str) -> None:
    scenario = scenario_of(world)
    apart = play(scenario, tmp_path / "apart", layout=APART)
    grouped = play(scenario, tmp_path / "grouped", layout=GROUPED)
    here = runs.in_process(scenario, str(tmp_path / "here"), lambda status: None)
    for table in TABLES:
        assert (tmp_path / "apart" / table).read_bytes() == (tmp_path / "here" / table).read_bytes(), table
        assert (tmp_path / "apart" / table).read_bytes() == (tmp_path / "grouped" / table).read_bytes(), table
    assert apart.ledger()["digest"] == grouped.ledger()["digest"] == here.summary["digest"]
    assert apart.ledger()["tasks"] == here.summary["tasks"]
    assert here.summary["tasks"]["edge"] > 0.0


LOSING = (Link(source="agent/*", target="agent/*", loss=0.3),)


ENDS = ("local_value_gained", "local_value_lost", "letters_absent")
"""A sum of ``Counter`` has no zeros."""

ALL = [*TEAMS, "madql", "onnx"]


@pytest.mark.parametrize(
    ("agent", "loss"), [*((agent, True) for agent in ALL), ("owner", False), ("n2o", False), ("madql", False)]
)
def test_agents_that_write_to_each_other_decide_the_same_on_the_bus_and_in_process(
    tmp_path: Path, agent: str, loss: bool
) -> None:
    shipped = load("quickstart-rental", ["frames=3", f"agent.policy={agent}", "rental.first_slot=110"])
    scenario = runs.prepare(msgspec.structs.replace(shipped, link=LOSING if loss else ()), on_bus=True)
    bus = play(scenario, tmp_path / "bus", layout={"edge": [(0, 4), (4, 5)], "agent": [(0, 3), (3, 6)]})
    here = runs.in_process(scenario, str(tmp_path / "here"), lambda status: None)
    for table in ("slots.csv", "edges.csv"):
        assert (tmp_path / "bus" / table).read_bytes() == (tmp_path / "here" / table).read_bytes(), table
    assert bus.ledger()["digest"] == here.summary["digest"]
    letters = [sent for sent in bus.sent if "/orchestration/" in sent.topic]
    assert bool(letters) is (agent in TEAMS)
    asked = bus.processes["agent-3"].measurements
    assert asked.counter("inferences").value == 6 * scenario.slots, "six agents of one process, once a slot"
    assert asked.counter("inference_seconds").value > 0.0
    if agent in TEAMS:
        totals = sum((Counter(counters_of(process)) for process in bus.processes.values()), Counter())
        counted = orchestration_of({**dict.fromkeys(ENDS, 0.0), **totals}, 9)
        assert counted == pytest.approx(here.summary["orchestration"], rel=1e-12)
        assert (counted["letters_absent"] > 0) is loss
    else:
        assert ("orchestration" in here.summary) is (agent == "madql")


@pytest.mark.parametrize(("victim", "topic"), [("agent-2", "/agent/2/rental"), ("edge-2", "/edge/2/observation")])
def test_who_dies_before_neighbours_know_what_it_rents_holds_nobody_back(
    tmp_path: Path, victim: str, topic: str
) -> None:
    """Agents wait for their neighbours' rentals to value their own; the dead have none."""
    shipped = load("quickstart-rental", ["frames=6", "agent.policy=owner", "rental.first_slot=110"])
    scenario = runs.prepare(shipped, on_bus=True)
    run = play(scenario, tmp_path / "run", kills=[Kill(victim, 2, topic, before=True, restart=True)])
    assert run.lost == [victim]
    assert run.attempts(2) == 2
    assert len(run.slots()["slot"]) == scenario.slots
    totals = sum((Counter(counters_of(process)) for process in run.processes.values()), Counter())
    assert totals["local_values"] >= 9 * scenario.slots - 2 * 6, "all but those who were not there"


def test_agents_that_write_need_neighbours_who_do() -> None:
    with pytest.raises(AgentError, match="give all edge servers one policy"):
        runs.prepare(load("quickstart-rental", ["agent.policy=0=owner,all1"]), on_bus=True)


@pytest.mark.parametrize(
    ("victim", "topic"),
    [
        ("edge-1", "/edge/1/observation"),
        ("edge-1", "/edge/1/rental_in_force"),
        ("edge-1", "/edge/1/rental_outcome"),
        ("agent-2", "/agent/2/rental"),
        ("cell-1", "/cell/1/presence"),
        ("cell-1", "/cell/1/requests/2"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_death_at_any_stage_loses_no_task(tmp_path: Path, victim: str, topic: str, before: bool) -> None:
    scenario = scenario_of("mixed")
    kill = Kill(victim, 3, topic, before=before, restart=True)
    run = play(scenario, tmp_path / "killed", layout=APART, kills=[kill])
    assert run.lost == [victim]
    # An agent that has decided is not missed in that slot, unless the hub hears of its death before the slot is over.
    assert run.attempts(3) in ((1, 2) if victim.startswith("agent") and not before else (2,))
    assert run.ledger()["tasks"]["dropped"] == 0.0
    assert len(run.slots()["slot"]) == scenario.slots
    whole = play(scenario, tmp_path / "whole", layout=APART).slots()
    for name in ("reward", "tasks", "cloud", "hour"):
        assert run.slots()[name][:3] == whole[name][:3], "what was committed before stays"


@pytest.mark.parametrize("orphan", ["keep", "empty"])
def test_without_an_agent_the_rental_holds_and_then_the_orphan_rule_does(tmp_path: Path, orphan: str) -> None:
    text = SMALL + f'[agent]\npolicy = "2=all2,all1"\norphan = "{orphan}"\nhold_decision_frames = 2\n'
    scenario = runs.prepare(parse(text, origin=orphan), on_bus=True)
    run = play(scenario, tmp_path / "run", kills=[Kill("agent-2", 3, TICK, restart=False)])
    edges = read_table(tmp_path / "run" / "edges.csv")
    rented = [units for edge, units in zip(edges["edge"], edges["units"], strict=True) if edge == 2]
    assert rented == [2.0] * 5 + [2.0 if orphan == "keep" else 0.0] * 3
    # Five slots without a decision; the tick that lets an edge server count the last one never comes.
    assert run.processes["edge-2"].measurements.counter("decisions_missed").value == 4.0


def test_what_a_link_loses_is_not_counted_as_late(tmp_path: Path) -> None:
    text = SMALL + '[agent]\npolicy = "all1"\n[[link]]\nfrom = "cell/*"\nto = "edge/*"\nloss = 0.3\n'
    links = '[[link]]\nfrom = "edge/*"\nto = "cell/*"\nlatency_s = 6000.0\n'
    scenario = runs.prepare(parse(text + links, origin="lossy"), on_bus=True)
    run = play(scenario, tmp_path / "run")

    def late(process: str, stage: str) -> float:
        return run.processes[process].measurements.counter("late_messages", stage=stage).value

    assert sum(late(f"edge-{edge}", "edge") for edge in range(4)) == 0.0
    assert late("cell-0", "cell") > 0.0, "what comes after its slot is late, link or not"
