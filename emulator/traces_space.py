"""Events with a position: the nearest site becomes their cell."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from emulator.traces_read import Floats, Ints, Trace
from emulator.traces_table import Entities, TraceError

EARTH_RADIUS_M = 6_371_008.8
NEAREST_CHUNK = 4096


def nearest_site(lat: Floats, lon: Floats, sites: Entities) -> tuple[Ints, Floats]:
    """The nearest site of every point and how far it is.

    Args:
        lat: WGS84 degrees, shape (point,).
        lon: WGS84 degrees, shape (point,).
        sites: Their "lat" and "lon"; of equally near ones the first is taken.
    Returns: (site index, metres), each of shape (point,).
    Source: ours: equirectangular projection about the sites' mean on a sphere of the Earth's mean radius; its error is
        below 0.1 % over the tens of kilometres of a city.
    """
    site_lat, site_lon = sites.figures["lat"], _turned(sites.figures["lon"], sites.figures["lon"][0])
    middle_lat, middle_lon = float(np.mean(site_lat)), float(np.mean(site_lon))
    shrink = math.cos(math.radians(middle_lat))
    site_east, site_north = np.radians(site_lon - middle_lon) * shrink, np.radians(site_lat - middle_lat)
    index, distance = np.empty(lat.size, dtype=np.int64), np.empty(lat.size)
    for first in range(0, lat.size, NEAREST_CHUNK):
        part = slice(first, first + NEAREST_CHUNK)
        east = np.radians(_turned(lon[part], middle_lon) - middle_lon) * shrink
        north = np.radians(lat[part] - middle_lat)
        apart = np.hypot(east[:, None] - site_east, north[:, None] - site_north)
        index[part] = np.argmin(apart, axis=1)
        distance[part] = EARTH_RADIUS_M * np.min(apart, axis=1)
    return index, distance


def _turned(lon: Floats, about: float) -> Floats:
    """Longitudes within half a turn of another, so that the date line cuts no city."""
    return (lon - about + 180.0) % 360.0 - 180.0 + about


def place_events(trace: Trace, sites: Entities | None, max_distance_m: float) -> Trace:
    """Give events with a position the cell of their nearest site, -1 where all are too far.

    Raises:
        TraceError: No table of sites with positions.
    """
    if trace.lat is None or trace.lon is None:
        return trace
    if sites is None or not {"lat", "lon"} <= set(sites.figures):
        raise TraceError("events with lat,lon need sites; say --sites FILE (cell,lat,lon)", trace.path, 1)
    if np.isnan(sites.figures["lat"]).any() or np.isnan(sites.figures["lon"]).any():
        raise TraceError("a site has no lat or lon; all need one for events with lat,lon", trace.path, 1)
    index, distance = nearest_site(trace.lat, trace.lon, sites)
    return replace(trace, cells=sites.names, cell=np.where(distance <= max_distance_m, index, -1))
