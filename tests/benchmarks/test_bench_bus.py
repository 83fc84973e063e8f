"""The rows of `edgerig bench bus`, small: they are measured as told, and do not fall far behind their bars.

Guards are at about half of what the bench's bars ask: ratios vary with what else the machine does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from bus import bench_counters, publisher
from bus.bench_contest import CONTESTANTS
from bus.bench_lockstep import MEANS
from bus.bench_sample import PAYLOAD_BYTES, Board, Window, sample
from bus.codec import encode_payload

pytestmark = [pytest.mark.processes]


def bench(*arguments: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-m", "emulator", "bench", "bus", *arguments, "--quick", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_message_is_as_long_as_the_bench_says():
    assert len(encode_payload(sample(0))) == PAYLOAD_BYTES
    assert len(encode_payload(sample(10_000_000))) == PAYLOAD_BYTES


def test_a_window_holds_the_sender_back_to_the_slowest_receiver(tmp_path):
    board = Board(str(tmp_path / "board"), 2)
    window = Window(board)
    window.sent = 10
    board.numbers[board.place(0)] = 10
    board.numbers[board.place(1)] = 4
    assert window.flying() == 6


def test_one_to_one_is_measured_and_does_not_fall_far_behind():
    found = bench("--only", "1to1")
    for name in CONTESTANTS:
        assert found[f"typed_1to1_per_s_{name}"] > 0.0
        assert found[f"typed_1to1_cpu_us_{name}"] > 0.0
    assert found["typed_1to1_over_raw"] >= 0.15
    assert found["typed_1to1_over_zenoh"] >= 0.15
    assert ("typed_1to1_over_raw" in found["missed"]) is (found["typed_1to1_over_raw"] < 0.75)


def test_round_trips_are_measured_and_do_not_fall_far_behind():
    found = bench("--only", "rtt")
    assert found["rtt_p50_us_edgerig"] <= found["rtt_p99_us_edgerig"]
    assert found["rtt_over_zenoh"] <= 1.8


def test_lockstep_is_measured_and_does_not_fall_far_behind():
    found = bench("--only", "lockstep", "--nodes", "8", "--rounds", "2")
    for name in MEANS:
        assert found[f"lockstep_ticks_per_s_8_{name}"] > 0.0
        assert found[f"lockstep_cpu_us_8_{name}"] > 0.0
    assert found["lockstep_over_bare_8"] >= 0.12
    assert found["lockstep_over_helics_8"] >= 0.6


def test_late_joiners_lose_nothing():
    found = bench("--only", "joins", "--joins", "300")
    assert found["joins"] == 300
    assert found["join_first_lost"] == 0
    assert found["join_gaps"] == 0
    assert 0.0 < found["join_p50_ms"] <= found["join_p99_ms"]
    assert found["join_p50_ms"] <= 20.0


def test_a_plain_node_is_small():
    found = bench("--only", "memory")
    assert found["node_uss_before_scrape_mb"] < found["node_uss_mb"] <= found["node_rss_mb"]
    assert found["node_uss_mb"] <= 35.0


def test_a_scrape_is_short():
    found = bench("--only", "scrape")
    assert found["scrapes"] > 0
    assert found["scrape_samples"] > 20
    assert found["scrape_ms"] <= 50.0


def test_counting_is_cheap():
    found = bench("--only", "counters")
    assert found["us_per_message_counters"] <= 0.25 * found["us_per_message"]


def test_the_hot_path_without_its_counters_is_the_hot_path_without_its_counters():
    functions, cuts = bench_counters.uncounted(publisher, "Publisher")
    assert cuts >= 2
    assert "publish" in functions
    assert functions["publish"].__code__.co_code != publisher.Publisher.publish.__code__.co_code
