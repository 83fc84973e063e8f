"""Scenarios of the rental world: defaults of the two specs, maps, graphs and traces, and what is wrong with some."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from emulator.assembly import resolve
from emulator.errors import ScenarioError
from emulator.model.graph import distances
from emulator.rental_plan import build_plan
from emulator.rental_world import RentalWorld
from emulator.scenario_file import dump, load, parse

HEAD = 'name = "x"\nworld = "rental"\n'
MAP = "site,lat,lon\n" + "".join(
    f"{k},{-37.81 + 0.0009 * (k // 4):.6f},{144.96 + 0.0012 * (k % 4):.6f}\n" for k in range(12)
)

BROKEN = [
    (HEAD + "[rental]\nspecs = 1", "x.toml:4: rental.specs: unknown key; did you mean spec?"),
    (HEAD + '[rental]\nspec = "B"', "x.toml:4: rental.spec: must be one of P, A"),
    (HEAD + "rental = 3", "x.toml:3: rental: must be a table, not a whole number; write [rental]"),
    (HEAD + "[rental.users]\nin_range = 0", "x.toml:4: rental.users.in_range: must be a number > 0.0"),
    (HEAD + "[rental.demand]\nschool = [1.0]", "x.toml:4: rental.demand.school: must be a list of length >= 24"),
    (HEAD + "slots_per_frame = 5", "x.toml:3: slots_per_frame: is 5, but in the rental world a slot is a frame"),
    (HEAD + "slot_s = 7.0", "x.toml:3: slot_s: 7 does not divide a day"),
    (HEAD + 'tasks = "queued"', 'x.toml:3: tasks: "queued" is of the offloading world'),
    (HEAD + "[services]\ncount = 3", "x.toml:3: services: is not read in the rental world"),
    (HEAD + "[edges]\nstorage_bytes = 3e9", "x.toml:4: edges.storage_bytes: is not read in the rental world"),
    (HEAD + "[edges]\ncount = 4\n[rental.sites]\nrows = 3", "x.toml:6: rental.sites.rows: 3 rows do not divide"),
    (HEAD + '[rental.sites]\nlayout = "map"', "x.toml:3: rental.sites.path: missing"),
    (HEAD + '[rental.sites]\npath = "a.csv"', 'x.toml:4: rental.sites.path: is only read with layout = "map"'),
    (HEAD + "[rental.sites]\nlinks = [[0, 9]]", "x.toml:4: rental.sites.links[0]: must name two different"),
    (
        HEAD + "[rental.sites]\npositions_m = [[1.0, 2.0]]",
        "rental.sites.positions_m: has 1 places, but edges.count is 5",
    ),
    (HEAD + '[rental.demand]\nkind = "trace"', "x.toml:3: rental.demand.path: missing; a trace needs"),
    (HEAD + "[rental.demand]\nslots = [0, 9]", 'x.toml:4: rental.demand.slots: is only read with kind = "trace"'),
    (
        HEAD + '[rental.demand]\nkind = "trace"\npath = "d"\nslots = [9, 9]',
        "x.toml:6: rental.demand.slots: [9, 9] is empty",
    ),
    (HEAD + "[rental.reward]\nprice_low = 50", "x.toml:4: rental.reward.price_low: 50 is more than price_high (40)"),
    (HEAD + "[rental]\nrandom_start = true", "x.toml:4: rental.random_start: needs episodes"),
    (HEAD + "[rental.users]\nmean = 9.0\npool = 5", "x.toml:5: rental.users.pool: 5 is less than the mean of 9 users"),
    (HEAD + "[rental.sites]\nrange_m = 1e9", "x.toml:4: rental.sites.range_m: must be a number <= 10000000.0"),
    (
        HEAD + "[edges]\ncount = 1\n[rental.sites]\npositions_m = [[-1.0, 2.0]]",
        "x.toml:6: rental.sites.positions_m: metres from the area's corner",
    ),
    ('name = "x"\n[rental]\nunits = 2', 'x.toml:2: rental: is only read with world = "rental"'),
]


@pytest.mark.parametrize(("text", "said"), BROKEN, ids=[said[:60] for _, said in BROKEN])
def test_a_broken_scenario_is_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, origin="x.toml")
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]


def test_each_spec_has_defaults_of_its_own_and_a_key_beats_them() -> None:
    paper, authors = (load("quickstart-rental", [f"rental.spec={spec}", "edges.count=4"]) for spec in "PA")
    assert paper.rental is not None
    assert authors.rental is not None
    assert (paper.slot_s, authors.slot_s) == (600.0, 3600.0)
    assert (paper.rental.sites.range_m, authors.rental.sites.range_m) == (85.0, 43.0)
    assert (paper.rental.demand.residential[20], authors.rental.demand.residential[20]) == (22.5, 22.0)
    # quickstart-rental says load = 0.15 itself, so spec A does not change it.
    assert authors.rental.demand.load == 0.15
    assert load("paper-n2o-a").rental.demand.load == 1.0
    assert load("paper-n2o-a", ["rental.users.stay_share=0.5"]).rental.users.stay_share == 0.5


def test_resolving_twice_changes_nothing_and_survives_being_written_down() -> None:
    for name in ("quickstart-rental", "paper-n2o-a"):
        once = resolve(load(name))
        assert resolve(once) == once
        assert parse(dump(once)) == once


@pytest.mark.parametrize(("edges", "users"), [(4, 52.7), (9, 87.4), (16, 132.3), (25, 185.7)])
def test_as_many_users_as_make_thirty_in_range(edges: int, users: float) -> None:
    """Users in the area as another implementation found them; a circle cut by the borders gives 52.38 for N = 4."""
    resolved = resolve(load("paper-n2o", [f"edges.count={edges}"]))
    assert resolved.rental is not None
    assert resolved.rental.users.mean == pytest.approx(users, rel=0.02)
    if edges == 4:
        assert resolved.rental.users.mean == pytest.approx(52.38, rel=1e-3)
    assert resolve(load("paper-n2o-a", [f"edges.count={edges}"])).rental.users.mean == 7.5 * edges


def test_real_sites_are_projected_thinned_and_written_into_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text(MAP, encoding="utf-8")
    sites = '[rental.sites]\nlayout = "map"\npath = "sites.csv"\napart_m = 95.0\nneighbour_m = 120.0\n'
    (tmp_path / "x.toml").write_text(f"{HEAD}[edges]\ncount = 6\n{sites}", encoding="utf-8")
    resolved = resolve(load(str(tmp_path / "x.toml")))
    (tmp_path / "sites.csv").unlink()  # no other process needs the map
    plan = build_plan(parse(dump(resolved)))
    apart = distances(plan.sites, plan.sites)
    assert apart[apart > 0.0].min() >= 95.0
    assert plan.sites.min() == pytest.approx(60.0)
    assert (plan.sides_m > plan.sites.max(axis=0)).all()
    assert max(map(len, plan.graph.neighbours)) >= 2
    world = RentalWorld(msgspec.structs.replace(resolved, seed=3))
    assert world.step(np.ones((1, 6), dtype=np.int64)).settled.tasks.sum() > 0.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("a,b\n1,2\n", "needs columns lat and lon"),
        ("lat,lon\nx,2\n", "needs columns lat and lon of numbers"),
        ("lat,lon\n91,2\n", "needs rows with lat and lon in degrees"),
        ("lat,lon\n", "needs rows with lat and lon"),
        (MAP, "has 12 sites that are 0 m apart"),
    ],
)
def test_a_map_that_does_not_do_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "sites.csv").write_text(content, encoding="utf-8")
    sites = '[edges]\ncount = 13\n[rental.sites]\nlayout = "map"\npath = "sites.csv"\napart_m = 0.0\n'
    (tmp_path / "x.toml").write_text(HEAD + sites, encoding="utf-8")
    with pytest.raises(ScenarioError, match=said) as caught:
        resolve(load(str(tmp_path / "x.toml")))
    assert "\n" not in str(caught.value)


def test_any_graph_may_be_given_link_by_link() -> None:
    plan = build_plan(resolve(load("quickstart-rental", ["edges.count=3", "rental.sites.links=[[2, 0], [0, 1]]"])))
    assert plan.graph.neighbours == ((1, 2), (0,), (0,))


def test_a_user_cannot_ask_for_more_than_can_be_drawn() -> None:
    with pytest.raises(ScenarioError, match=r"rental\.demand\.load: a user would ask for 675 tasks"):
        resolve(load("quickstart-rental", ["rental.demand.load=30"]))


@pytest.mark.parametrize("key", ["range_m=1e-6", "spacing_m=1e5"])
def test_a_radio_that_reaches_nobody_is_told(key: str) -> None:
    with pytest.raises(ScenarioError, match=r"rental\.users\.in_range: takes .* users in all") as caught:
        resolve(load("quickstart-rental", [f"rental.sites.{key}"]))
    assert len(caught.value.problems) == 1
