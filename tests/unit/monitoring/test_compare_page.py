"""Runs side by side: who is paired with whom, what their differences are, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from page_reading import Page
from test_report import make_run

from emulator.cli import run_command
from monitoring.pages import compare_facts, compare_page, pairing
from monitoring.runs import ReportError

pytest.importorskip("scipy")


def runs_of(root: Path, policy: str, seeds: range, **changes: float) -> list[Path]:
    """Runs of several seeds; each seed's delay is its own."""
    rng = np.random.default_rng(3)
    shifts = {seed: float(rng.normal(0.0, 0.2)) for seed in range(20)}
    extra = changes.get("more_s", 0.0)
    made = []
    for seed in seeds:
        folder = make_run(root / f"{policy}-{seed}", policy, seed=seed, delay_s=2.0 + shifts[seed] + extra * (1 + seed))
        made.append(folder)
    return made


def document_of(folders: list[Path]) -> compare_facts.Document:
    document = compare_facts.document(pairing.pair(folders))
    json.dumps(document, allow_nan=False)
    Page(compare_page.render(document)).check_stands_alone()
    return document


def test_runs_are_paired_by_seed_whatever_their_order(tmp_path: Path) -> None:
    base, other = runs_of(tmp_path, "popularity", range(4)), runs_of(tmp_path, "greedy", range(4), more_s=0.1)
    document = document_of([base[0], *reversed(other), *base[1:]])
    (comparison,) = document["comparisons"]
    found = comparison["figures"]["delay"]
    assert (document["baseline"], comparison["arm"], found["seeds"]) == ("popularity", "greedy", [0, 1, 2, 3])
    assert found["differences"] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    half = 3.182446 * np.std([0.1, 0.2, 0.3, 0.4], ddof=1) / 2.0
    assert (found["low"], found["high"]) == (pytest.approx(0.25 - half, rel=1e-5), pytest.approx(0.25 + half, rel=1e-5))
    page = Page(compare_page.render(document))
    assert "worse beyond chance over 4 seeds" in page.text
    assert len([each for each in page.all("path") if each.get("class") == "band"]) == len(document["arms"])
    assert "Nothing else differs but who decides, and the seeds." in page.text


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    folders = [*runs_of(tmp_path, "popularity", range(1)), *runs_of(tmp_path, "greedy", range(1), more_s=0.1)]
    document = document_of(folders)
    found = document["comparisons"][0]["figures"]["delay"]
    assert (found["mean"], found["low"]) == (pytest.approx(0.1), None)
    assert "one seed only, so no interval can be had" in compare_facts.sentences(document)[0]


def test_a_against_a_is_zero_in_every_figure(tmp_path: Path) -> None:
    first = runs_of(tmp_path, "popularity", range(3))
    (tmp_path / "again").mkdir()
    document = document_of([*first, *runs_of(tmp_path / "again", "popularity", range(3))])
    (comparison,) = document["comparisons"]
    assert comparison["arm"] == "popularity (2)"
    for found in filter(None, comparison["figures"].values()):
        assert found["differences"] == [0.0, 0.0, 0.0]
        assert (found["low"], found["high"], found["p_value"]) == (0.0, 0.0, 1.0)
    assert "are equal: every difference" in compare_facts.sentences(document)[0]


def test_seeds_that_only_one_arm_has_are_left_out_by_name(tmp_path: Path) -> None:
    folders = [*runs_of(tmp_path, "popularity", range(5)), *runs_of(tmp_path, "greedy", range(2, 4))]
    document = document_of(folders)
    assert document["comparisons"][0]["seeds"] == [2, 3]
    assert any("seeds 0, 1, 4" in note for note in document["notes"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('name = "tiny"', 'name = "other"'), "scenario is other, not tiny"),
        (("world_seed = 1", "world_seed = 2"), "world_seed is 2, not 1"),
        (('name = "tiny"', 'name = "tiny"\nworld = "rental"'), "world is rental, not offloading"),
    ],
)
def test_other_worlds_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], said: str
) -> None:
    one, other = *runs_of(tmp_path, "popularity", range(1)), *runs_of(tmp_path, "greedy", range(1))
    text = (other / "scenario.toml").read_text()
    (other / "scenario.toml").write_text(text.replace(*change))
    assert run_command(["compare", str(one), str(other)]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "equal: " in error
    assert "\n" not in error


def test_runs_of_other_lengths_and_of_other_demand_are_refused(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one")
    with pytest.raises(ReportError, match="20 slots, not 40"):
        pairing.pair([one, make_run(tmp_path / "short", "greedy", slots=20)])
    with pytest.raises(ReportError, match=r"demand\.users_max differs"):
        pairing.pair([one, make_run(tmp_path / "more", "greedy", users=60)])
    with pytest.raises(ReportError, match="nothing to be compared with"):
        pairing.pair([one])


def test_another_clock_is_said(tmp_path: Path) -> None:
    one, other = make_run(tmp_path / "one"), make_run(tmp_path / "other", "greedy")
    summary = json.loads((other / "summary.json").read_text()) | {"mode": "wall"}
    (other / "summary.json").write_text(json.dumps(summary))
    assert any("On the wall clock" in note and "other" in note for note in document_of([one, other])["notes"])


def test_the_command_writes_the_page_and_tells_a_table_of_arms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [*runs_of(tmp_path, "popularity", range(4)), *runs_of(tmp_path, "greedy", range(4), more_s=0.1)]
    html = tmp_path / "page.html"
    assert run_command(["compare", *map(str, folders), "--out", str(html)]) == 0
    said = capsys.readouterr().out
    assert "delay minus A" in said
    assert "+0.250" in said
    figures = json.loads((tmp_path / "page.json").read_text())
    assert figures["comparisons"][0]["figures"]["delay"]["pairs"] == 4
    assert figures["sentence"] in " ".join(said.split("\n"))
    Page(html.read_text()).check_stands_alone()
