"""The benches keep what they promise: their figures against the bars, quick versions."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.processes]


def bench(*arguments: str) -> dict[str, float]:
    ended = subprocess.run(
        [sys.executable, "-m", "emulator", "bench", *arguments, "--quick", "--json"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_scheduler():
    found = bench("scheduler")
    assert found["numpy_speedup"] >= 30.0
    assert found["numba_speedup"] >= 300.0
    assert found["worst_gap"] <= 1e-9
    assert found["worst_gap_general"] <= 1e-7


def test_emulation():
    found = bench("emulation")
    assert found["processes"] == 13
    assert found["bare_messages_per_slot"] == found["messages_per_slot"]
    assert found["bare_wire_bytes_per_slot"] == found["wire_bytes_per_slot"]
    assert found["inprocess_slots_per_s"] >= 5_000.0
    assert found["lockstep_over_bare"] >= 0.4
    assert found["agent_uss_mb"] <= 60.0
    assert found["first_slot_s"] <= 6.0
