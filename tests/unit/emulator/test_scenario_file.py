"""Scenarios that are fine: shipped ones, what they resolve to, and that writing one down loses nothing."""

import math

import msgspec
import numpy as np
import pytest

from emulator.assembly import build_network, delay_edges, resolve
from emulator.errors import ScenarioError
from emulator.scenario import Scenario, schema
from emulator.scenario_file import dump, load, parse, shipped_names


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_scenario_written_down_is_read_as_it_was(name: str) -> None:
    for scenario in (load(name), resolve(load(name))):
        assert parse(dump(scenario)) == scenario


def test_what_is_not_in_a_table_by_default_survives_being_written_down() -> None:
    overrides = [
        "edges.count=2",
        "edges.matrix_bps=[[1.0, 2.5e6], [3e6, 1]]",
        "edge=[{index=1, storage_bytes=3e9}]",
        "services.count=3",
        "services.size_bytes=[1e8, 2e8, 3e8]",
        'description="quotes \\" and \\\\ and ü"',
    ]
    scenario = load("quickstart", overrides)
    again = parse(dump(scenario))
    assert again == scenario
    assert again.edges.uplink_bps == math.inf


def test_the_schema_knows_every_key() -> None:
    tables = schema()["$defs"]
    assert set(tables["Scenario"]["properties"]) == {field.name for field in msgspec.structs.fields(Scenario)}
    assert tables["Edges"]["properties"]["count"]["minimum"] == 1


def test_an_edge_server_may_differ_from_the_others() -> None:
    network = build_network(load("quickstart", ["edge=[{index=3, compute_hz=1e9, storage_bytes=4e9}]"]))
    assert network.compute_hz.tolist() == [5e10, 5e10, 5e10, 1e9, 5e10]
    assert network.storage_bytes.tolist() == [2e9, 2e9, 2e9, 4e9, 2e9]


def test_services_come_from_the_world_seed_alone() -> None:
    first, same, other = (
        build_network(load("quickstart", list(overrides)))
        for overrides in ((), ("seed=99", "edges.count=7"), ("world_seed=2",))
    )
    assert (first.service_bytes == same.service_bytes).all()
    assert (first.task_cycles != other.task_cycles).any()
    assert set(first.service_bytes.tolist()) <= {1e8, 2e8, 3e8, 4e8, 5e8}


def test_the_last_bucket_begins_at_twice_the_slowest_cloud_delay() -> None:
    network = build_network(load("paper-ttosc"))
    edges_s = delay_edges(network)
    slowest = (8.0 * network.task_bytes / 2e6 + network.task_cycles / 5e10).max()
    assert edges_s[-1] == pytest.approx(2.0 * slowest)
    assert (np.diff(edges_s) > 0.0).all()


def test_a_trace_that_does_not_fit_says_what_to_set() -> None:
    with pytest.raises(ScenarioError) as caught:
        resolve(load("small-trace", ["edges.count=4", "services.count=9", "slot_s=30", "frames=1000"]))
    told = " ".join(caught.value.problems)
    assert "set it to 5" in told
    assert "set it to 8" in told
    assert "demand.wrap = true" in told
    assert len(caught.value.problems) == 4


def test_a_resolved_scenario_says_which_backend_it_uses() -> None:
    assert resolve(load("quickstart")).scheduler.backend in ("numpy", "numba")
    assert resolve(load("quickstart", ["scheduler.backend=numpy"])).scheduler.backend == "numpy"
