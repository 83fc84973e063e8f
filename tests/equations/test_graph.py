"""Grids, sites and links: who is whose neighbour, in which order."""

import numpy as np
import pytest

from emulator.model.graph import (
    NOBODY,
    Graph,
    distances,
    grid_positions,
    grid_shape,
    linked,
    projected,
    thinned,
    within,
)


@pytest.mark.parametrize(("edges", "shape"), [(1, (1, 1)), (4, (2, 2)), (6, (2, 3)), (7, (1, 7)), (25, (5, 5))])
def test_a_grid_is_as_square_as_it_can_be(edges: int, shape: tuple[int, int]) -> None:
    assert grid_shape(edges) == shape


def test_a_grid_has_a_margin_and_four_neighbours_at_most() -> None:
    positions = grid_positions(3, 3, 60.0)
    assert positions[0].tolist() == [60.0, 60.0]
    assert positions[1].tolist() == [120.0, 60.0]
    assert positions[8].tolist() == [180.0, 180.0]
    graph = within(positions, 60.0)
    assert graph.neighbours[0] == (1, 3)
    assert graph.neighbours[4] == (1, 3, 5, 7)
    assert len(graph.links) == 12
    assert graph.padded()[0].tolist() == [1, 3, NOBODY, NOBODY]


def test_ranges_overlap_beyond_the_diagonal() -> None:
    """85 m ranges overlap up to 170 m: two sites along (120 m), diagonal by two (169.7 m)."""
    assert within(grid_positions(4, 4, 60.0), 170.0).neighbours[0] == (1, 2, 4, 5, 6, 8, 9, 10)


def test_links_are_undirected_and_listed_ascending() -> None:
    graph = linked(4, [(3, 1), (0, 3), (1, 3)])
    assert graph.neighbours == ((3,), (3,), (), (0, 1))
    assert graph.links == ((0, 3), (1, 3))


@pytest.mark.parametrize("link", [(0, 4), (1, 1), (0, 1, 2), (-1, 2)])
def test_a_link_that_makes_no_sense_is_refused(link: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two different edge servers"):
        linked(4, [link])


@pytest.mark.parametrize("neighbours", [((1,), ()), ((1, 1), (0, 0)), ((0,),), ((2, 1), (0,), (0,))])
def test_a_graph_is_checked(neighbours: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="neighbours of edge"):
        Graph(neighbours)


def test_places_on_a_map_keep_their_distances() -> None:
    # One minute of latitude is a nautical mile, 1,852 m; of longitude at 60 degrees half of it.
    positions = projected(np.array([60.0, 60.0 + 1 / 60]), np.array([10.0, 10.0 + 1 / 60]), 50.0)
    assert positions[0].tolist() == [50.0, 50.0]
    assert positions[1] - 50.0 == pytest.approx([926.6, 1852.0], rel=2e-3)


def test_sites_too_near_to_one_before_are_left_out() -> None:
    positions = np.array([[0.0, 0.0], [50.0, 0.0], [100.0, 0.0], [140.0, 0.0], [200.0, 0.0]])
    assert thinned(positions, 100.0) == [0, 2, 4]
    assert distances(np.array([3.0, 4.0]), positions)[0] == 5.0
