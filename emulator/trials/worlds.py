"""The offloading world of a trial in this process: two arms side by side, one of them bound at each edge server.

    track = OffloadingTrack(scenario, {"baseline": "popularity", "candidate": "onnx"})
    track.bind(["candidate", "baseline", ...])      # from the next frame on
    seen = track.frame()                            # a FrameSeen

A live run answers the same two calls, so a trial does not know which it drives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from agents.policy import Observation, Policy, Reward, make_policy, observes
from agents.rollout import reward_of, scheduler_of, setting_in
from emulator import records
from emulator.model.offloading import Bools, Floats, ordered_sum, refusal
from emulator.records import services_of
from emulator.scenario import Scenario
from emulator.trials.arms import Binding, Carry, it_comes
from emulator.trials.callees import Answer, Callees, judged
from emulator.trials.figures import Arm, FrameSeen, Incident
from emulator.world import FrameStep, World

Shown = Sequence[Floats] | Floats
"""What agents are shown of the frame before, by edge server, each of shape (slot, service)."""


class Track(Protocol):
    """One world of a trial."""

    def bind(self, arms: Sequence[Arm]) -> None:
        """Say who is bound at each edge server from the next frame on."""
        ...

    def frame(self, asked: Sequence[int] = ()) -> FrameSeen:
        """Play the next frame; the candidate is also asked, without being obeyed, at some edge servers."""
        ...


class Crew:
    """The agents of one arm, one for each edge server; one that plans for the network is asked once a frame."""

    def __init__(self, spec: str, scenario: Scenario, world: World, budget_s: float) -> None:
        self.everyone = observes(spec) == "network"
        self._network, self._budget_s = world.network, budget_s
        edges = [None] if self.everyone else list(range(world.network.edges))
        self._callees: Callees[Policy] = Callees(
            [make_policy(spec, setting_in(scenario, world, edge)) for edge in edges]
        )

    def decide(self, frame: int, counts: Shown, edges: Sequence[int]) -> dict[int, Answer]:
        """Ask for the decisions of some edge servers; a crash is an answer, too, and the last one."""
        if self.everyone:
            plan, seconds, crash = self._callees.ask(0, Observation(frame, np.asarray(counts)))
            return {edge: self._judged(edge, None if crash else plan[edge], seconds, crash) for edge in edges}
        shown = {edge: Observation(frame, counts[edge]) for edge in edges}
        return {edge: self._judged(edge, *self._callees.ask(edge, seen)) for edge, seen in shown.items()}

    def _judged(self, edge: int, row: Bools | None, seconds: float, crash: str) -> Answer:
        def unfit(row: Bools) -> str:
            if not refusal(services_of(row), edge, self._network):
                return ""
            sizes, room = self._network.service_bytes, float(self._network.storage_bytes[edge])
            return f"{float(sizes[row].sum()):.3g} bytes of services in {room:.3g} of storage"

        return judged(row, seconds, crash, self._budget_s, unfit)

    def after_frame(self, frame: int, counts: Shown, reward: Reward, edges: Sequence[int]) -> None:
        """Tell those that were asked what the frame was worth."""
        for place in [0] if self.everyone else edges:
            seen = Observation(frame, np.asarray(counts) if self.everyone else counts[place])
            self._callees.tell(place, "after_frame", seen, reward)


class OffloadingTrack:
    """The offloading world with its arms; ``latest`` is the last frame as the world has it."""

    def __init__(self, scenario: Scenario, arms: Mapping[Arm, str], budget_s: float) -> None:
        """Stand before frame 0 with the baseline bound everywhere.

        Args:
            scenario: Resolved.
            arms: The SPEC of each arm.
            budget_s: What a decision may take.
        """
        self.world = World(scenario)
        self.latest: FrameStep | None = None
        self._crews = {arm: Crew(spec, scenario, self.world, budget_s) for arm, spec in arms.items()}
        self._schedule = scheduler_of(scenario)
        edges, services = self.world.network.edges, self.world.network.services
        self._in_force = np.zeros((edges, services), dtype=np.bool_)
        self._arms = Binding(["baseline"] * edges, scenario.agent.is_lost)
        self._frame = 0

    def bind(self, arms: Sequence[Arm]) -> None:
        """Say who is bound from the next frame on."""
        self._arms.bound = list(arms)

    def frame(self, asked: Sequence[int] = ()) -> FrameSeen:
        """Play the next frame."""
        frame, counts = self._frame, self.world.counts
        here = self._arms.asked(asked)
        shown, carry = self._linked(frame, counts)
        answers = {arm: crew.decide(frame, shown, here[arm]) for arm, crew in self._crews.items()}
        rows = self._in_force.copy()
        incidents, refused = self._arms.obey(frame, answers, rows.__setitem__, carry)
        self._in_force = rows
        step = self.latest = self.world.step_frame(rows, self._schedule, refused)
        for arm, crew in self._crews.items():
            crew.after_frame(frame, shown, reward_of(step.row), here[arm])
        self._frame = frame + 1
        seconds = {arm: [answer.seconds for answer in given.values()] for arm, given in answers.items()}
        return _seen(frame, step, self._message_bytes(counts), incidents, seconds)

    def _linked(self, frame: int, counts: Floats) -> tuple[Shown, Carry]:
        """What comes to agents over emulated links, if there are any, and how their decisions come back.

        Who stands by, or warms up, sees what is shown to whoever is bound; only one decision is sent.
        """
        linked = self.world.linked
        if linked is None:
            return counts, it_comes
        came = [linked.shown(edge, frame, counts, everyone=False) for edge in range(len(counts))]
        return [shown for shown, _ in came], lambda edge, row: linked.decided(edge, frame, row, came[edge][1])

    def _message_bytes(self, counts: Floats) -> float:
        """What an agent is shown of other cells for one decision, payload bytes, mean over agents."""
        bound = self._arms.bound
        shown = sum(self._crews[arm].everyone for arm in bound)
        if not shown:
            return 0.0
        edges = len(bound)
        sizes = [len(records.payload_of(records.frame_observation(m, self._frame, counts[m]))) for m in range(edges)]
        return sum(sizes) * (edges - 1) / edges * shown / edges


def _seen(
    frame: int, step: FrameStep, message_bytes: float, incidents: list[Incident], seconds: dict[Arm, list[float]]
) -> FrameSeen:
    ends = [slot.ends for slot in step.slots]
    completed = ordered_sum(np.stack([each.local + each.peer + each.cloud for each in ends])).sum(axis=1)
    cost_s = ordered_sum(np.stack([each.cost_s for each in ends])).sum(axis=1)
    return FrameSeen(
        frame,
        tuple(completed.tolist()),
        tuple(cost_s.tolist()),
        step.row.reward_s,
        message_bytes,
        tuple(incidents),
        seconds,
    )
