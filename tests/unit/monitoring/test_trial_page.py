"""The page of a trial: its verdict, its stages, its guardrails, from trial.json and frames.csv as trials write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from page_reading import Page

from emulator.cli import run_command
from monitoring.pages import trial_facts, trial_page
from monitoring.runs import ReportError

PLAN = """
name = "small-trial"
description = "</p><script>alert(1)</script>"
scenario = "quickstart"
baseline = "popularity"
candidate = "cloud-only"
seeds = "1-20"
warmup_frames = 1

[[stage]]
kind = "canary"
edges = [0]
frames = 3
runs = 7

[[stage]]
kind = "all"
frames = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trial of a candidate that is worse, held in this process."""
    pytest.importorskip("scipy")
    root = tmp_path_factory.mktemp("trial")
    (root / "plan.toml").write_text(PLAN)
    assert run_command(["trial", str(root / "plan.toml"), "--out", str(root / "trial"), "--json"]) == 0
    return root / "trial"


def shown(document: dict[str, Any]) -> Page:
    page = Page(trial_page.render(document))
    page.check_stands_alone()
    return page


def test_the_page_of_a_trial_tells_its_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    answer = json.loads((folder / "trial.json").read_text())
    assert run_command(["report", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((folder / "report.json").read_text())
    assert {key: told[key] for key in answer} == answer
    assert told["verdict"] == "rolled_back"
    page = Page((folder / "report.html").read_text())
    page.check_stands_alone()
    assert answer["sentence"] in page.text
    assert "rolled back trial small-trial" in page.text
    assert "</p><script>alert(1)</script>" in page.text
    assert "tripped in stage canary, after" in page.text
    for stage in told["series"]["stages"]:
        assert stage["to_step"] > stage["from_step"]
    assert any(attributes.get("class") == "event" for attributes in page.all("line"))


def test_a_stage_has_its_differences_and_its_confidence_sequence(folder: Path) -> None:
    document = trial_facts.document(folder)
    page = shown(document)
    runs = [run for stage in document["stages"] for run in stage["runs"]]
    assert len([each for each in page.all("circle") if each.get("r") == "3"]) >= len(runs)
    assert any(each.get("class") == "line thin" for each in page.all("path"))
    comparison = document["stages"][0]["comparison"]["delay"]
    assert f"{comparison['pairs']} seeds, each with its twin" in page.text


@pytest.mark.parametrize("verdict", ["promoted", "inconclusive"])
def test_every_verdict_has_its_word(folder: Path, verdict: str) -> None:
    document = trial_facts.document(folder) | {"verdict": verdict, "rolled_back_at": None, "sentence": "so it is"}
    assert shown(document).text.count(verdict) >= 2


def test_a_breach_in_the_first_run_is_told_without_an_interval(folder: Path) -> None:
    document = json.loads(json.dumps(trial_facts.document(folder)))
    first, later = document["stages"]
    later["runs"], later["comparison"], later["sequential"] = [], {}, []
    first["runs"], first["comparison"] = first["runs"][:1], {}
    first["runs"][0]["breach"] = {"guardrail": "crash", "edge": 0, "frame": 2, "text": "<IndexError>"}
    for sequence in first["sequential"]:
        sequence["path"], sequence["crossed_at"] = sequence["path"][:1], None
    document["rolled_back_at"] = {
        "stage": 0, "kind": "canary", "seed": 1, "frame": 3, "by": "crash", "candidate_frames": 1, "runs": 1
    }  # fmt: skip
    page = shown(document)
    assert "so there is no interval" in page.text
    assert "crash: <IndexError> (edge server 0, frame 2)" in page.text
    assert "tripped in stage canary, seed 1" in page.text


def test_without_its_frames_it_says_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "trial.json").write_text((folder / "trial.json").read_text())
    document = trial_facts.document(tmp_path)
    assert document["series"] == {}
    assert "frames.csv is missing" in shown(document).text


def test_a_trial_that_is_not_over_or_of_another_format_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.jsonl").write_text("{}\n")
    assert run_command(["report", str(tmp_path)]) == 2
    assert "the trial is not over" in capsys.readouterr().err
    for answer, said in (("[]", "is no trial's answer"), ("{", "cannot be read")):
        (tmp_path / "trial.json").write_text(answer)
        with pytest.raises(ReportError, match=said):
            trial_facts.document(tmp_path)
    (tmp_path / "trial.json").write_text('{"kind": "trial", "verdict": "promoted", "format": 99}')
    with pytest.raises(ReportError, match="has format 99"):
        trial_facts.document(tmp_path)
