"""The course of a trial: stages, guardrails, verdicts, the journal, and going on after a kill."""

import json
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedDriver, plan_of

from emulator.errors import RunFolderError, ScenarioError
from emulator.trials import answer
from emulator.trials.conduct import Progress, hold


def held(folder: Path, driver: ScriptedDriver) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    hold(driver, folder, lambda progress: None)
    return answer.write(folder, driver)


def test_a_better_candidate_is_promoted(tmp_path: Path) -> None:
    found = held(tmp_path, ScriptedDriver(plan_of(), effect_s=-0.5, noise_s=0.2))
    assert found["verdict"] == "promoted"
    canary, everywhere = found["stages"]
    assert [len(canary["runs"]), len(everywhere["runs"])] == [6, 20]
    assert everywhere["comparison"]["delay"]["mean"] == pytest.approx(-0.5, abs=0.1)
    assert canary["comparison"]["delay"]["mean"] == pytest.approx(-0.125, abs=0.05)
    assert json.loads((tmp_path / "trial.json").read_text()) == found


def test_equal_arms_are_inconclusive_and_differ_by_exactly_nothing(tmp_path: Path) -> None:
    found = held(tmp_path, ScriptedDriver(plan_of()))
    assert found["verdict"] == "inconclusive"
    differences = [run["difference"]["delay"] for stage in found["stages"] for run in stage["runs"]]
    assert differences == [0.0] * 26


def test_a_worse_candidate_is_rolled_back_as_soon_as_that_is_known(tmp_path: Path) -> None:
    found = held(tmp_path, ScriptedDriver(plan_of(), effect_s=0.4, noise_s=0.1))
    assert found["verdict"] == "rolled_back"
    at = found["rolled_back_at"]
    assert (at["kind"], at["by"]) == ("canary", "sequential")
    crossed = found["stages"][0]["sequential"][0]["crossed_at"]
    assert at["runs"] == crossed == len(found["stages"][0]["runs"]) <= 6
    assert found["stages"][1]["runs"] == []


@pytest.mark.parametrize("guardrail", ["crash", "infeasible", "late"])
def test_a_failure_binds_the_baseline_at_the_next_frame(tmp_path: Path, guardrail: Any) -> None:
    driver = ScriptedDriver(plan_of(), fails_in=3, guardrail=guardrail)
    found = held(tmp_path, driver)
    assert found["verdict"] == "rolled_back"
    at = found["rolled_back_at"]
    assert (at["frame"], at["by"], at["kind"]) == (4, guardrail, "canary")
    where = [arms.count("candidate") for arms in driver.made[0].history]
    assert where == [0, 0, 1, 1, 0, 0], "two frames of warm-up, bound until it fails, then never again"
    assert found["missed"] == {"candidate": 1, "elsewhere": 0}


def test_a_failure_in_the_warm_up_binds_nothing(tmp_path: Path) -> None:
    driver = ScriptedDriver(plan_of(), fails_in=1)
    found = held(tmp_path, driver)
    assert found["verdict"] == "rolled_back"
    assert driver.made[0].history == [["baseline"] * 4] * 2
    assert found["missed"] == {"candidate": 0, "elsewhere": 0}


def test_more_may_be_asked_for_than_being_better(tmp_path: Path) -> None:
    asked = plan_of(rule={"gain_share": 0.5})
    assert held(tmp_path / "a", ScriptedDriver(asked, effect_s=-0.5, noise_s=0.1))["verdict"] == "inconclusive"
    plan = plan_of(rule={"gain_share": -0.1}, guardrails={"delay_worse_share": 0.1})
    assert held(tmp_path / "b", ScriptedDriver(plan, effect_s=0.05, noise_s=0.1))["verdict"] == "promoted"


def test_the_error_rate_is_shared_by_guardrails_and_stages() -> None:
    plan = plan_of(guardrails={"delay_worse_share": 0.0, "reward_worse_share": 0.0})
    assert ScriptedDriver(plan).trial.alpha_each == pytest.approx(0.05 / 4)


class Killed(Exception):
    pass


def test_a_trial_that_was_killed_goes_on_to_the_same_answer(tmp_path: Path) -> None:
    whole = held(tmp_path / "whole", ScriptedDriver(plan_of(), effect_s=-0.3, noise_s=0.2))
    left = 80
    folder = tmp_path / "killed"
    folder.mkdir()

    def soon() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    with pytest.raises(Killed):
        hold(ScriptedDriver(plan_of(), effect_s=-0.3, noise_s=0.2, after=soon), folder, lambda progress: None)
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"event": "ru')  # as a kill within a write leaves it
    begun: list[Progress] = []
    driver = ScriptedDriver(plan_of(), effect_s=-0.3, noise_s=0.2)
    hold(driver, folder, begun.append)
    assert begun[0].done > 0, "runs that were over are not played again"
    assert answer.write(folder, driver) == whole
    again = ScriptedDriver(plan_of(), effect_s=-0.3, noise_s=0.2)
    hold(again, folder, lambda progress: None)
    assert answer.document(again) == whole, "a trial that is over is read back"


def test_bindings_are_written_before_they_hold(tmp_path: Path) -> None:
    lines: list[int] = []
    journal = tmp_path / "journal.jsonl"
    driver = ScriptedDriver(plan_of(), after=lambda: lines.append(len(journal.read_text().splitlines())))
    hold(driver, tmp_path, lambda progress: None)
    written = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["event"] for line in written[:4]] == ["trial", "bind", "bind", "run"]
    assert written[2] == {"event": "bind", "stage": 0, "seed": 1, "frame": 2, "candidates": [0]}
    assert lines[:3] == [2, 2, 3], "before the first frame, and before the first with the candidate"
    assert written[-1] == {"event": "verdict", "verdict": "inconclusive"}
    assert written[-2] == {"event": "bind", "candidates": []}


def test_a_journal_of_another_trial_is_refused(tmp_path: Path) -> None:
    held(tmp_path, ScriptedDriver(plan_of()))
    with pytest.raises(RunFolderError, match="of another trial"):
        held(tmp_path, ScriptedDriver(plan_of(seeds="2-21")))


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"edges": [4]}, r"edges \[4\] must be some of the edge servers 0..3"),
        ({"edges": [0, 1, 2, 3]}, "not all"),
        ({"share": 0.05}, r"share 0.05 must be some"),
    ],
)
def test_a_canary_is_at_some_edge_servers(stage: dict[str, Any], said: str) -> None:
    plan = plan_of(stage=[{"kind": "canary", "frames": 1, **stage}, {"kind": "all", "frames": 1}])
    with pytest.raises(ScenarioError, match=said):
        ScriptedDriver(plan).trial.binding(plan.stage[0])
