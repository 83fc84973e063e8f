"""Where edge servers stand and who is whose neighbour: grids, sites on a map, lists of links.

Neighbours of an edge server are listed in ascending order, everywhere and always: networks are trained on that order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NOBODY = -1
EARTH_RADIUS_M = 6_371_008.8
TOLERANCE = 1e-9
"""Share by which a distance may be over a limit and still be within it: a grid's own spacing always is."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Who may talk to whom: an undirected graph without loops.

    Attributes:
        neighbours: For each edge server the others it is linked with, ascending.
    """

    neighbours: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        for edge, others in enumerate(self.neighbours):
            if list(others) != sorted(set(others)) or edge in others:
                raise ValueError(f"neighbours of edge {edge}: {others} must ascend, without repeats and without itself")
            for other in others:
                if not 0 <= other < len(self.neighbours) or edge not in self.neighbours[other]:
                    raise ValueError(f"neighbours of edge {edge}: {other} is no edge server or does not link back")

    @property
    def edges(self) -> int:
        """N, the number of edge servers."""
        return len(self.neighbours)

    @property
    def links(self) -> tuple[tuple[int, int], ...]:
        """Every undirected link once, as (smaller, larger), ascending."""
        return tuple((m, n) for m, others in enumerate(self.neighbours) for n in others if m < n)

    def padded(self) -> NDArray[np.int64]:
        """Neighbours as one array, ``NOBODY`` where an edge server has fewer than the most, shape (edge, most).

        Source: ours: one array for networks of equal shape.
        """
        most = max((len(others) for others in self.neighbours), default=0)
        table = np.full((self.edges, most), NOBODY)
        for edge, others in enumerate(self.neighbours):
            table[edge, : len(others)] = others
        return table


def without(graph: Graph, away: Sequence[int]) -> Graph:
    """The graph while some edge servers are away: they keep their numbers and have no neighbours.

    Args:
        graph: With all of them.
        away: Numbers of those who are away.
    Source: ours: membership; who is not next to them is not concerned.
    """
    gone = set(away)
    return Graph(
        tuple(
            () if edge in gone else tuple(other for other in others if other not in gone)
            for edge, others in enumerate(graph.neighbours)
        )
    )


def grid_shape(edges: int) -> tuple[int, int]:
    """Rows and columns of the squarest full grid; a prime number of edge servers makes one row.

    Args:
        edges: N, at least 1.
    Source: N2O section VI.A.1 (a grid layout of 4 to 25 edge servers).
    """
    rows = next(k for k in range(math.isqrt(edges), 0, -1) if edges % k == 0)
    return rows, edges // rows


def grid_positions(rows: int, columns: int, spacing_m: float) -> Floats:
    """Edge servers on a grid with one spacing of margin all round, x fastest.

    Args:
        rows, columns: How many in y and in x.
        spacing_m: Between neighbours, and to the border of the area.
    Returns: x and y in metres, shape (edge, 2).
    Source: N2O section VI.A.1 (grid interval); the margin as in the authors' file.
    """
    row, column = np.divmod(np.arange(rows * columns), columns)
    return np.stack([column + 1.0, row + 1.0], axis=1) * spacing_m


def projected(latitude: Floats, longitude: Floats, margin_m: float) -> Floats:
    """Places on a map as metres east and north, with a margin to the west and south.

    Args:
        latitude, longitude: WGS84 degrees, shape (edge,).
        margin_m: Least x and least y.
    Returns: x and y in metres, shape (edge, 2); equirectangular about the middle, good for a city.
    Source: ours: the equirectangular projection.
    """
    middle = 0.5 * (float(latitude.min()) + float(latitude.max()))
    metres = EARTH_RADIUS_M * math.pi / 180.0
    x = (longitude - longitude.min()) * metres * math.cos(math.radians(middle))
    y = (latitude - latitude.min()) * metres
    return np.stack([x, y], axis=1) + margin_m


def distances(positions: Floats, others: Floats) -> Floats:
    """Straight distances in metres.

    Args:
        positions: From where, shape (..., 2).
        others: To where, shape (other, 2).
    Returns: Shape (..., other).
    Source: ours: Euclid.
    """
    apart = positions[..., None, :] - others
    return np.sqrt(apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1])


def thinned(positions: Floats, least_m: float) -> list[int]:
    """Sites that keep a least distance from all that were kept before them, in their order.

    Args:
        positions: x and y in metres, shape (site, 2).
        least_m: The distance.
    Source: ours: sites that share a street corner are one edge server.
    """
    kept: list[int] = []
    for site in range(len(positions)):
        if not kept or distances(positions[site], positions[kept]).min() >= least_m:
            kept.append(site)
    return kept


def within(positions: Floats, reach_m: float) -> Graph:
    """The graph of edge servers near to each other.

    Args:
        positions: x and y in metres, shape (edge, 2).
        reach_m: Neighbours are no further apart.
    Source: N2O section III.B (a link between edge servers whose service areas overlap); the grid's reach is its
        interval, which the paper's tables imply (four neighbours).
    """
    near = distances(positions, positions) <= reach_m * (1.0 + TOLERANCE)
    np.fill_diagonal(near, False)
    return Graph(tuple(tuple(np.flatnonzero(row).tolist()) for row in near))


def linked(edges: int, links: Iterable[Sequence[int]]) -> Graph:
    """The graph of a list of undirected links.

    Args:
        edges: N.
        links: Pairs of edge servers, in any order.
    Raises: ValueError: a link that is no pair, names no edge server, or leads back to itself.
    Source: ours: any graph, beside the paper's grids.
    """
    others: list[set[int]] = [set() for _ in range(edges)]
    for link in links:
        if len(link) != 2 or not all(0 <= end < edges for end in link) or link[0] == link[1]:
            raise ValueError(f"{list(link)}: must name two different edge servers of 0..{edges - 1}")
        others[link[0]].add(link[1])
        others[link[1]].add(link[0])
    return Graph(tuple(tuple(sorted(each)) for each in others))
