"""How fast and how exact the schedulers are, and the random instances that say so.

Times are thread CPU time, not wall: other work on the machine does not count, nor do threads of the reference solver
(which flatters the reference). All contestants are measured in turns on the same slots, and medians compared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from agents.schedulers import Cvxpy, Exact, Scheduler
from emulator.model.offloading import Floats, FrameCosts, Network, frame_costs
from emulator.model.scheduling import SlotSchedule, certificate_gap, solve, transfer_seconds

SLOTS_PER_FRAME = 5
Progress = Callable[[str], None]


def _say(text: str) -> None:
    sys.stderr.write(f"bench scheduler: {text}\n")


def run(
    *,
    seed: int = 0,
    rounds: int = 200,
    instances: int = 10_000,
    general_instances: int = 5_000,
    progress: Progress = _say,
) -> dict[str, float | int | str]:
    """Measures the schedulers.

    Args:
        seed: Of the instances and of the slots that are timed.
        rounds: Slots that are timed.
        instances: Random pooled instances whose certificate is checked, with both backends.
        general_instances: Random instances with a general rate matrix, with numba.
        progress: Is told what is being done.
    Returns: ``numpy_speedup`` and ``numba_speedup`` over one stacked parametrised CVXPY problem (Clarabel; update and
        solve) at M=5 J=20, with shares; ``worst_gap`` and ``worst_gap_general``, parts of max(cost, 1); ``ms_30_50``.
    """
    rng = np.random.default_rng(seed)
    result: dict[str, float | int | str] = {"clock": "thread CPU time, interleaved medians"}
    progress("M=5 J=20: NumPy, Numba and CVXPY in turns")
    numpy_s, numba_s, cvxpy_s = _times(rng, 5, 20, rounds, (Exact("numpy"), Exact("numba"), Cvxpy()), (5, 50, 1))
    result |= {"numpy_us": numpy_s * 1e6, "numba_us": numba_s * 1e6, "cvxpy_us": cvxpy_s * 1e6}
    result |= {"numpy_speedup": cvxpy_s / numpy_s, "numba_speedup": cvxpy_s / numba_s}
    progress("M=30 J=50: Numba")
    result["ms_30_50"] = _times(rng, 30, 50, rounds, (Exact("numba"),), (5,))[0] * 1e3
    progress("M=5 J=20 with a matrix of links: Numba")
    result["general_us"] = _times(rng, 5, 20, rounds, (Exact("numba"),), (5,), matrix=True)[0] * 1e6
    worst = 0.0
    for index in range(instances):
        if index % 2000 == 0:
            progress(f"certificates: {index} of {instances} pooled instances, worst {worst:.1e}")
        tasks, costs = random_instance(rng)
        for backend in ("numpy", "numba"):
            worst = max(worst, relative_gap(tasks, costs, solve(tasks, costs, backend=backend)))
    result |= {"worst_gap": worst, "instances": instances}
    worst = 0.0
    for index in range(general_instances):
        if index % 1000 == 0:
            progress(f"certificates: {index} of {general_instances} general instances, worst {worst:.1e}")
        tasks, costs = random_instance(rng, matrix=True)
        worst = max(worst, relative_gap(tasks, costs, solve(tasks, costs, backend="numba")))
    return result | {"worst_gap_general": worst, "general_instances": general_instances}


def relative_gap(tasks: Floats, costs: FrameCosts, schedule: SlotSchedule) -> float:
    """The widest certificate of any service, as a part of its cost (of one task-second if that is more)."""
    gap = np.abs(certificate_gap(tasks, costs, schedule)) / np.maximum(schedule.cost_s, 1.0)
    return float(gap.max(initial=0.0))


def _times(
    rng: np.random.Generator,
    edges: int,
    services: int,
    rounds: int,
    schedulers: tuple[Scheduler, ...],
    repeats: tuple[int, ...],
    *,
    matrix: bool = False,
) -> list[float]:
    """Median seconds a slot of each scheduler, measured in turns; a new deployment every few slots."""
    network = usual_network(rng, edges, services, matrix=matrix)
    seconds: list[list[float]] = [[] for _ in schedulers]
    costs = usual_costs(rng, network)
    for scheduler in schedulers:
        scheduler.schedule(usual_tasks(rng, edges, services), costs)
    for slot in range(rounds):
        if slot % SLOTS_PER_FRAME == 0:
            costs = usual_costs(rng, network)
        tasks = usual_tasks(rng, edges, services)
        for scheduler, repeat, times in zip(schedulers, repeats, seconds, strict=True):
            start = time.thread_time_ns()
            for _ in range(repeat):
                scheduler.schedule(tasks, costs)
            times.append((time.thread_time_ns() - start) * 1e-9 / repeat)
    return [float(np.median(times)) for times in seconds]


def usual_network(rng: np.random.Generator, edges: int, services: int, *, matrix: bool = False) -> Network:
    """A network of the usual size of its parts.

    Source: docs/decisions/0004; with a matrix, links are 0.3 to 3 times the usual rate.
    """
    usual_bps = 50e6
    return Network(
        storage_bytes=np.full(edges, 2e9),
        compute_hz=np.full(edges, 50e9),
        uplink_bps=np.full(edges, np.inf),
        link_bps=np.full(edges, usual_bps),
        link_matrix_bps=usual_bps * rng.uniform(0.3, 3.0, (edges, edges)) if matrix else None,
        cloud_bps=np.full(edges, 2e6),
        cloud_hz=50e9,
        service_bytes=_one_to_five(rng, services, 1e8),
        task_bytes=_one_to_five(rng, services, 1e6),
        task_cycles=_one_to_five(rng, services, 1e9),
    )


def _one_to_five(rng: np.random.Generator, services: int, unit: float) -> Floats:
    return np.asarray(rng.integers(1, 6, services) * unit, dtype=np.float64)


def _popularity(services: int) -> Floats:
    weight = np.arange(1, services + 1) ** -1.2
    return weight / weight.sum()


def usual_costs(rng: np.random.Generator, network: Network) -> FrameCosts:
    """Costs of a deployment of five services a server, popular ones more often."""
    deployed = np.zeros((network.edges, network.services), dtype=np.bool_)
    for row in deployed:
        row[rng.choice(network.services, 5, replace=False, p=_popularity(network.services))] = True
    return frame_costs(network, deployed)


def usual_tasks(rng: np.random.Generator, edges: int, services: int) -> Floats:
    """One slot's tasks: 10 to 50 users a cell, a quarter of them active."""
    return np.asarray(rng.poisson(0.25 * rng.integers(10, 51, (edges, 1)) * _popularity(services)), dtype=np.float64)


def random_instance(rng: np.random.Generator, *, matrix: bool = False) -> tuple[Floats, FrameCosts]:
    """A small slot of any kind, every degenerate case among them.

    Cells without tasks, services without tasks or hosts, servers that host nothing, loads below 1, fractional and huge
    numbers of tasks, free links, no cloud or none for some cells, clouds of unequal delay, and whole numbers, so that
    several events fall on the same price.

    Args:
        rng: Its source.
        matrix: With a general matrix of transfer times.
    Returns: Tasks, shape (edge, service), and costs.
    """
    edges, services = int(rng.integers(1, 10)), int(rng.integers(1, 8))
    shape = (edges, services)
    hosts = rng.random(shape) < rng.choice([0.1, 0.4, 0.9])
    if rng.random() < 0.3:
        hosts[rng.integers(edges)] = False
    if rng.random() < 0.25:
        compute_s, leave_s = rng.choice([0.5, 1.0, 2.0], shape), rng.choice([0.0, 1.0], shape)
        enter_s, cloud_s = rng.choice([0.0, 1.0, 2.0], shape), rng.choice([2.0, 4.0, 8.0], shape)
    else:
        compute_s, cloud_s = 10.0 ** rng.uniform(-2, 1, shape), rng.uniform(0, 1, shape) * rng.choice([1.0, 30.0])
        leave_s = np.repeat(rng.random((edges, 1)), services, axis=1) * rng.choice([0.0, 0.1, 10.0])
        enter_s = rng.random(shape) * rng.choice([0.0, 0.1, 5.0])
    kind = rng.random()
    if kind < 0.3:
        cloud_s[:] = cloud_s[0]  # equal clouds
    elif kind < 0.45:
        cloud_s[:] = np.inf
    elif kind < 0.55:
        cloud_s[rng.integers(edges)] = np.inf
    tasks = rng.poisson(rng.choice([0.3, 5.0, 50.0]), shape) * rng.choice([1.0, 1.0, 1.0, 1e-3, 0.37, 1e5])
    costs = FrameCosts(hosts, np.where(hosts, compute_s, 0.0), leave_s, np.where(hosts, enter_s, 0.0), None, cloud_s)
    if matrix:
        costs = replace(costs, transfer_s=_random_transfer(rng, costs))
    return tasks.astype(np.float64), costs


def _random_transfer(rng: np.random.Generator, costs: FrameCosts) -> Floats:
    """Transfer times of any kind: pooled, of one size, or over five orders of magnitude."""
    edges, services = costs.hosts.shape
    kind = rng.integers(3)
    if kind == 0:
        return transfer_seconds(costs)
    shape = (edges, edges, services)
    transfer_s = rng.uniform(0.0, 5.0, shape) if kind == 1 else 10.0 ** rng.uniform(-3, 2, shape)
    transfer_s[np.arange(edges), np.arange(edges)] = 0.0
    return transfer_s
