"""The rows of `edgerig bench bus`, small: they are measured as told, and do not fall far behind their bars.

Guards are at about half of what the bench's bars ask: ratios vary with what else the machine does.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest

from bus import bench_counters, publisher
from bus.bench_contest import CONTESTANTS
from bus.bench_lockstep import MEANS, Shape, Turn, told
from bus.bench_sample import BLOCK_BYTES, PAYLOAD_BYTES, Board, Window, block, sample
from bus.codec import encode_payload
from emulator import bench_bus
from emulator.cli import bench as bench_commands
from emulator.cli import run_command

pytestmark = [pytest.mark.processes]


@cache
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


ONE_TO_ONE = ("--only", "1to1")
ROUND_TRIPS = ("--only", "rtt")
LOCKSTEP = ("--only", "lockstep", "--nodes", "8", "--rounds", "2")
OVERLOAD = ("--only", "overload")
JOINS = ("--only", "joins", "--joins", "300")
CURVE = ("--only", "curve")
COUNTERS = ("--only", "counters")
MEMORY = ("--only", "memory")
SCRAPE = ("--only", "scrape")


def test_the_message_is_as_long_as_the_bench_says():
    assert len(encode_payload(sample(0))) == PAYLOAD_BYTES
    assert len(encode_payload(sample(10_000_000))) == PAYLOAD_BYTES
    assert len(encode_payload(block(0))) == BLOCK_BYTES


def test_a_window_holds_the_sender_back_to_the_slowest_receiver(tmp_path):
    board = Board(str(tmp_path / "board"), 2)
    window = Window(board)
    window.sent = 10
    board.numbers[board.place(0)] = 10
    board.numbers[board.place(1)] = 4
    assert window.flying() == 6


def test_one_to_one_is_measured_and_does_not_fall_far_behind():
    found = bench(*ONE_TO_ONE)
    for name in CONTESTANTS:
        assert found[f"typed_1to1_per_s_{name}"] > 0.0
        assert found[f"typed_1to1_cpu_us_{name}"] > 0.0
    assert found["typed_1to1_over_raw"] >= 0.15
    assert found["typed_1to1_over_zenoh"] >= 0.15
    assert ("typed_1to1_over_raw" in found["missed"]) is (found["typed_1to1_over_raw"] < 0.75)


def test_round_trips_are_measured_and_do_not_fall_far_behind():
    found = bench(*ROUND_TRIPS)
    assert found["rtt_p50_us_edgerig"] <= found["rtt_p99_us_edgerig"]
    assert found["rtt_over_zenoh"] <= 1.8


def test_lockstep_is_measured_and_does_not_fall_far_behind():
    found = bench(*LOCKSTEP)
    for name in MEANS:
        assert found[f"lockstep_ticks_per_s_8_{name}"] > 0.0
        assert found[f"lockstep_cpu_us_8_{name}"] > 0.0
    assert found["lockstep_over_bare_8"] >= 0.12
    assert found["lockstep_over_helics_8"] >= 0.6


def test_a_reliable_topic_in_trouble_loses_and_repeats_nothing():
    found = bench(*OVERLOAD)
    assert found["overload_cuts"] == bench_bus.CUTS
    assert found["overload_dropped"] > 0
    assert found["overload_factor"] > 2.0
    assert found["overload_lost"] == 0
    assert found["overload_duplicated"] == 0
    assert found["overload_disordered"] == 0
    assert found["repair_share"] <= 0.5


def test_late_joiners_lose_nothing():
    found = bench(*JOINS)
    assert found["joins"] == 300
    assert found["join_first_lost"] == 0
    assert found["join_gaps"] == 0
    assert 0.0 < found["join_p50_ms"] <= found["join_p99_ms"]
    assert found["join_p50_ms"] <= 20.0


def test_a_plain_node_is_small():
    found = bench(*MEMORY)
    assert found["node_uss_before_scrape_mb"] < found["node_uss_mb"] <= found["node_rss_mb"]
    assert found["node_uss_mb"] <= 35.0


def test_keys_do_not_halve_the_rate_of_a_kilobyte():
    found = bench(*CURVE)
    assert found["1kb_per_s_curve"] > 0.0
    assert found["curve_over_plain_1kb"] >= 0.25


def test_a_scrape_is_short():
    found = bench(*SCRAPE)
    assert found["scrapes"] > 0
    assert found["scrape_samples"] > 20
    assert found["scrape_ms"] <= 50.0


def test_counting_is_cheap():
    found = bench(*COUNTERS)
    assert found["us_per_message_counters"] <= 0.25 * found["us_per_message"]


def test_the_hot_path_without_its_counters_is_the_hot_path_without_its_counters():
    functions, cuts = bench_counters.uncounted(publisher, "Publisher")
    assert cuts >= 2
    assert "publish" in functions
    assert functions["publish"].__code__.co_code != publisher.Publisher.publish.__code__.co_code


def test_one_to_eight_is_measured_and_does_not_fall_far_behind():
    found = bench("--only", "1to8", "--against", "raw", "--rounds", "2")
    assert found["typed_1to8_per_s_edgerig"] > 0.0
    assert found["typed_1to8_over_raw"] >= 0.2
    assert "typed_1to8_over_zenoh" not in found


def test_lockstep_has_its_figures_by_the_number_of_nodes():
    turns = {name: [Turn(ticks=10, seconds=1.0, cpu_s=0.1)] for name in MEANS}
    for shape in bench_bus.SHAPES:
        assert {f"lockstep_over_bare_{shape.label}", f"lockstep_ticks_per_s_{shape.label}_edgerig"} <= set(
            told(turns, shape)
        )
    assert [shape.label for shape in bench_bus.SHAPES] == ["8", "32", "64", "64_by_8"]
    assert Shape(64, 8).before(0) == 63


def test_the_figures_have_the_names_that_others_read():
    found = {}
    for arguments in (ONE_TO_ONE, ROUND_TRIPS, OVERLOAD, JOINS, LOCKSTEP, COUNTERS):
        found |= bench(*arguments)
    assert {
        "typed_1to1_over_raw",
        "typed_1to1_over_zenoh",
        "rtt_over_zenoh",
        "overload_lost",
        "overload_duplicated",
        "repair_share",
        "join_p99_ms",
        "lockstep_over_bare_8",
        "lockstep_over_helics_8",
        "us_per_message_counters",
        "missed",
        "not_measured",
        "rounds",
        "machine",
        "versions",
    } <= found.keys()


def test_the_command_offers_every_group_and_every_contestant():
    assert set(bench_commands.BUS_GROUPS) == set(bench_bus.GROUPS)
    assert set(bench_commands.BUS_PEERS) == {*CONTESTANTS, *MEANS} - {"edgerig"}


@pytest.fixture
def without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_bus, "find_spec", lambda _name: None)


@pytest.mark.usefixtures("without_extras")
def test_a_peer_that_is_not_installed_is_named(capsys: pytest.CaptureFixture[str]):
    assert run_command(["bench", "bus", "--only", "memory"]) == 0
    said = capsys.readouterr().out
    assert "not measured: zenoh (eclipse-zenoh is not installed)" in said
    assert "not measured: helics (helics is not installed)" in said


@pytest.mark.usefixtures("without_extras")
def test_to_ask_for_a_peer_that_is_not_installed_is_an_error(capsys: pytest.CaptureFixture[str]):
    assert run_command(["bench", "bus", "--only", "rtt", "--against", "zenoh"]) == 2
    assert "pip install 'edgerig[dev]'" in capsys.readouterr().err


def test_the_figures_can_be_drawn(tmp_path: Path):
    png = tmp_path / "bus.png"
    ended = subprocess.run(
        [sys.executable, "-m", "emulator", "bench", "bus", "--only", "memory", "-o", str(png)],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_who_ends_the_bench_ends_its_processes(number: signal.Signals):
    command = [sys.executable, "-m", "emulator", "bench", "bus", "--only", "1to1", "--against", "raw"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as started:
        assert started.stderr is not None
        for line in started.stderr:
            if "round 1" in line:
                break
        children = psutil.Process(started.pid).children(recursive=True)
        started.send_signal(number)
        code = started.wait(30)
    assert code == (130 if number is signal.SIGINT else -number)
    assert len(children) >= 4
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
