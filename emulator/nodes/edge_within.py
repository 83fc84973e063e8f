"""Tasks that are done in the slot they arrive in: an edge server's part, without an array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bus.messages import Array, Completed, Offload, Outcome
from emulator.linked_serving import NOT_DEPLOYED
from emulator.model import serving, serving_sparse
from emulator.model.offloading import Floats, FrameCosts, Network, cloud_delay
from emulator.model.serving_sparse import Entry
from emulator.model.streams import Stream
from emulator.nodes.edge_plan import Plan

if TYPE_CHECKING:
    from emulator.nodes.edge_serving import Answers


class WithinSlot:
    """Tasks that are done in the slot they arrive in, by the expected delays of eq. (4)-(5)."""

    def __init__(self, edge: int, network: Network, edges_s: Floats, routing: Stream | None) -> None:
        self._edge = edge
        self._cloud = network.edges
        self._services = network.services
        self._edges_s: list[float] = edges_s.tolist()
        self._routing = routing
        cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)
        self._cloud_s: list[float] = cloud_s[edge].tolist()
        self._nothing = Array.of(np.zeros(network.services))
        self._slot = 0
        self._tasks = self._nothing
        self._flow: list[Entry] = []
        self._own: list[float] = []
        self._own_delay_s: list[float] = []
        self._costs: FrameCosts | None = None
        self._compute_s: list[float] = []
        self._transfer_s: dict[int, list[float]] = {}
        self._unhosted: list[int] = []
        self._targets: list[int] = []

    def begin(self, slot: int, alive: Sequence[int]) -> None:
        """Nothing is kept from slot to slot."""
        self._slot = slot

    def commit(self) -> None:
        """Nothing is kept from slot to slot."""

    def route(self, tasks: Array, plan: Plan, also: Sequence[int]) -> dict[int, Offload]:
        """Expected flows, or one drawn target for each task."""
        counts = tasks.values()
        flow = serving_sparse.flows(counts, plan.own)
        asked = {n for n, _, _ in flow}
        self._flow = flow if self._routing is None else self._drawn(tasks, plan)
        self._tasks = tasks
        self._targets = targets = sorted(asked.union(also).difference((self._edge,)))
        rows = serving_sparse.rows(self._flow, [self._edge, *targets], self._services)
        self._own = rows[self._edge]
        return {n: Offload(Array.of_floats(rows[n])) for n in targets}

    def _drawn(self, tasks: Array, plan: Plan) -> list[Entry]:
        assert self._routing is not None  # noqa: S101 -- asked only then
        counts = tasks.numpy()
        uniforms = self._routing.generator(self._slot).random(int(counts.sum()))
        flow = serving.routed(counts, plan.split(self._cloud + 1, self._services), uniforms)
        target, service = flow.nonzero()
        return list(zip(target.tolist(), service.tolist(), flow[target, service].tolist(), strict=True))

    def owes(self) -> list[int]:
        """Those who were sent a message."""
        return self._targets

    def debtors(self) -> list[int]:
        """None: everything is answered in its slot."""
        return []

    def execute(self, offloads: Sequence[tuple[int, Offload]], costs: FrameCosts) -> dict[int, Completed]:
        """Every origin gets its delay: its own transfer, and the compute part under the common load."""
        # In entity order; origins that sent nothing would add 0.
        into: dict[int, Sequence[float]] = {origin: offload.tasks.values() for origin, offload in offloads}
        into[self._edge] = self._own
        if costs is not self._costs:
            self._costs, self._compute_s, self._transfer_s = costs, costs.compute_s[self._edge].tolist(), {}
            self._unhosted = np.nonzero(~costs.hosts[self._edge])[0].tolist()
        compute_s = serving_sparse.compute_delay([into[m] for m in sorted(into)], self._compute_s)
        self._own_delay_s = compute_s  # its own tasks travel nowhere
        answers = {}
        for origin, _ in offloads:
            delay_s = serving_sparse.target_delay(self._transfer_from(origin, costs), compute_s)
            for j in self._unhosted:
                if into[origin][j] > 0.0:  # the schedule rests on a deployment that is not in force any more
                    delay_s[j] = math.inf
            answers[origin] = Completed(Array.of_floats(delay_s))
        return answers

    def _transfer_from(self, origin: int, costs: FrameCosts) -> list[float]:
        found = self._transfer_s.get(origin)
        if found is None:
            seconds: list[float] = costs.transfer(origin, self._edge).tolist()
            found = self._transfer_s[origin] = seconds
        return found

    def end(self, answers: Answers, costs: FrameCosts) -> Outcome:
        """Account for the cell's tasks."""
        delay_s: dict[int, Sequence[float]] = {self._edge: self._own_delay_s}
        for executor, answer in answers.done:
            delay_s[executor] = answer.delay_s.values()
        flow = self._flow
        reasons: dict[str, float] = {}
        dropped = self._nothing
        if answers.lost:
            dropped, reasons = self._lost(answers.lost)
            flow = [entry for entry in flow if entry[0] not in answers.lost]
        if any(math.inf in seconds for seconds in delay_s.values()):
            flow, dropped = self._unserved(flow, delay_s, dropped, reasons)
        ends = serving_sparse.ended(flow, delay_s, self._cloud_s, self._edges_s, self._edge, self._cloud)
        local, peer, cloud, cost_s, all_cloud_s, histogram = map(Array.of_floats, ends)
        return Outcome(self._tasks, local, peer, cloud, dropped, cost_s, all_cloud_s, histogram, reasons)

    def _unserved(
        self, flow: list[Entry], delay_s: dict[int, Sequence[float]], dropped: Array, reasons: dict[str, float]
    ) -> tuple[list[Entry], Array]:
        """Tasks sent where their service is not deployed end here: what is left of the flow, and all that dropped."""
        unserved = [entry for entry in flow if math.isinf(delay_s[entry[0]][entry[1]])]
        gone = dropped.numpy().copy()
        for _, j, count in unserved:
            gone[j] += count
        reasons[NOT_DEPLOYED] = sum(count for _, _, count in unserved)
        return [entry for entry in flow if entry not in unserved], Array.of(gone)

    def _lost(self, targets: dict[int, str]) -> tuple[Array, dict[str, float]]:
        """Tasks whose targets did not answer: dropped by service, and by reason."""
        reasons: dict[str, float] = {}
        lost = np.zeros(self._services)
        for target, row in serving_sparse.rows(self._flow, targets, self._services).items():
            tasks = np.array(row)
            lost += tasks
            if tasks.any():
                reasons[targets[target]] = reasons.get(targets[target], 0.0) + float(tasks.sum())
        return Array.of(lost), reasons
