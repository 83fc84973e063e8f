"""A measurement of a scheme that learns: trained, exported, counted; and the same if it was stopped on the way."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs torch: make learn-setup")
pytest.importorskip("onnx", reason="needs onnx: make learn-setup")

from agents.reproduction.crew import Stopped
from agents.ttosc.reproduction.measuring import measured
from agents.ttosc.reproduction.plan import DISTILLED, LITERAL, MARGINAL, POPULARITY, Measurement

SMALL = ("edges.count=2", "services.count=6", "slots_per_frame=2", "edges.storage_bytes=5e8")


def stopping_after(frames):
    asked = []

    def stopped():
        asked.append(1)
        return len(asked) > frames

    return stopped


@pytest.mark.parametrize("scheme", [LITERAL, MARGINAL, DISTILLED], ids=lambda scheme: scheme.learns)
def test_a_measurement_that_was_stopped_ends_as_one_that_was_not(tmp_path, scheme):
    measurement = Measurement(SMALL, scheme, 1, 20, 3, 40)
    through = measured(measurement, tmp_path / "through")
    with pytest.raises(Stopped):
        measured(measurement, tmp_path / "halted", stopped=stopping_after(11))
    again = measured(measurement, tmp_path / "halted")
    assert again.delays_s == through.delays_s
    assert (again.gain_s, again.deployed, again.curve) == (through.gain_s, through.deployed, through.curve)
    assert not (tmp_path / "halted").exists(), "what a training needs is gone when it is measured"


def test_all_schemes_are_counted_on_the_same_tasks(tmp_path):
    """Whatever is deployed, the all-cloud delay is the demand's alone; with frames of one slot it is delay and gain."""
    single = (*SMALL, "slots_per_frame=1")
    found = [
        measured(Measurement(single, scheme, 1, 20 if scheme.learns else 0, 3, 40), tmp_path / "training")
        for scheme in (POPULARITY, LITERAL)
    ]
    assert found[0].delay_s != found[1].delay_s
    assert found[0].delay_s + found[0].gain_s == pytest.approx(found[1].delay_s + found[1].gain_s, rel=1e-12)
