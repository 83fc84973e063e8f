"""What a distillation learns from: a world's frames as its actors saw them, and what deployments were worth there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.errors import AgentError
from agents.policy import LearningPolicy, Observation, Policy, Reward, Setting, make_policy, observes
from agents.ttosc.credit import pricer_of
from agents.ttosc.features import averages_of, blank_state, facts_of, features_of, state_after
from agents.ttosc.knapsack import best_packing, packing_of
from emulator.model.offloading import Bools, Floats
from emulator.scenario import Scenario
from emulator.world import World

Singles = NDArray[np.float32]
FIRST_OF_ANY = 1000
"""Added to the scenario's seed for the first world that is drawn for an actor of any world; seeds below stay new."""


class Prices(NamedTuple):
    """What deployments were worth: gains of shape (frame, edge, service) and delays of shape (frame,), s per task."""

    gains: Singles
    delays_s: Floats


class Lessons:
    """One world's frames but the first, before which nothing was seen."""

    def __init__(self, scenario: Scenario) -> None:
        """Draw a resolved scenario's frames."""
        world = World(scenario)
        self._backend = cast("Literal['numpy', 'numba']", scenario.scheduler.backend)
        self._scenario = scenario
        self.network = world.network
        self._packing = packing_of(world.network.service_bytes, world.network.storage_bytes)
        self._price = pricer_of(world.network, self._backend)
        self._tasks = np.stack([world.frame_arrivals(frame) for frame in range(scenario.frames)])
        self.features = self._features()

    def __len__(self) -> int:
        return len(self._tasks) - 1

    def _features(self) -> Singles:
        """What the actors read before each frame, shape (frame, edge, service, INPUTS)."""
        means = self._tasks[:-1].mean(axis=2)
        edges = range(self.network.edges)
        facts = np.stack([facts_of(self.network, edge) for edge in edges])
        state = np.stack([blank_state(self.network.services) for _ in edges])
        rows = []
        for mean in means:
            state = state_after(state, mean)
            rows.append(features_of(averages_of(state, mean), facts).astype(np.float32))
        return np.stack(rows)

    def plans(self, spec: str) -> Iterator[Bools]:
        """The deployments of a policy, shape (edge, service), frame by frame; the exact schedule follows them."""
        edges = range(self.network.edges)
        if observes(spec) == "network":
            planner = make_policy(spec, self._setting(None))
            for observation in self._seen(self._tasks):
                yield planner.decide(observation)
                _tell(planner, observation)
            return
        policies = [make_policy(spec, self._setting(edge)) for edge in edges]
        for each in zip(*(self._seen(self._tasks[:, edge]) for edge in edges), strict=True):
            yield np.stack([policy.decide(seen) for policy, seen in zip(policies, each, strict=True)])
            for policy, seen in zip(policies, each, strict=True):
                _tell(policy, seen)

    @staticmethod
    def _seen(tasks: Floats) -> Iterator[Observation]:
        return (Observation(frame, tasks[frame - 1]) for frame in range(1, len(tasks)))

    def _setting(self, edge: int | None) -> Setting:
        scenario = self._scenario
        return Setting(
            self.network,
            scenario.slots_per_frame,
            edge,
            scenario.seed,
            self._backend,
            lambda frame: self._tasks[frame],
            scenario.name,
        )

    def packed(self, values: Singles) -> Bools:
        """The deployments of greatest value, both of shape (frame, edge, service)."""
        frames, edges, services = values.shape
        servers = np.tile(np.arange(edges), frames)
        rows = values.reshape(-1, services).astype(np.float64)
        return best_packing(rows, self._packing, servers).reshape(values.shape)

    def priced(self, plans: Bools, first: int, stopped: Callable[[], bool] = lambda: False) -> Prices:
        """What deployments of consecutive frames were worth.

        Args:
            plans: Shape (frame, edge, service).
            first: The lesson that the first one is for.
            stopped: Asked after each frame; true leaves the frames behind it out.
        """
        gains, delays_s = np.empty(plans.shape, dtype=np.float32), np.empty(len(plans))
        for at, plan in enumerate(plans):
            if stopped():
                return Prices(gains[:at], delays_s[:at])
            gains[at], delays_s[at] = self._price(self._tasks[1 + first + at], plan)
        return Prices(gains, delays_s)


def _tell(policy: Policy, seen: Observation) -> None:
    """Say that a frame is over; what it was worth is of no use to those who only plan."""
    if isinstance(policy, LearningPolicy):
        raise AgentError("a policy that learns meanwhile is no planner to distil")
    policy.after_frame(seen, Reward(seen.frame, 0.0, 0.0))


def scenarios_of(scenario: Scenario, worlds: int) -> list[Scenario]:
    """The scenario itself, or so many with services, popularity and arrivals of their own."""
    if not worlds:
        return [scenario]
    seeds = (scenario.seed + FIRST_OF_ANY + number for number in range(worlds))
    return [msgspec.structs.replace(scenario, seed=seed, world_seed=seed) for seed in seeds]
