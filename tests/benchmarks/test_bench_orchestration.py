"""`edgerig bench orchestration`, small: measured as told; guards are wide, since it runs beside other tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agents.bench_negotiation import Agents, Plan, bare, bare_parts, letters_of
from agents.n2o.example_tables import ACTIONS
from bus.bench_lockstep import HUB

pytestmark = [pytest.mark.processes]


def test_the_bus_counts_what_was_written_and_a_decision_ends() -> None:
    plan = Plan("owner:rounds=4", 2, 1)
    with Agents(plan) as agents:
        took_s = agents.turn(0.3)
        assert agents.weigh() == letters_of(plan)
    assert len(took_s) >= 1
    assert all(0.0 < each < 10.0 for each in took_s)


def test_bare_moves_the_bytes_of_a_decision() -> None:
    plan = Plan("n2o:rounds=5", 2, 1)
    parts = bare_parts(plan, 3)
    assert [part.name for part in parts] == [HUB, "bench0", "bench1", "bench2", "bench3"]
    letters = [frame for part in parts[1:] for slot in part.slots for stage in slot for frame in stage.sends]
    letters = [frame for frame in letters if b"orchestration" in frame]
    assert len(letters) == 3 * 5 * 8
    heaviest = letters_of(plan)["/agent/0/orchestration/1"]
    assert 5 * (len(letters[0]) + 2) == heaviest.wire_bytes
    assert len(bare(plan, 3)) == 2


def test_published_letters_grow_with_the_network_and_the_others_do_not() -> None:
    payload = {
        (name, side): letters_of(Plan(name, side, 1))["/agent/0/orchestration/1"].payload_bytes
        for name in ("n2o", "owner", "max-sum")
        for side in (2, 3, 5)
    }
    assert payload["owner", 2] == payload["owner", 5] <= 200
    assert payload["max-sum", 2] == payload["max-sum", 5] <= 150
    assert payload["n2o", 2] >= 50 * 16
    assert payload["n2o", 5] >= 50 * 100
    assert ACTIONS == 3  # K = 2, which these figures are for


def test_the_command_measures_everything_and_draws_it(tmp_path: Path) -> None:
    picture = tmp_path / "orchestration.png"
    ended = subprocess.run(
        [sys.executable, "-m", "emulator", "bench", "orchestration", "--quick", "--json", "-o", str(picture)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["owner_payload_bytes"] <= 200
    assert result["max_sum_payload_bytes"] <= 150
    assert (result["owner_rounds"], result["n2o_rounds"]) == (10, 50)
    assert 0.0 < result["owner_over_bare"] < 1.5
    assert 0.0 < result["n2o_over_bare"] < 1.5
    assert result["headroom_owner"] > 0.9
    assert result["headroom_max_sum"] > 0.85
    assert result["headroom_owner_loss_50"] > 0.8
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "s left" in ended.stderr
