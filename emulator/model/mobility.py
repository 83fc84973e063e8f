"""Users who walk about an area, come and go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.model.graph import Floats, distances
from emulator.model.streams import normals_from

Bools = NDArray[np.bool_]
RASTER = 240
"""Points along each side with which the share of an area that a range covers is measured."""


def placed(uniforms: Floats, sides_m: Floats) -> Floats:
    """Positions uniform over the area, shape (..., 2).

    Args:
        uniforms: Two for each user, shape (..., 2).
        sides_m: Extent of the area in x and y, shape (2,).
    Source: ours: N2O section VI.A.1 leaves open where users appear.
    """
    return uniforms * sides_m


def reflected(positions: Floats, sides_m: Floats) -> Floats:
    """Positions folded back at the area's borders, shape (..., 2).

    Args:
        positions: Metres, maybe outside, shape (..., 2).
        sides_m: Extent of the area, shape (2,).
    Source: ours: N2O section VI.A.1 leaves open what happens at the border.
    """
    return sides_m - np.abs(sides_m - np.mod(positions, 2.0 * sides_m))


def walked(positions: Floats, uniforms: Floats, step_m: float, sides_m: Floats) -> Floats:
    """One slot of a random walk with a normal step on each axis, shape (..., 2).

    Args:
        positions: Before, metres, shape (..., 2).
        uniforms: Four for each user, shape (..., 4).
        step_m: Standard deviation of the step on each axis.
        sides_m: Extent of the area, shape (2,).
    Source: N2O section VI.A.1 ("a random walk process"); the law of the step is ours.
    """
    if step_m == 0.0:
        return positions
    step = normals_from(uniforms[..., :2], uniforms[..., 2:])
    return reflected(positions + step_m * step, sides_m)


def raster(sides_m: Floats) -> Floats:
    """Places spread evenly over the area.

    Args:
        sides_m: Extent of the area in x and y, shape (2,).
    Returns: x and y in metres, shape (place, 2).
    Source: ours: shares of an area are measured by counting places.
    """
    axis = (np.arange(RASTER) + 0.5) / RASTER
    x, y = np.meshgrid(axis * sides_m[0], axis * sides_m[1])
    return np.stack([x.ravel(), y.ravel()], axis=1)


def coverage(sites: Floats, sides_m: Floats, range_m: float) -> float:
    """Share of the area that lies in range of an edge server, mean over the edge servers.

    Args:
        sites: x and y in metres, shape (edge, 2).
        sides_m: Extent of the area, shape (2,).
        range_m: How far a radio reaches.
    Source: ours: from it follows how many users make "30 users connected" (N2O section VI.A.1) in range of each.
    """
    places = raster(sides_m)
    covered = [np.count_nonzero(distances(places, site[None])[:, 0] <= range_m) for site in sites]
    return sum(covered) / (len(sites) * len(places))
