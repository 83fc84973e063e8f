"""What the doctor finds, each fault made on purpose."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from live_run import until

from emulator import doctor
from emulator.cli import run_command
from emulator.doctor import Finding, examine_machine


def found(check: str) -> Finding:
    return next(finding for finding in examine_machine() if finding.check == check)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGERIG_HUB", raising=False)
    # Other runs on this machine are not this test's business.
    monkeypatch.setattr(doctor, "_started", lambda: iter(()))


def test_every_fault_has_a_remedy() -> None:
    for finding in examine_machine():
        assert finding.level == "ok" or finding.remedy or finding.check == "disk", finding


def test_an_old_python_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_PYTHON", (4, 0))
    assert found("python").level == "problem"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("click>=8.1", ""),
        ("click>=99", "wanted >=99"),
        ("click<8,>=1", "wanted <8,>=1"),
        ("no-such-package>=1", "no-such-package is missing"),
    ],
)
def test_packages_are_held_against_what_edgerig_wants(spec: str, said: str) -> None:
    text = doctor._unmet(spec)
    assert (said in text) if said else text == ""


def test_a_missing_extra_is_a_note_and_a_missing_package_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["click>=8", "gone>=1", 'away>=2; extra == "report"']
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    assert (found("packages").level, found("packages").text) == ("problem", "gone is missing")
    assert found("extra report").level == "note"
    assert found("extra report").remedy == "`pip install -e '.[report]'`"
    assert found("extra fast").level == "ok"


def test_a_foreign_package_of_our_name_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("import names").level == "ok"
    (tmp_path / "site" / "agents").mkdir(parents=True)
    (tmp_path / "site" / "agents" / "__init__.py").touch()
    info = tmp_path / "site" / "some_sdk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-sdk\nVersion: 1.0\n")
    (info / "RECORD").write_text("agents/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    finding = found("import names")
    assert finding.level == "problem"
    assert "agents is also" in finding.text
    assert "(package some-sdk)" in finding.text


@pytest.mark.parametrize(("soft", "level"), [(100, "problem"), (512, "note"), (4096, "ok")])
def test_few_open_files_are_said(soft: int, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, 4096))
    assert found("open files").level == level


def test_a_folder_that_cannot_be_written_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    assert found("disk").level == "problem"
    assert found("shared memory").level == "note"
    assert found("compiled code").level == "problem"


def test_a_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISK_PROBLEM_BYTES", 2**62)
    assert found("disk").remedy == "make room, or give --out elsewhere"


def test_no_loopback_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert "network is unreachable" in found("loopback").text


def test_a_process_whose_launcher_is_gone_is_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    command = [sys.executable, "-c", "input()", "-m", "emulator", "node", "start", "cell"]
    environments = [{**os.environ, "EDGERIG_LAUNCHED": str(pid)} for pid in (os.getpid(), 2**22 + 1)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) for environment in environments]
    try:
        # A process is there a moment before the kernel shows its arguments and environment.
        until(lambda: {child.pid for child in children} <= {pid for pid, _, _ in doctor._started()}, "both to be seen")
        started = {pid: launcher == parent for pid, launcher, parent in doctor._started()}
        assert [started[child.pid] for child in children] == [True, False]
        assert str(children[1].pid) in found("leftovers").remedy.strip("`").split()
    finally:
        for child in children:
            child.kill()
            child.communicate()


def test_the_exit_code_says_whether_a_hand_is_needed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = Finding("python", "ok", "it is fine")
    bad = Finding("disk", "problem", "it is full", "make room")
    from emulator.cli import doctor as command

    monkeypatch.setattr(command, "examine_machine", lambda: [fine])
    assert run_command(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fine"]
    monkeypatch.setattr(command, "examine_machine", lambda: [fine, bad])
    assert run_command(["doctor"]) == 2
    out = capsys.readouterr().out
    assert "BAD  disk" in out
    assert "-> make room" in out
    assert out.endswith("1 problem\n")
    assert run_command(["doctor", "--json"]) == 2
    assert not json.loads(capsys.readouterr().out)["fine"]


def test_health_without_a_run_is_unhealthy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["doctor", "--health"]) == 2
    assert capsys.readouterr().out.startswith("unhealthy: no live run here")
