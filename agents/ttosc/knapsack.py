"""The knapsack that turns per-service values into a deployment, by dynamic programming, for many agents at once."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.offloading import Bools, Floats

MOST_UNITS: Final = 4096
"""Units of the largest storage: the table has so many columns. Finer sizes are rounded up, and still fit."""


FEW_UNITS: Final = 256
"""Up to so many units plain lists are faster for a single server than arrays, whose calls cost more than their work."""


class Packing(NamedTuple):
    """Sizes and storage in a common unit.

    Attributes:
        unit_bytes: The unit.
        sizes: Units a service takes, rounded up, shape (service,).
        room: Units a server has, rounded down, shape (edge,).
        exact: Whether every size is a multiple of the unit, so that nothing is lost to rounding.
    """

    unit_bytes: float
    sizes: NDArray[np.int64]
    room: NDArray[np.int64]
    exact: bool


def packing_of(service_bytes: Floats, storage_bytes: Floats) -> Packing:
    """Find the common unit: the greatest common divisor of the sizes if the table stays small, or a coarser one.

    Args:
        service_bytes: [V_j] shape (service,), > 0.
        storage_bytes: [C_m] shape (edge,), > 0.
    Source: ttosc P5; the unit is ours (integer dynamic programming needs one).
    """
    whole = np.ceil(service_bytes).astype(np.int64)
    storage = np.floor(storage_bytes).astype(np.int64)
    unit = int(np.gcd.reduce(whole))
    # Beyond all services together storage makes no difference.
    storage = np.minimum(storage, int(whole.sum()))
    exact = int(storage.max()) // unit <= MOST_UNITS
    if not exact:
        unit = -(-int(storage.max()) // MOST_UNITS)
    return Packing(float(unit), -(-whole // unit), storage // unit, exact)


def best_packing(values: Floats, packing: Packing, edges: NDArray[np.int64] | None = None) -> Bools:
    """The deployments of greatest value that fit; services of no positive value stay out.

    Args:
        values: [O_mj] shape (row, service).
        packing: Sizes and storage.
        edges: The server of each row, shape (row,); rows are the servers in order if left out.
    Returns: [d_mj] shape (row, service).
    Raises: ValueError: a value is not a number, or there is not a server for each row.
    Source: TTOSC P5, eq. (15).
    """
    if np.isnan(values).any():
        raise ValueError("a value of the knapsack is not a number")
    room = packing.room if edges is None else packing.room[edges]
    if len(room) != len(values):
        raise ValueError(f"{len(values)} rows of values for {len(room)} servers")
    rows, services = values.shape
    if rows == 1 and room[0] <= FEW_UNITS:
        return _single(values[0].tolist(), packing.sizes.tolist(), int(room[0]))[None]
    most = int(room.max(initial=0))
    best = np.zeros((rows, most + 1))
    taken = np.zeros((services, rows, most + 1), dtype=np.bool_)
    for service, size in enumerate(packing.sizes.tolist()):
        worth = values[:, service, None]
        if size > most or not (worth > 0.0).any():
            continue
        better = best[:, : most + 1 - size] + worth
        # Strictly: what changes nothing is not deployed, since it would take its share of compute and link.
        wins = (better > best[:, size:]) & (worth > 0.0)
        taken[service, :, size:] = wins
        best[:, size:] = np.where(wins, better, best[:, size:])
    return _trace(taken, room, packing.sizes)


def _single(values: list[float], sizes: list[int], room: int) -> Bools:
    """The same for one server: the same additions and the same ties, so the same deployment, shape (service,)."""
    best = [0.0] * (room + 1)
    steps: list[tuple[int, int, list[bool]]] = []
    for service, (worth, size) in enumerate(zip(values, sizes, strict=True)):
        if not worth > 0.0 or size > room:
            continue
        better = [value + worth for value in best[: room + 1 - size]]
        wins = [new > old for new, old in zip(better, best[size:], strict=True)]
        best[size:] = [new if new > old else old for new, old in zip(better, best[size:], strict=True)]
        steps.append((service, size, wins))
    deployed = np.zeros(len(values), dtype=np.bool_)
    for service, size, wins in reversed(steps):
        if room >= size and wins[room - size]:
            deployed[service] = True
            room -= size
    return deployed


def _trace(taken: NDArray[np.bool_], room: NDArray[np.int64], sizes: NDArray[np.int64]) -> Bools:
    """Walk back from the full storage of each row."""
    services, rows, _ = taken.shape
    left, each = room.copy(), np.arange(rows)
    deployed = np.zeros((rows, services), dtype=np.bool_)
    for service in range(services - 1, -1, -1):
        chosen = taken[service, each, left]
        deployed[:, service] = chosen
        left = left - np.where(chosen, sizes[service], 0)
    return deployed
