"""What a run came to by cell and frame, and by service: for fairness, and to see who a fault hit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emulator.model.offloading import Floats
from emulator.model.serving import Ends

SUMMED = 7
"""Of ``Ends``: all but the histogram."""


class CellRow(NamedTuple):
    """One line of cells.csv: the users of one cell in one frame; seconds per completed task."""

    frame: int
    cell: int
    tasks: float
    local: float
    peer: float
    cloud: float
    dropped: float
    delay_s: float
    all_cloud_delay_s: float


class ServiceRow(NamedTuple):
    """One line of services.csv: one service over the whole run; seconds per completed task."""

    service: int
    tasks: float
    local: float
    peer: float
    cloud: float
    dropped: float
    delay_s: float
    all_cloud_delay_s: float


class Breakdown:
    """Adds up how tasks ended by cell and service; a slot costs seven sums of arrays."""

    def __init__(self, edges: int, services: int) -> None:
        """Begin.

        Args:
            edges: Cells, which is edge servers.
            services: Services.
        """
        self._frame = np.zeros((SUMMED, edges, services))
        self._run = np.zeros((SUMMED, edges, services))

    def add(self, ends: Ends) -> None:
        """Add one slot.

        Args:
            ends: Arrays of shape (edge, service).
        Source: TTOSC eq. (7), (8), numerators and denominators, by cell and service.
        """
        for total, part in zip(self._frame, ends[:SUMMED], strict=True):
            total += part

    def close_frame(self, frame: int) -> list[CellRow]:
        """Close one frame.

        Args:
            frame: Its number.
        Returns: A row for each cell.
        Source: TTOSC eq. (7), the mean over the tasks of one cell.
        """
        rows = [CellRow(frame, cell, *_row(sums)) for cell, sums in enumerate(self._frame.sum(axis=2).T)]
        self._run += self._frame
        self._frame[:] = 0.0
        return rows

    def services(self) -> list[ServiceRow]:
        """A row for each service, over the frames that are closed.

        Source: TTOSC eq. (6), the mean over the tasks of one service.
        """
        return [ServiceRow(service, *_row(sums)) for service, sums in enumerate(self._run.sum(axis=1).T)]


def _row(sums: Floats) -> tuple[float, ...]:
    """Tasks by how they ended, and delays; sums: shape (SUMMED,)."""
    arrived, local, peer, cloud, dropped, cost_s, all_cloud_s = sums.tolist()
    completed = local + peer + cloud
    if completed <= 0.0:
        return arrived, local, peer, cloud, dropped, 0.0, 0.0
    return arrived, local, peer, cloud, dropped, cost_s / completed, all_cloud_s / completed
