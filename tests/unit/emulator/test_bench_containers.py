"""`edgerig bench containers` without an engine, and what it reads of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.bench_containers import anonymous_bytes, slots_per_s
from emulator.cli import run_command
from emulator.container_run import EngineFailed


def engine_that(does: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in the engine's place."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_machine_without_an_engine_is_told_so(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert run_command(["bench", "containers", "--quick"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "docker: not found; install Docker with Compose" in said.err
    assert "Traceback" not in said.err


def test_an_image_that_is_not_built_is_named_with_the_remedy(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine_that("echo 'no such image' >&2; exit 1", checkout, monkeypatch)
    assert run_command(["bench", "containers", "--tag", "mine"]) == 2
    said = capsys.readouterr().err
    assert "no image edgerig-node:mine" in said
    assert "no such image" in said
    assert "docker compose build" in said


def test_the_compose_file_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["bench", "containers"]) == 2
    assert "compose.yaml" in capsys.readouterr().err


def test_anonymous_memory_is_read_of_either_version_of_control_groups() -> None:
    assert anonymous_bytes("anon 41000000\nfile 5\n") == 41_000_000
    assert anonymous_bytes("cache 5\nrss 6\ntotal_rss 7\n") == 7
    with pytest.raises(EngineFailed, match="control groups"):
        anonymous_bytes("")


def test_the_first_slots_of_a_run_do_not_count(tmp_path: Path) -> None:
    lines = [f"{slot},1,{9.0 if slot < 50 else 0.25}" for slot in range(60)]
    (tmp_path / "timing.csv").write_text("slot,attempts,wall_s\n" + "\n".join(lines) + "\n")
    assert slots_per_s(tmp_path) == 4.0
