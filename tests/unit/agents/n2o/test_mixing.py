from __future__ import annotations

import itertools

import numpy as np
import pytest
from n2o_tables import drawn_networks, economy, square

from agents.errors import AgentError
from agents.n2o import orchestrators
from agents.n2o.exact import maximise
from agents.n2o.letters import Letter
from agents.n2o.mixing import metropolis_weights, mixed
from agents.n2o.network import losing, orchestrated
from agents.n2o.orchestrators import recipe
from agents.n2o.relu_net import LocalNetwork, ReluNet
from agents.n2o.tables import Tables, joint_rentals
from emulator.model.graph import Graph


def mixing_matrix(graph: Graph, lost: set[tuple[int, int]]) -> np.ndarray:
    """What ``mixed`` does to everyone's numbers: a row for each server."""
    unit = np.eye(graph.edges)
    rows = []
    for edge, others in enumerate(graph.neighbours):
        came = {m: Letter(unit[m : m + 1].astype(np.float32)) for m in others if (m, edge) not in lost}
        rows.append(mixed(unit[edge : edge + 1], metropolis_weights(graph, edge), came)[0])
    return np.array(rows)


@pytest.mark.parametrize(("side", "gap"), [(2, 0.667), (3, 0.233), (4, 0.131), (5, 0.084)])
def test_metropolis_weights_with_oneself_mix_grids(side: int, gap: float) -> None:
    matrix = mixing_matrix(square(side), set())
    np.testing.assert_allclose(matrix.sum(axis=0), 1.0)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    assert 1.0 - np.linalg.svd(matrix)[1][1] == pytest.approx(gap, abs=0.001)


def test_weights_stay_doubly_stochastic_when_links_fail_for_both_ends_and_only_then() -> None:
    graph = square(3)
    links = [(m, n) for m, those in enumerate(graph.neighbours) for n in those]
    for kind, keeps in (("symmetric", True), ("one_way", False)):
        draw = losing(0.5, 3, 0, "symmetric" if keeps else "one_way")
        matrix = mixing_matrix(graph, {link for link in links if draw(0, *link)})
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0, err_msg=kind)
        assert np.allclose(matrix.sum(axis=0), 1.0) == keeps, kind
        assert not np.allclose(matrix, mixing_matrix(graph, set()))


def concave(side: int, states: int) -> Tables:
    """Concave functions of the box, with slopes in whole numbers of rentals: each likes its neighbours to differ."""
    graph, random = square(side), np.random.default_rng(5)
    values = []
    for others in graph.neighbours:
        rentals = joint_rentals(3, 1 + len(others)).astype(float)
        aim = random.uniform(-1.0, 3.0, size=(states, 1, 1 + len(others)))
        pull = random.uniform(0.5, 3.0, size=(states, 1, 1 + len(others)))
        values.append(-(pull * (rentals[None] - aim) ** 2).sum(axis=2))
    return Tables.of(graph, values, 3)


def recovered(spec: str, tables: Tables) -> float:
    made = recipe(spec)
    before = tables.total(tables.own_best())
    rented = orchestrated(made.parts(tables), made.rounds).last
    return float((tables.total(rented) - before).sum() / (maximise(tables).value - before).sum())


def test_dual_averaging_works_with_a_common_centre_and_hardly_moves_as_published() -> None:
    tables = concave(3, 48)
    assert recovered("n2o:slopes=secant", tables) < 0.25
    assert recovered("n2o:slopes=secant,centre=shared,gamma=3", tables) > 0.7
    assert recovered("n2o:slopes=secant,centre=middle,gamma=3", tables) > 0.7


def test_consensus_recovers_most_and_says_more_the_larger_the_network() -> None:
    assert np.mean([recovered("consensus", make(square(3), 48, 11)) for make in (drawn_networks, economy)]) > 0.75
    for side in (2, 4):
        tables = economy(square(side), 1, 1)
        course = orchestrated(recipe("consensus:rounds=3").parts(tables), 3)
        assert set(course.payload_bytes.values()) == {3 * 4 * 2 * side**2}


def test_n2o_sends_its_whole_vector_each_round() -> None:
    for side, each in ((2, 16), (3, 36), (4, 64), (5, 100)):
        tables = economy(square(side), 1, 1)
        course = orchestrated(recipe("n2o:slopes=secant").parts(tables), 50)
        assert set(course.payload_bytes.values()) == {50 * each}


def test_the_running_average_lags_the_last_point() -> None:
    tables = concave(3, 24)
    last = recipe("n2o:slopes=secant,centre=middle,gamma=3")
    average = recipe("n2o:slopes=secant,centre=middle,gamma=3,output=average")
    many = orchestrated(last.parts(tables), 200).last
    ends = [orchestrated(each.parts(tables), 20).last for each in (last, average)]
    assert (ends[0] == many).mean() > (ends[1] == many).mean()


def network(seed: int, inputs: int) -> ReluNet:
    random = np.random.default_rng(seed)
    widths = (inputs, 8, 32, 8, 1)
    shapes = list(itertools.pairwise(widths))
    return ReluNet([random.normal(size=shape) for shape in shapes], [random.normal(size=shape[1]) for shape in shapes])


def test_slopes_of_a_network_are_its_differences() -> None:
    own = LocalNetwork(network(1, 10), 3, 3, 4)
    seen = np.random.default_rng(2).normal(size=(6, 5))
    points = np.random.default_rng(3).uniform(0.1, 1.9, size=(6, 4))
    slopes, step = own.slopes(seen)(points), 1e-6
    for place in range(4):
        ends = [points + sign * step * np.eye(4)[place] for sign in (1.0, -1.0)]
        rise = [own._net.values(own._inputs(seen, end)) for end in ends]
        np.testing.assert_allclose(slopes[:, place], (rise[0] - rise[1]) / (2 * step), rtol=1e-4, atol=1e-5)


def test_a_networks_table_pads_the_neighbours_it_lacks_with_nothing() -> None:
    net = network(4, 8)
    table = LocalNetwork(net, 3, 1, 2).table(np.array([[0.1, 0.2, 0.3, 0.4, 0.5]]))
    by_hand = net.values(np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 1.0, -1.0, 0.0]]))
    assert table.values[0, 2, 0] == pytest.approx(by_hand[0], abs=1e-12)


def test_published_n2o_takes_the_slopes_of_networks() -> None:
    graph = square(2)
    nets = [LocalNetwork(network(edge, 8), 3, 2, 2) for edge in range(4)]
    seen = np.random.default_rng(7).normal(size=(4, 5, 5))
    tables = Tables(graph, tuple(net.table(seen[edge]) for edge, net in enumerate(nets)))
    made = recipe("n2o:gamma=1")
    course = orchestrated(made.parts(tables, lambda edge: nets[edge].slopes(seen[edge])), 50)
    secant = orchestrated(recipe("n2o:gamma=1,slopes=secant").parts(tables), 50)
    assert made.needs_slopes
    assert course.last.shape == (5, 4)
    assert not np.array_equal(course.rented, secant.rented)
    with pytest.raises(AgentError, match="takes the slopes of a network"):
        made.parts(tables)


@pytest.mark.parametrize("name", orchestrators.NAMES)
def test_every_orchestrator_is_made_by_name(name: str) -> None:
    slopes = ":slopes=secant" if name == "n2o" else ""
    tables = economy(square(2), 2, 1)
    made = recipe(name + slopes)
    assert orchestrated(made.parts(tables), made.rounds).last.shape == (2, 4)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("best", "no such orchestrator; known: own, n2o, owner, max-sum, consensus, polish"),
        ("owner:gamma=3", "no option 'gamma'; owner has rounds"),
        ("n2o:gamma=0", "gamma must be a number above 0"),
        ("n2o:centre=left", "centre is one of own, shared, middle"),
        ("max-sum:damping", "no option 'damping'"),
        ("max-sum:rounds=x", "rounds must be a whole number from 0 to 256"),
        ("max-sum:rounds=257", "rounds must be a whole number from 0 to 256"),
    ],
)
def test_a_wrong_spec_says_what_is_right(spec: str, says: str) -> None:
    with pytest.raises(AgentError, match=says):
        recipe(spec)
