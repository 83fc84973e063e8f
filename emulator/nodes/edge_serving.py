"""How an edge server serves: as origin of its cell's tasks and as executor of others'.

Two ways with one face: tasks that are done within their slot (``expected``, ``sampled``), and queued ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np

from bus.messages import Array, Completed, Offload, Outcome
from emulator import records
from emulator.model import queueing, serving
from emulator.model.offloading import Floats, FrameCosts, Network, cloud_delay
from emulator.model.streams import Stream
from emulator.nodes.edge_plan import Plan
from emulator.nodes.edge_within import WithinSlot


class Answers(NamedTuple):
    """What came back to an origin: (executor, answer), executors ascending, the cloud as index M."""

    done: Sequence[tuple[int, Completed]]
    lost: dict[int, str]
    """Targets whose tasks are lost, with the reason."""


class Serving(Protocol):
    """One edge server's work in a slot; ``begin`` before it, ``commit`` when it counts."""

    def begin(self, slot: int, alive: Sequence[int]) -> None:
        """Start from the committed state with these edge servers."""
        ...

    def commit(self) -> None:
        """The slot computed last counts."""
        ...

    def route(self, tasks: Array, plan: Plan, also: Sequence[int]) -> dict[int, Offload]:
        """Deal the cell's tasks, shape (service,). The plan's targets get a message each, and these also."""
        ...

    def owes(self) -> list[int]:
        """Executors other than itself that will answer this slot, the cloud as index M."""
        ...

    def debtors(self) -> list[int]:
        """Origins whom this executor must answer although they may send nothing new."""
        ...

    def execute(self, offloads: Sequence[tuple[int, Offload]], costs: FrameCosts) -> dict[int, Completed]:
        """Serve what came, and answer each origin."""
        ...

    def end(self, answers: Answers, costs: FrameCosts) -> Outcome:
        """How the cell's tasks ended."""
        ...


class Queued:
    """Tasks that arrive, travel and share compute in time, and may outlive their slot."""

    def __init__(
        self, edge: int, network: Network, edges_s: Floats, routing: Stream, times: Stream, slot_s: float
    ) -> None:
        self._edge = edge
        self._network = network
        self._edges_s = edges_s
        self._routing = routing
        self._times = times
        self._slot_s = slot_s
        self._cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)[edge]
        self._kept = queueing.Executor(float(network.compute_hz[edge]))
        self._executor = self._kept
        self._pending_kept = np.zeros(network.edges)
        self._pending = self._pending_kept
        self._slot = 0
        self._gone: Floats = np.zeros(network.edges)
        self._tasks = self._flow = np.zeros(0)
        self._own: Offload | None = None
        self._own_done: Completed | None = None
        self._targets: list[int] = []

    def begin(self, slot: int, alive: Sequence[int]) -> None:
        """Forget the tasks of origins that are gone, and those that lay at executors that are gone."""
        self._slot = slot
        self._executor = self._kept.copy()
        self._executor.waiting = [task for task in self._executor.waiting if task.origin in alive]
        there = np.isin(np.arange(self._network.edges), alive)
        self._gone = np.where(there, 0.0, self._pending_kept)
        self._pending = np.where(there, self._pending_kept, 0.0)

    def commit(self) -> None:
        """The queues as they are now."""
        self._kept, self._pending_kept = self._executor, self._pending

    def route(self, tasks: Array, plan: Plan, also: Sequence[int]) -> dict[int, Offload]:
        """Draw a target and a sending time for each task."""
        counts, split = tasks.numpy(), plan.split(self._network.edges + 1, self._network.services)
        total = int(counts.sum())
        self._tasks = counts
        self._flow = serving.routed(counts, split, self._routing.generator(self._slot).random(total))
        at_s = self._times.generator(self._slot).random(total) * self._slot_s
        parts = queueing.times_by_target(self._flow, at_s)
        asked = np.nonzero((split * (counts > 0.0)).any(axis=1))[0].tolist()
        self._targets = targets = sorted({*asked, *also} - {self._edge})
        offloads = {n: Offload(Array.of(self._flow[n]), Array.of(parts[n])) for n in [*targets, self._edge]}
        self._own = offloads.pop(self._edge)
        return offloads

    def owes(self) -> list[int]:
        """Those who were sent a message now, or still hold tasks from before."""
        holds = [n for n in np.nonzero(self._pending > 0.0)[0].tolist() if n != self._edge]
        return sorted({*self._targets, *holds})

    def debtors(self) -> list[int]:
        """Origins with tasks still here."""
        outstanding = self._executor.outstanding(self._network.edges)
        return [m for m, count in enumerate(outstanding) if count and m != self._edge]

    def execute(self, offloads: Sequence[tuple[int, Offload]], costs: FrameCosts) -> dict[int, Completed]:
        """Work until the slot's end, and tell each origin what of its tasks finished."""
        start_s = self._slot * self._slot_s
        transfer_s = costs.transfer_into(self._edge)
        origins = sorted({*self.debtors(), *(origin for origin, _ in offloads)})
        mine = [(self._edge, self._own)] if self._own is not None else []
        for origin, offload in sorted([*offloads, *mine], key=lambda entry: entry[0]):
            at_s = offload.at_s.numpy() if offload.at_s is not None else np.zeros(0)
            self._executor.admit(
                origin, offload.tasks.numpy(), at_s, start_s, transfer_s[origin], self._network.task_cycles
            )
        finished = self._executor.run(start_s, start_s + self._slot_s, costs.hosts[self._edge])
        answers = {}
        left = self._executor.outstanding(self._network.edges)
        for origin in [*origins, self._edge]:
            service, delay_s = queueing.finished_arrays(finished, origin)
            answers[origin] = Completed(Array.of(delay_s), Array.of(service), left[origin])
        self._own_done = answers.pop(self._edge)
        return answers

    def end(self, answers: Answers, costs: FrameCosts) -> Outcome:
        """Account for what finished in this slot."""
        edges = self._network.edges
        done = {executor: answer for executor, answer in answers.done if executor < edges}
        if self._own_done is not None:
            done[self._edge] = self._own_done
        self._pending = self._pending + self._flow[:edges].sum(axis=1)
        reasons = {"executor_lost": float(self._gone.sum())} if self._gone.any() else {}
        for target, reason in answers.lost.items():
            lost = float(self._flow[target].sum()) if target == edges else float(self._pending[target])
            reasons[reason] = reasons.get(reason, 0.0) + lost
            if target < edges:
                self._pending[target] = 0.0
        finished = []
        for executor in range(edges):
            service, delay_s = np.zeros(0), np.zeros(0)
            answer = done.get(executor)
            if answer is not None and answer.service is not None:
                service, delay_s = answer.service.numpy(), answer.delay_s.numpy()
                # The first ones may have been given up as late in a slot before: they have ended already.
                given_up = max(0, len(service) - int(self._pending[executor]))
                service, delay_s = service[given_up:], delay_s[given_up:]
            self._pending[executor] -= len(service)
            if answer is not None and self._pending[executor] > answer.outstanding >= 0:
                # What came there too late, or was told of in an answer that came too late, is nowhere any more.
                late = float(self._pending[executor]) - answer.outstanding
                reasons["late"] = reasons.get("late", 0.0) + late
                self._pending[executor] = answer.outstanding
            finished.append((executor, service, delay_s))
        to_cloud = self._flow[edges] if edges not in answers.lost else np.zeros_like(self._tasks)
        dropped = np.zeros_like(self._tasks)
        # Whose they were is forgotten with them; only their number is known.
        dropped[0] = sum(reasons.values())
        ends = queueing.queued_ends(self._tasks, finished, to_cloud, dropped, self._cloud_s, self._edges_s, self._edge)
        reasons = {reason: count for reason, count in reasons.items() if count > 0.0}
        return records.outcome(ends, reasons, float(self._pending.sum()))


def make_serving(
    tasks: Literal["expected", "sampled", "queued"],
    edge: int,
    network: Network,
    edges_s: Floats,
    routing: Stream,
    times: Stream,
    slot_s: float,
) -> Serving:
    """The way of serving that a scenario asks for."""
    if tasks == "queued":
        return Queued(edge, network, edges_s, routing, times, slot_s)
    return WithinSlot(edge, network, edges_s, routing if tasks == "sampled" else None)
