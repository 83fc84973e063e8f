"""Measurements of the rental world: networks trained once, asked part by part, the same after a stop; and Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: make learn-setup")
pytest.importorskip("onnx", reason="needs onnx: make learn-setup")

from agents.n2o.reproduction import adapting, asking
from agents.n2o.reproduction.measuring import Part, Result, Store
from agents.n2o.reproduction.networks import WEIGHTS, Networks
from agents.n2o.reproduction.plan import (
    ADAPTED,
    BY,
    CENTRALIZED,
    DECIDERS,
    DECISIONS,
    DISTILLED_N2O,
    FLOORS,
    HEADROOM,
    LOCAL,
    Case,
    Job,
)
from agents.reproduction.crew import Stopped

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240
SMALL = Case("P", 4, 2, 1, 120, 4)


def stopping_after(times):
    asked = []

    def stopped():
        asked.append(1)
        return len(asked) > times

    return stopped


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    return tmp_path_factory.mktemp("trainings")


def numbers(trainings, part, case=SMALL):
    found, _ = asking.measured(Part(case, part), trainings)
    return found


@pytest.mark.parametrize("part", [LOCAL, CENTRALIZED])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path, part):
    through = Networks(tmp_path / "through", SMALL, part)
    through.train(lambda: False)
    halted = Networks(tmp_path / "halted", SMALL, part)
    with pytest.raises(Stopped):
        halted.train(stopping_after(7))
    assert not (halted.folder.path / WEIGHTS).exists()
    once = halted.spent
    Networks(tmp_path / "halted", SMALL, part).train(lambda: False)
    for name, array in through.weights.items():
        assert np.array_equal(array, halted.weights[name])
    assert halted.spent[0] > once[0] > 0.0
    assert through.curve()["curve"] == halted.curve()["curve"]


def test_every_decider_plays_the_same_episodes(trainings):
    for spec in (*DECIDERS, *FLOORS):
        found = numbers(trainings, BY + spec)
        assert (found.copies, len(found.played.rewards)) == (4, 4 * 8)
    assert len(list(trainings.glob("*/scenario.toml"))) == 1, "all of them ask the same networks"


def test_the_exact_maximum_bounds_what_orchestrators_reach(trainings):
    found = numbers(trainings, HEADROOM).numbers
    gains = [value for name in found if name.startswith("gain") for value in found[name]]
    assert max(gains) <= 1.0 + 1e-9
    (own,), (gain,) = found["own"], found["gain n2o"]
    assert gain == pytest.approx((found["share n2o"][-1] - own) / (1.0 - own))
    assert found["share n2o"][0] == pytest.approx(found["own"][0])
    assert len(found["share n2o"]) == len(found["fail 0.8"]) == 51
    assert found["gain max-sum"][0] > 0.8


def test_actors_and_decisions_are_of_the_same_networks(trainings):
    assert numbers(trainings, DISTILLED_N2O).copies == 4
    found = numbers(trainings, DECISIONS).numbers
    assert sorted(found) == [f"edge {edge}" for edge in range(4)]
    assert {value for values in found.values() for value in values} <= {0.0, 1.0, 2.0}


def test_adapting_looks_before_and_after_the_change(trainings):
    found = numbers(trainings, ADAPTED).numbers
    assert found["steps"] == [0.0, 0.0, 6.0, 12.0, 18.0, 24.0, 30.0]
    assert len(found["alone"]) == len(found["joint"]) == 1 + adapting.LOOKS
    assert len(found["before"]) == len(found["fresh"]) == 2


def test_a_job_keeps_every_part_and_goes_on_after_a_stop(tmp_path):
    store = Store(tmp_path)
    job = Job(SMALL, (LOCAL, BY + "owner", BY + "exact"))
    with pytest.raises(Stopped):
        asking._job(store, job, stopping_after(SMALL.steps // 6 + 2))
    assert store.get(Part(SMALL, LOCAL)) is not None
    (left,) = asking.missing([job], store)
    assert LOCAL not in left.parts
    asking._job(store, left, lambda: False)
    assert asking.missing([job], store) == []
    assert store.get(Part(SMALL, LOCAL)).cpu_s > 0.0


def started(out):
    command = [
        sys.executable,
        "-m",
        "emulator",
        "reproduce",
        "n2o",
        "fig5",
        "--quick",
        "--jobs",
        "1",
        "--out",
        str(out),
    ]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_an_interrupted_reproduction_ends_with_130_and_goes_on(tmp_path):
    out = tmp_path / "out"
    with started(out) as first:
        assert re.search(r" 0 made already", first.stderr.readline())
        next(line for line in iter(first.stderr.readline, "") if " made, " in line)
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 130
    assert "goes on" in said
    for file in (out / "measurements").iterdir():
        msgspec.json.decode(file.read_bytes(), type=Result)
    assert not list((out / "measurements").glob("*.new"))
