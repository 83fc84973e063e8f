"""Trials of real policies in the in-process world."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from scripted import plan_of

from agents import rental_rollout, rollout
from agents.errors import AgentError
from emulator.assembly import resolve
from emulator.cli import root
from emulator.rental_world import RentalWorld
from emulator.scenario_file import load
from emulator.trials import answer
from emulator.trials.conduct import hold
from emulator.trials.in_process import InProcess
from emulator.trials.plan import Fault
from emulator.trials.rental_worlds import RentalTrack
from emulator.trials.worlds import OffloadingTrack
from emulator.world import World

FAST = ["edges.count=3", "services.count=6", "slots_per_frame=2"]
BUDGET_S = 30.0


@pytest.mark.parametrize("policy", ["popularity", "greedy", "marginal-greedy:ewma"])
def test_a_world_with_one_arm_is_the_in_process_world(policy: str) -> None:
    scenario = resolve(load("quickstart", [*FAST, "frames=12", f"agent.policy={policy}"]))
    track = OffloadingTrack(scenario, {"baseline": policy}, BUDGET_S)
    seen = [track.frame() for _ in range(12)]
    rows = [played.step.row for played in rollout.play(scenario, World(scenario))]
    assert [frame.reward for frame in seen] == [row.reward_s for row in rows]
    assert [frame.delay_s for frame in seen] == pytest.approx([row.delay_s for row in rows], rel=1e-12)
    assert [sum(frame.completed) for frame in seen] == [row.tasks for row in rows]


LINKS = (
    'link=[{from="agent/*", to="edge/*", both=true, loss=0.2, latency_s=0.05, rate_bps=1e5}, '
    '{from="cell/*", to="*", loss=0.1}, {from="edge/*", to="cloud", both=true, loss=0.1}]'
)
LINKED = [*FAST, LINKS]


def test_over_emulated_links_a_world_with_one_arm_is_the_in_process_world() -> None:
    """Another arm that stands by changes nothing: one observation comes to an agent, one decision goes."""
    scenario = resolve(load("quickstart", [*LINKED, "frames=12"]))
    rows = [played.step.row for played in rollout.play(scenario, World(scenario))]
    for arms in ({"baseline": "popularity"}, {"baseline": "popularity", "candidate": "greedy"}):
        track = OffloadingTrack(scenario, arms, BUDGET_S)
        seen = [track.frame(asked=[0, 2] if len(arms) > 1 else ()) for _ in range(12)]
        assert [frame.reward for frame in seen] == [row.reward_s for row in rows]
        assert not [each for frame in seen for each in frame.incidents], "a link's loss is nobody's fault"
    assert sum(row.refused for row in rows) > 3, "links did lose decisions"


def test_over_emulated_links_equal_arms_differ_by_exactly_nothing() -> None:
    found = InProcess(plan_of(set=LINKED, candidate="popularity")).play(0, 3, lambda _line: None)
    assert (found.run, found.missed, found.breach) == (found.twin, 0, None)
    other = InProcess(plan_of(set=LINKED, candidate="cloud-only")).play(0, 3, lambda _line: None)
    assert other.twin == found.twin, "links do to the twin what they do to the run"
    assert other.run["delay"] > other.twin["delay"]


def test_letters_that_links_lose_are_lost_in_trials_of_the_rental_world_too() -> None:
    links = ['link=[{from="agent/*", to="agent/*", loss=1.0}]']
    plan = {"scenario": "quickstart-rental", "baseline": "owner", "candidate": "maxsum"}
    found = []
    for more in ([], links):
        scenario = load("quickstart-rental", [*more, "frames=6", 'agent.policy="owner"'])
        played = [each.step for each in rental_rollout.play(scenario, RentalWorld(scenario))]
        made = InProcess(plan_of(**plan, set=more, stage=[{"kind": "all", "frames": 4}]))
        _, twin = made.tracks(0, scenario.seed)
        found.append([twin.frame().reward for _ in range(6)])
        assert found[-1] == [float(step.reward[0].sum()) for step in played]
    assert found[0] != found[1]


def test_who_is_bound_decides() -> None:
    scenario = resolve(load("quickstart", [*FAST, "frames=12"]))
    both = OffloadingTrack(scenario, {"baseline": "popularity", "candidate": "greedy"}, BUDGET_S)
    both.bind(["candidate", "baseline", "candidate"])
    mixed = resolve(load("quickstart", [*FAST, "frames=12", 'agent.policy="1=popularity,greedy"']))
    expected = [played.step.row.reward_s for played in rollout.play(mixed, World(mixed))]
    assert [both.frame().reward for _ in range(12)] == expected


def test_a_lost_agent_leaves_its_deployment_in_force() -> None:
    scenario = resolve(load("quickstart", [*FAST, "frames=12"]))
    fault = Fault(kind="agent_lost", edge=1, frame=3, frames=99)
    lost = OffloadingTrack(fault.into(scenario), {"baseline": "popularity"}, BUDGET_S)
    kept = []
    for _ in range(6):
        seen = lost.frame()
        kept.append(lost.world.deployed[1].copy())
        assert seen.incidents == ()
    assert all(np.array_equal(each, kept[2]) for each in kept[3:])


@pytest.mark.parametrize(
    ("name", "more", "policy"),
    [("quickstart", FAST, "popularity"), ("quickstart-rental", ["edges.count=4"], "random")],
)
def test_agents_that_are_not_heard_are_so_in_either_world_of_one_process(
    name: str, more: list[str], policy: str
) -> None:
    scenario = resolve(load(name, [*more, "frames=8", f"agent.policy={policy}", "agent.lost=[[1,2,4],[0,3,9]]"]))
    made, rewards = (RentalTrack, []) if name == "quickstart-rental" else (OffloadingTrack, [])
    for plain in (False, True):
        played = (
            msgspec.structs.replace(scenario, agent=msgspec.structs.replace(scenario.agent, lost=()))
            if plain
            else scenario
        )
        track = made(played, {"baseline": policy}, BUDGET_S)
        rewards.append([track.frame().reward for _ in range(8)])
    if name == "quickstart":
        expected = [each.step.row.reward_s for each in rollout.play(scenario, World(scenario))]
    else:
        steps = rental_rollout.play(scenario, RentalWorld(scenario))
        expected = [float(each.step.reward[0].sum()) for each in steps]
    assert rewards[0] == expected != rewards[1]


def test_shadows_in_the_offloading_world_are_exact() -> None:
    """What agents see does not depend on what they decide, so a shadow's score is that of a world it rules."""
    driver = InProcess(plan_of(set=FAST, stage=[{"kind": "shadow", "frames": 5}, {"kind": "all", "frames": 5}]))
    figures = []
    for index in (0, 1):
        run, _ = driver.tracks(index, 3)
        run.bind(driver.trial.binding(driver.plan.stage[index]))
        figures.append([run.frame().reward for _ in range(5)])
    assert figures[0] == figures[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"candidate": "ils:2"}, "decides for the whole network, so a part of it proves nothing; use shadow, then all"),
        ({"candidate": "nobody"}, "no such policy"),
        ({"fault": [{"kind": "agent_lost", "edge": 9, "frame": 1}]}, "edge 9: there are 0..4"),
        ({"guardrails": {"memory_more_share": 0.1}}, "memory is not measured in one process"),
        (
            {"scenario": "quickstart-rental", "baseline": "greedy-rule", "candidate": "owner"},
            "owner decides for the whole network",
        ),
        (
            {"scenario": "lossy", "candidate": "ils:2", "stage": [{"kind": "all", "frames": 2}]},
            "ils:2 decides for the whole network, which over",
        ),
        (
            {"scenario": "quickstart-rental", "set": ['link=[{from="cell/*", to="*", loss=0.5}]']},
            "are between agents and have a loss only; leave others out",
        ),
    ],
)
def test_what_cannot_be_tried_is_refused_before_it_begins(change: dict[str, object], said: str) -> None:
    with pytest.raises(Exception, match=said) as raised:
        InProcess(plan_of(**change))
    assert "\n" not in str(raised.value)


RENTAL = {"scenario": "quickstart-rental", "set": ["edges.count=4"]}


@pytest.mark.parametrize("policy", ["greedy-rule", "all1"])
def test_a_rental_world_with_one_arm_is_the_in_process_world(policy: str) -> None:
    scenario = load("quickstart-rental", ["edges.count=4", "frames=8", f"agent.policy={policy}"])
    track = RentalTrack(scenario, {"baseline": policy}, BUDGET_S)
    seen = [track.frame() for _ in range(8)]
    played = [each.step for each in rental_rollout.play(scenario, RentalWorld(scenario))]
    assert [frame.reward for frame in seen] == [float(step.reward[0].sum()) for step in played]
    assert [frame.cost_s for frame in seen] == [tuple(step.settled.wait_s[0].tolist()) for step in played]


def test_a_rental_trial_ends_by_reward_and_its_shadows_are_an_estimate(tmp_path: Path) -> None:
    stages = [{"kind": "shadow", "frames": 4, "runs": 2}, {"kind": "canary", "edges": [1], "frames": 4, "runs": 2}]
    plan = plan_of(**RENTAL, baseline="all1", candidate="greedy-rule", stage=[*stages, {"kind": "all", "frames": 12}])
    driver = InProcess(plan)
    hold(driver, tmp_path, lambda progress: None)
    found = answer.document(driver)
    assert found["metric"] == "reward"
    assert found["verdict"] == "promoted"
    shadow, canary, everywhere = found["stages"]
    assert (shadow["estimate"], shadow["tested"], shadow["sequential"]) == (True, False, [])
    assert canary["tested"]
    assert found["error_rates"]["sequential_each"] == pytest.approx(0.05 / 2)
    assert everywhere["comparison"]["reward"]["low"] > 0.0


@pytest.mark.parametrize(
    ("candidate", "least", "most"), [("greedy-rule", 0.0, 0.0), ("owner", 100.0, 400.0), ("n2o", 10.0, 10_000.0)]
)
def test_message_bytes_of_rental_agents_are_what_they_hear_of_others(candidate: str, least: float, most: float) -> None:
    plan = plan_of(
        scenario="quickstart-rental", baseline="all1", candidate=candidate, stage=[{"kind": "all", "frames": 2}]
    )
    found = InProcess(plan).play(0, 1, lambda line: None)
    assert found.twin["message_bytes"] == 0.0, "all1 hears of nobody"
    assert least <= found.run["message_bytes"] <= most


def test_shadows_of_the_rental_world_see_what_the_live_run_shows() -> None:
    plan = plan_of(
        **RENTAL,
        baseline="all1",
        candidate="greedy-rule",
        stage=[{"kind": "shadow", "frames": 3}, {"kind": "all", "frames": 3}],
    )
    driver = InProcess(plan)
    shown: list[np.ndarray] = []
    shadows, live = driver.tracks(0, 5)
    assert isinstance(shadows, RentalTrack)
    assert isinstance(live, RentalTrack)
    crew = shadows._crews["candidate"]
    decide = crew.decide
    crew.decide = lambda slot, observed, edges: (shown.append(observed.copy()), decide(slot, observed, edges))[1]  # type: ignore[method-assign]
    shadows.bind(["candidate"] * 4)
    for _ in range(3):
        before = live.world.observed[0].copy()
        shadows.frame()
        live.frame()
        assert np.array_equal(shown[-1], before)
    assert not np.array_equal(shadows.world.observed, live.world.observed), "the scored world has gone its own way"


def test_an_agent_that_learns_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    from emulator.trials import in_process

    class Learns:
        observes = "local"
        signals: frozenset[str] = frozenset()
        decide = resume = learn = save = lambda self: None

    monkeypatch.setattr(in_process, "make_policy", lambda spec, setting: Learns())
    with pytest.raises(AgentError, match="learns while it decides; export it"):
        InProcess(plan_of())


def test_the_command_answers_in_json_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "TRIAL.toml"
    path.write_text(
        'name = "t"\nscenario = "quickstart"\nbaseline = "popularity"\ncandidate = "marginal-popularity"\n'
        f"set = {json.dumps(FAST)}\n"
        '[[stage]]\nkind = "canary"\nshare = 0.4\nframes = 2\nruns = 2\n[[stage]]\nkind = "all"\nframes = 3\n'
    )
    out = tmp_path / "out"
    first = CliRunner().invoke(root, ["trial", str(path), "--out", str(out), "--json"], standalone_mode=False)
    assert first.return_value == 0
    found = json.loads(first.stdout)
    assert found["verdict"] in ("promoted", "rolled_back", "inconclusive")
    assert [len(stage["runs"]) for stage in found["stages"]] == [2, 20]
    lines = (out / "frames.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * (2 + 2) + 20 * (2 + 3)
    again = CliRunner().invoke(root, ["trial", str(path), "--resume", str(out), "--json"], standalone_mode=False)
    assert json.loads(again.stdout) == found
