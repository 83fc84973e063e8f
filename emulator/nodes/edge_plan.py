"""What one edge server reads from a schedule: where its cell's tasks go, and who sends it theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from bus.messages import Schedule
from emulator.model.offloading import Bools, Floats
from emulator.model.serving_sparse import Entry


class Plan(NamedTuple):
    """One edge server's part of a schedule.

    Attributes:
        own: Shares of its cell's tasks that are above 0, ordered by target and service.
        senders: Other edge servers that send to it; None when nobody can know.
    """

    own: list[Entry]
    senders: set[int] | None

    def split(self, targets: int, services: int) -> Floats:
        """The shares as an array, shape (target, service)."""
        split = np.zeros((targets, services))
        for n, j, share in self.own:
            split[n, j] = share
        return split


class PlanReader:
    """Reads the plans of all edge servers of a process, once for each schedule."""

    def __init__(self, hosted: Iterable[int], edges: int, services: int) -> None:
        self._hosted = frozenset(hosted)
        self._edges = edges
        self._services = services
        self._read: Schedule | None = None
        self._plans: dict[int, Plan] = {}

    def plan(self, schedule: Schedule, edge: int) -> Plan:
        """One hosted edge server's part.

        Raises: ValueError: the columns differ in length, or an index is out of range.
        """
        if schedule is not self._read:
            self._plans = self._parted(schedule)
            self._read = schedule
        return self._plans[edge]

    def _parted(self, schedule: Schedule) -> dict[int, Plan]:
        service, source, target = (part.values() for part in (schedule.service, schedule.source, schedule.target))
        if service and (max(service) >= self._services or max(source) >= self._edges or max(target) > self._edges):
            raise ValueError(f"schedule: an index is beyond {self._edges} edge servers or {self._services} services")
        hosted = self._hosted
        own: dict[int, list[Entry]] = {m: [] for m in hosted}
        senders: dict[int, set[int]] = {m: set() for m in hosted}
        for j, m, n, share in zip(service, source, target, schedule.share.values(), strict=True):
            if m in hosted:
                own[m].append((n, j, share))
            if n != m and n in hosted:
                senders[n].add(m)
        for entries in own.values():
            entries.sort()
        return {m: Plan(own[m], senders[m]) for m in hosted}


def plan_of(shares: Floats, edge: int) -> Plan:
    """The plan in an array of shares, shape (edge, target, service)."""
    target, service = shares[edge].nonzero()
    own = list(zip(target.tolist(), service.tolist(), shares[edge][target, service].tolist(), strict=True))
    senders = set(np.nonzero(shares[:, edge].any(axis=1))[0].tolist())
    return Plan(own, senders - {edge})


def usable_plan(plan: Plan, tasks: Sequence[float], hosts: Bools, edge: int, cloud: int) -> Plan:
    """A plan that an origin can follow although the scheduler knew only a part of the slot.

    On the wall clock its gathers may close before this cell's tasks, or the deployment in force, have reached it.

    Args:
        plan: What the schedule says.
        tasks: What arrived, by service.
        hosts: What the edge server deploys, shape (service,).
        edge: Its index.
        cloud: The cloud's.
    Returns: The same; at home where hosted and else to the cloud for services with tasks that have no share, and for
        those that would stay at home without being hosted.
    """
    shared = {j for _, j, _ in plan.own}
    homeless = {j for n, j, _ in plan.own if n == edge and not hosts[j]}
    open_ = {j for j, count in enumerate(tasks) if count > 0.0 and (j not in shared or j in homeless)}
    if not open_:
        return plan
    kept = [entry for entry in plan.own if entry[1] not in open_]
    ours = [(edge if hosts[j] else cloud, j, 1.0) for j in open_]
    return plan._replace(own=sorted(kept + ours))


def default_plan(hosts: Bools, edge: int, cloud: int) -> Plan:
    """Without a schedule: at home where hosted, else to the cloud; hosts of shape (service,)."""
    return Plan(sorted((edge if hosted else cloud, j, 1.0) for j, hosted in enumerate(hosts.tolist())), None)
