"""Live trials whose controller is gone for a while: what became of the candidate meanwhile is what counts."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from live_run import PATIENCE_S, SMALL, LiveRun, finished, until
from test_trials_live import PLAN, lines

from bus.client import Client
from bus.messages import Query
from bus.swap_messages import ControlStatus, SwapQuery, SwapState, SwapStates

pytestmark = pytest.mark.processes

WALL = SMALL.replace("frames = 100000", 'frames = 100000\nclock = "wall"\nrate = 600.0')


def states(run: LiveRun) -> list[SwapState]:
    with Client(run.address, PATIENCE_S) as client:
        return list(client.call("swap_status", SwapQuery(), SwapStates).swaps)


def stopped_in_canary(run: LiveRun, folder: Path, number: int, *arguments: str) -> None:
    """A trial that got a signal while the candidate was bound in its canary."""
    before = len(of(folder, "live_from"))
    trial = run.helper("trial", str(folder / "live.toml"), "--hub", run.address, *arguments)
    until(lambda: len(of(folder, "live_from")) > before, "the candidate to be bound")
    run.go_on()
    trial.send_signal(number)
    trial.wait(PATIENCE_S)


def of(folder: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in lines(folder / "live") if line["event"] == event]


def resumed(run: LiveRun, folder: Path) -> tuple[dict[str, Any], str]:
    plan, out = str(folder / "live.toml"), str(folder / "live")
    again = finished("trial", plan, "--resume", out, "--hub", run.address, "--json")
    assert again.returncode == 0, again.stderr + run.log()
    return json.loads(again.stdout), again.stderr


def test_on_the_wall_clock_the_baseline_is_back_after_two_frames_and_stages_begin_anew(tmp_path: Path) -> None:
    run = LiveRun(tmp_path, WALL)
    try:
        (tmp_path / "live.toml").write_text(PLAN.replace("FRAMES", "14"))
        stopped_in_canary(run, tmp_path, signal.SIGKILL, "--out", str(tmp_path / "live"))
        until(lambda: [each.stage for each in states(run)] == ["rolled back"], "the baseline to be bound again")
        assert states(run)[0].reason == "the controller 'trial live' was silent for 2 frames"
        found, told = resumed(run, tmp_path)
        assert "the baseline was bound again meanwhile; the stages begin anew" in told
        assert found["verdict"] == "promoted"
        assert [each["swap"] for each in found["live"]["stages"]] == [2, 3]
        assert [each["edges"] for each in found["live"]["stages"]] == [[0], [1]]
        run.stop()
    finally:
        run.close()


def test_a_candidate_that_died_while_nobody_looked_is_rolled_back(tmp_path: Path) -> None:
    """Interrupted once, so the baseline is bound and stages begin anew; then killed, and the candidate, too."""
    run, out = LiveRun(tmp_path), str(tmp_path / "live")
    try:
        (tmp_path / "live.toml").write_text(PLAN.replace("FRAMES", "400"))
        stopped_in_canary(run, tmp_path, signal.SIGINT, "--out", out)
        run.go_on()
        assert [each.stage for each in states(run)] == ["rolled back"]
        stopped_in_canary(run, tmp_path, signal.SIGKILL, "--resume", out)
        with Client(run.address, PATIENCE_S) as client:
            run.until(lambda: client.call("control_status", Query(), ControlStatus).paused_frame > 0, "time to stand")
        run.kill("agent-0-swap-2")
        found, _ = resumed(run, tmp_path)
        assert (found["verdict"], found["rolled_back_at"]["by"]) == ("rolled_back", "crash")
        assert [each.stage for each in states(run)] == ["rolled back"] * 2
        run.go_on()
        run.stop()
    finally:
        run.close()
