"""What an agent with an ONNX actor weighs as a process of its own, in a run as people start it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from live_run import ROOT, LiveRun

from emulator.bench_node import weights_of

pytestmark = pytest.mark.processes

MOST_MB = 80.0
DECISIONS = 10
SCENARIO = (ROOT / "emulator" / "scenarios" / "quickstart.toml").read_text().replace("frames = 40", "frames = 100000")


def test_an_agent_with_an_onnx_actor_is_small(live: Callable[..., LiveRun]) -> None:
    actors = ROOT / "agents" / "shipped_actors" / "quickstart"
    run = live(SCENARIO, "--agent", f"onnx:{actors}")
    run.until(lambda: run.slot() >= 5 * DECISIONS, "some decisions")
    pid = run.pid("agent-1")
    weights = weights_of(pid)
    libraries = Path(f"/proc/{pid}/maps").read_text()
    run.stop()
    assert "onnxruntime" in libraries
    assert "torch" not in libraries
    assert 20.0 < weights["Rss"] <= MOST_MB, weights
