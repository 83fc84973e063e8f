"""Trials in a run in containers: a candidate that does well stays, one that dies is taken back by the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from container_stack import EDGES, Stack

pytestmark = pytest.mark.containers

PLAN = """
name = "live"
scenario = "quickstart"
baseline = "popularity"
candidate = "marginal-popularity"
warmup_frames = 1

[[stage]]
kind = "canary"
edges = [3]
frames = FRAMES
runs = 1

[[stage]]
kind = "all"
frames = 2

[guardrails]
delay_worse_share = 1.0

[rule]
gain_share = -0.9
"""
"""What is looked at is the run, so any candidate that is not far worse goes live."""

CANARY = 3
OURS = dict.fromkeys(map(str, range(EDGES)), "popularity")
BUILD_S = 900.0
PATIENCE_S = 240.0


@pytest.fixture(scope="module")
def tools(image: str, stack: Stack) -> None:
    """The image of trials, which need SciPy for their intervals; a node is without it."""
    # Without Numba: a short trial ends before it has compiled, and the image is built in half the time.
    stack.compose("--profile", "trial", "build", "-q", "--build-arg", "EXTRAS=report", "trial", timeout_s=BUILD_S)


def standing_by(stack: Stack, edges: Sequence[int]) -> list[str]:
    """Containers of agents that stand by, once they are ready."""

    def start(edge: int) -> str:
        return stack.compose("run", "-d", "--no-deps", "-e", f"EDGERIG_INDEX={edge}", "agent-next").split()[-1]

    with ThreadPoolExecutor(len(edges)) as pool:
        started = list(pool.map(start, edges))

    def ready() -> bool:
        found = json.loads(stack.hub("swap", "--list", "--json"))["standbys"]
        return {each["edge"] for each in found if each["state"] == "ready"} >= set(edges)

    stack.until(ready, f"standing by at {edges}", PATIENCE_S)
    return started


def held(stack: Stack, folder: Path, frames: int) -> dict[str, Any]:
    """The answer of a trial whose canary is to last so many frames."""
    folder.chmod(0o755)
    (folder / "TRIAL.toml").write_text(PLAN.replace("FRAMES", str(frames)))
    stack.env["EDGERIG_TRIALS"] = str(folder)
    found: dict[str, Any] = json.loads(
        stack.compose("run", "--rm", "-T", "--no-deps", "trial", "/trials/TRIAL.toml", "--json")
    )
    return found


@pytest.fixture
def canary(stack: Stack) -> Iterator[str]:
    """The candidate's container in the run that tests share, which has the baseline again afterwards."""
    [container] = standing_by(stack, [CANARY])
    yield container
    stack.docker("rm", "-f", container)
    stack.compose("up", "-d", "--no-deps", "--scale", f"agent={EDGES + 1}", "agent")
    stack.until(lambda: stack.is_whole() and stack.deciding() == OURS, "ours decide", PATIENCE_S)


def test_a_candidate_that_dies_in_the_canary_is_rolled_back(
    stack: Stack, tools: None, canary: str, tmp_path: Path
) -> None:
    baselines = stack.holders()[f"/agent/{CANARY}"]
    with ThreadPoolExecutor(1) as pool:
        trial = pool.submit(held, stack, tmp_path, 1000)
        try:
            bound = {**OURS, str(CANARY): "marginal-popularity"}
            stack.until(lambda: stack.deciding() == bound or trial.done(), "the canary", PATIENCE_S)
        finally:
            stack.docker("kill", canary)
        found = trial.result()
    assert found["verdict"] == "rolled_back", found["sentence"]
    assert found["rolled_back_at"]["by"] in ("crash", "late"), "a deadline may pass before a death is noticed"
    [stage] = found["live"]["stages"]
    assert (stage["kind"], stage["edges"]) == ("canary", [CANARY])
    assert stage["swaps"][0]["rolled_back_frame"] > stage["swaps"][0]["frame"]
    stack.until(lambda: stack.deciding() == OURS, "the baseline decides everywhere")
    assert stack.holders()[f"/agent/{CANARY}"] == baselines, "the name was kept for who stood by, and is no spare's"


def test_a_good_candidate_goes_from_canary_to_all_and_stays(lockstep: Stack, tools: None, tmp_path: Path) -> None:
    standing_by(lockstep, range(EDGES))
    found = held(lockstep, tmp_path, 2)
    assert found["verdict"] == "promoted", found["sentence"]
    stages = found["live"]["stages"]
    assert [(stage["edges"], stage["frames"], stage["missed"]) for stage in stages] == [
        ([CANARY], 2, 0),
        ([0, 1, 2, 4], 2, 0),
    ]
    lockstep.until(lambda: lockstep.deciding() == dict.fromkeys(OURS, "marginal-popularity"), "the candidate stays")
    lockstep.compose("stop", "hub")
    summary = json.loads((lockstep.folder(tmp_path / "runs") / "summary.json").read_text())
    assert (summary["missed"], summary["refused"]) == (0, 0)
    assert [[part["edge"] for part in swap["parts"]] for swap in summary["swaps"]] == [[CANARY], [0, 1, 2, 4]]
