"""Queued tasks: arrivals in time, transfer, and processor sharing on each service's share of an edge server.

Source: ours. TTOSC's eq. (4) takes all tasks of a slot as present at once; here they come and go. Tasks may outlive
their slot; a service that is no longer deployed keeps a share until its last task is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from emulator.model.offloading import Bools, Floats
from emulator.model.serving import Ends, histogram

EPSILON_CYCLES = 1e-6


@dataclass(slots=True)
class QueuedTask:
    """One task at an executor."""

    origin: int
    service: int
    sent_s: float
    ready_s: float
    left_cycles: float


@dataclass(slots=True)
class FinishedTask:
    """One task that an executor finished, with its delay in seconds since it was sent."""

    origin: int
    service: int
    delay_s: float


@dataclass
class Executor:
    """One edge server's queues; ``copy`` before a slot to be able to compute it again.

    Attributes:
        compute_hz: Compute, cycles/s, split equally over services that are deployed or still have tasks.
    """

    compute_hz: float
    waiting: list[QueuedTask] = field(default_factory=list)

    def copy(self) -> Executor:
        """The same state, apart.

        Returns: An executor that shares nothing with this one.
        Source: ours: a slot that lost a member is computed again.
        """
        tasks = [QueuedTask(t.origin, t.service, t.sent_s, t.ready_s, t.left_cycles) for t in self.waiting]
        return Executor(self.compute_hz, tasks)

    def admit(
        self, origin: int, tasks: Floats, at_s: Floats, start_s: float, transfer_s: Floats, cycles: Floats
    ) -> None:
        """Take an origin's tasks of one slot.

        Args:
            origin: Index of the origin.
            tasks: Whole numbers, shape (service,).
            at_s: Seconds into the slot at which each task is sent, in service order, shape (task,).
            start_s: Start of the slot.
            transfer_s: Seconds of transfer from that origin, shape (service,).
            cycles: Work of a task, shape (service,), cycles.
        Source: ours: eq. (4)'s first term as time on the way, before its second begins.
        """
        services = np.repeat(np.arange(len(tasks)), tasks.astype(np.int64))
        for service, sent in zip(services.tolist(), at_s.tolist(), strict=True):
            sent_s = start_s + sent
            ready_s = sent_s + float(transfer_s[service])
            self.waiting.append(QueuedTask(origin, service, sent_s, ready_s, float(cycles[service])))

    def outstanding(self, origins: int) -> list[int]:
        """Tasks here that are not done.

        Args:
            origins: How many cells there are.
        Returns: A number for each origin.
        Source: ours: every task ends once, so those that have not are counted.
        """
        count = [0] * origins
        for task in self.waiting:
            count[task.origin] += 1
        return count

    def run(self, start_s: float, end_s: float, deployed: Bools) -> list[FinishedTask]:
        """Work from one time to another.

        Args:
            start_s: From, seconds.
            end_s: To, seconds.
            deployed: Services deployed here, shape (service,).
        Returns: What finished, in order of time.
        Source: ours: egalitarian processor sharing, of which eq. (4)'s second term is the case of tasks that all come
            at once and all stay.
        """
        held = set(np.nonzero(deployed)[0].tolist()) | {task.service for task in self.waiting}
        share_hz = self.compute_hz / max(len(held), 1)
        finished: list[tuple[float, FinishedTask]] = []
        for service in sorted(held):
            finished += self._run_service(service, start_s, end_s, share_hz)
        self.waiting = [task for task in self.waiting if task.left_cycles > 0.0]
        return [task for _, task in sorted(finished, key=lambda entry: entry[0])]

    def _run_service(
        self, service: int, start_s: float, end_s: float, share_hz: float
    ) -> list[tuple[float, FinishedTask]]:
        """Egalitarian processor sharing: the tasks present share the service's rate equally."""
        tasks = sorted((task for task in self.waiting if task.service == service), key=lambda task: task.ready_s)
        present = [task for task in tasks if task.ready_s <= start_s]
        coming = [task for task in tasks if start_s < task.ready_s < end_s]
        finished: list[tuple[float, FinishedTask]] = []
        now_s = start_s
        while present or coming:
            least = min((task.left_cycles for task in present), default=np.inf)
            done_s = now_s + least * len(present) / share_hz if present else np.inf
            ready_s = coming[0].ready_s if coming else np.inf
            next_s = min(done_s, ready_s, end_s)
            # The work of the step is taken from the event, not from the times, whose difference may round to 0.
            work = least if next_s == done_s else (next_s - now_s) * share_hz / max(len(present), 1)
            now_s = next_s
            for task in present:
                task.left_cycles -= work
            for task in [task for task in present if task.left_cycles <= EPSILON_CYCLES]:
                task.left_cycles = 0.0
                present.remove(task)
                finished.append((now_s, FinishedTask(task.origin, service, now_s - task.sent_s)))
            while coming and coming[0].ready_s <= now_s:
                present.append(coming.pop(0))
            if now_s >= end_s:
                break
        return finished


def finished_arrays(finished: Sequence[FinishedTask], origin: int) -> tuple[Floats, Floats]:
    """What an executor tells one origin.

    Args:
        finished: Tasks in order of time.
        origin: The origin.
    Returns: Service and delay in seconds of each of its tasks, shapes (task,).
    Source: ours.
    """
    own = [task for task in finished if task.origin == origin]
    return np.array([float(task.service) for task in own]), np.array([task.delay_s for task in own])


def times_by_target(flow: Floats, at_s: Floats) -> list[Floats]:
    """Deal the sending times of one origin's tasks to its targets.

    Args:
        flow: Whole tasks, shape (target, service).
        at_s: Seconds into the slot, one for each task.
    Returns: Times for each target, its tasks in service order.
    Source: ours: times are independent of targets, so any dealing has the same law.
    """
    counts = flow.sum(axis=1).astype(np.int64)
    return np.split(at_s[: counts.sum()], np.cumsum(counts)[:-1])


def queued_ends(
    tasks: Floats,
    finished: Sequence[tuple[int, Floats, Floats]],
    to_cloud: Floats,
    dropped: Floats,
    cloud_s: Floats,
    edges_s: Floats,
    own: int,
) -> Ends:
    """Account for one origin's slot.

    Args:
        tasks: Tasks that arrived, shape (service,).
        finished: (executor, services, delays in seconds), executors ascending.
        to_cloud: Tasks sent to the cloud, which ends them in the slot they were sent in, shape (service,).
        dropped: Tasks that were dropped, shape (service,).
        cloud_s: Seconds of a task that goes to the cloud, shape (service,).
        edges_s: Upper edges of the delay buckets.
        own: Index of the origin.
    Returns: How tasks ended; the completed of a slot may have arrived in an earlier one.
    Source: TTOSC eq. (6), (7) in sums, over the tasks that finish in the slot.
    """
    local, peer, cost_s = np.zeros_like(tasks), np.zeros_like(tasks), to_cloud * cloud_s
    buckets = histogram(to_cloud[None], cloud_s[None], edges_s)
    for executor, service, delay_s in finished:
        index = service.astype(np.int64)
        count = np.bincount(index, minlength=len(tasks)).astype(np.float64)
        part = local if executor == own else peer
        part += count
        cost_s = cost_s + np.bincount(index, weights=delay_s, minlength=len(tasks))
        buckets = buckets + histogram(np.ones((1, len(delay_s))), delay_s[None], edges_s)
    completed = local + peer + to_cloud
    return Ends(tasks, local, peer, to_cloud, dropped, cost_s, completed * cloud_s, buckets)
