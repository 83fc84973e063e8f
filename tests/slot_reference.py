"""What a run must come to when members are missing: the rules of docs/faults.md in plain loops.

It shares with the product only what is proved elsewhere: demand, the policy, the scheduler's solver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agents.policy import Observation, Setting, make_policy
from emulator.assembly import build_demand, build_network
from emulator.model import scheduling
from emulator.model.offloading import frame_costs
from emulator.scenario import Scenario

Members = Callable[[int], frozenset[str]]


class Reference:
    """Rows of slots.csv, from who took part in each slot."""

    def __init__(self, scenario: Scenario, members: Members) -> None:
        self.scenario = scenario
        self.network = build_network(scenario)
        self.members = members
        count = scenario.edges.count
        self.demand = build_demand(scenario, range(count))
        setting = [Setting(self.network, scenario.slots_per_frame, m, scenario.seed) for m in range(count)]
        self.policies = [make_policy(scenario.agent.policy, setting[m]) for m in range(count)]
        self.orphans = [
            None if scenario.agent.orphan in ("keep", "empty") else make_policy(scenario.agent.orphan, setting[m])
            for m in range(count)
        ]
        self.in_force = np.zeros((count, self.network.services), dtype=bool)
        self.seen: list[list[Any]] = [[] for _ in range(count)]
        self.unanswered = [0] * count
        self.decided = [False] * count
        self.there = [False] * count

    def rows(self) -> list[dict[str, float]]:
        return [self.slot(s) for s in range(self.scenario.slots)]

    def slot(self, s: int) -> dict[str, float]:
        network, members = self.network, self.members(s)
        count, services = network.edges, network.services
        edges = [m for m in range(count) if f"/edge/{m}" in members]
        cells = [m for m in range(count) if f"/cell/{m}" in members]
        cloud = "/cloud" in members
        tasks = np.zeros((count, services))
        for m in cells:
            tasks[m] = self.demand[m].counts(s)
        self.deploy(s, members, edges, tasks)
        deployed = np.zeros_like(self.in_force)
        deployed[edges] = self.in_force[edges]
        asked = np.zeros_like(tasks)
        asked[edges] = tasks[edges]
        costs = frame_costs(network, deployed, cloud=cloud)
        split = scheduling.solve_shares(asked, costs, backend="numpy")[1]
        return self.account(tasks, deployed, split, edges, cells, cloud)

    def deploy(self, s: int, members: frozenset[str], edges: list[int], tasks: Any) -> None:
        frame, within = divmod(s, self.scenario.slots_per_frame)
        services = self.network.services
        for m in range(self.network.edges):
            if m in edges and not self.there[m]:  # new, or back without a memory
                self.in_force[m], self.seen[m] = False, []
                self.unanswered[m], self.decided[m] = 0, False
            self.there[m] = m in edges
            if within == 0 and m in edges:
                counts = np.stack(self.seen[m]) if self.seen[m] else np.zeros((0, services))
                self.seen[m] = []
                self.decide(m, frame, counts, f"/agent/{m}" in members)
            if m in edges:
                self.seen[m].append(tasks[m])

    def decide(self, m: int, frame: int, counts: Any, agent: bool) -> None:
        rules = self.scenario.agent
        if agent:
            self.in_force[m] = self.policies[m].decide(Observation(frame, counts))
            self.unanswered[m], self.decided[m] = 0, True
            return
        self.unanswered[m] += 1
        if self.decided[m] and self.unanswered[m] > rules.hold_decision_frames and rules.orphan != "keep":
            orphan = self.orphans[m]
            self.in_force[m] = False if orphan is None else orphan.decide(Observation(frame, counts))

    def account(
        self, tasks: Any, deployed: Any, split: Any, edges: list[int], cells: list[int], cloud: bool
    ) -> dict[str, float]:
        network = self.network
        row = dict.fromkeys(("tasks", "local", "peer", "cloud", "dropped", "cost_s", "all_cloud_s"), 0.0)
        for j in range(network.services):
            load = {n: sum(tasks[m, j] * split[m, n, j] for m in edges) for n in edges}
            for m in cells:
                row["tasks"] += tasks[m, j]
                sent = {n: tasks[m, j] * split[m, n, j] for n in edges} if m in edges else {}
                up = tasks[m, j] * split[m, network.edges, j] if m in edges else tasks[m, j]
                cloud_s = 8 * network.task_bytes[j] / network.cloud_bps[m] + network.task_cycles[j] / network.cloud_hz
                for n, flow in sent.items():
                    share = network.compute_hz[n] / max(deployed[n].sum(), 1)
                    delay = network.task_cycles[j] * load[n] / share
                    if n != m:
                        delay += 8 * network.task_bytes[j] * deployed[n].sum() / network.link_bps[n]
                        delay += 8 * network.task_bytes[j] / network.uplink_bps[m]
                    row["local" if n == m else "peer"] += flow
                    row["cost_s"] += flow * delay if flow else 0.0
                    row["all_cloud_s"] += flow * cloud_s
                row["cloud" if cloud else "dropped"] += up
                if cloud:
                    row["cost_s"] += up * cloud_s
                    row["all_cloud_s"] += up * cloud_s
        completed = row["local"] + row["peer"] + row["cloud"]
        row["delay_s"] = row.pop("cost_s") / completed if completed else 0.0
        row["all_cloud_delay_s"] = row.pop("all_cloud_s") / completed if completed else 0.0
        return row


def expected_rows(scenario: Scenario, members: Members) -> list[dict[str, float]]:
    """Rows of slots.csv, without in_flight."""
    return Reference(scenario, members).rows()
