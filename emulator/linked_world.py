"""The offloading world in one process when emulated links withhold and delay what its nodes tell each other.

Each message of a slot passes the same channel here as on the bus, in the same order of causes, so a run in process and
one in lockstep agree bit for bit. Times are simulated nanoseconds into the slot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bus.gather import LATE
from bus.link_channel import LOST, Channel, draw_of, frame_bytes
from bus.messages import Array, Completed, Deployment, Message, Offload, Outcome
from emulator import records
from emulator.linked_serving import LinkedServing, Told, default_split, make_linked, usable_split
from emulator.linking import slot_ns, table_of
from emulator.model import scheduling
from emulator.model.offloading import Bools, Floats, FrameCosts, Network, cloud_delay, frame_costs
from emulator.model.streams import Stream
from emulator.scenario import Scenario

Schedule = Callable[[Floats, FrameCosts], Floats]
Sent = tuple[str, int]
"""Why a message did not come (empty if it did), and when it did."""

SCHEDULER = "/scheduler"
CLOUD = "/cloud"


@dataclass
class LinkedStep:
    """What became of a slot: seen and scheduled are the tasks that edge servers and the scheduler heard of."""

    outcomes: list[Outcome]
    seen: Floats
    scheduled: Floats
    split: Floats


class Post:
    """All channels of a world; the in-process end of every link."""

    def __init__(self, scenario: Scenario) -> None:
        self._table = table_of(scenario)
        self._seed = scenario.seed
        self._slot_ns = slot_ns(scenario)
        self._channels: dict[tuple[str, str, str], Channel | None] = {}

    def carry(self, source: str, target: str, topic: str, slot: int, into_ns: int, message: Message) -> Sent:
        """Send a message of a slot."""
        key = (source, target, topic)
        if key not in self._channels:
            shaped = self._table.find(source, target)
            draw = draw_of(self._seed, source, target, topic)
            self._channels[key] = None if shaped is None else Channel(shaped.shape, draw, down=shaped.down)
        channel = self._channels[key]
        if channel is None:
            return "", into_ns
        now_ns = slot * self._slot_ns + into_ns
        size = frame_bytes(topic, len(records.payload_of(message)))
        fate = channel.carry(slot, 0, 0, (0, 0), now_ns, now_ns, size)
        if fate.lost:
            return LOST, 0
        came_ns = min(fate.due_ns) - slot * self._slot_ns
        return (LATE, 0) if came_ns > self._slot_ns else ("", came_ns)


class LinkedWorld:
    """Serves the slots of a scenario that has links; ``reset`` by making another one."""

    def __init__(
        self, scenario: Scenario, network: Network, edges_s: Floats, routing: Sequence[Stream], times: Sequence[Stream]
    ) -> None:
        self._scenario = scenario
        self._network = network
        self._post = Post(scenario)
        self._edges = range(network.edges)
        self._servings: list[LinkedServing] = [
            make_linked(scenario.tasks, m, network, edges_s, routing[m], times[m], scenario.slot_s) for m in self._edges
        ]
        self._cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)
        nobody = np.zeros((network.edges, network.services), dtype=np.bool_)
        readers = [SCHEDULER] if scenario.scheduler.at == "cloud" else [f"/edge/{m}" for m in self._edges]
        self._known = {reader: nobody.copy() for reader in readers}  # deployments that whoever schedules heard of
        self._decided_ns = [0] * network.edges
        self._in_force: list[Message] = []

    # -- a frame's decisions -------------------------------------------------------------------------------------------

    def shown(self, agent: int, frame: int, counts: Floats, *, everyone: bool) -> tuple[Floats, int]:
        """What an agent sees of the frame before, and when.

        Args:
            agent: Which.
            frame: The coming frame.
            counts: What every edge server saw, shape (edge, slot, service).
            everyone: Whether it is shown every edge server's, or its own only.
        Returns: Shape (edge, slot, service) or (slot, service); nothing, or zeros, where it is not shown.
        """
        slot, reached_ns = frame * self._scenario.slots_per_frame, 0
        came = np.zeros(len(self._edges), dtype=np.bool_)
        for m in self._edges if everyone else (agent,):
            message = records.frame_observation(m, frame, counts[m])
            topic = f"/edge/{m}/frame_observation"
            reason, at_ns = self._post.carry(f"/edge/{m}", f"/agent/{agent}", topic, slot, 0, message)
            came[m] = not reason
            reached_ns = max(reached_ns, at_ns)
        if not everyone:
            return counts[agent] if came[agent] else counts[agent][:0], reached_ns
        if not came.any():
            return counts[:, :0], reached_ns
        return np.where(came[:, None, None], counts, 0.0), reached_ns

    def decided(self, edge: int, frame: int, deployed: Bools, into_ns: int) -> str:
        """Send an agent's decision, shape (service,), to its edge server; returns why it did not come."""
        message = Deployment(edge, frame, records.services_of(deployed))
        slot = frame * self._scenario.slots_per_frame
        topic = f"/agent/{edge}/deployment"
        reason, self._decided_ns[edge] = self._post.carry(
            f"/agent/{edge}", f"/edge/{edge}", topic, slot, into_ns, message
        )
        return reason

    # -- a slot --------------------------------------------------------------------------------------------------------

    def serve(
        self, slot: int, tasks: Floats, deployed: Bools, refused: Sequence[str], costs: FrameCosts, schedule: Schedule
    ) -> LinkedStep:
        """Serve one slot.

        Args:
            slot: Its number.
            tasks: What arrived, shape (edge, service).
            deployed: What is deployed, shape (edge, service).
            refused: How each edge server answered its agent's decision.
            costs: Of what is deployed.
            schedule: The scheduler.
        """
        first = slot % self._scenario.slots_per_frame == 0
        if not first:
            self._decided_ns = [0] * len(self._edges)
        self._tell_deployments(slot, first, deployed, refused)
        scheduled, split, sent_ns = self._schedule(slot, first, tasks, schedule)
        seen = np.zeros_like(tasks)
        withheld: list[tuple[Floats, str] | None] = [None] * len(self._edges)
        routed_ns = []
        offloads: list[dict[int, Offload]] = []
        for m in self._edges:
            reason, own_ns = self._arrivals(m, f"/edge/{m}", slot, tasks)
            if reason:
                withheld[m] = (tasks[m], reason)
            else:
                seen[m] = tasks[m]
            shares, plan_ns = self._plan(m, slot, split, sent_ns)
            hosts = deployed[m]
            row = default_split(hosts, m, len(self._edges) + 1)
            if shares is not None:
                row = usable_split(shares, hosts, m, seen[m])
            routed_ns.append(max(self._decided_ns[m], own_ns, plan_ns))
            self._servings[m].begin(slot, self._edges)
            targets = [n for n in self._edges if n != m] + [len(self._edges)]
            offloads.append(self._servings[m].route(seen[m], row, targets))
        told = self._execute(slot, offloads, routed_ns, costs)
        outcomes = []
        for m in self._edges:
            done, lost = told[m]
            outcomes.append(self._servings[m].end(Told(done, lost, withheld[m])))
            self._servings[m].commit()
        return LinkedStep(outcomes, seen, scheduled, split.get(SCHEDULER, np.zeros(0)))

    def _tell_deployments(self, slot: int, first: bool, deployed: Bools, refused: Sequence[str]) -> None:
        self._told_ns = dict.fromkeys(self._known, 0)
        if not first:
            return
        frame = slot // self._scenario.slots_per_frame
        for m in self._edges:
            message = records.deployment_in_force(m, frame, deployed[m], refused[m])
            for reader, known in self._known.items():
                topic = f"/edge/{m}/deployment_in_force"
                reason, at_ns = self._post.carry(f"/edge/{m}", reader, topic, slot, self._decided_ns[m], message)
                if not reason:
                    known[m] = deployed[m]
                    self._told_ns[reader] = max(self._told_ns[reader], at_ns)

    def _arrivals(self, m: int, reader: str, slot: int, tasks: Floats) -> Sent:
        """A reader hears of a cell's arrivals."""
        return self._post.carry(f"/cell/{m}", reader, f"/cell/{m}/arrivals", slot, 0, records.arrivals(tasks[m]))

    def _schedule(
        self, slot: int, first: bool, tasks: Floats, schedule: Schedule
    ) -> tuple[Floats, dict[str, Floats], dict[str, int]]:
        """What whoever schedules hears and finds: tasks of the scheduler, shares and times by reader."""
        splits, times, heard = {}, {}, tasks
        for reader, known in self._known.items():
            heard, reached_ns = np.zeros_like(tasks), self._told_ns[reader]
            for m in self._edges:
                reason, at_ns = self._arrivals(m, reader, slot, tasks)
                if not reason:
                    heard[m] = tasks[m]
                    reached_ns = max(reached_ns, at_ns)
            splits[reader] = schedule(heard, frame_costs(self._network, known))
            times[reader] = reached_ns
        if SCHEDULER in splits:
            # As it reads on the wire: rows without tasks are left out.
            self._message = records.schedule(splits[SCHEDULER], heard)
            parts = (getattr(self._message, name).numpy() for name in ("service", "source", "target", "share"))
            self._shares = scheduling.from_sparse(tuple(parts), *heard.shape)
        return heard, splits, times

    def _plan(self, m: int, slot: int, splits: dict[str, Floats], sent_ns: dict[str, int]) -> tuple[Floats | None, int]:
        """An edge server's shares, shape (target, service); None when the schedule did not come."""
        if SCHEDULER not in splits:
            own = f"/edge/{m}"
            return splits[own][m], sent_ns[own]
        reason, at_ns = self._post.carry(
            SCHEDULER, f"/edge/{m}", "/scheduler/schedule", slot, sent_ns[SCHEDULER], self._message
        )
        return (None if reason else self._shares[m]), at_ns

    def _execute(
        self, slot: int, offloads: Sequence[dict[int, Offload]], routed_ns: Sequence[int], costs: FrameCosts
    ) -> list[tuple[list[tuple[int, Completed]], dict[int, str]]]:
        """Offloads to executors, answers back: for each origin what came, and why the rest did not."""
        answers: list[dict[int, Completed]] = []
        answered_ns = []
        for n in self._edges:
            came, absent, reached_ns = [], {}, routed_ns[n]
            for m in self._edges:
                if m != n:
                    topic = f"/edge/{m}/offload/{n}"
                    message = offloads[m][n]
                    reason, at_ns = self._post.carry(f"/edge/{m}", f"/edge/{n}", topic, slot, routed_ns[m], message)
                    reached_ns = max(reached_ns, at_ns)
                    if reason:
                        absent[m] = reason
                    else:
                        came.append((m, message))
            answers.append(self._servings[n].execute(came, absent, costs))
            answered_ns.append(reached_ns)
        from_cloud, cloud_ns = self._execute_in_cloud(slot, offloads, routed_ns)
        told = []
        for m in self._edges:
            done, lost = [], {}
            for n in [*(n for n in self._edges if n != m), len(self._edges)]:
                if n in self._edges:
                    sender, topic, answer, at_ns = (
                        f"/edge/{n}",
                        f"/edge/{n}/completed/{m}",
                        answers[n][m],
                        answered_ns[n],
                    )
                else:
                    sender, topic, answer, at_ns = CLOUD, f"/cloud/completed/{m}", from_cloud[m], cloud_ns
                reason, _ = self._post.carry(sender, f"/edge/{m}", topic, slot, at_ns, answer)
                if reason:
                    lost[n] = reason
                else:
                    done.append((n, answer))
            told.append((done, lost))
        return told

    def _execute_in_cloud(
        self, slot: int, offloads: Sequence[dict[int, Offload]], routed_ns: Sequence[int]
    ) -> tuple[list[Completed], int]:
        answers, reached_ns = [], 0
        for m in self._edges:
            topic, message = f"/edge/{m}/offload/cloud", offloads[m][len(self._edges)]
            reason, at_ns = self._post.carry(f"/edge/{m}", CLOUD, topic, slot, routed_ns[m], message)
            reached_ns = max(reached_ns, at_ns)
            delay_s = np.zeros(0) if reason else self._cloud_s[m]
            answers.append(Completed(Array.of(delay_s), lost=reason))
        return answers, reached_ns
