"""Trials that go on in a live run: a candidate that turns bad is taken back by the hub, a good one stays."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from live_run import PATIENCE_S, ROOT, LiveRun, finished, until

from bus.client import Client
from bus.messages import Query
from bus.swap_messages import ControlStatus, SwapQuery, SwapStates
from emulator.trials.live_only import LiveOnly
from emulator.trials.plan import Plan
from emulator.trials.rollout import Rollout, scenario_of
from emulator.trials.switchback import order

pytestmark = pytest.mark.processes

TURNS_TAKEN = {
    "name": "turns",
    "scenario": "small",
    "baseline": "popularity",
    "candidate": "cloud-only",
    "switchback": {"pairs": 3, "block_frames": 4, "drop_frames": 1},
}
"""Too few pairs for a TRIAL.toml, and enough to see that each block is its arm's."""


def test_candidate_and_baseline_take_turns_where_no_twin_can_be_had(tmp_path: Path) -> None:
    run = LiveRun(tmp_path)
    try:
        run.go_on()
        plan = msgspec.convert(TURNS_TAKEN, Plan)
        with Client(run.address, PATIENCE_S) as client:
            scenario = scenario_of(client, "small")
            notes: list[dict[str, Any]] = []
            rollout = Rollout(client, LiveOnly(plan, scenario).trial, scenario, notes.append, lambda line: None)
            verdict = rollout.hold()
            assert client.call("control_status", Query(), ControlStatus).name == "", "the run goes on by itself"
        assert rollout.blocks is not None
        facts = rollout.blocks.facts
        assert [pair["first"] for pair in facts["pairs"]] == [first for first, _ in order(1, "turns", 3)]
        starts = [frame for pair in facts["pairs"] for frame in pair["from_frames"]]
        assert [later - earlier for earlier, later in itertools.pairwise(starts)] == [4] * 5
        assert all(pair["candidate"]["delay"] > 1.1 * pair["baseline"]["delay"] for pair in facts["pairs"])
        assert facts["rolled_back_frame"] in (starts[-1], starts[-1] + 4), "the baseline stays in the end"
        assert verdict.word != "promoted", "who sends everything to the cloud is worse in every block"
        assert [note for note in notes if note.get("candidates")], "bindings are written before they hold"
        run.stop()
    finally:
        run.close()


PLAN = """
name = "live"
scenario = "run.toml"
baseline = "popularity"
candidate = "marginal-popularity"
seeds = "1-20"

[[stage]]
kind = "canary"
edges = [0]
frames = FRAMES
runs = 1

[[stage]]
kind = "all"
frames = 3

[guardrails]
delay_worse_share = 1.0

[rule]
gain_share = -0.9
"""


def held(run: LiveRun, folder: Path, name: str, frames: int) -> dict[str, Any]:
    plan = folder / f"{name}.toml"
    plan.write_text(PLAN.replace("FRAMES", str(frames)))
    ended = finished("trial", str(plan), "--hub", run.address, "--out", str(folder / name), "--json")
    assert ended.returncode == 0, ended.stderr + run.log()
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def lines(folder: Path) -> list[dict[str, Any]]:
    journal = folder / "journal.jsonl"
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []


def test_a_trial_that_is_killed_takes_its_run_up_again(tmp_path: Path) -> None:
    """kill -9 in the middle of a stage: lockstep stands at the boundary, says for whom and how long, and goes on."""
    run = LiveRun(tmp_path)
    try:
        run.go_on()
        plan, folder = tmp_path / "live.toml", tmp_path / "live"
        plan.write_text(PLAN.replace("FRAMES", "60"))
        trial = run.helper("trial", str(plan), "--hub", run.address, "--out", str(folder))
        until(lambda: any(line["event"] == "live_from" for line in lines(folder)), "the candidate to be bound")
        run.go_on(20)
        trial.kill()
        trial.wait(PATIENCE_S)
        with Client(run.address, PATIENCE_S) as client:

            def paused() -> int:
                return client.call("control_status", Query(), ControlStatus).paused_frame

            stands = run.until(lambda: max(paused(), 0), "time to stand at a boundary")
            told = json.loads(finished("clock", "status", "--hub", run.address, "--json").stdout)
            (who,) = told["unacknowledged"]
            assert who.startswith(f"frame {stands} waits for the controller 'trial live'; if it stays silent, the run")
            assert told["stage"] == "held"
            assert paused() == stands

            alone = finished("trial", str(plan), "--resume", str(folder))
            assert (alone.returncode, "name its hub again, with --hub" in alone.stderr) == (2, True), alone.stderr
            again = finished("trial", str(plan), "--resume", str(folder), "--hub", run.address, "--json")
            assert again.returncode == 0, again.stderr + run.log()
            found = json.loads(again.stdout)
            assert "in control again" in again.stderr
            assert found["verdict"] == "promoted"
            first, second = found["live"]["stages"]
            assert (first["edges"], first["frames"], second["edges"], second["frames"]) == ([0], 60, [1], 3)
            assert second["from_frame"] == first["from_frame"] + 60, "no frame passed without its controller"
            assert (first["missed"], second["missed"]) == (0, 0)
            assert first["run_delay"] != first["twin_delay"]
            states = client.call("swap_status", SwapQuery(), SwapStates).swaps
            assert [state.number for state in states] == [first["swap"], second["swap"]], "none was asked for twice"
        over = finished("trial", str(plan), "--resume", str(folder), "--hub", run.address)
        assert (over.returncode, "the trial is over in its live run" in over.stderr) == (2, True), over.stderr
        run.go_on()
        run.stop()
    finally:
        run.close()


TURNS = """
class Turns:
    def __init__(self, setup):
        self.services, self.decided = len(setup.service_bytes), set()

    def decide(self, frame, counts):
        self.decided.add(frame)
        return range(self.services) if len(self.decided) > 9 else [0]
"""


def standing_by(run: LiveRun, folder: Path) -> subprocess.Popen[bytes]:
    """A program that somebody started beside the run, as a container would be; it is not what the trial was told.

    After some frames it deploys everything, which does not fit.
    """
    file = folder / "turns.py"
    file.write_text(TURNS)
    env = {**os.environ, **run.env, "PYTHONPATH": str(ROOT), "EDGERIG_HUB": run.address}
    env |= {"EDGERIG_INDEX": "0", "EDGERIG_STANDBY": "1", "EDGERIG_PROCESS": "agent-next"}
    command = [sys.executable, "-m", "agents.host", f"{file}:Turns", "turns", "1.0", "offloading"]
    child = subprocess.Popen(command, env=env)
    run.helpers.append(child)
    return child


def test_a_live_run_is_led_through_the_stages(tmp_path: Path) -> None:
    run = LiveRun(tmp_path)
    try:
        run.go_on()
        turning = standing_by(run, tmp_path)
        with Client(run.address, PATIENCE_S) as client:

            def ready() -> bool:
                there = client.call("swap_status", SwapQuery(), SwapStates).standbys
                return any(each.state == "ready" for each in there)

            run.until(ready, "the program to stand by")
            bad = held(run, tmp_path, "bad", 60)
            assert (bad["verdict"], bad["rolled_back_at"]["by"]) == ("rolled_back", "infeasible")
            (stage,) = bad["live"]["stages"]
            assert stage["missed"] == 1, "in one frame; from the next one on the baseline is bound"
            assert stage["edges"] == [0]
            assert stage["swaps"][0]["rolled_back_frame"] == stage["swaps"][0]["frame"] + stage["frames"]
            assert turning.wait(PATIENCE_S) == 0, "who was taken back is told goodbye"
            assert client.call("control_status", Query(), ControlStatus).name == "", "the run goes on by itself"
            run.go_on()

            good = held(run, tmp_path, "good", 4)
            assert good["verdict"] == "promoted"
            assert [stage["edges"] for stage in good["live"]["stages"]] == [[0], [1]]
            assert [stage["frames"] for stage in good["live"]["stages"]] == [4, 3]
            assert [stage["missed"] for stage in good["live"]["stages"]] == [0, 0]
            assert all(0.0 < stage["twin_delay"] < 60.0 for stage in good["live"]["stages"])
            states = client.call("swap_status", SwapQuery(), SwapStates).swaps
            assert {state.stage for state in states} <= {"rolled back", "bound", "done"}
        bound = [line["candidates"] for line in lines(tmp_path / "good") if line.get("live")]
        assert bound == [[0], [0, 1]]
        run.stop()
    finally:
        run.close()
