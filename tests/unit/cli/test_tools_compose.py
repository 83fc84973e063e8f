"""`edgerig compose`: a container for each process of a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emulator.cli.containers import compose_command
from emulator.containers import compose_document, yaml
from emulator.errors import ScenarioError
from emulator.scenario_file import load

ROOT = Path(__file__).parents[3]


def compose(*arguments: str) -> Result:
    return CliRunner().invoke(compose_command, list(arguments), catch_exceptions=False)


def services(*changes: str) -> dict[str, dict[str, object]]:
    document = compose_document(load("quickstart", changes), "quickstart", changes, "./compose.yaml", is_file=False)
    found: dict[str, dict[str, object]] = document["services"]
    return found


SLOWLY = "deadlines.start_s=120.0 agent.successor_s=60.0"


def test_25_edge_servers_are_25_containers_and_25_of_agents() -> None:
    made = services("edges.count=25")
    assert {f"edge-{n}" for n in range(25)} | {f"agent-{n}" for n in range(25)} <= made.keys()
    assert made["edge-7"]["environment"] == {"EDGERIG_INDEX": "7", "EDGERIG_COUNT": "1"}
    assert len(made) == 25 + 25 + 7


def test_or_they_are_packed_by_five() -> None:
    made = services("edges.count=25", "processes.edge=5", "processes.agent=5")
    assert [name for name in made if name.startswith("edge")] == [f"edge-{n}-{n + 4}" for n in range(0, 25, 5)]
    assert made["agent-20-24"]["environment"] == {"EDGERIG_INDEX": "20", "EDGERIG_COUNT": "5"}
    assert made["agent-20-24"]["scale"] == 1
    assert made["cell-0-24"]["command"] == ["node", "start", "cell"]
    assert made["hub"]["environment"] == {
        "EDGERIG_SCENARIO": "quickstart",
        "EDGERIG_EDGES": "",
        "EDGERIG_SET": f"{SLOWLY} edges.count=25 processes.edge=5 processes.agent=5",
    }


def test_yaml_is_yaml() -> None:
    assert yaml({"a": {"b": "x: 1", "c": {}}, "d": [1, "e"]}) == 'a:\n  b: "x: 1"\n  c: {}\nd: [1, "e"]\n'


def test_a_file_says_how_it_was_made_and_where_the_shipped_one_is(tmp_path: Path) -> None:
    scenario = tmp_path / "own.toml"
    scenario.write_text('name = "own"\n[edges]\ncount = 2\n')
    out = tmp_path / "own.yaml"
    done = compose(str(scenario), "--base", str(ROOT / "compose.yaml"), "-o", str(out))
    assert done.exit_code == 0, done.output
    text = out.read_text()
    assert text.startswith(f"# Written by: edgerig compose {scenario}\n")
    assert '"./own.toml:/edgerig/scenario.toml:ro"' in text
    assert 'EDGERIG_SCENARIO: "/edgerig/scenario.toml"' in text


def test_what_containers_would_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="reads a trace"):
        compose("small-trace")
    with pytest.raises(ScenarioError, match="has a blank"):
        compose("quickstart", "--set", "services.size_bytes_choices=[1e8, 2e8]")
    assert "run this in the checkout" in compose("quickstart", "--base", str(tmp_path / "compose.yaml")).output
