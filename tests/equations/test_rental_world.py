"""The rental world against figures measured with another implementation, and what may depend on what."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from emulator.model.graph import distances
from emulator.model.rental import Ints
from emulator.rental_crowd import Crowd, Requests
from emulator.rental_edges import EdgeServers, Remembered, offer_of
from emulator.rental_world import RentalWorld
from emulator.scenario import Scenario
from emulator.scenario_file import parse

PAPER = {"spec": "P", "episode_slots": 6, "random_start": True}
AUTHORS = {"spec": "A", "episode_slots": 24}


def rental(count: int, *overrides: str, **keys: Any) -> Scenario:
    lines = "\n".join(
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in keys.items()
    )
    text = f'name = "x"\nworld = "rental"\n[edges]\ncount = {count}\n[rental]\n{lines}\n'
    return parse(text, overrides=overrides)


def per_episode(scenario: Scenario, decide: Callable[[RentalWorld], Ints], episodes: int) -> tuple[float, float]:
    """Mean reward of an episode, and its standard error."""
    world = RentalWorld(scenario, seeds=range(32))
    assert scenario.rental is not None
    length = scenario.rental.episode_slots
    totals = np.zeros((episodes, world.copies))
    for episode in range(episodes):
        for k in range(length):
            played = world.step(decide(world))
            totals[episode] += played.reward.sum(axis=1)
            assert played.over == (k == length - 1)
    return float(totals.mean()), float(totals.std(ddof=1) / np.sqrt(totals.size))


def constant(*units: int) -> Callable[[RentalWorld], Ints]:
    return lambda world: np.broadcast_to(np.array(units), (world.copies, world.edges))


@pytest.mark.parametrize(
    ("scenario", "units", "measured", "episodes"),
    [
        (rental(4, **PAPER), (1, 1, 1, 1), 18.7, 32),
        (rental(4, **PAPER), (2, 2, 2, 2), -51.0, 32),
        (rental(4, **AUTHORS, zero_delay_bug="authors"), (0, 1, 1, 1), 1062.0, 6),
        (rental(4, **AUTHORS, zero_delay_bug="authors"), (2, 2, 2, 2), 740.0, 6),
        (rental(4, **AUTHORS), (1, 1, 1, 1), 381.0, 6),
        (rental(4, **AUTHORS), (2, 2, 2, 2), 742.0, 6),
    ],
    ids=["P all-1", "P all-2", "A-bug 0111", "A-bug all-2", "A all-1", "A all-2"],
)
def test_constant_decisions_earn_what_another_implementation_measured(
    scenario: Scenario, units: tuple[int, ...], measured: float, episodes: int
) -> None:
    """Its figures carry errors of their own: 2.5 % of the best policy (44) in P, 0.5 % (1085) in A."""
    mean, error = per_episode(scenario, constant(*units), episodes)
    spread = 0.025 * 44 if scenario.slot_s == 600.0 else 0.005 * 1085
    assert abs(mean - measured) < 3.0 * np.hypot(error, spread)


def rewards_of(world: RentalWorld, decisions: list[list[int]]) -> np.ndarray[Any, Any]:
    world.reset()
    return np.stack([world.step(np.array([each])).reward[0] for each in decisions])


def varied(edges: int, base: int, changed: int) -> list[list[int]]:
    """Decisions of two slots: all ``base``, then all 1; or with edge ``changed`` at 2 in the second."""
    second = [1] * edges
    if changed >= 0:
        second[changed] = 2 if base else 0
    return [[1] * edges, second]


@pytest.mark.parametrize("bug", ["off", "own"])
def test_in_spec_a_a_local_reward_depends_on_no_other_decision_within_a_slot(bug: str) -> None:
    world = RentalWorld(rental(9, **AUTHORS, zero_delay_bug=bug))
    before = rewards_of(world, varied(9, 1, -1))
    for base in (0, 1):
        for changed in range(9):
            after = rewards_of(world, varied(9, base, changed))
            others = np.arange(9) != changed
            assert (after[:, others] == before[:, others]).all()


def test_the_authors_fault_makes_everybody_depend_on_the_first_edge_server() -> None:
    world = RentalWorld(rental(4, **AUTHORS, zero_delay_bug="authors"))
    busy, idle = rewards_of(world, [[1, 1, 1, 1]]), rewards_of(world, [[0, 1, 1, 1]])
    assert (idle[0, 1:] != busy[0, 1:]).all()
    assert (idle[0, 1:] >= busy[0, 1:]).all()


def test_in_spec_p_a_local_reward_depends_on_edge_servers_within_two_ranges_only() -> None:
    scenario = rental(25, "rental.demand.load=1.0", **PAPER)
    world = RentalWorld(scenario)
    apart = distances(world.plan.sites, world.plan.sites)
    before = rewards_of(world, varied(25, 1, -1))
    touched = 0
    for changed in (0, 2, 24):
        after = rewards_of(world, varied(25, 0, changed))
        beyond = apart[changed] > 170.0
        assert beyond.any()
        assert (after[:, beyond] == before[:, beyond]).all()
        touched += int((after[1, ~beyond] != before[1, ~beyond]).sum())
    assert touched > 3


def test_every_copy_computes_what_its_world_alone_computes() -> None:
    for spec in (PAPER, AUTHORS):
        scenario = rental(9, **spec)
        decided = np.random.default_rng(1).integers(0, 3, (14, 5, 9))
        together = RentalWorld(scenario, seeds=[11, 12, 13, 14, 15])
        played = [together.step(units) for units in decided]
        for copy, seed in enumerate(together.seeds):
            alone = RentalWorld(msgspec.structs.replace(scenario, seed=seed))
            for slot, units in enumerate(decided):
                one = alone.step(units[copy : copy + 1])
                assert (one.observed[0] == played[slot].observed[copy]).all()
                assert (one.reward[0] == played[slot].reward[copy]).all()
                assert one.hours[0] == played[slot].hours[copy]


def test_nodes_that_hold_a_part_each_compute_what_the_world_computes() -> None:
    """Cells with some users, edge servers one by one: what a run on the bus will do."""
    world = RentalWorld(rental(4, **PAPER, zero_delay_bug="own"))
    plan, seeds = world.plan, world.seeds
    bounds = [0, 17, 40, plan.users]
    cells = [Crowd(plan, seeds, first, end - first) for first, end in itertools.pairwise(bounds)]
    servers = [EdgeServers(plan, seeds, edge, 1) for edge in range(4)]
    memory = [server.nothing_remembered() for server in servers]
    decided = np.random.default_rng(2).integers(0, 3, (8, 1, 4))
    for slot, units in enumerate(decided):
        if plan.episode(slot) == slot:
            memory = [server.nothing_remembered() for server in servers]
        for cell in cells:
            cell.advance(slot)
        in_range = sum(cell.in_range() for cell in cells)
        assert (in_range == world.observed[..., 1]).all()
        now = [server.conditions(slot) for server in servers]
        offers = [offer_of(units[:, m : m + 1], memory[m], now[m]) for m in range(4)]
        offer = type(offers[0])(
            *(np.concatenate([getattr(each, name) for each in offers], axis=1) for name in offers[0].__slots__)
        )
        rows = np.array([plan.row(plan.start(seeds[0], slot), slot)])
        asked = [cell.request(offer, rows) for cell in cells]
        joined = Requests(*(np.concatenate([getattr(each, name) for each in asked]) for name in asked[0].__slots__))
        played = world.step(units)
        for m, server in enumerate(servers):
            settled = server.settle(units[:, m : m + 1], memory[m], now[m], joined, units[:, 0] == 0)
            assert settled.reward[0, 0] == played.reward[0, m]
            assert settled.wait_s[0, 0] == played.settled.wait_s[0, m]
            memory[m] = Remembered(settled.remembered.delay_s, settled.remembered.users)


def test_a_cell_that_starts_late_finds_everybody_where_they_are() -> None:
    scenario = rental(4, spec="P")  # no episodes: nothing is ever forgotten
    world = RentalWorld(scenario)
    always = Crowd(world.plan, [5])
    for slot in range(400):
        always.advance(slot)
    late = Crowd(world.plan, [5])
    late.advance(399)
    assert (late.present == always.present).all()
    assert (late.positions[late.present] == always.positions[always.present]).all()
    assert (late.in_range() == always.in_range()).all()
    always.advance(120)
    late.advance(120)
    assert (late.in_range() == always.in_range()).all()


def test_a_run_repeats_by_its_seed_and_differs_by_another() -> None:
    def run(seed: int) -> np.ndarray[Any, Any]:
        world = RentalWorld(msgspec.structs.replace(rental(9, spec="P"), seed=seed))
        return np.stack([world.step(np.ones((1, 9), dtype=np.int64)).reward for _ in range(20)])

    assert (run(3) == run(3)).all()
    assert (run(3) != run(4)).any()


def test_there_are_as_many_users_as_the_paper_says() -> None:
    for spec, expected in ((PAPER, 30.0), (AUTHORS, 17.9)):
        world = RentalWorld(rental(9 if spec is PAPER else 4, **spec), seeds=range(40))
        seen = []
        for _ in range(48):
            seen.append(world.observed[..., 1].mean())
            world.step(np.ones((world.copies, world.edges), dtype=np.int64))
        assert np.mean(seen) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("units", [np.zeros((1, 3), int), np.zeros((1, 4)), np.full((1, 4), 3), np.full((1, 4), -1)])
def test_a_decision_that_is_none_is_refused(units: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ValueError, match="units"):
        RentalWorld(rental(4, spec="P")).step(units)


def test_the_example_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2] / "docs" / "rental.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(example, str(page), "exec"), {})  # the page's own code
    assert "(1, 3, 5, 7) 2" in capsys.readouterr().out
