"""Which run a tool takes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest

from emulator.cli import finding
from emulator.cli.finding import HubSilent, Run, find


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGERIG_HUB", raising=False)
    monkeypatch.setattr(finding, "_answers", lambda address, pid, keystore: True)
    return tmp_path


def hub_json(folder: Path, age_s: int, pid: int | None = None, hub: str = "tcp://127.0.0.1:5000") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "hub.json"
    path.write_text(json.dumps({"hub": hub, "pid": os.getpid() if pid is None else pid}))
    os.utime(path, (10**9 - age_s, 10**9 - age_s))
    return folder


DEAD = 2**22 + 1  # above the kernel's highest process id


def test_the_newest_run_that_lives_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    hub_json(Path("runs/old"), 300)
    hub_json(Path("runs/new"), 200, hub="tcp://127.0.0.1:5001")
    hub_json(Path("runs/ended"), 100, pid=DEAD)
    (Path("runs/broken")).mkdir()
    (Path("runs/broken/hub.json")).write_text("{")
    assert find(None, None) == Run("tcp://127.0.0.1:5001", Path("runs/new"))
    assert "took runs/new, the newest; 1 more may be live" in capsys.readouterr().err


def test_a_run_whose_hub_does_not_answer_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    hub_json(Path("runs/old"), 300)
    hub_json(Path("runs/new"), 200, hub="tcp://127.0.0.1:5001")
    monkeypatch.setattr(finding, "_answers", lambda address, pid, keystore: address.endswith("5000"))
    assert find(None, None) == Run("tcp://127.0.0.1:5000", Path("runs/old"))


def test_the_folder_we_are_in_is_a_run_too() -> None:
    hub_json(Path(), 100)
    assert find(None, None) == Run("tcp://127.0.0.1:5000", Path())


def test_what_is_named_goes_before_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hub_json(Path("runs/a"), 100)
    monkeypatch.setenv("EDGERIG_HUB", "tcp://hub:6000")
    assert find(None, None) == Run("tcp://hub:6000")
    assert find(None, Path("runs/a")) == Run("tcp://127.0.0.1:5000", Path("runs/a"))
    assert find("tcp://[::1]:7000", None) == Run("tcp://[::1]:7000")


def test_no_run_says_what_to_do() -> None:
    with pytest.raises(click.ClickException, match=r"no live run here .* `edgerig run quickstart`"):
        find(None, None)


def test_a_folder_that_is_no_run_or_an_ended_one_is_said_so() -> None:
    with pytest.raises(click.ClickException, match="is nothing the folder of a run"):
        find(None, Path("nothing"))
    with pytest.raises(HubSilent, match="the run in ended has ended"):
        find(None, hub_json(Path("ended"), 0, pid=DEAD))
    with pytest.raises(click.ClickException, match="give one of them"):
        find("tcp://h:1", Path("nothing"))


def test_a_broken_address_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGERIG_HUB", "foo")
    with pytest.raises(click.ClickException, match="EDGERIG_HUB foo: must be tcp://HOST:PORT"):
        find(None, None)
