"""Runs of the rental world beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from page_reading import Page

from emulator.cli import run_command
from emulator.folder import read_table
from monitoring.rental_report import compare, fits, plot, table
from monitoring.report import ReportError

pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs: two that differ in who decides, one with another seed."""
    root = tmp_path_factory.mktemp("runs")
    made = []
    for name, changes in (
        ("a", ["--agent", "all1"]),
        ("b", ["--agent", "greedy-rule"]),
        ("c", ["--agent", "all1", "--seed", "7"]),
    ):
        made.append(root / name)
        assert run_command(["sim", "paper-n2o", "--slots", "36", *changes, "--out", str(made[-1]), "--json"]) == 0
    return made


def test_what_was_earned_is_paired_slot_by_slot(folders: list[Path]) -> None:
    comparison = compare(folders)
    one, two, other = comparison.rows
    rewards = [np.array(read_table(folder / "slots.csv")["reward"]) for folder in folders]
    assert one.reward == pytest.approx(rewards[0].mean())
    assert two.difference is not None
    assert two.difference.mean == pytest.approx((rewards[1] - rewards[0]).mean())
    assert two.difference.half_width == pytest.approx(2.0301 * (rewards[1] - rewards[0]).std(ddof=1) / 6.0, rel=1e-4)
    assert other.difference is None
    assert other.unpaired == "seed is 7, not 1"
    said = table(comparison)
    assert "all1 (a)" in said
    assert "exact" not in said
    assert "not paired" in said


def test_the_command_tells_and_draws(folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    capsys.readouterr()
    png = tmp_path / "compare.png"
    assert run_command(["compare", *map(str, folders), "--plot", str(png), "--no-page"]) == 0
    assert "reward a slot" in capsys.readouterr().out
    assert png.read_bytes().startswith(b"\x89PNG")
    html = tmp_path / "compare.html"
    assert run_command(["compare", *map(str, folders), "--out", str(html)]) == 0
    page = Page(html.read_text())
    page.check_stands_alone()
    assert "reward of a slot" in page.text
    assert "left out, for only one arm has them: seed 7" in page.text
    capsys.readouterr()
    assert run_command(["compare", *map(str, folders), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["run"] for row in rows] == [str(folder) for folder in folders]
    assert rows[1]["difference"]["mean"] == compare(folders).rows[1].difference.mean


def test_runs_of_two_worlds_are_not_compared(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "offloading"
    assert run_command(["sim", "quickstart", "--frames", "2", "--out", str(other), "--json"]) == 0
    assert run_command(["compare", str(other), str(folders[0])]) == 2
    assert "world is rental, not offloading" in capsys.readouterr().err
    assert fits(folders)
    assert not fits([other])
    with pytest.raises(ReportError, match="compare runs of one world"):
        fits([other, *folders])


def test_a_run_without_a_slot_is_nothing_to_draw(folders: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "scenario.toml").write_bytes((folders[0] / "scenario.toml").read_bytes())
    comparison = compare([empty])
    assert "slots.csv is missing" in table(comparison)
    with pytest.raises(ReportError, match="no slot was completed"):
        plot(comparison, tmp_path / "x.png")
