"""From expected tasks to whole tasks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.model.streams import Stream
from emulator.traces_read import Floats
from emulator.traces_table import TraceError

Tasks = NDArray[np.uint32]

MOST_TASKS = 2**31 - 1  # of one slot, cell and service
POISSON_DRAWS = 2**40  # uniforms a slot owns; far more than Poisson draws for every service take


def round_poisson(mass: Floats, first_slot: int, seed: int) -> Tasks:
    """Poisson draws; those of one slot and cell depend on no other slot or cell.

    Args:
        mass: Expected tasks, shape (slot, cell, service).
        first_slot: Slot of the trace that slot 0 is; the same slot gets the same draws in every window.
        seed: Of the streams.
    """
    _refuse_too_many(mass)
    tasks = np.zeros(mass.shape, dtype=np.uint32)
    for cell in range(mass.shape[1]):
        stream = Stream(seed, f"/cell/{cell}", "trace import", draws=POISSON_DRAWS)
        for slot in range(mass.shape[0]):
            tasks[slot, cell] = stream.generator(first_slot + slot).poisson(mass[slot, cell])
    return tasks


def round_nearest(mass: Floats) -> Tasks:
    """Whole tasks with the rounding error carried on, so that no small demand is lost.

    The error goes from slot to slot, at a service's last slot to the next service and then to the next cell: whole
    counts stay as they are, every (cell, service) is within 1 of its mass and all together are within 1/2.

    Args:
        mass: Expected tasks, shape (slot, cell, service).
    """
    _refuse_too_many(mass)
    in_order = np.ascontiguousarray(mass.transpose(1, 2, 0))
    ends = np.floor(np.cumsum(in_order.ravel()) + 0.5)
    tasks = np.diff(ends, prepend=0.0).reshape(in_order.shape).transpose(2, 0, 1)
    return np.ascontiguousarray(tasks).astype(np.uint32)


def _refuse_too_many(mass: Floats) -> None:
    most = float(mass.max(initial=0.0))
    if not most <= MOST_TASKS:
        text = f"{most:.3g} tasks in one slot, cell and service are more than {MOST_TASKS:,}; choose a smaller --scale"
        raise TraceError(text)
