"""The rental networks that come with edgerig decide without PyTorch, alone and as a team."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agents.errors import AgentError
from agents.n2o.network import orchestrated
from agents.n2o.orchestrators import recipe
from agents.n2o.tables import Tables
from agents.n2o.team import ActorTeam, QTeam
from agents.n2o.worlds import RentalCopies
from agents.rental_networks import SHIPPED, folder_for, valued
from agents.rental_policy import RentalObservation, RentalSetting, make_rental_policy, observes
from emulator.assembly import resolve
from emulator.rental_plan import build_plan
from emulator.scenario_file import load

HOME = SHIPPED / "quickstart-rental"
ROOT = Path(__file__).parents[3]
ACTOR = HOME / "actors" / "actor-0.onnx"


def setting(edge=0, name="quickstart-rental", *overrides):
    scenario = resolve(load(name, list(overrides)))
    return RentalSetting(build_plan(scenario), edge, seed=4, scenario=scenario.name)


@pytest.fixture(scope="module")
def seen():
    """What all nine see in a slot of some copies, shape (copy, edge, 5)."""
    return RentalCopies(load("quickstart-rental"), 12, 5).begin(3)


@pytest.mark.parametrize("name", ["madql", "actor"])
def test_an_edge_server_decides_as_its_part_of_the_team(seen, name):
    plan = setting().plan
    teams = {
        "madql": QTeam(HOME / "q", plan.graph, 3).decider("madql"),
        "actor": ActorTeam(HOME / "actors", plan.graph, 3).decide,
    }
    wanted = teams[name](seen)
    assert len(np.unique(wanted)) > 1
    for edge in (0, 4, 7):
        policy = make_rental_policy(name, setting(edge))
        assert observes(name) == "local"
        assert [policy.decide(RentalObservation(0, row[edge])) for row in seen] == wanted[:, edge].tolist()


@pytest.mark.parametrize(("name", "spec"), [("owner", "owner"), ("maxsum", "max-sum:rounds=10"), ("n2o", "n2o")])
def test_a_team_decides_as_its_members_would_by_letters(seen, name, spec):
    policy = make_rental_policy(name, setting(None))
    assert observes(name) == "network"
    graph, made = setting().plan.graph, recipe(spec)
    members = [valued(setting(edge), "") for edge in range(9)]
    for row in seen[:4]:
        own = [member(row[edge][None]) for edge, member in enumerate(members)]
        tables = Tables(graph, tuple(table for table, _ in own))
        rented = orchestrated(made.parts(tables, lambda edge, own=own: own[edge][1]), made.rounds).last[0]
        assert policy.decide(RentalObservation(0, row)).tolist() == rented.tolist()


def test_orchestrated_networks_and_actors_earn_more_than_networks_alone():
    world = RentalCopies(load("quickstart-rental"), 24, 77)
    graph = world.layout.graph
    team = QTeam(HOME / "q", graph, 3)
    earned = {}
    for name, decide in (
        ("madql", team.decider("madql")),
        ("owner", team.decider("owner")),
        ("actor", ActorTeam(HOME / "actors", graph, 3).decide),
    ):
        seen, earned[name] = world.begin(0), 0.0
        for _ in range(world.episode_slots):
            rewards, seen = world.step(decide(seen))
            earned[name] += rewards.sum() / world.copies
    assert earned["owner"] > 1.2 * earned["madql"]
    assert earned["actor"] > 1.1 * earned["madql"]


def test_another_world_is_refused_and_the_remedy_named(tmp_path):
    with pytest.raises(AgentError, match=r"fit this world \(there are some for quickstart-rental\).*NAME:DIR"):
        make_rental_policy("actor", setting(0, "paper-n2o"))
    with pytest.raises(AgentError, match="another world"):
        make_rental_policy(f"madql:{HOME / 'q'}", setting(0, "paper-n2o"))
    with pytest.raises(AgentError, match="q networks are needed"):
        make_rental_policy(f"madql:{HOME / 'actors'}", setting())
    with pytest.raises(AgentError, match="holds no networks"):
        make_rental_policy(f"owner:{tmp_path}", setting(None))
    with pytest.raises(AgentError, match="given none"):
        make_rental_policy("actor", setting(None))


def test_the_scenario_of_the_same_name_comes_first():
    assert folder_for(setting(), "", "q") == HOME / "q"
    assert folder_for(setting(), str(HOME / "q"), "q") == Path(HOME / "q")


def test_deciding_takes_no_pytorch():
    decide = (
        "import sys\n"
        "from agents.n2o.team import ActorTeam, QTeam\n"
        "from agents.n2o.worlds import RentalCopies\n"
        "from agents.rental_networks import SHIPPED\n"
        "from emulator.scenario_file import load\n"
        "world = RentalCopies(load('quickstart-rental'), 1, 5)\n"
        "home, graph = SHIPPED / 'quickstart-rental', world.layout.graph\n"
        "QTeam(home / 'q', graph, 3).decider('n2o')(world.begin(0))\n"
        "ActorTeam(home / 'actors', graph, 3).decide(world.begin(0))\n"
        "print('torch' in sys.modules, 'onnx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", decide], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_onnxruntime_keeps_nothing_of_whoever_runs_it_and_does_not_complain(tmp_path):
    """Its telemetry writes an identifier into the user's cache, and warns where it cannot."""
    code = f"from pathlib import Path; from agents.onnx_session import opened; opened(Path({str(ACTOR)!r}))"
    for home in (tmp_path, Path("/proc/nobody")):
        env = {"PYTHONPATH": str(ROOT), "HOME": str(home), "TMPDIR": str(home)}
        done = subprocess.run(
            [sys.executable, "-B", "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stderr == done.stdout == ""
    assert list(tmp_path.iterdir()) == []
