"""The pages of the example trials in docs: one for each, drawn from its figures as the code of today draws them."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest
from page_reading import Page

from monitoring.pages import trial_page

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "trials"
EXAMPLES = sorted(
    path for path in (ROOT / "examples" / "trials").glob("*.toml") if "stage" in tomllib.loads(path.read_text())
)
MOST_BYTES = 300_000


def test_every_example_has_its_page_and_is_named_in_the_docs() -> None:
    assert {path.stem for path in EXAMPLES} == {path.stem for path in PAGES.glob("*.html")}
    told = (ROOT / "docs" / "report.md").read_text()
    assert all(f"trials/{path.stem}.html" in told for path in EXAMPLES)


@pytest.mark.parametrize("plan", EXAMPLES, ids=lambda path: path.stem)
def test_a_page_in_docs_is_what_is_drawn_from_its_figures(plan: Path) -> None:
    """``EDGERIG_UPDATE=1`` draws it anew; the figures come from `edgerig trial` and `edgerig report`."""
    document = json.loads((PAGES / f"{plan.stem}.json").read_text())
    html = PAGES / f"{plan.stem}.html"
    drawn = trial_page.render(document)
    if os.environ.get("EDGERIG_UPDATE"):
        html.write_text(drawn)
    assert html.read_text() == drawn, f"{html.name} is out of date: EDGERIG_UPDATE=1 pytest {__file__}"
    assert len(drawn.encode()) < MOST_BYTES
    Page(drawn).check_stands_alone()
    assert document["name"] == plan.stem
    first, *_ = plan.read_text().split("name =")
    word = "promoted" if "romoted" in first else "rolled_back"
    assert document["verdict"] == word, "what the example's own comment says"


@pytest.mark.parametrize(("name", "guardrail"), [("bad", "infeasible"), ("crashing", "crash"), ("slow", "late")])
def test_those_that_broke_something_were_rolled_back_on_the_wall_clock_at_the_next_boundary(
    name: str, guardrail: str
) -> None:
    document = json.loads((PAGES / f"{name}-candidate.json").read_text())
    at, (run,) = document["rolled_back_at"], document["stages"][0]["runs"]
    assert (document["mode"], at["kind"], at["by"]) == ("wall", "canary", guardrail)
    assert at["frame"] == run["breach"]["frame"] + 1
    assert document["missed"]["elsewhere"] == 0
    assert 1 <= document["missed"]["candidate"] <= len(document["stages"][0]["edges"])
