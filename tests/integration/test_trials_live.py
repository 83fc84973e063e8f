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
from live_run import PATIENCE_S, ROOT, LiveRun, finished

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
        assert [note["candidates"] for note in notes if note["candidates"]], "bindings are written before they hold"
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
        lines = [json.loads(line) for line in (tmp_path / "good" / "journal.jsonl").read_text().splitlines()]
        bound = [line["candidates"] for line in lines if line.get("live")]
        assert bound == [[0], [0, 1]]
        run.stop()
    finally:
        run.close()
