"""A Python class that imports nothing of edgerig, in a process of its own, in both worlds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live_run import finished

pytestmark = pytest.mark.processes

EXAMPLE = Path(__file__).parents[2] / "examples" / "agent-python" / "agent.toml"
RENTERS = Path(__file__).parents[2] / "agents" / "shipped_rental" / "quickstart-rental" / "actors" / "agent.toml"
LEARNS = """
class Remembers:
    def __init__(self, setup):
        self.outcomes = []

    def decide(self, slot, observation):
        assert len(self.outcomes) == slot or observation.warm_up, (slot, self.outcomes)
        return 2

    def after_frame(self, slot, outcome):
        assert outcome.units == 2
        self.outcomes.append(slot)
"""


def digest(*arguments: str) -> str:
    done = finished(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["missed"], summary["refused"]) == (0, 0)
    return str(summary["digest"])


def test_it_decides_as_the_policy_of_the_same_rule(tmp_path: Path) -> None:
    small = ("quickstart", "--frames", "6", "--set", "edges.count=3", "--out")
    ours = digest("sim", *small, str(tmp_path / "sim"), "--agent", "marginal-popularity")
    theirs = digest("run", *small, str(tmp_path / "run"), "--agent", str(EXAMPLE))
    assert theirs == ours


def test_in_the_rental_world_it_decides_each_slot_and_hears_each_outcome_before_the_next(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LEARNS)
    (tmp_path / "agent.toml").write_text(
        'name = "mine"\nversion = "1"\nprotocol = 1\nworld = "rental"\nkind = "python"\nfile = "mine.py"\n'
        'factory = "Remembers"\nobservation = "values"\n'
    )
    small = ("quickstart-rental", "--frames", "12", "--out")
    ours = digest("sim", *small, str(tmp_path / "sim"), "--agent", "constant:2")
    mixed = f"3={tmp_path / 'agent.toml'},constant:2"
    theirs = digest("run", *small, str(tmp_path / "run"), "--agent", mixed, "--set", "processes.agent=1")
    assert theirs == ours


def test_an_onnx_manifest_decides_as_the_policy_of_the_same_actors(tmp_path: Path) -> None:
    small = ("quickstart-rental", "--frames", "6", "--out")
    ours = digest("sim", *small, str(tmp_path / "sim"), "--agent", "onnx")
    theirs = digest("run", *small, str(tmp_path / "run"), "--agent", f"3={RENTERS},onnx", "--set", "processes.agent=1")
    assert theirs == ours
