"""Labels from a run's tables are what its agents were shown and what they rented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents import rental_rollout
from agents.errors import AgentError
from agents.n2o.run_labels import EDGES, labels_in
from agents.n2o.worlds import layout_of
from emulator import run as runs
from emulator.rental_plan import build_plan
from emulator.rental_world import RentalWorld
from emulator.scenario import Scenario
from emulator.scenario_file import dump, load

KEYS = ["frames=14", "agent.policy=0=all2,greedy-rule", "rental.first_slot=100"]


def played(tmp_path: Path, *more: str) -> tuple[Path, Scenario]:
    scenario = runs.prepare(load("paper-n2o", [*KEYS, *more]), on_bus=False)
    folder = tmp_path / "run"
    runs.in_process(scenario, str(folder), lambda status: None)
    return folder, scenario


WITHOUT_END = ("rental.episode_slots=0", "rental.random_start=false")


@pytest.mark.parametrize("keys", [("rental.episode_slots=6",), WITHOUT_END])
def test_a_runs_labels_are_what_was_observed_and_rented(tmp_path: Path, keys: tuple[str, ...]) -> None:
    folder, scenario = played(tmp_path, *keys)
    world = RentalWorld(scenario)
    shown, rented = [], []
    before = world.observed[0].copy()
    for slot in rental_rollout.play(scenario, world):
        shown.append(before)
        rented.append(slot.step.units[0])
        before = world.observed[0].copy()
    seen, units = labels_in(folder, layout_of(build_plan(scenario)))
    assert seen.tolist() == np.stack(shown).tolist()
    assert units.tolist() == np.stack(rented).tolist()


def test_a_slot_that_not_everybody_wrote_down_teaches_nothing(tmp_path: Path) -> None:
    folder, scenario = played(tmp_path, *WITHOUT_END)
    layout = layout_of(build_plan(scenario))
    lines = (folder / EDGES).read_text().splitlines(keepends=True)
    (folder / EDGES).write_text("".join(line for line in lines if not line.startswith("5,2,")))
    assert len(labels_in(folder, layout)[0]) == 14 - 2, "the next one's memory is not known either"
    (folder / EDGES).write_text(lines[0])
    with pytest.raises(AgentError, match="no slot"):
        labels_in(folder, layout)


def test_another_world_or_no_run_is_refused_in_one_line(tmp_path: Path) -> None:
    folder, scenario = played(tmp_path)
    with pytest.raises(AgentError, match="another world"):
        labels_in(folder, layout_of(build_plan(runs.prepare(load("quickstart-rental"), on_bus=False))))
    layout = layout_of(build_plan(scenario))
    with pytest.raises(AgentError, match="no folder of a run"):
        labels_in(tmp_path, layout)
    (folder / "scenario.toml").write_text(dump(load("quickstart")))
    with pytest.raises(AgentError, match="offloading world"):
        labels_in(folder, layout)
