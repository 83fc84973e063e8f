"""The hub of a run that nobody launched: what it is told, and the folder it leaves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from agents import extras
from agents.errors import ExtraMissing
from emulator.errors import ScenarioError
from emulator.run import prepare
from emulator.scenario_file import load
from emulator.start import main as start
from emulator.start_options import parser
from emulator.unlaunched import UNTIL_STOPPED, run_unlaunched, scenario_of


def options(*arguments: str) -> argparse.Namespace:
    return parser().parse_args(["hub", "--scenario", "quickstart", *arguments])


def test_the_scenario_is_taken_as_it_is() -> None:
    scenario = scenario_of(options())
    assert (scenario.name, scenario.frames, scenario.clock) == ("quickstart", 40, "lockstep")


def test_what_is_said_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGERIG_EDGES", "9")
    monkeypatch.setenv("EDGERIG_AGENT", "greedy")
    monkeypatch.setenv("EDGERIG_SET", "deadlines.start_s=90.0  services.count=8")
    scenario = scenario_of(options("--slot-wall-s", "2", "--frames", "0", "--seed", "7"))
    assert (scenario.edges.count, scenario.agent.policy, scenario.services.count) == (9, "greedy", 8)
    assert (scenario.clock, scenario.rate, scenario.seed) == ("wall", 30.0, 7)
    assert (scenario.deadlines.start_s, scenario.frames) == (90.0, UNTIL_STOPPED)


def test_no_wall_seconds_a_slot_is_lockstep() -> None:
    assert scenario_of(options("--slot-wall-s", "0", "--set", 'clock="wall"')).clock == "lockstep"


@pytest.mark.parametrize("arguments", [("--frames", "many"), ("--slot-wall-s", "-1"), ("--slot-wall-s", "inf")])
def test_what_is_no_number_is_refused_with_both_its_names(arguments: tuple[str, str]) -> None:
    with pytest.raises(ScenarioError, match=rf"{arguments[0]} \(or EDGERIG_[A-Z_]+\) {arguments[1]}: must be"):
        scenario_of(options(*arguments))


def test_without_a_scenario_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_unlaunched(parser().parse_args(["hub", "--scenario", ""]), lambda _: 0) == 2
    assert "EDGERIG_SCENARIO" in capsys.readouterr().err


def test_an_agent_that_does_not_exist_is_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_unlaunched(options("--agent-spec", "nonesuch"), lambda _: 0) == 2
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("scenario", "agent"), [("quickstart", "ttosc"), ("quickstart-rental", "madql-online")])
def test_an_agent_may_need_what_only_its_own_installation_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenario: str, agent: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda _name: None)
    started: list[argparse.Namespace] = []

    def start(made: argparse.Namespace) -> int:
        started.append(made)
        return 3

    run_unlaunched(options("--scenario", scenario, "--agent-spec", agent), start)
    assert started
    with pytest.raises(ExtraMissing):
        prepare(load(scenario, [f"agent.policy={agent}"]), on_bus=True)


def test_the_folder_is_there_before_the_hub_and_the_summary_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def hub(given: argparse.Namespace) -> int:
        assert "quickstart" in (Path(given.run) / "scenario.toml").read_text()
        return 3

    assert run_unlaunched(options("--set", 'scheduler.backend="numpy"'), hub) == 3
    assert json.loads((tmp_path / "runs" / "quickstart-1-1" / "summary.json").read_text())["exit_code"] == 3


def test_a_member_is_told_its_names_by_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGERIG_INDEX", "3")
    monkeypatch.setenv("EDGERIG_COUNT", "2")
    monkeypatch.setenv("EDGERIG_STANDBY", "1")
    told = parser().parse_args(["agent"])
    assert (told.index, told.count, told.standby) == (3, 2, True)
    assert parser().parse_args(["agent", "--agent", "4"]).index == 4
    monkeypatch.setenv("EDGERIG_STANDBY", "0")
    monkeypatch.delenv("EDGERIG_INDEX")
    told = parser().parse_args(["agent"])
    assert (told.index, told.standby) == (None, False)


def test_who_stands_by_must_be_told_for_whom_and_as_what(capfd: pytest.CaptureFixture[str]) -> None:
    assert start(["agent", "--hub", "tcp://127.0.0.1:1", "--standby"]) == 2
    assert "--index N and --agent-spec SPEC" in capfd.readouterr().err
