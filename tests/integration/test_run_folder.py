"""Where a run writes: a folder that exists or cannot be made, a full disk, two runs at once; a narrow screen."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live_run import MARK, PATIENCE_S, ROOT, SMALL, LiveRun, finished, marked, until

pytestmark = pytest.mark.processes

SHORT = SMALL.replace("frames = 100000", "frames = 4")


def nobody_left(mark: str) -> None:
    until(lambda: not marked(mark), f"processes {marked(mark)} end", 5.0)


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    done = finished("run", "quickstart", "--out", str(tmp_path / "there"))
    assert done.returncode == 2
    assert done.stderr.strip() == f"{tmp_path / 'there'}: exists already; choose another --out or remove it"
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize("where", ["/proc/here", "file/below"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    done = finished("run", "quickstart", "--out", where, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot make a run folder" in done.stderr


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of so many kilobytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


# What fills the disk differs: the tables, the logs at the start, the scenario itself.
@pytest.mark.parametrize("disk", [80, 48, 16, 4], indirect=True)
def test_a_full_disk_ends_the_run_with_2_and_says_so(tmp_path: Path, disk: Path) -> None:
    (tmp_path / "endless.toml").write_text(SMALL)
    done = finished(
        "run", str(tmp_path / "endless.toml"), "--out", str(disk / "run"), cwd=tmp_path, env={MARK: str(disk)}
    )
    assert done.returncode == 2, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    nobody_left(str(disk))


def test_two_runs_at_once_do_not_meet(live: Callable[..., LiveRun], tmp_path: Path) -> None:
    first, second = live(SMALL, name="first"), live(SMALL, name="second")
    for run in (first, second):
        run.until(lambda run=run: run.slot() >= 10, "slot 10")
    assert first.address != second.address
    for run in (first, second):
        summary = run.stop()
        assert summary["notes"] == []
        run.nobody_left(5.0)
    one, other = first.slots(), second.slots()
    both = min(len(one["slot"]), len(other["slot"]))
    assert {name: column[:both] for name, column in one.items()} == {n: column[:both] for n, column in other.items()}


def test_runs_without_out_get_folders_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SHORT)
    command = [sys.executable, "-m", "emulator", "run", "small.toml", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
    summaries = [json.loads(child.communicate(timeout=2 * PATIENCE_S)[0]) for child in both]
    assert [child.returncode for child in both] == [0, 0]
    assert summaries[0]["digest"] == summaries[1]["digest"]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["small-20-1", "small-20-2"]


def test_json_is_one_document_on_stdout(live: Callable[..., LiveRun]) -> None:
    run = live(SHORT)
    assert run.wait() == 0, run.log()
    assert json.loads(run.stdout()) == run.summary()
    assert {path.name for path in run.out.iterdir()} == {
        "scenario.toml", "summary.json", "slots.csv", "frames.csv", "cells.csv", "services.csv", "messages.csv",
        "timing.csv", "hub.json", "logs",
    }  # fmt: skip


def test_a_terminal_of_60_columns_is_enough(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SHORT)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    child = subprocess.Popen(
        [sys.executable, "-m", "emulator", "run", "small.toml"],
        cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert child.wait(PATIENCE_S) == 0
    text = shown.decode()
    assert "Traceback" not in text
    assert "digest" in text
    assert "runs/small-20-1" in text.replace("\r\n", "")
