"""Policies against the in-process world: what a run on the bus computes, in one loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np

from agents.policy import (
    Experience,
    LearningPolicy,
    Observation,
    Policy,
    Reward,
    Setting,
    make_policy,
    observes,
    per_edge_specs,
)
from agents.schedulers import make_scheduler
from agents.ttosc.credit import marginal_gains
from emulator.folder import state_of
from emulator.linked_world import LinkedWorld
from emulator.model.ledger import FrameRow
from emulator.model.offloading import Bools, Floats, refusal
from emulator.records import services_of
from emulator.scenario import Scenario
from emulator.world import FrameStep, Schedule, World

Backend = Literal["numpy", "numba"]


@dataclass(frozen=True)
class Played:
    """One frame that was played: the world's step and what deciding it took, seconds by edge server."""

    step: FrameStep
    decision_s: list[float]


def setting_in(scenario: Scenario, world: World, edge: int | None, folder: Path | None = None) -> Setting:
    """What a policy is made from in one process.

    Args:
        edge: Whose policy it is; None: it decides for all.
        folder: The run's, where what a policy has learned is kept; None: nothing is kept.
    """
    return Setting(
        network=world.network,
        slots_per_frame=scenario.slots_per_frame,
        edge=edge,
        seed=scenario.seed,
        backend=cast("Backend", scenario.scheduler.backend),
        upcoming=world.frame_arrivals,
        scenario=scenario.name,
        state=None if folder is None or edge is None else state_of(folder, edge),
        slot_s=scenario.slot_s,
        decision_budget_s=scenario.agent.decision_budget_s,
    )


class Team:
    """The agents of a scenario, asked together; a policy that plans for the network is asked once."""

    def __init__(self, scenario: Scenario, world: World, folder: Path | None = None) -> None:
        specs = per_edge_specs(scenario.agent.policy, scenario.edges.count)
        self._shared: dict[str, Policy] = {}
        self._policies: list[Policy] = []
        self._seen: list[Observation] = []  # over emulated links, what each agent decided on
        self._network = world.network
        self._unlearned: dict[int, Experience] = {}  # by edge server; whole with what is seen next
        for edge, spec in enumerate(specs):
            if observes(spec) == "local":
                self._policies.append(make_policy(spec, setting_in(scenario, world, edge, folder)))
                continue
            if spec not in self._shared or world.linked is not None:  # over links everyone sees something else
                self._shared[spec] = make_policy(spec, setting_in(scenario, world, None))
            self._policies.append(self._shared[spec])

    def decide_linked(self, frame: int, counts: Floats, world: LinkedWorld) -> tuple[Bools, list[float], list[str]]:
        """The same over emulated links, where each agent sees what reaches it: also why decisions did not arrive."""
        rows, seconds, absent = [], [], []
        self._seen = []
        for edge, policy in enumerate(self._policies):
            everyone = policy.observes == "network"
            shown, at_ns = world.shown(edge, frame, counts, everyone=everyone)
            observation = Observation(frame, shown)
            self._learn(edge, policy, shown)
            start = time.perf_counter()
            wanted = policy.decide(observation)
            rows.append(wanted[edge] if everyone else wanted)
            seconds.append(time.perf_counter() - start)
            absent.append(world.decided(edge, frame, rows[-1], at_ns))
            self._seen.append(observation)
        return np.stack(rows), seconds, absent

    def decide(self, frame: int, counts: Floats) -> tuple[Bools, list[float]]:
        """Deployments of all edge servers, shape (edge, service), and the seconds each decision took."""
        everyone = Observation(frame, counts)
        plans: dict[int, tuple[Bools, float]] = {}
        rows, seconds = [], []
        for edge, policy in enumerate(self._policies):
            self._learn(edge, policy, counts[edge])
            start = time.perf_counter()
            if policy.observes == "network":
                if id(policy) not in plans:
                    plans[id(policy)] = (policy.decide(everyone), time.perf_counter() - start)
                plan, took = plans[id(policy)]
                rows.append(plan[edge])
                seconds.append(took)
            else:
                rows.append(policy.decide(Observation(frame, counts[edge])))
                seconds.append(time.perf_counter() - start)
        return np.stack(rows), seconds

    def _learn(self, edge: int, policy: Policy, seen: Floats) -> None:
        """Let a policy that learns do so from the frame before the one that it is about to decide."""
        experience = self._unlearned.pop(edge, None)
        if experience is not None and isinstance(policy, LearningPolicy):
            policy.learn(replace(experience, seen_next=seen))

    def taught(self, frame: int, counts: Floats, wanted: Bools, step: FrameStep) -> None:
        """Keep for every policy that learns what the frame teaches, as an agent on the bus hears it."""
        pupils = {edge: policy for edge, policy in enumerate(self._policies) if isinstance(policy, LearningPolicy)}
        if not pupils:
            return
        gains_s: Floats | None = None
        if any("marginal_gains" in policy.signals for policy in pupils.values()):
            tasks = np.stack([slot.ends.arrived for slot in step.slots], axis=1)
            gains_s = np.where(step.deployed, marginal_gains(self._network, tasks, step.deployed), 0.0)
        reward = reward_of(step.row)
        for edge, policy in pupils.items():
            seen = self._seen[edge].counts if self._seen else counts[edge]
            own = gains_s[edge] if gains_s is not None and "marginal_gains" in policy.signals else None
            deployed = wanted if own is None else step.deployed
            self._unlearned[edge] = Experience(frame, seen, deployed[edge], reward, np.zeros((0, 0)), own)

    def save(self) -> None:
        """Let every policy that learns keep what it learned, if it has a place for it."""
        for policy in self._policies:
            if isinstance(policy, LearningPolicy):
                policy.save()

    def after_frame(self, frame: int, counts: Floats, reward: Reward) -> None:
        """Tell every policy once what the frame was worth."""
        if self._seen:
            for policy, observation in zip(self._policies, self._seen, strict=True):
                if not isinstance(policy, LearningPolicy):
                    policy.after_frame(observation, reward)
            return
        told: set[int] = set()
        for edge, policy in enumerate(self._policies):
            if id(policy) not in told and not isinstance(policy, LearningPolicy):
                own = counts if policy.observes == "network" else counts[edge]
                policy.after_frame(Observation(frame, own), reward)
                told.add(id(policy))


def reward_of(row: FrameRow) -> Reward:
    """What a frame was worth, as agents are told it."""
    return Reward(row.frame, row.reward_s, row.delay_s, row.all_cloud_delay_s)


def scheduler_of(scenario: Scenario) -> Schedule:
    """The scenario's scheduler as a function of tasks and costs."""
    return make_scheduler(scenario.scheduler.kind, cast("Backend", scenario.scheduler.backend)).schedule


def play(
    scenario: Scenario, world: World | None = None, folder: Path | None = None, *, first: int = 0
) -> Iterator[Played]:
    """Run a resolved scenario in this process, frame by frame.

    A decision that does not fit is refused and the one before stays in force, as an edge server does it.

    Args:
        scenario: Resolved.
        world: Its world, if somebody else looks at it, too.
        folder: The run folder, where policies that learn keep at the end what they learned; None: nowhere.
        first: The frame to begin with, nothing deployed before; only in worlds that can go to a frame.
    """
    world = world or World(scenario)
    if first:
        world.go_to(first)
    team = Team(scenario, world, folder)
    schedule = scheduler_of(scenario)
    in_force = np.zeros((world.network.edges, world.network.services), dtype=np.bool_)
    for frame in range(first, scenario.frames):
        counts = world.counts
        absent = [""] * world.network.edges
        if world.linked is None:
            wanted, seconds = team.decide(frame, counts)
        else:
            wanted, seconds, absent = team.decide_linked(frame, counts, world.linked)
        lost = [scenario.agent.is_lost(edge, frame) for edge in range(len(wanted))]
        refused = [
            "" if lost[edge] else absent[edge] or refusal(services_of(row), edge, world.network)
            for edge, row in enumerate(wanted)
        ]
        heard = np.array([not reason for reason in refused]) & ~np.array(lost)
        in_force = np.where(heard[:, None], wanted, in_force)
        step = world.step_frame(in_force, schedule, refused)
        team.after_frame(frame, counts, reward_of(step.row))
        team.taught(frame, counts, wanted, step)
        yield Played(step, seconds)
    team.save()


def mean_delay_s(scenario: Scenario, on_frame: Callable[[Played], None] | None = None) -> float:
    """Mean delay of a whole in-process run, seconds per task."""
    world = World(scenario)
    for played in play(scenario, world):
        if on_frame is not None:
            on_frame(played)
    return world.totals.cost_s / max(world.totals.completed, 1e-300)
