"""The page of several candidates: who is promoted, which one is best, what a decision costs."""

import json
from pathlib import Path

import pytest
from page_reading import Page

from emulator.cli import run_command
from monitoring.pages import trials_page
from monitoring.runs import ReportError

PLAN = """
name = "two"
scenario = "quickstart"
set = ["edges.count=3", "services.count=12", "slots_per_frame=2"]
baseline = "cloud-only"
candidates = ["popularity", "marginal-popularity"]

[[stage]]
kind = "all"
frames = 3
"""


def test_the_page_names_the_best_and_its_lead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scipy")
    (tmp_path / "T.toml").write_text(PLAN)
    out = tmp_path / "out"
    assert run_command(["trial", str(tmp_path / "T.toml"), "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["verdict"] for each in found["candidates"]] == ["promoted", "promoted"]
    assert run_command(["report", str(out)]) == 0
    page = Page((out / "report.html").read_text())
    page.check_stands_alone()
    assert found["sentence"] in page.text
    assert "The best against the others" in page.text
    assert "delay of a task, candidate minus twin" in page.text
    assert json.loads((out / "report.json").read_text())["best"] == found["best"]


def test_what_is_no_answer_is_one_line(tmp_path: Path) -> None:
    for text in ("[]", "{", '{"kind": "trials", "format": 9}'):
        (tmp_path / "trials.json").write_text(text)
        assert trials_page.is_trials(tmp_path)
        with pytest.raises(ReportError, match=r"trials\.json: "):
            trials_page.document(tmp_path)
