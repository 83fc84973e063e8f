"""Every message of the bus: frozen records, units in the names, fields only ever appended (with a default).

An array crosses as ``Array``: type, shape and raw little-endian bytes, so that any language reads it without us.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record that crosses the bus; its class name is its topic's noun."""


class Array(Message, frozen=True):
    """An n-dimensional array: NumPy type string (little-endian), shape, raw bytes in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, values: NDArray[Any]) -> Array:
        """Pack an array; its type must be little-endian or one byte wide."""
        return cls(values.dtype.str, values.shape, values.tobytes())

    def numpy(self) -> NDArray[Any]:
        """A read-only view of the bytes, in the array's shape."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


# -- the offloading world: one slot ------------------------------------------------------------------------------------


class Arrivals(Message, frozen=True):
    """What users of one cell asked for in a slot: tasks (service,), whole numbers as float64."""

    tasks: Array


class FrameObservation(Message, frozen=True):
    """What an edge server saw in the frame before: counts (slot, service); zero slots long when it saw none."""

    edge: int
    frame: int
    counts: Array


class Deployment(Message, frozen=True):
    """An agent's decision: the services, by index and ascending, that its edge server shall deploy in a frame."""

    edge: int
    frame: int
    services: tuple[int, ...]


class DeploymentInForce(Message, frozen=True):
    """What an edge server deploys from this frame on, and why the agent's decision was refused, if it was."""

    edge: int
    frame: int
    services: tuple[int, ...]
    refused: str = ""


class Schedule(Message, frozen=True):
    """Shares of each cell's tasks by target, as a sparse list in (service, source, target) order.

    service, source, target: uint16 (entry,); share: float64 (entry,). Target M is the cloud. Rows of cells without
    tasks are left out.
    """

    service: Array
    source: Array
    target: Array
    share: Array


class Offload(Message, frozen=True):
    """Tasks that an origin sends to one executor: tasks (service,), float64; times only where tasks are queued.

    at_s: seconds into the slot of each task, in service order, float64 (task,); empty unless ``tasks = "queued"``.
    """

    tasks: Array
    at_s: Array | None = None


class Completed(Message, frozen=True):
    """What an executor did for one origin: seconds per task (service,), transfer and compute together.

    Queued worlds report tasks one by one as they finish: service (task,) and delay_s (task,).
    """

    delay_s: Array
    service: Array | None = None


class Outcome(Message, frozen=True):
    """How the tasks of one cell ended in a slot, by service (service,), float64.

    arrived, local, peer, cloud, dropped: tasks; cost_s: task-seconds of those completed; all_cloud_s: task-seconds had
    all of those gone to the cloud; histogram: tasks by delay bucket of the scenario (bucket,); reasons: dropped tasks
    by reason.
    """

    arrived: Array
    local: Array
    peer: Array
    cloud: Array
    dropped: Array
    cost_s: Array
    all_cloud_s: Array
    histogram: Array
    reasons: dict[str, float] = {}


class FrameReward(Message, frozen=True):
    """The reward all agents share for a frame, and its mean delay."""

    frame: int
    reward_s: float
    delay_s: float
    all_cloud_s: float
