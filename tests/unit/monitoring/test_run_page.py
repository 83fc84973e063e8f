"""The page of a run: it stands alone, tells what the folder tells, and shows no text as markup."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from page_reading import Page
from test_report import make_run

from emulator.cli import run_command
from emulator.folder import read_table
from monitoring import runs
from monitoring.pages import bars, digits, run_facts, run_page, run_words
from monitoring.pages.markup import Markup, tag
from monitoring.pages.series import binned

HOSTILE = "</title><script>alert(1)</script>\" onload='x' \u0001 & <b>"


def played(folder: Path, *arguments: str) -> Path:
    assert run_command(["sim", *arguments, "--out", str(folder), "--json"]) == 0
    return folder


@pytest.fixture(scope="module")
def offloading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return played(tmp_path_factory.mktemp("runs") / "run", "quickstart", "--frames", "6", "--agent", "popularity")


@pytest.fixture(scope="module")
def rental(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return played(tmp_path_factory.mktemp("runs") / "run", "paper-n2o", "--slots", "30", "--agent", "all1")


def shown(folder: Path) -> tuple[Page, runs.Document]:
    document = run_facts.document(runs.read(folder))
    page = Page(run_page.render(document))
    page.check_stands_alone()
    json.dumps(document, allow_nan=False)
    return page, document


def test_the_page_of_a_run_tells_its_summary(offloading: Path) -> None:
    summary = json.loads((offloading / "summary.json").read_text())
    page, document = shown(offloading)
    assert document["delay_s"]["mean"] == summary["delay_s"]["mean"]
    assert document["reward"]["mean"] == summary["reward"]["mean"]
    assert document["tasks"] == {name: summary["tasks"][name] for name in ("local", "peer", "cloud", "dropped")}
    assert document["decisions"]["p95_s"] == summary["decision_s"]["p95"]
    assert document["bytes"] is None
    for figure in (summary["delay_s"]["mean"], summary["all_cloud_delay_s"], summary["reward"]["mean"]):
        assert digits.shown(figure) in page.text
    assert summary["digest"] in page.text
    assert "no decision was missed, late or refused" in page.text


def test_cells_and_services_add_up_to_the_run(offloading: Path) -> None:
    _, document = shown(offloading)
    slots = read_table(offloading / "slots.csv")
    for parts in (document["cells"], document["services"]):
        assert sum(part["tasks"] for part in parts) == pytest.approx(sum(slots["tasks"]))
        waited_s = sum(part["delay_s"] * (part["tasks"] - part["dropped"]) for part in parts)
        assert waited_s / sum(slots["tasks"]) == pytest.approx(document["delay_s"]["mean"])
    wanted = [service["tasks"] for service in document["services"]]
    assert wanted == sorted(wanted, reverse=True)
    cells = read_table(offloading / "cells.csv")
    assert document["series"]["by_cell"][2][4] == pytest.approx(cells["delay_s"][4 * 5 + 2], rel=1e-4)


def test_the_page_of_a_rental_run_tells_its_summary(rental: Path) -> None:
    summary = json.loads((rental / "summary.json").read_text())
    page, document = shown(rental)
    assert document["reward"]["mean"] == summary["reward"]["mean"]
    assert f"earned {digits.shown(summary['reward']['mean'])} a slot" in page.text
    rewards = [cell["reward"] for cell in document["cells"]]
    assert sum(rewards) == pytest.approx(summary["reward"]["mean"])
    assert not any("services.csv" in sentence for sentence in document["missing"])


def test_bytes_of_a_decision_stand_beside_the_reward(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    summary["messages"] = {"total": 80}
    summary["bytes"] = {"wire": 4000, "per_frame_decision": 1500.0, "per_slot": 100.0, "by_phase": {"deployment": 9}}
    (folder / "summary.json").write_text(json.dumps(summary))
    with (folder / "scenario.toml").open("a") as file:
        file.write("[edges]\ncount = 5\n")
    page, document = shown(folder)
    assert document["bytes"]["per_decision"] == 300.0
    assert "Reward 30.0 s a frame for 1.50 kB" in page.text


def test_events_are_marked_and_listed(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    events = [
        {"slot": 7, "kind": "lost", "nodes": ["/edge/3"], "text": "lost /edge/3: <killed>"},
        {"slot": 15, "kind": "joined", "nodes": ["/edge/3"], "text": "edge-3 takes part from slot 15 on"},
        {"slot": 20, "kind": "something new", "text": "of a later version"},
    ]
    lines = [json.dumps(event) for event in events]
    (folder / "events.jsonl").write_text("\n".join([*lines, '{"slot": 21, "ki']))
    page, document = shown(folder)
    assert [event["kind"] for event in document["events"]] == ["lost", "joined", "something new"]
    assert "lost /edge/3: <killed>" in page.text
    assert len([each for each in page.all("line") if each.get("class") == "event"]) == 3
    assert "1 process was lost" in page.text


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", slots=12)
    summary = json.loads((folder / "summary.json").read_text()) | {"interrupted": True, "exit_code": 130}
    (folder / "summary.json").write_text(json.dumps(summary))
    page, _ = shown(folder)
    assert "Interrupted after 12 slots: a task took" in page.text


def test_a_run_whose_hub_was_killed_is_told_from_its_tables(offloading: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(offloading, tmp_path / "run")
    for name in ("summary.json", "services.csv"):
        (folder / name).unlink()
    page, document = shown(folder)
    assert "Without an end after 30 of 30 slots: a task took" in page.text
    assert document["delay_s"]["mean"] == pytest.approx(
        json.loads((offloading / "summary.json").read_text())["delay_s"]["mean"]
    )
    assert "summary.json is missing." in document["missing"]
    assert any("services.csv" in sentence for sentence in document["missing"])


def test_a_run_without_a_slot_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "scenario.toml").write_text('name = "early"\n[agent]\npolicy = "popularity"\n')
    page, _ = shown(folder)
    assert "no slot was completed" in page.text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", policy="popularity")
    scenario = json.dumps(HOSTILE.replace("\u0001", ""))
    (folder / "scenario.toml").write_text(f"name = {scenario}\nseed = 1\n[agent]\npolicy = {scenario}\n")
    event = {"slot": 1, "kind": HOSTILE, "text": HOSTILE}
    (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
    page, _ = shown(folder)
    assert "<script>alert(1)</script>" in page.text


def test_the_command_writes_both_files_and_prints_the_figures(
    offloading: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    html = tmp_path / "run.html"
    assert run_command(["report", str(offloading), "--out", str(html), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "run.json").read_text())
    assert printed["sentence"] == run_words.sentence(printed)
    Page(html.read_text()).check_stands_alone()


@pytest.mark.parametrize(("out", "said"), [("missing/run.html", "cannot be written"), ("run.json", "ends in .html")])
def test_where_no_page_can_go_is_one_line(
    offloading: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, said: str
) -> None:
    assert run_command(["report", str(offloading), "--out", str(tmp_path / out)]) == 2
    assert said in capsys.readouterr().err


def test_what_is_no_run_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["report", str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_nothing_but_markup_is_markup() -> None:
    assert tag("p", "<b>", tag("i", "&"), class_="a'\"b") == '<p class="a&#x27;&quot;b">&lt;b&gt;<i>&amp;</i></p>'
    assert isinstance(tag("p"), Markup)


def test_points_are_means_over_the_tasks_of_their_slots() -> None:
    column, weights = np.array([1.0, 3.0, 5.0, np.nan, 7.0]), np.array([1.0, 3.0, 0.0, 5.0, 0.0])
    found = binned(column, 2, weights)
    assert found[0] == pytest.approx(2.5)
    assert np.isnan(found[1:]).all()
    assert binned(column, 2, worst=True).tolist() == [3.0, 5.0, 7.0]


def test_a_heat_map_of_many_cells_and_slots_stays_small() -> None:
    rows = [[float(k * cell % 7) for k in range(400)] for cell in range(100)]
    names, xs = [str(cell) for cell in range(100)], [float(k) for k in range(400)]
    drawn = bars.heat("c", "a", names, xs, rows, "slot", "s")
    assert drawn is not None
    assert len(drawn) < 200_000
    assert drawn.count("<path") <= 10


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (2.1953, "2.20"), (-0.01234, "\u22120.0123"), (1234.5, "1,234"), (None, "\u2013")]
)
def test_numbers_have_the_digits_that_count(value: float | None, text: str) -> None:
    assert digits.shown(value) == text


def test_axes_have_round_ticks() -> None:
    assert digits.ticks(0.0, 10.2) == [0.0, 5.0, 10.0, 15.0]
    assert digits.tick_text(digits.ticks(0.0, 0.9)) == ["0.00", "0.25", "0.50", "0.75", "1.00"]
    assert digits.ticks(3.0, 3.0)[0] <= 3.0
