"""`edgerig sim`, `check` and `schema` with the rental world."""

from __future__ import annotations

import json

import pytest

from emulator.cli import run_command
from emulator.folder import read_table


def test_a_run_leaves_a_folder_whose_tables_agree(tmp_path, capsys):
    out = tmp_path / "run"
    assert run_command(["sim", "paper-n2o", "--slots", "30", "--agent", "all1", "--out", str(out), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["world"], summary["spec"], summary["slots"], summary["exit_code"]) == ("rental", "P", 30, 0)
    slots, edges = read_table(out / "slots.csv"), read_table(out / "edges.csv")
    assert len(slots["slot"]) == 30
    assert len(edges["slot"]) == 120
    assert sum(edges["reward"]) == pytest.approx(summary["reward"]["total"], rel=1e-12)
    assert sum(slots["tasks"]) == sum(edges["tasks"]) == summary["tasks"]["edge"]
    assert sum(read_table(out / "episodes.csv")["reward"]) == pytest.approx(summary["reward"]["total"], rel=1e-12)
    assert summary["episodes"]["count"] == 5
    assert json.loads((out / "summary.json").read_text(encoding="utf-8")) == summary


def test_the_same_seed_gives_the_same_tables_and_another_seed_others(tmp_path):
    tables = []
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / str(number)
        arguments = ["sim", "quickstart-rental", "--slots", "12", "--agent", "random", "--seed", str(seed)]
        assert run_command([*arguments, "--out", str(out), "--json"]) == 0
        tables.append((out / "slots.csv").read_bytes() + (out / "edges.csv").read_bytes())
    assert tables[0] == tables[1] != tables[2]


def test_people_and_several_seeds_are_told_the_reward(tmp_path, capsys):
    arguments = ["sim", "paper-n2o-a", "--slots", "24", "--agent", "0=constant:0,all1", "--out", str(tmp_path / "a")]
    assert run_command(arguments) == 0
    said = capsys.readouterr().out
    assert "spec A, zero_delay_bug authors" in said
    assert "an episode, mean of 1" in said


def test_what_cannot_be_is_one_line_and_exit_2(tmp_path, capsys):
    for arguments, said in (
        (["sim", "quickstart-rental", "--agent", "popularity"], "no such policy; known: actor"),
        (["sim", "quickstart", "--agent", "greedy-rule"], "no such policy; known: cloud-only"),
        (["run", "quickstart-rental", "--set", "agent.orphan=all1"], "set it to keep or empty"),
        (["run", "quickstart-rental", "--agent", "owner:/nowhere"], "/nowhere: holds no networks (manifest.toml)"),
        (["run", "quickstart-rental", "--agent", "all1,3=onnx:/nowhere"], "/nowhere: holds no networks"),
        (["run", "quickstart-rental", "--agent", "constant:7"], "choose 0..2 (rental.units)"),
        (["run", "quickstart-rental", "--set", "edges.count=4"], "no shipped rental networks fit this world"),
        (["sim", "quickstart-rental", "--agent", "madql:/nowhere"], "/nowhere: holds no networks"),
        (["sim", "quickstart-rental", "--scheduler", "nearest"], "the rental world has no scheduler"),
        (["sim", "quickstart-rental", "--set", "rental.demand.load=100"], "take a smaller load"),
    ):
        assert run_command([*arguments, "--out", str(tmp_path / "x")]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert said in lines[0]
        assert not (tmp_path / "x").exists()


def test_check_and_schema_know_the_world(capsys):
    assert run_command(["check", "quickstart-rental", "quickstart"]) == 0
    said = capsys.readouterr().out
    assert "rental, spec P, N=9 K=2, 86.7 users of 131" in said
    assert "M=5 J=20 K=5" in said
    assert run_command(["check", "paper-n2o-a", "--show"]) == 0
    assert 'zero_delay_bug = "authors"' in capsys.readouterr().out
    assert run_command(["schema"]) == 0
    assert "Rental" in json.loads(capsys.readouterr().out)["$defs"]


def test_what_is_of_the_other_world_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("emulator.cli.learning_ttosc.require_torch", lambda: None)
    for arguments, said in (
        (["demo", "quickstart-rental"], "is of the rental world, which the demo does not show"),
        (
            ["train", "ttosc", "quickstart-rental", "--out", str(tmp_path / "x")],
            "is of the rental world; TTOSC's agents",
        ),
    ):
        assert run_command(arguments) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert said in lines[0]
