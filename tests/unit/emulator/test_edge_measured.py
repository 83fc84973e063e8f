"""What an edge server counts by service: committed slots only, and services that it has."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bus.measure import Measurements
from bus.messages import Array, Offload, Outcome
from emulator.nodes.edge_measured import SHOWN, EdgeMeasured


def outcome(local: list[float], cost_s: list[float]) -> Outcome:
    nothing = Array.of(np.zeros(len(local)))
    return Outcome(
        Array.of(np.array(local)), Array.of(np.array(local)), nothing, nothing, nothing, Array.of(np.array(cost_s)),
        nothing, nothing,
    )  # fmt: skip


def made(services: int) -> tuple[EdgeMeasured, Measurements]:
    measurements = Measurements()
    node: Any = SimpleNamespace(process=SimpleNamespace(measurements=measurements))
    return EdgeMeasured(node, 3, services), measurements


def shown(measurements: Measurements, name: str) -> dict[str, Any]:
    found = {}
    for sample in measurements.snapshot():
        labels = dict(sample.labels)
        if sample.name == name:
            found[labels.get("service", labels.get("target", ""))] = sample.value
    return found


def test_a_slot_that_is_computed_again_is_counted_once() -> None:
    measured, measurements = made(2)
    for _attempt in range(2):
        measured.begin()
        measured.came([(1, Offload(Array.of(np.array([2.0, 1.0]))))])
        measured.ended(outcome([4.0, 0.0], [8.0, 0.0]))
    measured.commit(np.array([True, True]))
    measured.commit(np.array([True, True]))  # a slot of which nothing is known
    assert shown(measurements, "service_tasks") == {"0": 4.0, "1": 0.0}
    assert shown(measurements, "service_delay_seconds") == {"0": 8.0, "1": 0.0}
    assert shown(measurements, "executed_tasks") == {"own": 4.0, "peers": 3.0}


def test_only_services_that_are_deployed_are_shown_and_go_on_where_they_were() -> None:
    measured, measurements = made(2)
    for deployed, tasks in (([True, False], 4.0), ([False, True], 2.0), ([True, False], 1.0)):
        measured.begin()
        measured.ended(outcome([tasks, 0.0], [tasks, 0.0]))
        measured.commit(np.array(deployed))
        told = shown(measurements, "service_tasks")
        assert set(told) == {str(j) for j, there in enumerate(deployed) if there}
    assert told == {"0": 7.0}


def test_a_node_keeps_to_its_share_of_series_however_much_is_deployed() -> None:
    measured, measurements = made(60)
    measured.commit(np.ones(60, dtype=np.bool_))
    assert len(shown(measurements, "service_tasks")) == SHOWN


def test_what_has_nothing_to_show_is_left_out() -> None:
    measurements = Measurements()
    measurements.gauge("loss").value = math.nan
    measurements.gauge("other").value = 1.0
    assert [sample.name for sample in measurements.snapshot()] == ["other"]
    measurements.gauge("loss").value = 0.5
    assert [sample.value for sample in measurements.snapshot()] == pytest.approx([0.5, 1.0])
