"""The offloading world of a trial in this process: two arms side by side, one of them bound at each edge server.

    track = OffloadingTrack(scenario, {"baseline": "popularity", "candidate": "onnx"})
    track.bind(["candidate", "baseline", ...])      # from the next frame on
    seen = track.frame()                            # a FrameSeen

A live run answers the same two calls, so a trial does not know which it drives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from agents.policy import NetworkPolicy, Observation, Policy, Reward, Setting, make_policy, observes
from agents.rollout import Backend, reward_of, scheduler_of
from emulator import records
from emulator.model.offloading import Bools, Floats, ordered_sum, refusal
from emulator.records import services_of
from emulator.scenario import Scenario
from emulator.trials.figures import Arm, FrameSeen, Guardrail, Incident
from emulator.world import FrameStep, World

NobodyThere = Callable[[int, int], bool]
"""Edge server and frame to whether a fault took its agent away."""


class Track(Protocol):
    """One world of a trial, in this process or on the bus."""

    def bind(self, arms: Sequence[Arm]) -> None:
        """Say who is bound at each edge server from the next frame on."""
        ...

    def frame(self, asked: Sequence[int] = ()) -> FrameSeen:
        """Play the next frame; the candidate is also asked, without being obeyed, at some edge servers."""
        ...


@dataclass(frozen=True)
class Answer:
    """What an agent decided: a deployment that fits, or what is wrong; and the seconds it took."""

    deployed: Bools | None
    seconds: float
    wrong: tuple[Guardrail, str] | None = None


class Crew:
    """The agents of one arm, one for each edge server; one that plans for the network is asked once a frame."""

    def __init__(self, spec: str, scenario: Scenario, world: World, budget_s: float) -> None:
        self.everyone = observes(spec) == "network"
        self._network, self._budget_s = world.network, budget_s
        edges = [None] if self.everyone else list(range(world.network.edges))
        self._policies = [make_policy(spec, _setting(scenario, world, edge)) for edge in edges]
        self._dead: dict[int, str] = {}

    def decide(self, frame: int, counts: Floats, edges: Sequence[int]) -> dict[int, Answer]:
        """Ask for the decisions of some edge servers; a crash is an answer, too, and the last one."""
        if self.everyone:
            plan, seconds, crash = self._asked(0, Observation(frame, counts))
            return {edge: self._judged(edge, None if plan is None else plan[edge], seconds, crash) for edge in edges}
        return {edge: self._judged(edge, *self._asked(edge, Observation(frame, counts[edge]))) for edge in edges}

    def _asked(self, place: int, observation: Observation) -> tuple[Bools | None, float, str]:
        if place in self._dead:
            return None, 0.0, self._dead[place]
        policy: Policy = self._policies[place]
        start = time.perf_counter()
        try:
            return policy.decide(observation), time.perf_counter() - start, ""
        except Exception as error:  # noqa: BLE001 -- whatever a candidate raises is its crash, not ours
            self._dead[place] = f"{type(error).__name__}: {error}"
            return None, time.perf_counter() - start, self._dead[place]

    def _judged(self, edge: int, row: Bools | None, seconds: float, crash: str) -> Answer:
        if row is None:
            return Answer(None, seconds, ("crash", crash))
        why = refusal(services_of(row), edge, self._network)
        if why:
            sizes, room = self._network.service_bytes, float(self._network.storage_bytes[edge])
            text = f"{float(sizes[row].sum()):.3g} bytes of services in {room:.3g} of storage"
            return Answer(None, seconds, ("infeasible", text))
        if seconds > self._budget_s:
            return Answer(None, seconds, ("late", f"took {seconds:.3f} s of {self._budget_s:g} s"))
        return Answer(row, seconds)

    def after_frame(self, frame: int, counts: Floats, reward: Reward, edges: Sequence[int]) -> None:
        """Tell those that were asked what the frame was worth."""
        for place in [0] if self.everyone else edges:
            policy = cast("NetworkPolicy", self._policies[place])
            if place not in self._dead:
                try:
                    policy.after_frame(Observation(frame, counts if self.everyone else counts[place]), reward)
                except Exception as error:  # noqa: BLE001 -- as in decide
                    self._dead[place] = f"{type(error).__name__}: {error}"


class OffloadingTrack:
    """The offloading world with its arms; ``latest`` is the last frame as the world has it."""

    def __init__(
        self,
        scenario: Scenario,
        arms: Mapping[Arm, str],
        budget_s: float,
        nobody: NobodyThere = lambda _edge, _frame: False,
    ) -> None:
        """Stand before frame 0 with the baseline bound everywhere.

        Args:
            scenario: Resolved.
            arms: The SPEC of each arm.
            budget_s: What a decision may take.
            nobody: Faults.
        """
        self.world = World(scenario)
        self._crews = {arm: Crew(spec, scenario, self.world, budget_s) for arm, spec in arms.items()}
        self._schedule = scheduler_of(scenario)
        edges, services = self.world.network.edges, self.world.network.services
        self._in_force = np.zeros((edges, services), dtype=np.bool_)
        self._nobody = nobody
        self.latest: FrameStep | None = None
        self._frame = 0
        self._bound: list[Arm] = ["baseline"] * edges
        self._before = list(self._bound)

    def bind(self, arms: Sequence[Arm]) -> None:
        """Say who is bound from the next frame on."""
        self._bound = list(arms)

    def frame(self, asked: Sequence[int] = ()) -> FrameSeen:
        """Play the next frame."""
        frame, counts = self._frame, self.world.counts
        here = {
            "baseline": range(len(self._bound)),
            "candidate": sorted({*asked, *(m for m, arm in enumerate(self._bound) if arm == "candidate")}),
        }
        answers = {arm: crew.decide(frame, counts, here[arm]) for arm, crew in self._crews.items()}
        incidents, refused = self._obey(frame, answers)
        step = self.latest = self.world.step_frame(self._in_force, self._schedule, refused)
        for arm, crew in self._crews.items():
            crew.after_frame(frame, counts, reward_of(step.row), here[arm])
        self._before, self._frame = list(self._bound), frame + 1
        seconds = {arm: [answer.seconds for answer in given.values()] for arm, given in answers.items()}
        return _seen(frame, step, self._message_bytes(counts), incidents, seconds)

    def _obey(self, frame: int, answers: Mapping[Arm, Mapping[int, Answer]]) -> tuple[list[Incident], list[str]]:
        """Put decisions in force; returns what went wrong, and why each edge server refused what it refused."""
        rows, refused, incidents = self._in_force.copy(), [""] * len(self._bound), []
        for edge, arm in enumerate(self._bound):
            warming = answers.get("candidate", {}).get(edge)
            if arm == "baseline" and warming is not None and warming.wrong is not None:
                incidents.append(Incident(warming.wrong[0], edge, frame, "candidate", warming.wrong[1], covered=True))
            if self._nobody(edge, frame):
                continue
            answer = answers[arm][edge]
            if answer.wrong is None:
                rows[edge] = answer.deployed
                continue
            # In the frame in which the candidate takes over, both decide.
            instead = answers["baseline"][edge].deployed if arm != self._before[edge] else None
            if instead is not None:
                rows[edge] = instead
            else:
                refused[edge] = answer.wrong[0]
            incidents.append(Incident(answer.wrong[0], edge, frame, arm, answer.wrong[1], covered=instead is not None))
        self._in_force = rows
        return incidents, refused

    def _message_bytes(self, counts: Floats) -> float:
        """What an agent is shown of other cells for one decision, payload bytes, mean over agents."""
        edges = len(self._bound)
        shown = sum(self._crews[arm].everyone for arm in self._bound)
        if not shown:
            return 0.0
        sizes = [len(records.payload_of(records.frame_observation(m, self._frame, counts[m]))) for m in range(edges)]
        return sum(sizes) * (edges - 1) / edges * shown / edges


def _setting(scenario: Scenario, world: World, edge: int | None) -> Setting:
    return Setting(
        network=world.network,
        slots_per_frame=scenario.slots_per_frame,
        edge=edge,
        seed=scenario.seed,
        backend=cast("Backend", scenario.scheduler.backend),
        upcoming=world.frame_arrivals,
        scenario=scenario.name,
        slot_s=scenario.slot_s,
        decision_budget_s=scenario.agent.decision_budget_s,
    )


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
