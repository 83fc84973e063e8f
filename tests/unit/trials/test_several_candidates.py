"""Several candidates in one TRIAL.toml: a trial for each, which one is best, and what they share."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scripted import ScriptedDriver, plan_of

from emulator.cli import root
from emulator.errors import ScenarioError
from emulator.trials import answer, several
from emulator.trials.conduct import hold
from emulator.trials.plan import Plan, load

THREE = ("marginal-popularity", "greedy", "random")


def several_of(**changes: Any) -> Plan:
    return plan_of(candidate="", candidates=THREE, **changes)


def answers_of(folder: Path, plan: Plan, effects_s: tuple[float, ...], noise_s: float = 0.1) -> list[dict[str, Any]]:
    found = []
    for number, (each, effect_s) in enumerate(zip(plan.each(), effects_s, strict=True), start=1):
        place = several.folder_of(folder, number)
        place.mkdir(parents=True)
        driver = ScriptedDriver(each, effect_s=effect_s, noise_s=noise_s)
        hold(driver, place, lambda progress: None)
        found.append(answer.write(place, driver))
    return found


def test_candidates_share_the_error_rates() -> None:
    plans = several_of(guardrails={"alpha": 0.06}, rule={"alpha": 0.03}).each()
    assert [plan.candidate for plan in plans] == list(THREE)
    assert all((plan.guardrails.alpha, plan.rule.alpha) == pytest.approx((0.02, 0.01)) for plan in plans)
    assert plan_of().each() == [plan_of()]


def test_the_best_of_those_that_are_promoted_is_named(tmp_path: Path) -> None:
    plan = several_of()
    found = several.write(tmp_path, plan, answers_of(tmp_path, plan, (-0.2, -0.6, 0.5)))
    assert [each["verdict"] for each in found["candidates"]] == ["promoted", "promoted", "rolled_back"]
    assert (found["verdict"], found["best"]) == ("promoted", 2)
    (lead,) = found["best_against"]
    assert (lead["candidate"], lead["known"]) == ("marginal-popularity", True)
    assert lead["low"] <= -0.4 <= lead["high"]
    assert lead["level"] == pytest.approx(1.0 - 0.05 / 3)
    assert found["sentence"].startswith("greedy is the best of 3 candidates and is promoted over popularity")
    assert json.loads((tmp_path / "trials.json").read_text()) == found
    assert "98.33 % interval" in found["candidates"][0]["sentence"]


def test_two_that_do_alike_are_not_told_apart(tmp_path: Path) -> None:
    plan = several_of()
    found = several.document(plan, answers_of(tmp_path, plan, (-0.5, -0.5, -0.5)))
    assert found["verdict"] == "promoted"
    assert [each["known"] for each in found["best_against"]] == [False, False]
    assert "is not known" in found["sentence"]


@pytest.mark.parametrize(("effects_s", "word"), [((0.5, 0.5, 0.5), "rolled_back"), ((0.5, 0.0, 0.5), "inconclusive")])
def test_without_a_winner_the_baseline_stays(tmp_path: Path, effects_s: tuple[float, ...], word: str) -> None:
    plan = several_of()
    found = several.document(plan, answers_of(tmp_path, plan, effects_s, noise_s=0.0))
    assert (found["verdict"], found["best"], found["best_against"]) == (word, None, [])
    assert found["sentence"].endswith("popularity stays")


TOML = """
name = "t"
scenario = "quickstart"
set = ["edges.count=3", "services.count=6", "slots_per_frame=2"]
baseline = "popularity"
candidates = ["cloud-only", "marginal-popularity"]
[[stage]]
kind = "canary"
edges = [0]
frames = 1
runs = 1
[[stage]]
kind = "all"
frames = 2
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('candidates = ["cloud-only", "marginal-popularity"]', "", "candidate: must be given, or else candidates"),
        ("candidates =", 'candidate = "greedy"\ncandidates =', "candidate: must be given, or else candidates"),
        ('"cloud-only", ', "", "candidates: must be at least two"),
        ('"cloud-only"', '"marginal-popularity"', "no two alike"),
        ('"cloud-only"', '"0=cloud-only"', "candidates: must be one policy or manifest"),
    ],
)
def test_what_is_wrong_with_the_list_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "T.toml").write_text(TOML.replace(old, new))
    with pytest.raises(ScenarioError, match=said):
        load(tmp_path / "T.toml")


def test_the_command_tries_each_and_goes_on(tmp_path: Path) -> None:
    plan, out = tmp_path / "T.toml", tmp_path / "out"
    plan.write_text(TOML)
    first = CliRunner().invoke(root, ["trial", str(plan), "--out", str(out), "--json"], standalone_mode=False)
    assert first.return_value == 0, first.output
    found = json.loads(first.stdout)
    assert [each["candidate"] for each in found["candidates"]] == ["cloud-only", "marginal-popularity"]
    assert found["candidates"][0]["verdict"] == "rolled_back"
    both = [json.loads((out / number / "trial.json").read_text()) for number in "12"]
    twins = [[run["twin"] for run in each["stages"][1]["runs"]] for each in both]
    shared = min(map(len, twins))
    assert twins[0][:shared] == twins[1][:shared], "the same worlds"
    (out / "trials.json").unlink()
    again = CliRunner().invoke(root, ["trial", str(plan), "--resume", str(out), "--json"], standalone_mode=False)
    assert json.loads(again.stdout) == found


def test_a_live_run_takes_one_candidate(tmp_path: Path) -> None:
    (tmp_path / "T.toml").write_text(TOML)
    found = CliRunner().invoke(root, ["trial", str(tmp_path / "T.toml"), "--hub", "tcp://x:1"], standalone_mode=False)
    assert isinstance(found.exception, ScenarioError)
    assert "a live run takes one" in str(found.exception)
