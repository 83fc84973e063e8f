"""The rental world on an imported trace: on the bus and in one process it is the same, and only its part is played."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from thread_run import ThreadRun
from trace_worlds import CELLS, PLAYED, traced_world

from emulator import run as runs
from emulator.errors import ScenarioError
from emulator.rental_world import RentalWorld, in_episodes
from emulator.scenario import Scenario
from emulator.scenario_file import load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scenario beside a day that a trace of hours was imported into."""
    traced_world(tmp_path)
    return tmp_path


def scenario_of(folder: Path, *changes: str) -> Scenario:
    return runs.prepare(load(str(folder / "traced.toml"), changes), on_bus=True)


def test_on_the_bus_and_in_process_tables_and_digest_are_equal(folder: Path) -> None:
    scenario = scenario_of(folder)
    bus = ThreadRun(scenario, folder / "bus", layout={"edge": [(0, 1), (1, 3)], "agent": [(0, 4)]})
    assert bus.play() == 0
    here = runs.in_process(scenario, str(folder / "here"), lambda status: None)
    for table in ("slots.csv", "edges.csv"):
        assert (folder / "bus" / table).read_bytes() == (folder / "here" / table).read_bytes(), table
    assert bus.ledger()["digest"] == here.summary["digest"]
    assert here.summary["tasks"]["edge"] > 0.0
    other = runs.in_process(scenario_of(folder, "rental.demand.slots=[10, 16]"), str(folder / "other"), lambda _: None)
    assert other.summary["digest"] != here.summary["digest"]


def test_the_part_that_is_played_begins_with_its_first_slot_and_then_begins_again(folder: Path) -> None:
    world = RentalWorld(scenario_of(folder))
    hours = [int(world.step(np.zeros((1, CELLS), dtype=np.int64)).hours[0]) for _ in range(9)]
    assert hours == [4, 5, 6, 7, 8, 9, 4, 5, 6]


def test_episodes_that_start_at_random_stay_within_the_part(folder: Path) -> None:
    world = RentalWorld(in_episodes(scenario_of(folder), 3), seeds=range(40))
    hours = [world.step(np.zeros((40, CELLS), dtype=np.int64)).hours for _ in range(3)]
    assert set(hours[0].tolist()) == set(range(*PLAYED))
    assert (hours[1] == np.where(hours[0] == 9, 4, hours[0] + 1)).all()
    assert set(np.concatenate(hours).tolist()) == set(range(*PLAYED))


def test_a_part_has_the_demand_it_has_in_the_whole(folder: Path) -> None:
    part, whole = (RentalWorld(scenario_of(folder, *set_)) for set_ in ((), ("rental.demand.slots=[0, 24]",)))
    assert (part.plan.rates == whole.plan.rates).all()
    assert whole.plan.rates.mean() == pytest.approx(0.15 * 4.5)


def test_a_part_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(ScenarioError, match=r"slots: end with 25, but the trace has 24; take fewer"):
        scenario_of(folder, "rental.demand.slots=[4, 25]")


def test_a_relative_path_on_the_command_line_starts_from_where_one_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "demand").rename(folder / "elsewhere" / "demand")
    monkeypatch.chdir(folder / "elsewhere")
    assert scenario_of(folder, "rental.demand.path=demand").rental is not None
    with pytest.raises(Exception, match="no such folder; `edgerig import` makes one"):
        scenario_of(folder)


def test_the_example_of_milan_reads_its_trace_from_beside_it() -> None:
    example = Path(__file__).parents[2] / "examples" / "milan-rental.toml"
    scenario = load(str(example))
    assert scenario.rental is not None
    assert scenario.rental.demand.path == str(example.parent / "milan_days")
    assert (scenario.edges.count, scenario.rental.demand.slots) == (25, (25 * 144, 30 * 144))
