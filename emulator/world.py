"""The offloading world in one process: the numbers the nodes compute, without the bus between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from bus.messages import Message, Outcome
from bus.messages import Schedule as ScheduleMessage
from emulator import records
from emulator.assembly import build_demand, build_network, delay_edges
from emulator.linked_world import LinkedStep, LinkedWorld
from emulator.model import ledger, queueing, serving
from emulator.model.ledger import FrameRow, SlotRow, Sums
from emulator.model.offloading import Bools, Floats, FrameCosts, cloud_delay, flows, frame_costs
from emulator.model.queueing import Executor
from emulator.model.scheduling import transfer_seconds
from emulator.model.serving import Ends
from emulator.model.streams import Stream
from emulator.scenario import Scenario

Schedule = Callable[[Floats, FrameCosts], Floats]
"""Tasks (edge, service) and the frame's costs to shares (edge, target, service)."""

CompiledServing = Callable[[Floats, Floats, FrameCosts, Floats, Floats, Floats], tuple[Ends, Sums]]

TIMES_PER_SLOT = 1 << 20
"""Uniforms a slot owns in the streams of routing and of arrival times: more tasks than a cell can have."""


def routing_stream(scenario: Scenario, edge: int) -> Stream:
    """The stream that draws where the tasks of a cell go."""
    return Stream(scenario.seed, f"/edge/{edge}", "routing", draws=TIMES_PER_SLOT)


def times_stream(scenario: Scenario, edge: int) -> Stream:
    """The stream that draws when within a slot tasks are sent (queued tasks)."""
    return Stream(scenario.seed, f"/cell/{edge}", "times", draws=TIMES_PER_SLOT)


@dataclass
class SlotStep:
    """One slot of the in-process world."""

    row: SlotRow
    tasks: Floats
    split: Floats
    ends: Ends
    in_flight: Floats
    linked: LinkedStep | None = None
    """What emulated links made of it, if there are any."""

    @property
    def seen(self) -> Floats:
        """Tasks that the edge servers heard of, shape (edge, service)."""
        return self.tasks if self.linked is None else self.linked.seen

    def outcomes(self) -> list[Outcome]:
        """What each edge server says at the end."""
        if self.linked is not None:
            return self.linked.outcomes
        return records.outcomes_of(self.ends, self.in_flight, "no_cloud")

    def schedule(self) -> ScheduleMessage:
        """What the scheduler says."""
        if self.linked is not None:
            return records.schedule(self.linked.split, self.linked.scheduled)
        return records.schedule(self.split, self.tasks)


@dataclass
class FrameStep:
    """One frame of the in-process world."""

    row: FrameRow
    slots: list[SlotStep]
    deployed: Bools
    refused: list[str] = field(default_factory=list)

    def records(self, slots_per_frame: int, *, scheduler: bool = True) -> Iterator[list[tuple[str, Message]]]:
        """The messages a run on the bus would have committed, slot by slot, as (topic, message).

        Args:
            slots_per_frame: K.
            scheduler: Whether there is a scheduler node; edge servers that schedule for themselves tell nobody.
        """
        for k, slot in enumerate(self.slots):
            edges = range(len(self.deployed))
            found: list[tuple[str, Message]] = [(f"/cell/{m}/arrivals", records.arrivals(slot.tasks[m])) for m in edges]
            if k == 0:
                found += [
                    (
                        f"/edge/{m}/deployment_in_force",
                        records.deployment_in_force(m, self.row.frame, self.deployed[m], self.refused[m]),
                    )
                    for m in edges
                ]
            if scheduler:
                found.append(("/scheduler/schedule", slot.schedule()))
            found += [(f"/edge/{m}/outcome", outcome) for m, outcome in enumerate(slot.outcomes())]
            if k == slots_per_frame - 1:
                found.append(("/ledger/frame_reward", records.frame_reward(self.row)))
            yield found


class World:
    """All cells, edge servers, the cloud and the ledger of one scenario, stepped by frame or by slot."""

    def __init__(self, scenario: Scenario) -> None:
        """Build the world of a resolved scenario."""
        self.scenario = scenario
        self.network = build_network(scenario)
        self.edges_s = delay_edges(self.network)
        self._demand = build_demand(scenario, range(scenario.edges.count))
        network = self.network
        self._cloud_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)
        self._routing = [routing_stream(scenario, m) for m in range(network.edges)]
        self._times = [times_stream(scenario, m) for m in range(network.edges)]
        self._own = np.arange(network.edges)
        self._compiled = _compiled_serving() if scenario.scheduler.backend == "numba" else None
        self.reset()

    def reset(self) -> None:
        """Go back to the first slot."""
        self.slot = 0
        self.totals = ledger.Totals(self.edges_s)
        self.counts = np.zeros((self.network.edges, 0, self.network.services))
        self.deploy(np.zeros((self.network.edges, self.network.services), dtype=np.bool_))
        self._executors = [Executor(float(hz)) for hz in self.network.compute_hz]
        self._waiting = np.zeros(self.network.edges)
        self._waiting_sum = 0.0
        self._drawn_frame = -1
        self.refused = [""] * self.network.edges
        self.linked: LinkedWorld | None = None
        if self.scenario.link:
            streams = self._routing, self._times
            self.linked = LinkedWorld(self.scenario, self.network, self.edges_s, *streams)

    def go_to(self, frame: int) -> None:
        """Stand before a frame as a run does that came so far.

        Raises: ValueError: tasks are queued or links emulated, so that slots leave more behind than their tasks.
        """
        if self.scenario.tasks == "queued" or self.linked is not None:
            raise ValueError("queued tasks and emulated links have a past; begin at frame 0")
        self.slot = frame * self.scenario.slots_per_frame
        if frame:
            self.counts = self.frame_arrivals(frame - 1)

    @property
    def frame(self) -> int:
        """The frame of the current slot."""
        return self.slot // self.scenario.slots_per_frame

    def arrivals(self, slot: int) -> Floats:
        """Tasks that arrive in a slot, shape (edge, service)."""
        frame, k = divmod(slot, self.scenario.slots_per_frame)
        if frame != self._drawn_frame:
            self._drawn, self._drawn_frame = self._draw(frame), frame
        return self._drawn[k]

    def frame_arrivals(self, frame: int) -> Floats:
        """Tasks that arrive in each slot of a frame, shape (edge, slot, service); what an oracle knows."""
        return np.ascontiguousarray(self._draw(frame).swapaxes(0, 1))

    def _draw(self, frame: int) -> Floats:
        """A frame's arrivals in an array of its own, shape (slot, edge, service)."""
        slots = self.scenario.slots_per_frame
        drawn = np.empty((slots, self.network.edges, self.network.services))
        for m, demand in enumerate(self._demand):
            for k in range(slots):
                drawn[k, m] = demand.counts(frame * slots + k)
        return drawn

    def deploy(self, deployed: Bools, refused: list[str] | None = None) -> None:
        """Put a frame's deployments in force, shape (edge, service); they must fit. refused: what was not, and why."""
        self.deployed = deployed
        self.refused = refused or [""] * self.network.edges
        self.costs = frame_costs(self.network, deployed)
        self._transfer_s = transfer_seconds(self.costs)

    def step_slot(self, schedule: Schedule) -> SlotStep:
        """Serve one slot's tasks under the deployments in force."""
        tasks = self.arrivals(self.slot)
        if self.linked is not None:
            return self._step_linked(self.linked, tasks, schedule)
        split = schedule(tasks, self.costs)
        waiting, in_flight = self._waiting, 0.0
        sums: Sums | None = None
        if self.scenario.tasks == "queued":
            ends, waiting = self._serve_queued(tasks, split)
            in_flight = float(waiting.sum())
        else:
            flow = flows(tasks, split) if self.scenario.tasks == "expected" else self._routed(tasks, split)
            ends, sums = self._serve(tasks, flow)
        row = ledger.settle(self.slot, self.frame, ends, in_flight, self._waiting_sum, sums=sums)
        self._waiting, self._waiting_sum = waiting, in_flight
        self.totals.add_slot(row, ends, sums=sums)
        self.slot += 1
        return SlotStep(row, tasks, split, ends, waiting)

    def _step_linked(self, world: LinkedWorld, tasks: Floats, schedule: Schedule) -> SlotStep:
        """The same when links withhold and delay what nodes tell each other."""
        linked = world.serve(self.slot, tasks, self.deployed, self.refused, self.costs, schedule)
        ends = records.ends_from(linked.outcomes)
        waiting = np.array([outcome.in_flight for outcome in linked.outcomes])
        in_flight = float(waiting.sum())
        row = ledger.settle(self.slot, self.frame, ends, in_flight, self._waiting_sum)
        self._waiting, self._waiting_sum = waiting, in_flight
        self.totals.add_slot(row, ends)
        for outcome in linked.outcomes:
            for reason, count in outcome.reasons.items():
                self.totals.reasons[reason] = self.totals.reasons.get(reason, 0.0) + count
        self.slot += 1
        return SlotStep(row, tasks, linked.split, ends, waiting, linked)

    def step_frame(self, deployed: Bools, schedule: Schedule, refused: list[str] | None = None) -> FrameStep:
        """Serve one frame's tasks under given deployments, shape (edge, service)."""
        self.deploy(deployed, refused)
        slots = [self.step_slot(schedule) for _ in range(self.scenario.slots_per_frame)]
        return self.close_frame(slots, refused)

    def close_frame(self, slots: list[SlotStep], refused: list[str] | None = None) -> FrameStep:
        """Book a frame whose slots were stepped one by one; ``refused`` as each edge server answered."""
        self.counts = np.stack([slot.seen for slot in slots], axis=1)
        refusals = refused or [""] * self.network.edges
        row = ledger.close_frame(
            [slot.row for slot in slots], int(self.deployed.sum()), sum(1 for reason in refusals if reason)
        )
        self.totals.add_frame(row)
        return FrameStep(row, slots, self.deployed, refusals)

    def _routed(self, tasks: Floats, split: Floats) -> Floats:
        """Whole tasks by target, shape (edge from, target, service)."""
        slot = self.slot
        return np.stack(
            [
                serving.routed(tasks[m], split[m], self._routing[m].generator(slot).random(int(tasks[m].sum())))
                for m in range(len(tasks))
            ]
        )

    def _serve(self, tasks: Floats, flow: Floats) -> tuple[Ends, Sums | None]:
        """Serve by the expected delays of eq. (4)-(5); flow of shape (edge from, target, service)."""
        costs, edges = self.costs, self.network.edges
        if self._compiled is not None:
            return self._compiled(tasks, flow, costs, self._transfer_s, self._cloud_s, self.edges_s)
        by_target = np.ascontiguousarray(flow.swapaxes(0, 1))
        delay_s = np.empty_like(by_target)
        for n in range(edges):
            delay_s[n] = costs.transfer_into(n) + costs.compute_s[n] * serving.loads(by_target[n])
        delay_s[edges] = self._cloud_s
        ends = serving.ended(tasks, by_target, delay_s, self._cloud_s, self.edges_s, own=self._own, cloud=True)
        return ends, None

    def _serve_queued(self, tasks: Floats, split: Floats) -> tuple[Ends, Floats]:
        """Serve in time; returns also the tasks of each cell that are not done."""
        slot_s, edges = self.scenario.slot_s, self.network.edges
        start_s = self.slot * slot_s
        flow = self._routed(tasks, split)
        for m in range(edges):
            at_s = self._times[m].generator(self.slot).random(int(tasks[m].sum())) * slot_s
            for n, sent_s in enumerate(queueing.times_by_target(flow[m], at_s)[:edges]):
                transfer_s = self.costs.transfer_into(n)[m]
                self._executors[n].admit(m, flow[m, n], sent_s, start_s, transfer_s, self.network.task_cycles)
        finished = [
            executor.run(start_s, start_s + slot_s, self.deployed[n]) for n, executor in enumerate(self._executors)
        ]
        ends = []
        for m in range(edges):
            done = [(n, *queueing.finished_arrays(tasks_done, m)) for n, tasks_done in enumerate(finished)]
            nothing = np.zeros_like(tasks[m])
            ends.append(
                queueing.queued_ends(tasks[m], done, flow[m, edges], nothing, self._cloud_s[m], self.edges_s, m)
            )
        waiting = np.sum([executor.outstanding(edges) for executor in self._executors], axis=0).astype(np.float64)
        return Ends(*(np.stack(parts) for parts in zip(*ends, strict=True))), waiting


def _compiled_serving() -> CompiledServing:
    from emulator.model import serving_numba

    return serving_numba.serve
