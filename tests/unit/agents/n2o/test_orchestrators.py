from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from n2o_tables import drawn_networks, economy, square

from agents.n2o.conditional import OwnerSide, Polishing, two_hop_colours
from agents.n2o.exact import maximise
from agents.n2o.example_tables import trained_networks
from agents.n2o.headroom import Yardstick
from agents.n2o.letters import Letter, Orchestrator, relative, whole
from agents.n2o.max_sum import MaxSum
from agents.n2o.network import Lost, losing, nothing_lost, orchestrated
from agents.n2o.orchestrators import recipe
from agents.n2o.tables import LocalTable, Tables
from emulator.model.graph import Graph, linked

Kind = Callable[[Graph, int, LocalTable], Orchestrator]
STATES = {2: 96, 3: 64, 4: 48, 5: 8}


def parts(kind: Kind, tables: Tables) -> list[Orchestrator]:
    return [kind(tables.graph, edge, table) for edge, table in enumerate(tables.local)]


def headroom(kind: Kind, tables: Tables, rounds: int, lost: Callable[[int], Lost] | None = None) -> float:
    """Share of what is between MA-DQL's rentals and the exact maximum that is recovered, over all states."""
    before = tables.total(tables.own_best())
    if lost is None:
        rented = orchestrated(parts(kind, tables), rounds).last
    else:
        alone = [tables.part(state, state + 1) for state in range(tables.states)]
        rented = np.concatenate(
            [orchestrated(parts(kind, one), rounds, lost(state)).last for state, one in enumerate(alone)]
        )
    return float((tables.total(rented) - before).sum() / (maximise(tables).value - before).sum())


def both(side: int) -> list[Tables]:
    return [make(square(side), STATES[side], 11) for make in (drawn_networks, economy)]


@pytest.mark.parametrize("side", [2, 3, 4, 5])
def test_owner_side_recovers_95_hundredths_in_ten_rounds(side: int) -> None:
    assert np.mean([headroom(OwnerSide, tables, 10) for tables in both(side)]) >= 0.95


def test_max_sum_recovers_95_hundredths_in_five_rounds() -> None:
    assert np.mean([headroom(MaxSum, tables, 5) for side in STATES for tables in both(side)]) >= 0.95


@pytest.mark.parametrize(("share", "least"), [(0.5, 0.85), (0.8, 0.75)])
@pytest.mark.parametrize("side", [2, 3])
def test_owner_side_bears_loss_one_way_once_the_first_round_came(side: int, share: float, least: float) -> None:
    def lost(state: int) -> Lost:
        drawn = losing(share, 1, state)
        return lambda round_, sender, receiver: round_ > 0 and drawn(round_, sender, receiver)

    assert np.mean([headroom(OwnerSide, tables, 10, lost) for tables in both(side)]) >= least


def test_polishing_never_gives_anything_away() -> None:
    for tables in both(3):
        course = orchestrated(parts(Polishing, tables), 40)
        worth = [tables.total(rented) for rented in course.rented]
        assert all((after >= before - 1e-5).all() for before, after in itertools.pairwise(worth))
        assert (worth[-1] > worth[0] + 1e-3).any()


def test_polishing_ends_where_no_single_rental_helps() -> None:
    tables = economy(square(3), 24, 11)
    rented = orchestrated(parts(Polishing, tables), 60).last
    best = tables.total(rented)
    for edge in range(9):
        for rental in range(3):
            other = rented.copy()
            other[:, edge] = rental
            assert (tables.total(other) <= best + 1e-5).all()


def test_nobody_within_two_hops_polishes_at_the_same_time() -> None:
    graph = square(4)
    colours = two_hop_colours(graph)
    for edge, others in enumerate(graph.neighbours):
        near = {*others, *(far for other in others for far in graph.neighbours[other])} - {edge}
        assert all(colours[edge] != colours[other] for other in near)


@pytest.mark.parametrize("kind", [OwnerSide, MaxSum, Polishing])
def test_before_the_first_round_or_alone_everyone_rents_what_its_own_table_likes(kind: Kind) -> None:
    for tables in (economy(square(2), 24, 3), drawn_networks(linked(3, []), 24, 3)):
        course = orchestrated(parts(kind, tables), 3, lambda *_: True)
        np.testing.assert_array_equal(course.rented[0], tables.own_best())
    np.testing.assert_array_equal(course.last, tables.own_best())


@pytest.mark.parametrize(("kind", "each"), [(OwnerSide, 9), (Polishing, 9), (MaxSum, 16)])
def test_letters_weigh_what_was_said_whatever_the_network(kind: Kind, each: int) -> None:
    for side in (2, 4):
        tables = economy(square(side), 1, 3)
        course = orchestrated(parts(kind, tables), 5)
        assert set(course.payload_bytes) == {(m, n) for m, those in enumerate(tables.graph.neighbours) for n in those}
        assert set(course.payload_bytes.values()) == {5 * each}


@pytest.mark.parametrize("kind", [OwnerSide, MaxSum, Polishing])
def test_states_that_are_looked_at_together_do_not_mix(kind: Kind) -> None:
    tables = drawn_networks(square(3), 6, 8)
    together = orchestrated(parts(kind, tables), 10).last
    for state in range(6):
        np.testing.assert_array_equal(
            orchestrated(parts(kind, tables.part(state, state + 1)), 10).last[0], together[state]
        )


def test_loss_is_drawn_anew_each_slot_and_alike_for_the_same_seed() -> None:
    def drawn(seed: int, slot: int, kind: str) -> list[bool]:
        lost = losing(0.4, seed, slot, "symmetric" if kind == "symmetric" else "one_way")
        return [lost(round_, sender, 1 - sender) for round_ in range(50) for sender in (0, 1)]

    assert drawn(1, 0, "one_way") == drawn(1, 0, "one_way")
    assert drawn(1, 0, "one_way") != drawn(1, 1, "one_way")
    assert drawn(1, 0, "one_way") != drawn(2, 0, "one_way")
    assert 20 < sum(drawn(1, 0, "one_way")) < 60
    symmetric = drawn(1, 0, "symmetric")
    assert symmetric[::2] == symmetric[1::2]
    assert drawn(1, 0, "one_way")[::2] != drawn(1, 0, "one_way")[1::2]
    assert not nothing_lost(0, 0, 1)


def test_what_is_sent_leaves_out_what_changes_no_choice() -> None:
    values = np.array([[3.0, 5.5, 1.0]])
    assert relative(values).tolist() == [[2.5, -2.0]]
    assert whole(relative(values)).tolist() == [[0.0, 2.5, -2.0]]
    assert Letter(relative(values), np.array([2])).payload_bytes == 9


@pytest.fixture(scope="module")
def trained() -> Yardstick:
    networks = trained_networks()
    return Yardstick(networks.tables, networks.slopes)


@pytest.mark.parametrize(
    ("spec", "loss", "least"),
    [("owner", 0.0, 0.95), ("owner", 0.5, 0.85), ("owner", 0.8, 0.75), ("max-sum", 0.0, 0.95)],
)
def test_on_trained_networks_the_headroom_is_recovered(
    trained: Yardstick, spec: str, loss: float, least: float
) -> None:
    assert trained.lossy(recipe(spec), loss, seed=1) >= least


def test_on_trained_networks_published_n2o_recovers_nothing(trained: Yardstick) -> None:
    assert 0.8 < trained.floor_share < 0.95
    assert trained.by_round(recipe("n2o"), 50)[-1] < 0.1
