"""From a scenario to the things a world is made of: network, demand, delay buckets.

Every process builds these from the same resolved scenario, so nothing of them crosses the bus.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from emulator.errors import ScenarioError
from emulator.linking import with_traces
from emulator.model import scheduling
from emulator.model.arrivals import Habits, ZipfDemand
from emulator.model.offloading import Floats, Network, cloud_delay
from emulator.model.streams import Stream
from emulator.rental_plan import resolve_rental
from emulator.scenario import Scenario
from emulator.traces import Demand, load_demand

BUCKETS_PER_OCTAVE = 8
OCTAVES = 12
SERVICE_FIGURES = ("size_bytes", "task_bytes", "task_cycles")


class CellDemand(Protocol):
    """Tasks that arrive in one cell."""

    def counts(self, slot: int) -> Floats:
        """Tasks by service that arrive in a slot, shape (service,), whole numbers."""
        ...


class TraceDemand:
    """One cell of canonical demand, slot by slot."""

    def __init__(self, demand: Demand, cell: int, first_slot: int) -> None:
        self._demand = demand
        self._cell = cell
        self._first_slot = first_slot

    def counts(self, slot: int) -> Floats:
        """Tasks by service that arrive in a slot; the trace starts again at its end, shape (service,)."""
        return self._demand.counts((self._first_slot + slot) % self._demand.slots, self._cell)


def resolve(scenario: Scenario) -> Scenario:
    """Fix what a scenario leaves to the machine or to its trace, so that every process reads the same.

    Raises: ScenarioError: the trace does not fit the scenario.
    """
    if scenario.world == "rental":
        return resolve_rental(scenario)
    backend = scheduling.resolve_backend(scenario.scheduler.backend)
    scheduler = msgspec.structs.replace(scenario.scheduler, backend=backend)
    resolved = with_traces(msgspec.structs.replace(scenario, scheduler=scheduler))
    if scenario.demand.kind == "trace":
        demand = load_demand(scenario.demand.path)
        _check_trace(resolved, demand)
        profile = {name: _profiled(resolved, name, demand) for name in demand.profile if name in SERVICE_FIGURES}
        resolved = msgspec.structs.replace(resolved, services=msgspec.structs.replace(scenario.services, **profile))
    return resolved


def _profiled(scenario: Scenario, name: str, demand: Demand) -> tuple[float, ...]:
    """A service figure as the trace gives it, the scenario's own where it does not."""
    given = demand.profile[name]
    return tuple(np.where(np.isnan(given), _service_column(scenario, name), given).tolist())


def _check_trace(scenario: Scenario, demand: Demand) -> None:
    problems = []
    wanted = (scenario.edges.count, scenario.services.count)
    for name, have, want in zip(("edges", "services"), demand.tasks.shape[1:], wanted, strict=True):
        if have != want:
            problems.append(
                f"{name}.count: is {want}, but the trace {scenario.demand.path} has {have}; set it to {have}"
            )
    if demand.slot_s != scenario.slot_s:
        problems.append(f"slot_s: is {scenario.slot_s:g}, but the trace's slots last {demand.slot_s:g} s; set it so")
    end = scenario.demand.first_slot + scenario.slots
    if end > demand.slots and not scenario.demand.wrap:
        fits = max(0, demand.slots - scenario.demand.first_slot) // scenario.slots_per_frame
        problems.append(
            f"frames: the trace ends after {demand.slots} slots, the run needs {end}; "
            f"run at most {fits} frames or set demand.wrap = true"
        )
    if problems:
        raise ScenarioError(*(f"{scenario.name}: {problem}" for problem in problems))


def build_demand(scenario: Scenario, cells: Sequence[int]) -> list[CellDemand]:
    """The demand of some cells, in their order."""
    if scenario.demand.kind == "trace":
        trace = load_demand(scenario.demand.path)
        return [TraceDemand(trace, cell, scenario.demand.first_slot) for cell in cells]
    spec = scenario.demand
    habits = Habits(
        users_min=spec.users_min,
        users_max=spec.users_max,
        activity=spec.activity,
        zipf_exponent=spec.zipf_exponent,
        alike_share=spec.alike_share,
        stickiness=spec.stickiness,
        redraw=spec.redraw,
        workload=spec.workload,
        drift_frames=spec.drift_frames,
        period_frames=spec.period_frames,
    )
    return [
        ZipfDemand(
            cell,
            scenario.services.count,
            scenario.slots_per_frame,
            habits,
            seed=scenario.seed,
            world_seed=scenario.world_seed,
        )
        for cell in cells
    ]


def build_network(scenario: Scenario) -> Network:
    """The edge servers, the cloud and the services; what is drawn comes from ``world_seed``."""
    edges = scenario.edges
    columns = {
        name: np.full(edges.count, getattr(edges, name), dtype=np.float64)
        for name in ("storage_bytes", "compute_hz", "link_bps", "uplink_bps", "cloud_bps")
    }
    for override in scenario.edge:
        for name, column in columns.items():
            value = getattr(override, name)
            if value is not None:
                column[override.index] = value
    service_bytes, task_bytes, task_cycles = (_service_column(scenario, name) for name in SERVICE_FIGURES)
    matrix = None if edges.matrix_bps is None else np.array(edges.matrix_bps, dtype=np.float64)
    return Network(
        storage_bytes=columns["storage_bytes"],
        compute_hz=columns["compute_hz"],
        uplink_bps=columns["uplink_bps"],
        link_bps=columns["link_bps"],
        link_matrix_bps=matrix,
        cloud_bps=columns["cloud_bps"],
        cloud_hz=scenario.cloud.compute_hz,
        service_bytes=service_bytes,
        task_bytes=task_bytes,
        task_cycles=task_cycles,
    )


def _service_column(scenario: Scenario, name: str) -> Floats:
    services = scenario.services
    listed = getattr(services, name)
    if listed is not None:
        return np.array(listed, dtype=np.float64)
    choices = np.array(getattr(services, f"{name}_choices"), dtype=np.float64)
    draw = Stream(scenario.world_seed, "/world", name, draws=services.count).uniforms(0)[0]
    return choices[(draw * len(choices)).astype(np.int64)]


def delay_edges(network: Network) -> NDArray[np.float64]:
    """Upper edges of the delay buckets: geometric, up to twice the slowest all-cloud delay, shape (bucket - 1,)."""
    slowest = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz).max()
    steps = np.arange(-OCTAVES * BUCKETS_PER_OCTAVE, 1)
    return 2.0 * slowest * 2.0 ** (steps / BUCKETS_PER_OCTAVE)
