"""An actor that remembers goes from one process to the next: no number changes with its state, and some without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from live_run import SMALL, finished

MANIFEST = Path(__file__).parents[2] / "agents" / "shipped_actors" / "quickstart" / "agent.toml"
FRAMES = 12
AGENTS = f"0={MANIFEST},onnx"
SWAPS = ((4, "onnx"), (7, f"exec:{MANIFEST}"))
"""By edge server: from a file with a manifest to a policy of ours at its host, and from one on the bus to the file."""
pytestmark = pytest.mark.processes


def play(folder: Path, name: str, swaps: str) -> tuple[dict[str, Any], str]:
    """The summary of a run, and its frames; swaps: rows of events."""
    (folder / f"{name}.csv").write_text(f"number,event,frame,edge,epoch,agent\n{swaps}")
    run = ("run", str(folder / "small.toml"), "--frames", str(FRAMES), "--agent", AGENTS, "--json")
    done = finished(*run, "--out", str(folder / name), *(["--swaps", str(folder / f"{name}.csv")] if swaps else []))
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert (summary["missed"], summary["refused"]) == (0, 0)
    return summary, (folder / name / "frames.csv").read_text()


def test_the_state_of_an_actor_goes_over(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL.replace("count = 6", "count = 12"))
    rows = {
        how: "".join(
            f"{edge + 1},{event},{at},{edge},2,{agent}\n"
            for edge, (at, agent) in enumerate(SWAPS)
            for event, at in ((how, at), ("bound", at), ("done", at + 1))
        )
        for how in ("handed over", "cold start")
    }
    _, plain = play(tmp_path, "plain", "")
    summary, frames = play(tmp_path, "warm", rows["handed over"])
    parts = [swap["parts"][0] for swap in summary["swaps"]]
    told = [(part["state"], part["state_format"], part["state_frame"], part["state_bytes"]) for part in parts]
    assert told == [("handed over", "edgerig-averages-1", at - 1, 4 * 6 * 12) for at, _ in SWAPS]
    assert frames == plain
    summary, frames = play(tmp_path, "cold", rows["cold start"])
    reasons = {swap["parts"][0]["state_reason"] for swap in summary["swaps"]}
    assert reasons == {"a cold start was asked for"}
    assert frames != plain
