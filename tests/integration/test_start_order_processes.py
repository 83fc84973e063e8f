"""The start order of a run of real processes; and settings, states and logs of one, as a person types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live_run import PATIENCE_S, ROOT, LiveRun, edgerig, finished, until

pytestmark = pytest.mark.processes

SCENARIO = """
name = "ordered"
seed = 7
frames = {frames}
slots_per_frame = 5
[edges]
count = 2
[services]
count = 6
[scheduler]
backend = "numpy"
[processes]
edge = 1
agent = 1
[deadlines]
start_s = {start_s}
"""
ORDER = """
[[start]]
node = "edge"
after = { node = "/lab/gate", state = "active" }
[[start]]
node = "agent"
after = { node = "edge/*", state = "inactive" }
"""
GATE = """
from bus.program import program

with program("gate") as node:
    node.manage()
"""
Play = Callable[..., LiveRun]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    runs: list[LiveRun] = []

    def begin(more: str = "", frames: int = 100_000, start_s: float = PATIENCE_S) -> LiveRun:
        runs.append(LiveRun(tmp_path, SCENARIO.format(frames=frames, start_s=start_s) + more))
        return runs[-1]

    yield begin
    assert [run.close() for run in runs] == [[] for _ in runs]


def states(run: LiveRun) -> dict[str, str]:
    listed = finished("node", "list", "--hub", run.address, "--json")
    assert listed.returncode == 0, listed.stderr
    return {node["node"]: node["state"] for node in json.loads(listed.stdout)["nodes"]}


def started(run: LiveRun) -> set[str]:
    """Processes that the launcher has spawned: each has a log from then on."""
    return {path.stem for path in (run.out / "logs").glob("*.log")}


def test_processes_start_when_their_condition_holds_and_not_before(play: Play) -> None:
    run = play(ORDER, frames=4)
    run.until(lambda: {"/cell/0", "/cloud"} <= states(run).keys(), "those who wait for nobody have come")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    gate = subprocess.Popen(
        [sys.executable, "-c", GATE, "--namespace", "/lab", "--hub", run.address], env=environment
    )  # fmt: skip
    try:
        lead = ("node", "set", "/lab/gate", "--hub", run.address)
        run.until(lambda: states(run).get("/lab/gate") == "unconfigured", "the gate is there")
        refused = finished(*lead, "activate")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "is unconfigured: activate is not possible; possible is configure, shutdown" in refused.stderr
        assert finished(*lead, "configure").stdout == "/lab/gate is inactive\n"
        assert started(run) == {"hub", "cloud", "cell-0-1"}
        status = run.status()
        assert status is not None
        assert status.notes[0] == "edge waits for /lab/gate to be active (it is inactive)"
        fixed = finished("node", "set", "/cloud", "deactivate", "--hub", run.address)
        assert (fixed.returncode, fixed.stdout) == (2, "")
        assert "/cloud: its state (inactive) follows what its process does and cannot be set" in fixed.stderr
        assert finished(*lead, "activate").stdout == "/lab/gate is active\n"
        assert run.wait() == 0, run.log()
    finally:
        gate.kill()
        gate.wait()
    assert started(run) == {"hub", "cloud", "cell-0-1", "edge-0-1", "agent-0-1"}
    joins = [line.split()[4] for line in (run.out / "logs/hub.log").read_text().splitlines() if " joins " in line]
    assert joins.index("edge-0-1") < joins.index("agent-0-1")


def test_a_condition_that_is_never_met_ends_the_run_and_is_named(play: Play) -> None:
    run = play(ORDER, start_s=6.0)
    assert run.wait() == 3, run.log()
    (line,) = [line for line in run.stderr().splitlines() if line.startswith("the run ended")]
    assert "not everyone came within 6 s (deadlines.start_s): edge waits for /lab/gate to be active (nobody" in line
    assert not {"edge-0-1", "agent-0-1"} & started(run)


def test_a_process_by_hand_waits_for_its_turn_or_says_for_whom(play: Play) -> None:
    run = play(ORDER)
    run.until(lambda: "/cloud" in states(run), "the cloud is there")
    edge = edgerig("node", "start", "edge", "--index", "0", "--hub", run.address, stderr=subprocess.PIPE)
    try:
        assert run.launcher.poll() is None
        assert "/edge/0" not in states(run)
        assert edge.poll() is None
    finally:
        edge.send_signal(signal.SIGTERM)
        edge.communicate(timeout=PATIENCE_S)


def test_settings_of_a_live_run_are_dumped_loaded_and_refused_together(play: Play, tmp_path: Path) -> None:
    run = play()
    run.until(lambda: states(run).get("/edge/1") == "active", "the run runs")
    hub = ("--hub", run.address)
    dumped = finished("param", "dump", *hub)
    assert dumped.returncode == 0, dumped.stderr
    settings = tomllib.loads(dumped.stdout)
    assert (settings["/hub"]["stall_s"], settings["/edge/0"]["log_level"]) == (0.5, "INFO")
    for words, said in [
        (("stall_s=50",), "ask_again_s: 3 is less than stall_s (50); nothing was changed"),
        (("stall_s=2", "give_up_s=5"), "give_up_s: 5 is less than dump_s (10)"),
        (("stall_s", "fast"), "'fast' is no float"),
    ]:
        refused = finished("param", "set", "/hub", *words, *hub)
        assert refused.returncode in (2, 3)
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
    assert finished("param", "get", "/hub", "stall_s", *hub).stdout == "0.5\n"
    together = finished("param", "set", "/hub", "stall_s=20", "ask_again_s=30", "dump_s=40", *hub)
    assert (together.returncode, "/hub stall_s = 20" in together.stdout) == (0, True), together.stderr
    file = tmp_path / "settings.toml"
    file.write_text(dumped.stdout)
    loaded = finished("param", "load", str(file), *hub)
    assert loaded.returncode == 0, loaded.stderr
    assert finished("param", "get", "/hub", "dump_s", *hub).stdout == "10\n"


def test_a_node_that_is_killed_is_logged_and_gone(play: Play) -> None:
    run = play()
    run.until(lambda: states(run).get("/agent/1") == "active", "the run runs")
    place = run.out.parent / "log.txt"
    with place.open("wb") as file:
        log = edgerig("log", "--level", "WARNING", "--node", "/hub", "--hub", run.address, stdout=file, stderr=file)
    try:
        run.until(lambda: any("/observer/" in name for name in states(run)), "the log listens")
        run.kill("agent-0-1")
        until(lambda: "lost /agent/0, /agent/1" in place.read_text(), "the hub's warning is shown")
    finally:
        log.send_signal(signal.SIGINT)
        assert log.wait(PATIENCE_S) == 130
    listed = finished("node", "list", "--hub", run.address)
    assert "gone: /agent/0 finalized (its process ended with code -9)" in listed.stdout
    info = finished("node", "info", "/agent/0", "--hub", run.address)
    assert (info.returncode, "/agent/0 is not there: finalized (its process" in info.stderr) == (2, True), info.stderr
