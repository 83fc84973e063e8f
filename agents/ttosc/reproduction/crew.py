"""Makes the measurements of TTOSC that are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from agents.extras import require_onnx, require_torch
from agents.reproduction import crew
from agents.reproduction.crew import Progress as Progress
from agents.ttosc.reproduction.measuring import measured
from agents.ttosc.reproduction.plan import Measurement
from agents.ttosc.reproduction.store import Store

FRAME_WEIGHT = 1.0
PLANNED_WEIGHT = {"ils": 8.0, "oracle": 24.0, "marginal-greedy": 2.0}
LEARNED_WEIGHT = {"literal": 30.0, "tuned": 20.0, "marginal": 20.0, "distilled": 50.0}
"""About how long a frame takes, in frames of a policy that only looks: nothing but the estimate rests on these."""


def weight_of(measurement: Measurement) -> float:
    """About how long a measurement takes, in an arbitrary unit."""
    edges = next((int(key.partition("=")[2]) for key in measurement.overrides if key.startswith("edges.count=")), 5)
    played = PLANNED_WEIGHT.get(measurement.scheme.policy.partition(":")[0], FRAME_WEIGHT) * measurement.counted_frames
    learned = LEARNED_WEIGHT.get(measurement.scheme.learns, 0.0) * measurement.learning_frames
    return (played + learned + 20.0) * edges / 5.0


def missing(wanted: Iterable[Measurement], store: Store) -> list[Measurement]:
    """Those not made yet, each once, all of a seed before the next, so that what a stop leaves is of use."""
    unique = {store.key_of(measurement): measurement for measurement in wanted}
    found = [measurement for measurement in unique.values() if store.get(measurement) is None]
    return sorted(found, key=lambda measurement: (measurement.seed, weight_of(measurement)))


def make(todo: Sequence[Measurement], store: Store, *, jobs: int, tell: Callable[[Progress], None]) -> bool:
    """Make measurements.

    Args:
        todo: Those that are missing.
        store: Where they go.
        jobs: At a time.
        tell: Hears now and then how far it is.
    Returns: Whether all were made; False if a signal asked to stop before.
    Raises: AgentError: an extra is missing, before anything is made.
    """
    if any(measurement.scheme.learns for measurement in todo):
        require_torch()
        require_onnx()
    store.open()
    return crew.make(todo, crew.Work(partial(_one, store), weight_of, _words), jobs=jobs, tell=tell)


def _one(store: Store, measurement: Measurement, stopped: Callable[[], bool]) -> None:
    key = store.key_of(measurement)
    store.put(key, measured(measurement, store.training(key), stopped=stopped))


def _words(measurement: Measurement) -> str:
    return f"{measurement.scheme.name}, {measurement.where}, seed {measurement.seed}"
