"""`edgerig agent`: which agents there are, and what cannot be checked is refused in a line before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents import policy, rental_policy
from emulator.cli import run_command

ROOT = Path(__file__).parents[3]


def test_the_list_has_every_policy_of_both_worlds_and_every_manifest_that_comes_with_edgerig(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(["agent", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["agents"]
    told = {(row["world"], row["agent"]): row["sees"] for row in rows}
    names = {("offloading", name) for name in policy.names()} | {("rental", name) for name in rental_policy.names()}
    manifests = {str(path) for path in (ROOT / "agents").rglob("agent.toml")}
    assert names <= told.keys()
    assert {agent for _, agent in told.keys() - names} == manifests
    assert told["offloading", "popularity"] == "its own cell"
    assert told["offloading", "marginal-greedy"] == "all cells"
    assert told["rental", "n2o"] == "its neighbours' letters"
    assert run_command(["agent", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(rows)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere/agent.toml"], "give the path of an agent.toml"),
        (["popularty"], "no such policy; known: cloud-only"),
        (["marginal-greedy"], "observes the whole network"),
        (["n2o", "--scenario", "quickstart-rental"], "negotiates with its neighbours"),
        (["popularity", "--edge", "9"], "there are 0..4"),
        (["popularity", "--scenario", "nowhere"], "no such scenario"),
        ([str(ROOT / "examples/agent-python/agent.toml"), "--scenario", "quickstart"], "--scenario: is for policies"),
    ],
)
def test_who_cannot_be_checked_is_refused_in_a_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert run_command(["agent", "check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err
