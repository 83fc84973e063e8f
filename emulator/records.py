"""The world's arrays as messages and back: one way to build each record, for nodes and for the in-process world.

Equal arrays give equal bytes, which is what makes the digest of a run comparable across fidelities.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np

from bus.messages import (
    Array,
    Arrivals,
    DeploymentInForce,
    FrameObservation,
    FrameReward,
    MarginalGains,
    Message,
    Outcome,
    Schedule,
)
from emulator.model import scheduling
from emulator.model.ledger import FrameRow
from emulator.model.offloading import Bools, Floats
from emulator.model.serving import Ends

_ENCODER = msgspec.msgpack.Encoder()


def payload_of(message: Message) -> bytes:
    """What a message's payload is on the wire."""
    return _ENCODER.encode(message)


def digest_entry(topic: str, message: Message) -> tuple[str, int, bytes]:
    """What a message adds to the run's digest."""
    return topic, 0, hashlib.sha256(payload_of(message)).digest()


def arrivals(tasks: Floats) -> Arrivals:
    """Arrivals of one cell, tasks of shape (service,)."""
    return Arrivals(Array.of(tasks))


def frame_observation(edge: int, frame: int, counts: Floats) -> FrameObservation:
    """What an edge server saw in the frame before, counts of shape (slot, service)."""
    return FrameObservation(edge, frame, Array.of(counts))


def deployment_in_force(edge: int, frame: int, deployed: Bools, refused: str) -> DeploymentInForce:
    """What an edge server deploys, deployed of shape (service,)."""
    return DeploymentInForce(edge, frame, services_of(deployed), refused)


def services_of(deployed: Bools) -> tuple[int, ...]:
    """Indices of the deployed services, ascending."""
    return tuple(np.nonzero(deployed)[0].tolist())


def deployed_from(services: Sequence[int], count: int) -> Bools:
    """The other way round, shape (service,)."""
    deployed = np.zeros(count, dtype=np.bool_)
    deployed[list(services)] = True
    return deployed


def schedule(split: Floats, tasks: Floats) -> Schedule:
    """Shares of shape (edge from, target, service) on the wire, without rows that have no tasks."""
    return Schedule(*(Array.of(part) for part in scheduling.to_sparse(split, tasks)))


def outcome(ends: Ends, reasons: dict[str, float], in_flight: float = 0.0) -> Outcome:
    """How the tasks of one cell ended, arrays of shape (service,)."""
    arrived, local, peer, cloud, dropped, cost_s, all_cloud_s, histogram = (Array.of(part) for part in ends)
    return Outcome(arrived, local, peer, cloud, dropped, cost_s, all_cloud_s, histogram, reasons, in_flight)


def outcomes_of(ends: Ends, in_flight: Floats, reason: str) -> list[Outcome]:
    """The same for every cell, arrays of shape (edge, service)."""
    count = len(ends.arrived)
    rows = [Ends(*(part[m] for part in ends)) for m in range(count)]
    return [outcome(row, reasons_of(row, reason), float(in_flight[m])) for m, row in enumerate(rows)]


def reasons_of(ends: Ends, reason: str) -> dict[str, float]:
    """Dropped tasks under the one reason they have."""
    dropped = float(ends.dropped.sum())
    return {reason: dropped} if dropped > 0.0 else {}


def ends_from(messages: Sequence[Outcome]) -> Ends:
    """Outcomes of all cells, in their order, as arrays of shape (edge, service)."""
    parts = [getattr(message, name) for name in Ends._fields[:-1] for message in messages]
    histogram = stacked([message.histogram for message in messages])
    rows = stacked(parts)
    return Ends._make([*rows.reshape(len(parts) // len(messages), len(messages), *rows.shape[1:]), histogram])


def stacked(arrays: list[Array]) -> Floats:
    """Arrays of one type and shape as rows of one, read-only: joining their bytes costs a fifth of stacking views."""
    first = arrays[0]
    if any(array.dtype != first.dtype or array.shape != first.shape for array in arrays):
        return np.stack([array.numpy() for array in arrays])
    return np.frombuffer(b"".join([array.data for array in arrays]), first.dtype).reshape(len(arrays), *first.shape)


def frame_reward(row: FrameRow) -> FrameReward:
    """The reward of a frame."""
    return FrameReward(row.frame, row.reward_s, row.delay_s, row.all_cloud_delay_s)


def marginal_gains(edge: int, frame: int, deployed: Bools, gains_s: Floats) -> MarginalGains:
    """What each deployed service of an edge server was worth, arrays of shape (service,)."""
    return MarginalGains(edge, frame, services_of(deployed), Array.of(gains_s[deployed]))
