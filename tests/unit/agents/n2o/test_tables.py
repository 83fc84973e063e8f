from __future__ import annotations

import numpy as np
import pytest
from n2o_tables import drawn_networks, economy, square

from agents.n2o import exact
from agents.n2o.tables import LocalTable, Tables, joint_rentals, tabulated
from emulator.model.graph import Graph, linked


def test_rows_of_a_table_are_in_counting_order() -> None:
    assert joint_rentals(3, 2).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2]]


def test_a_q_function_is_asked_for_all_rows_of_all_states_at_once() -> None:
    asked: list[tuple[int, int]] = []

    def value(seen: np.ndarray, rented: np.ndarray) -> np.ndarray:
        asked.append((len(seen), len(rented)))
        return seen[:, 0] + rented @ np.array([100.0, 10.0, 1.0])

    table = tabulated(value, np.array([[0.5, 9.0], [0.25, 9.0]]), 3, 2)
    assert asked == [(54, 54)]
    assert table.values[0, 2, 0, 1] == 201.5
    assert table.values[1, 1, 2, 0] == 120.25


def test_at_conditional_and_best_look_up_what_the_table_says() -> None:
    values = np.random.default_rng(1).normal(size=(4, 3, 3, 3))
    table = LocalTable(values, 3)
    rented = np.array([[0, 1, 2], [2, 2, 0], [1, 0, 1], [0, 0, 0]])
    for state, (own, first, second) in enumerate(rented):
        assert table.at(rented)[state] == values[state, own, first, second]
        assert table.conditional(rented, 0)[state].tolist() == values[state, :, first, second].tolist()
        assert table.conditional(rented, 1)[state].tolist() == values[state, own, :, second].tolist()
        assert table.conditional(rented, 2)[state].tolist() == values[state, own, first].tolist()
    assert table.at(table.best()).tolist() == values.reshape(4, -1).max(axis=1).tolist()


def test_secants_are_the_rises_between_whole_rentals() -> None:
    own = np.array([0.0, 4.0, 5.0])
    table = LocalTable((own[:, None] + np.array([0.0, -2.0, 3.0])).reshape(1, 9), 3)
    for at, slope in ((0.0, 4.0), (0.3, 4.0), (1.0, 2.5), (1.7, 1.0), (2.0, 1.0)):
        assert table.secants(np.array([[at, 0.0]]))[0].tolist() == [slope, -2.0]


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="a table of 10 rows is no table of rentals"):
        LocalTable(np.zeros((1, 10)), 3)
    with pytest.raises(ValueError, match="edge 1: its table does not fit 1 neighbours"):
        Tables.of(linked(2, [(0, 1)]), [np.zeros((1, 9)), np.zeros((1, 27))], 3)


@pytest.mark.parametrize("side", [2, 3])
@pytest.mark.parametrize("make", [drawn_networks, economy])
def test_elimination_finds_what_brute_force_finds(side: int, make: type[object]) -> None:
    tables = make(square(side), 16, 3)
    found, sought = exact.maximise(tables), exact.brute_force(tables)
    np.testing.assert_allclose(found.value, sought.value, rtol=1e-12)
    np.testing.assert_array_equal(found.rented, sought.rented)
    assert (sought.value >= tables.total(tables.own_best())).all()


@pytest.mark.parametrize(
    "graph",
    [
        linked(5, []),
        linked(6, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
        linked(7, [(0, k) for k in range(1, 7)]),
        linked(6, [(0, 1), (1, 2), (2, 0), (3, 4), (1, 5)]),
    ],
)
def test_elimination_works_on_any_graph_with_a_small_frontier(graph: Graph) -> None:
    tables = drawn_networks(graph, 5, 4)
    np.testing.assert_allclose(exact.maximise(tables).value, exact.brute_force(tables).value, rtol=1e-12)


def test_a_frontier_on_a_five_by_five_grid_is_ten_rentals_wide() -> None:
    order, width = exact.elimination_order(square(5))
    assert sorted(order) == list(range(25))
    assert width == 11  # ten, and the one that is eliminated


def test_states_are_solved_each_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = economy(square(3), 9, 5)
    together = exact.maximise(tables)
    monkeypatch.setattr(exact, "AT_ONCE", 2 * 3**7)
    apart = exact.maximise(tables)
    np.testing.assert_array_equal(together.rented, apart.rented)
    assert exact.maximise(tables.part(4, 5)).value[0] == together.value[4]


def test_what_is_too_large_is_refused_by_name() -> None:
    tables = drawn_networks(square(8), 1, 1)
    with pytest.raises(ValueError, match=r"P2 on this graph takes a table of 3\^1[5-9] entries"):
        exact.maximise(tables)
    with pytest.raises(ValueError, match=f"{3**64} joint rentals are too many"):
        exact.brute_force(tables)
