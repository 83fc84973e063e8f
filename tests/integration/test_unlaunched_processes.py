"""A run whose processes nobody launched: each is started by itself, and takes the first name that is free."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from live_run import PATIENCE_S, SMALL, edgerig, finished, until

pytestmark = pytest.mark.processes

STOP_S = 2.0


def test_the_same_numbers_with_names_taken_as_they_come_and_a_spare_that_goes_when_told(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    keys = tmp_path / "keys"
    assert finished("keys", "create", str(keys)).returncode == 0
    assert "already" in finished("keys", "create", "--if-missing", str(keys)).stdout
    env = {"EDGERIG_SCENARIO": "small.toml", "EDGERIG_FRAMES": "200", "EDGERIG_KEYS": str(keys)}
    children: list[subprocess.Popen[bytes]] = []

    def started(*arguments: str, **more: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{len(children)}.log").open("wb") as log:
            children.append(
                edgerig("node", "start", *arguments, env={**env, **more}, cwd=tmp_path, stdout=log, stderr=log)
            )
        return children[-1]

    try:
        hub = started("hub", "--host", "to:localhost")
        facts = tmp_path / "runs" / "small-20-1" / "hub.json"
        until(facts.exists, "the hub says where it is")
        more = {"EDGERIG_HUB": json.loads(facts.read_text())["hub"], "EDGERIG_HOST": "to:localhost"}
        for kind in ("edge", "edge", "agent"):
            started(kind, **more)
        started("cell", "--count", "0", **more)
        started("agent", **more)
        until(lambda: "(/agent/1)" in (tmp_path / "0.log").read_text(), "both agents' names are taken")
        spare = started("agent", EDGERIG_WAIT_S="inf", **more)
        started("cloud", **more)
        assert hub.wait(2 * PATIENCE_S) == 0, (tmp_path / "0.log").read_text()
        spare.send_signal(signal.SIGTERM)
        assert spare.wait(STOP_S) in (0, -signal.SIGTERM)  # the latter if it had not come as far as to ask for a name
        others = [child for child in children if child not in (hub, spare)]
        assert [child.wait(PATIENCE_S) for child in others] == [0] * len(others)
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert finished("sim", "small.toml", "--frames", "200", "--out", "sim", cwd=tmp_path).returncode == 0
    assert (facts.parent / "slots.csv").read_bytes() == (tmp_path / "sim" / "slots.csv").read_bytes()
    assert json.loads((facts.parent / "summary.json").read_text())["frames"] == 200
