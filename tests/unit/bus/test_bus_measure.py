from __future__ import annotations

import pytest

from bus.measure import Measurements


def test_a_child_is_one_per_name_and_labels() -> None:
    measurements = Measurements()
    measurements.counter("tasks", edge="1", reason="late").value += 2
    measurements.counter("tasks", reason="late", edge="1").value += 1
    measurements.counter("tasks", edge="2", reason="late").value += 5
    assert [(s.labels, s.value) for s in measurements.snapshot()] == [
        ((("edge", "1"), ("reason", "late")), 3.0),
        ((("edge", "2"), ("reason", "late")), 5.0),
    ]


def test_a_value_on_an_edge_belongs_to_the_bucket_below() -> None:
    histogram = Measurements().histogram("delay_s", [1.0, 2.0])
    for value in (0.5, 1.0, 1.5, 2.5):
        histogram.observe(value)
    assert histogram.counts == [2.0, 1.0, 1.0]
    assert histogram.total == 5.5


def test_numbers_kept_elsewhere_are_fetched_before_a_snapshot() -> None:
    measurements = Measurements()
    gauge = measurements.gauge("queue")
    measurements.before_snapshot(lambda: setattr(gauge, "value", 7.0))
    assert measurements.snapshot()[0].value == 7.0


def test_one_name_has_one_kind() -> None:
    measurements = Measurements()
    measurements.counter("tasks")
    with pytest.raises(ValueError, match="tasks is a counter, not a gauge"):
        measurements.gauge("tasks")
