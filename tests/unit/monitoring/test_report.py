"""Runs beside each other: what is said of whole, interrupted and crashed ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from monitoring import report
from monitoring.report import ReportError, compare, plot, table

SLOTS, SLOTS_PER_FRAME = 40, 5
SCENARIO = """
name = "tiny"
seed = {seed}
world_seed = 1
[demand]
kind = "zipf"
users_max = {users}
[agent]
policy = "{policy}"
[scheduler]
kind = "exact"
"""


def make_run(
    folder: Path,
    policy: str = "popularity",
    *,
    delay_s: float = 2.0,
    seed: int = 1,
    users: int = 50,
    slots: int = SLOTS,
) -> Path:
    """A run folder as a run on the bus leaves it."""
    folder.mkdir()
    (folder / "scenario.toml").write_text(SCENARIO.format(seed=seed, users=users, policy=policy))
    generator = np.random.default_rng(seed)
    tasks = generator.integers(10, 90, SLOTS)[:slots].astype(float)
    delays = delay_s + 0.5 * np.sin(np.arange(slots))
    lines = ["slot,frame,tasks,delay_s,all_cloud_delay_s,gain_s,local,peer,cloud,dropped,in_flight"]
    for slot, (count, delay) in enumerate(zip(tasks, delays, strict=True)):
        row = (slot, slot // SLOTS_PER_FRAME, count, delay, 9.0, 9.0 - delay, count / 2, count / 4, count / 4, 0.0, 0.0)
        lines.append(",".join(map(repr, row)).replace("np.float64(", "").replace(")", ""))
    (folder / "slots.csv").write_text("\n".join(lines) + "\n")
    frames = ["frame,reward_s,delay_s,all_cloud_delay_s,tasks,deployed,refused"]
    frames += [f"{frame},30.0,{delay_s + 0.1 * (frame % 3)},9.0,250.0,8,0" for frame in range(slots // SLOTS_PER_FRAME)]
    (folder / "frames.csv").write_text("\n".join(frames) + "\n")
    (folder / "timing.csv").write_text("slot,attempts,wall_s,schedule_s,decision_s\n0,1,0.01,0.001,0.002\n")
    (folder / "messages.csv").write_text(
        "publisher,topic,subscriber,plane,class,phase,messages,payload_bytes,header_bytes,wire_bytes\n"
        f"/hub,/hub/tick,edge-0,control,clock,clock,{slots},{slots * 3},{slots * 50},{slots * 60}\n"
        f"/edge/0,/edge/0/outcome,edge-0,data,data,settlement,{slots},{slots * 3},{slots * 30},{slots * 40}\n"
    )
    counts = {name: float(tasks.sum()) * share for name, share in (("local", 0.5), ("peer", 0.25), ("cloud", 0.25))}
    summary = {
        "mode": "lockstep",
        "interrupted": False,
        "exit_code": 0,
        "slots": slots,
        "delay_s": {"mean": float(np.average(delays, weights=tasks)), "p50": 1.5, "p95": 4.0},
        "all_cloud_delay_s": 9.0,
        "reward": {"mean": 30.0, "total": 240.0},
        "tasks": {**counts, "dropped": 0.0},
        "decision_s": {"p50": 0.002, "p99": 0.004},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return make_run(tmp_path / "first")


def test_a_row_says_what_the_folder_says(first: Path) -> None:
    (row,) = compare([first]).rows
    assert row.label == "popularity + exact"
    assert (row.slots, row.p50_s, row.p95_s, row.all_cloud_s, row.reward_s) == (SLOTS, 1.5, 4.0, 9.0, 30.0)
    assert row.tasks_share == {"local": 0.5, "peer": 0.25, "cloud": 0.25, "dropped": 0.0}
    assert row.wire_bytes == 100.0
    assert row.decision_p50_s == 0.002


def test_equal_labels_are_told_apart_by_their_folders(first: Path, tmp_path: Path) -> None:
    rows = compare([first, make_run(tmp_path / "again")]).rows
    assert [row.label for row in rows] == ["popularity + exact (first)", "popularity + exact (again)"]


def test_runs_on_the_same_demand_are_paired_slot_by_slot(first: Path, tmp_path: Path) -> None:
    comparison = compare([first, make_run(tmp_path / "second", "greedy", delay_s=2.5)])
    paired = comparison.rows[1].paired
    assert paired is not None
    assert (paired.slots, paired.mean_s) == (SLOTS, pytest.approx(0.5))
    assert paired.half_width_s == pytest.approx(0.0, abs=1e-9)
    assert any("no replicates" in note for note in comparison.notes)


def test_the_interval_is_students() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    half_width = report.half_width(values)
    assert half_width == pytest.approx(3.182446 * np.sqrt(5.0 / 3.0) / 2.0, rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seed": 2}, "seed is 2, not 1"),
        ({"users": 60}, "demand.users_max differs"),
        ({"slots": 20}, "20 slots, not 40"),
    ],
)
def test_runs_that_cannot_be_paired_say_why(first: Path, tmp_path: Path, changes: dict[str, int], why: str) -> None:
    comparison = compare([first, make_run(tmp_path / "second", **changes)])
    assert comparison.rows[1].paired is None
    assert comparison.rows[1].unpaired == why
    assert any(why in note for note in comparison.notes)


def test_whatever_else_differs_in_the_scenario_is_said(first: Path, tmp_path: Path) -> None:
    second = make_run(tmp_path / "second", "greedy")
    with (second / "scenario.toml").open("a") as file:
        file.write("[edges]\ncompute_hz = 1e10\n")
    comparison = compare([first, second])
    assert comparison.rows[1].paired is not None
    assert "greedy + exact: the scenario differs in edges." in comparison.notes


def test_a_crashed_run_is_read_from_its_tables(first: Path, tmp_path: Path) -> None:
    crashed = make_run(tmp_path / "crashed", "greedy")
    for name in ("summary.json", "messages.csv"):
        (crashed / name).unlink()
    slots = crashed / "slots.csv"
    slots.write_text(slots.read_text()[:-30])
    comparison = compare([first, crashed])
    row = comparison.rows[1]
    assert row.slots == SLOTS - 1
    assert row.delay_s == pytest.approx(comparison.rows[0].delay_s, rel=0.02)
    assert (row.p50_s, row.wire_bytes, row.decision_p50_s) == (None, None, 0.002)
    assert f"{crashed}: summary.json is missing, messages.csv is missing." in comparison.notes
    assert "39 slots, not 40" in table(comparison, 120)


def test_an_interrupted_run_is_said_to_be_one(first: Path) -> None:
    summary = json.loads((first / "summary.json").read_text())
    (first / "summary.json").write_text(json.dumps({**summary, "interrupted": True, "exit_code": 130}))
    assert compare([first]).notes == (f"{first}: the run was interrupted.",)


def test_a_run_that_died_before_its_first_slot_is_readable(tmp_path: Path) -> None:
    folder = tmp_path / "dead"
    folder.mkdir()
    (folder / "scenario.toml").write_text(SCENARIO.format(seed=1, users=50, policy="greedy"))
    for name in ("slots.csv", "frames.csv"):
        (folder / name).write_text("")
    comparison = compare([folder, folder])
    assert comparison.rows[0].delay_s is None
    assert comparison.rows[1].unpaired == "no slots to pair"
    assert "greedy" in table(comparison)
    with pytest.raises(ReportError, match="no frame was completed"):
        plot(comparison, tmp_path / "p.png")


def test_an_unreadable_file_is_said(first: Path) -> None:
    (first / "summary.json").write_text("{")
    (first / "scenario.toml").write_text("=")
    (note,) = compare([first]).notes
    assert "summary.json cannot be read" in note
    assert "scenario.toml cannot be read" in note


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="not a run folder"):
        compare([tmp_path])
    with pytest.raises(ReportError, match="give a run folder"):
        compare([])


@pytest.mark.parametrize("width", [40, 60, 80, 133])
def test_the_table_fits_its_width(first: Path, tmp_path: Path, width: int) -> None:
    folders = [first, *(make_run(tmp_path / f"run-{k}", f"policy-{k}", delay_s=2.0 + k) for k in range(6))]
    text = table(compare(folders), width)
    assert max(map(len, text.splitlines())) <= max(width, 60)
    assert "policy-5" in text


def test_the_picture_is_small(first: Path, tmp_path: Path) -> None:
    folders = [first, *(make_run(tmp_path / f"run-{k}", f"policy-{k}", delay_s=2.0 + k) for k in range(7))]
    png = tmp_path / "runs.png"
    plot(compare(folders), png)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert png.stat().st_size < 150_000


def test_without_matplotlib_the_extra_is_named(first: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "monitoring.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ReportError, match="the extra 'report'"):
        plot(compare([first]), tmp_path / "p.png")


def test_without_scipy_the_interval_is_left_out(first: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    comparison = compare([first, make_run(tmp_path / "second", "greedy", delay_s=2.5)])
    paired = comparison.rows[1].paired
    assert paired is not None
    assert paired.half_width_s is None
    assert any("the extra 'report'" in note for note in comparison.notes)


def test_smoothing_keeps_a_constant_and_takes_what_there_is_at_the_ends() -> None:
    from monitoring.figure import smooth

    assert smooth(np.full(100, 3.0)) == pytest.approx(np.full(100, 3.0))
    ramp = smooth(np.arange(48.0))
    assert (ramp[0], ramp[20], ramp[-1]) == (1.0, 20.0, 46.0)


def test_importing_the_report_does_not_import_matplotlib_or_scipy() -> None:
    program = "import sys, monitoring.report; assert not {'matplotlib', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
