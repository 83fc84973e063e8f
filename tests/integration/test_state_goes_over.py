"""An actor that remembers is swapped for one of the same file: no number changes with its state, and some without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from live_run import SMALL, finished

ACTOR = Path(__file__).parents[2] / "agents" / "shipped_actors" / "quickstart"
FRAMES, AT = 12, 6
pytestmark = pytest.mark.processes


def play(folder: Path, name: str, by: Path | None = None) -> tuple[dict[str, Any], str]:
    """The summary of a run, and its frames; by: the manifest of whoever takes over at edge server 0."""
    swap: list[str] = []
    if by is not None:
        plan = folder / f"{name}.csv"
        rows = "".join(f"1,{event},{frame},0,2,exec:{by}\n" for event, frame in (("bound", AT), ("done", AT + 1)))
        plan.write_text(f"number,event,frame,edge,epoch,agent\n{rows}")
        swap = ["--swaps", str(plan)]
    run = ("run", str(folder / "small.toml"), "--frames", str(FRAMES), "--agent", str(ACTOR / "agent.toml"), "--json")
    done = finished(*run, "--out", str(folder / name), *swap)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert (summary["missed"], summary["refused"]) == (0, 0)
    return summary, (folder / name / "frames.csv").read_text()


def test_the_state_of_an_actor_goes_over(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL.replace("count = 6", "count = 12"))
    cold = tmp_path / "without"
    cold.mkdir()
    shutil.copy(ACTOR / "actor.onnx", cold)
    manifest = (ACTOR / "agent.toml").read_text()
    (cold / "agent.toml").write_text(manifest[: manifest.index("[state]")])

    _, plain = play(tmp_path, "plain")
    summary, frames = play(tmp_path, "swapped", ACTOR / "agent.toml")
    (part,) = summary["swaps"][0]["parts"]
    assert (part["state"], part["state_format"], part["state_frame"]) == ("handed over", "edgerig-averages-1", AT - 1)
    assert part["state_bytes"] == 4 * 6 * 12
    assert frames == plain
    assert play(tmp_path, "cold", cold / "agent.toml")[1] != plain
