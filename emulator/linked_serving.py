"""How an edge server serves when emulated links may withhold what nodes tell each other.

The same objects serve the edge server's node and the in-process world. Nobody's silence says anything here, so every
edge server sends every other one and the cloud a message in every slot, be it empty, and each answers, if only that
nothing came. Each task ends once: completed, or dropped for the reason that the link gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec
import numpy as np

from bus.messages import Array, Completed, Offload, Outcome
from emulator import records
from emulator.model import queueing, serving
from emulator.model.offloading import Bools, Floats, FrameCosts, Network, cloud_delay, compute_delay, flows
from emulator.model.serving import Ends
from emulator.model.streams import Stream

NOT_DEPLOYED = "not_deployed"
"""Why tasks are dropped that a schedule, made on what is not true any more, sent to who does not host them."""


@dataclass(frozen=True)
class Told:
    """What came back to an origin.

    Attributes:
        done: (executor, answer), executors ascending, the cloud as index M.
        lost: Targets whose answer did not come, with the reason.
        withheld: The cell's arrivals that did not come, shape (service,), and the reason.
    """

    done: Sequence[tuple[int, Completed]]
    lost: Mapping[int, str] = field(default_factory=dict)
    withheld: tuple[Floats, str] | None = None


class LinkedServing(Protocol):
    """One edge server's work in a slot; ``begin`` before it, ``commit`` when it counts."""

    def begin(self, slot: int, alive: Sequence[int]) -> None:
        """Start from the committed state with these edge servers."""
        ...

    def commit(self) -> None:
        """The slot computed last counts."""
        ...

    def route(self, tasks: Floats, split: Floats, targets: Sequence[int]) -> dict[int, Offload]:
        """Deal the cell's tasks; split of shape (target, service). Each target but itself gets a message."""
        ...

    def execute(
        self, offloads: Sequence[tuple[int, Offload]], absent: Mapping[int, str], costs: FrameCosts
    ) -> dict[int, Completed]:
        """Serve what came, and answer each origin, those of whom nothing came with the reason."""
        ...

    def end(self, told: Told) -> Outcome:
        """How the cell's tasks ended."""
        ...


def usable_split(split: Floats, hosts: Bools, edge: int, tasks: Floats) -> Floats:
    """Shares that an origin can follow.

    Args:
        split: Its shares, shape (target, service).
        hosts: What it deploys, shape (service,).
        edge: Its index.
        tasks: What arrived, shape (service,).
    Returns: The same, shape (target, service); at home where hosted and else to the cloud for services without a share
        (the scheduler did not hear of their tasks), and for those that would stay at home without being hosted.
    """
    unusable = (tasks > 0.0) & (~split.any(axis=0) | ((split[edge] > 0.0) & ~hosts))
    return np.where(unusable, default_split(hosts, edge, len(split)), split) if unusable.any() else split


def default_split(hosts: Bools, edge: int, targets: int) -> Floats:
    """Shares of one cell without a schedule, shape (target, service): at home where hosted, else the cloud."""
    shares = np.zeros((targets, len(hosts)))
    shares[edge] = hosts
    shares[-1] = ~hosts
    return shares


def with_absent(answers: dict[int, Completed], absent: Mapping[int, str]) -> dict[int, Completed]:
    """Answers also for origins whose tasks did not come."""
    nothing = Completed(Array.of(np.zeros(0)))
    told = {m: msgspec.structs.replace(answers.get(m, nothing), lost=reason) for m, reason in absent.items()}
    return {**answers, **told}


def outcome_of(
    ends: Ends, reasons: Mapping[str, float], in_flight: float, withheld: tuple[Floats, str] | None
) -> Outcome:
    """The outcome of a slot, arrivals that did not come included: they arrived, and are dropped."""
    counts = dict(reasons)
    if withheld is not None:
        tasks, reason = withheld
        ends = ends._replace(arrived=ends.arrived + tasks, dropped=ends.dropped + tasks)
        counts[reason] = counts.get(reason, 0.0) + float(tasks.sum())
    return records.outcome(ends, {reason: count for reason, count in counts.items() if count > 0.0}, in_flight)


class LinkedWithin:
    """Tasks that are done in the slot they arrive in, by the expected delays of eq. (4)-(5)."""

    def __init__(self, edge: int, network: Network, edges_s: Floats, routing: Stream | None) -> None:
        self._edge = edge
        self._edges_s = edges_s
        self._routing = routing
        self._cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)
        self._slot = 0
        self._tasks = self._flow = np.zeros(0)
        self._own_delay_s = np.zeros(0)

    def begin(self, slot: int, alive: Sequence[int]) -> None:
        """Nothing is kept from slot to slot."""
        self._slot = slot

    def commit(self) -> None:
        """Nothing is kept from slot to slot."""

    def route(self, tasks: Floats, split: Floats, targets: Sequence[int]) -> dict[int, Offload]:
        """Expected flows, or one drawn target for each task."""
        self._tasks = tasks
        if self._routing is None:
            self._flow = flows(tasks, split)
        else:
            self._flow = serving.routed(tasks, split, self._routing.generator(self._slot).random(int(tasks.sum())))
        return {n: Offload(Array.of(self._flow[n])) for n in targets}

    def execute(
        self, offloads: Sequence[tuple[int, Offload]], absent: Mapping[int, str], costs: FrameCosts
    ) -> dict[int, Completed]:
        """Every origin gets its delay; inf for what is not deployed here."""
        rows = {origin: offload.tasks.numpy() for origin, offload in offloads}
        rows[self._edge] = self._flow[self._edge]
        load = serving.loads(np.stack([rows[m] for m in sorted(rows)]))
        compute_s = compute_delay(load, costs.compute_s[self._edge])
        transfer_s, hosts = costs.transfer_into(self._edge), costs.hosts[self._edge]
        self._own_delay_s = transfer_s[self._edge] + compute_s
        answers = {m: Completed(Array.of(np.where(hosts, transfer_s[m] + compute_s, np.inf))) for m, _ in offloads}
        return with_absent(answers, absent)

    def end(self, told: Told) -> Outcome:
        """Account for the cell's tasks."""
        flow, dropped = self._flow.copy(), np.zeros(len(self._tasks))
        delay_s = np.zeros(flow.shape)
        delay_s[self._edge] = self._own_delay_s
        reasons: dict[str, float] = {}

        def drop(target: int, where: Bools | slice, reason: str) -> None:
            reasons[reason] = reasons.get(reason, 0.0) + float(flow[target][where].sum())
            dropped[where] += flow[target][where]
            flow[target][where] = 0.0

        for target, reason in told.lost.items():
            drop(target, slice(None), reason)
        for executor, answer in told.done:
            if answer.lost:
                drop(executor, slice(None), answer.lost)
                continue
            delay_s[executor] = answer.delay_s.numpy()
            unserved = np.isinf(delay_s[executor])
            if unserved.any():
                drop(executor, unserved, NOT_DEPLOYED)
                delay_s[executor][unserved] = 0.0
        ends = serving.ended(
            self._tasks, flow, delay_s, self._cloud_s[self._edge], self._edges_s, own=self._edge, cloud=True
        )
        return outcome_of(ends._replace(dropped=dropped), reasons, 0.0, told.withheld)


class LinkedQueued:
    """Tasks that arrive, travel and share compute in time, and may outlive their slot.

    An origin counts what it sent to each executor and does not know to have ended; an executor's next answer tells how
    many it still has. Whatever is neither there nor told of as finished is dropped.
    """

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
        self._executor = self._kept = queueing.Executor(float(network.compute_hz[edge]))
        self._pending = self._pending_kept = np.zeros(network.edges)
        self._gone = 0.0
        self._slot = 0
        self._tasks = self._flow = np.zeros(0)
        self._own: Offload | None = None
        self._own_done: Completed | None = None

    def begin(self, slot: int, alive: Sequence[int]) -> None:
        """Forget the tasks of origins that are gone, and those that lay at executors that are gone."""
        self._slot = slot
        self._executor = self._kept.copy()
        self._executor.waiting = [task for task in self._executor.waiting if task.origin in alive]
        there = np.isin(np.arange(self._network.edges), alive)
        self._gone = float(self._pending_kept[~there].sum())
        self._pending = np.where(there, self._pending_kept, 0.0)

    def commit(self) -> None:
        """The queues as they are now."""
        self._kept, self._pending_kept = self._executor, self._pending

    def route(self, tasks: Floats, split: Floats, targets: Sequence[int]) -> dict[int, Offload]:
        """Draw a target and a sending time for each task."""
        total = int(tasks.sum())
        self._tasks = tasks
        self._flow = serving.routed(tasks, split, self._routing.generator(self._slot).random(total))
        at_s = self._times.generator(self._slot).random(total) * self._slot_s
        parts = queueing.times_by_target(self._flow, at_s)
        self._own = Offload(Array.of(self._flow[self._edge]), Array.of(parts[self._edge]))
        return {n: Offload(Array.of(self._flow[n]), Array.of(parts[n])) for n in targets}

    def execute(
        self, offloads: Sequence[tuple[int, Offload]], absent: Mapping[int, str], costs: FrameCosts
    ) -> dict[int, Completed]:
        """Work until the slot's end, and tell each origin what of its tasks finished."""
        start_s = self._slot * self._slot_s
        transfer_s = costs.transfer_into(self._edge)
        mine = [(self._edge, self._own)] if self._own is not None else []
        for origin, offload in sorted([*offloads, *mine], key=lambda entry: entry[0]):
            at_s = offload.at_s.numpy() if offload.at_s is not None else np.zeros(0)
            self._executor.admit(
                origin, offload.tasks.numpy(), at_s, start_s, transfer_s[origin], self._network.task_cycles
            )
        finished = self._executor.run(start_s, start_s + self._slot_s, costs.hosts[self._edge])
        left = self._executor.outstanding(self._network.edges)
        answers = {}
        for origin in [*sorted({*(m for m, _ in offloads), *absent}), self._edge]:
            service, delay_s = queueing.finished_arrays(finished, origin)
            answers[origin] = Completed(Array.of(delay_s), Array.of(service), left[origin])
        self._own_done = answers.pop(self._edge)
        return with_absent(answers, absent)

    def end(self, told: Told) -> Outcome:
        """Account for what finished in this slot."""
        edges = self._network.edges
        reasons = {"executor_lost": self._gone} if self._gone else {}

        def drop(count: float, reason: str) -> None:
            reasons[reason] = reasons.get(reason, 0.0) + count

        self._pending = self._pending + self._flow[:edges].sum(axis=1)
        to_cloud = self._flow[edges]
        done = dict(told.done)
        lost = {**told.lost, **{n: answer.lost for n, answer in told.done if answer.lost}}
        if edges in lost:
            drop(float(to_cloud.sum()), lost.pop(edges))
            to_cloud = np.zeros_like(self._tasks)
        for executor, reason in lost.items():
            # Of an executor that answered, what was sent now did not come; of one that did not, nothing is known.
            count = float(self._flow[executor].sum() if executor in done else self._pending[executor])
            drop(count, reason)
            self._pending[executor] -= count
        if self._own_done is not None:
            done[self._edge] = self._own_done
        finished = []
        for executor in (n for n in range(edges) if n in done):
            service, delay_s, missing = self._finished(executor, done[executor])
            finished.append((executor, service, delay_s))
            if missing:
                drop(missing, "link")
        dropped = np.zeros_like(self._tasks)
        # Whose they were is forgotten with them; only their number is known.
        dropped[0] = sum(reasons.values())
        ends = queueing.queued_ends(self._tasks, finished, to_cloud, dropped, self._cloud_s, self._edges_s, self._edge)
        return outcome_of(ends, reasons, float(self._pending.sum()), told.withheld)

    def _finished(self, executor: int, answer: Completed) -> tuple[Floats, Floats, float]:
        """Services and delays that an executor's answer ends, and how many tasks it shows to be nowhere."""
        service, delay_s = (np.zeros(0), np.zeros(0))
        if answer.service is not None:
            service, delay_s = answer.service.numpy(), answer.delay_s.numpy()
        # The first ones may have been given up when an answer was lost in a slot before: they have ended already.
        given_up = max(0, len(service) - int(self._pending[executor]))
        service, delay_s = service[given_up:], delay_s[given_up:]
        self._pending[executor] -= len(service)
        missing = max(0.0, float(self._pending[executor]) - answer.outstanding) if answer.outstanding >= 0 else 0.0
        self._pending[executor] -= missing
        return service, delay_s, missing


def make_linked(
    tasks: Literal["expected", "sampled", "queued"],
    edge: int,
    network: Network,
    edges_s: Floats,
    routing: Stream,
    times: Stream,
    slot_s: float,
) -> LinkedServing:
    """The way of serving that a scenario asks for."""
    if tasks == "queued":
        return LinkedQueued(edge, network, edges_s, routing, times, slot_s)
    return LinkedWithin(edge, network, edges_s, routing if tasks == "sampled" else None)
