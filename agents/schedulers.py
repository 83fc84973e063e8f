"""Schedulers of a slot: from the tasks that arrived to the share of each cell's tasks that each target serves.

``exact`` is the optimum, ``cvxpy`` the same problem given to a general solver (a reference to measure against),
``nearest`` and ``greedy`` are rules that look at no other cell, ``ddpg`` is a network that learned to schedule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.errors import AgentError, SolverFailed
from emulator.model.offloading import Bools, Floats, FrameCosts
from emulator.model.scheduling import Backend, pooled_form, resolve_backend, shares, solve_shares, transfer_seconds
from emulator.model.scheduling_pooled import PooledCosts


class Scheduler(Protocol):
    """What every scheduler can do."""

    def schedule(self, tasks: Floats, costs: FrameCosts) -> Floats:
        """Decides where one slot's tasks are served.

        Args:
            tasks: [N_m^j] shape (edge, service), float64.
            costs: Seconds per task of the frame's deployment.
        Returns: [p_mn^j] shape (edge from, target, service), the cloud last; every row sums to 1.
        Raises: SolverFailed: no schedule within the tolerance.
        """
        ...


class Exact:
    """The optimal schedule.

    Source: TTOSC P4.
    """

    def __init__(self, backend: Backend = "auto") -> None:
        self.backend = resolve_backend(backend)
        self._frame: tuple[FrameCosts, PooledCosts] | None = None

    def schedule(self, tasks: Floats, costs: FrameCosts) -> Floats:
        """See ``Scheduler``."""
        form = None
        if self.backend == "numpy" and costs.transfer_s is None:
            if self._frame is None or self._frame[0] is not costs:
                self._frame = (costs, pooled_form(costs))
            form = self._frame[1]
        try:
            return solve_shares(tasks, costs, backend=self.backend, form=form)[1]
        except ValueError as error:
            raise SolverFailed(str(error)) from error


class Cvxpy:
    """P4 of all services as one stacked problem with parameters, compiled once and solved by Clarabel.

    Flows are variables in the order (edge from, target, service). What a flow may not use is an upper bound of 0, so
    a new frame changes parameters only.

    Source: TTOSC P4; the paper solves it with CVXPY.
    """

    def __init__(self) -> None:
        self._shape = (0, 0)
        self._costs: FrameCosts | None = None
        self._usable: Bools = np.empty(0, dtype=np.bool_)

    def schedule(self, tasks: Floats, costs: FrameCosts) -> Floats:
        """See ``Scheduler``."""
        return shares(tasks, self.flow(tasks, costs), costs.hosts)

    def flow(self, tasks: Floats, costs: FrameCosts) -> Floats:
        """Updates the parameters and solves.

        Args:
            tasks: [N_m^j] shape (edge, service).
            costs: Seconds per task.
        Returns: [x_mn] tasks, shape (edge from, target, service).
        Raises: SolverFailed: the solver says so.
        """
        if tasks.shape != self._shape:
            self._compile(*tasks.shape)
        if costs is not self._costs:
            self._new_frame(costs)
        usable = self._usable
        served = np.where(usable.any(axis=1), tasks, 0.0)
        self._served.value = served.ravel()
        self._most.value = np.where(usable, served[:, None], 0.0).ravel()
        self._problem.solve(solver="CLARABEL", enforce_dpp=True)
        if self._flow.value is None:
            raise SolverFailed(f"cvxpy scheduler: Clarabel ended with {self._problem.status}")
        flow: Floats = np.where(usable, np.maximum(self._flow.value, 0.0).reshape(usable.shape), 0.0)
        return flow

    def _compile(self, edges: int, services: int) -> None:
        try:
            import cvxpy
            import scipy.sparse
        except ImportError as error:
            raise AgentError(f"cvxpy scheduler: {error.name} is missing; install the extra 'reference'") from error
        cp: Any = cvxpy  # its types do not know what it exports
        size = edges * (edges + 1) * services
        index = np.arange(size).reshape(edges, edges + 1, services)
        cell = np.arange(edges * services).reshape(edges, services)

        def sums(of: Any, over: Any) -> Any:
            rows, columns = np.broadcast_arrays(of, over)
            ones = np.ones(rows.size)
            return scipy.sparse.csr_matrix((ones, (rows.ravel(), columns.ravel())), shape=(edges * services, size))

        flow = cp.Variable(size, nonneg=True)
        self._flow = flow
        self._served = cp.Parameter(edges * services, nonneg=True)
        self._most = cp.Parameter(size, nonneg=True)
        self._weight = cp.Parameter(edges * services, nonneg=True)
        self._delay = cp.Parameter(size, nonneg=True)
        load = sums(cell[None], index[:, :-1]) @ flow
        cost = cp.sum_squares(cp.multiply(self._weight, load)) + cp.sum(cp.multiply(self._delay, flow))
        limits: Any = [sums(cell[:, None], index) @ flow == self._served, flow <= self._most]
        self._problem: Any = cp.Problem(cp.Minimize(cost), limits)
        self._shape, self._costs = (edges, services), None

    def _new_frame(self, costs: FrameCosts) -> None:
        edges, services = costs.hosts.shape
        self._usable = np.empty((edges, edges + 1, services), dtype=np.bool_)
        self._usable[:, :-1] = costs.hosts[None]
        self._usable[:, -1] = np.isfinite(costs.cloud_s)
        delay = np.concatenate([transfer_seconds(costs), costs.cloud_s[:, None]], axis=1)
        self._weight.value = np.sqrt(costs.compute_s).ravel()
        self._delay.value = np.where(self._usable, delay, 0.0).ravel()
        self._costs = costs


class Nearest:
    """Each cell's tasks stay where hosted, else go to the nearest host if that beats the cloud, else to the cloud.

    Nearest by transfer time; compared with the cloud as if a single task were alone there.

    Source: ours: the rule of an edge site without a scheduler.
    """

    def schedule(self, tasks: Floats, costs: FrameCosts) -> Floats:
        """See ``Scheduler``; the tasks' number does not matter."""
        transfer_s = np.where(costs.hosts[None], transfer_seconds(costs), np.inf)
        edges = len(costs.hosts)
        transfer_s[np.arange(edges), np.arange(edges)] = np.where(costs.hosts, -np.inf, np.inf)
        target = transfer_s.argmin(axis=1)
        alone_s = transfer_s.min(axis=1) + np.take_along_axis(costs.compute_s, target, axis=0)
        return _all_to(np.where(alone_s < costs.cloud_s, target, edges))


class Greedy:
    """All tasks of a cell and a service go to the node with the least delay if they were alone there.

    Source: ours (docs/decisions/0005): the scheduling half of the Greedy baseline.
    """

    def schedule(self, tasks: Floats, costs: FrameCosts) -> Floats:
        """See ``Scheduler``."""
        alone_s = transfer_seconds(costs) + costs.compute_s[None] * tasks[:, None]
        alone_s = np.where(costs.hosts[None], alone_s, np.inf)
        target, least_s = alone_s.argmin(axis=1), alone_s.min(axis=1)
        return _all_to(np.where(least_s < costs.cloud_s, target, len(tasks)))


def _all_to(target: NDArray[np.intp]) -> Floats:
    """Shares that send every row to one target, shape of the argument (edge, service)."""
    edges, services = target.shape
    split = np.zeros((edges, edges + 1, services))
    split[np.arange(edges)[:, None], target, np.arange(services)] = 1.0
    return split


def make_scheduler(spec: str, backend: Backend = "auto") -> Scheduler:
    """A scheduler by its SPEC in a scenario.

    Args:
        spec: ``exact``, ``cvxpy``, ``nearest``, ``greedy``, ``ddpg`` or ``ddpg:FILE``.
        backend: For ``exact``: ``numpy``, ``numba`` or ``auto``.
    Raises: AgentError: no scheduler of that name, or it cannot work.
    """
    name, colon, argument = spec.partition(":")
    if name == "ddpg" and bool(colon) == bool(argument):
        from agents.ddpg.scheduler import SHIPPED, Ddpg

        return Ddpg(Path(argument) if argument else SHIPPED)
    if spec == "exact":
        return Exact(backend)
    plain: dict[str, type[Cvxpy | Nearest | Greedy]] = {"cvxpy": Cvxpy, "nearest": Nearest, "greedy": Greedy}
    if spec not in plain:
        raise AgentError(f"scheduler {spec!r}: choose exact, {', '.join(plain)}, ddpg or ddpg:FILE")
    return plain[spec]()
