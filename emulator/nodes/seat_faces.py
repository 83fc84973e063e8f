"""What a foreign agent is shown and may decide, in each of the two worlds."""

from __future__ import annotations

from typing import Any

import numpy as np

from bus import agent_wire as wire
from bus.messages import (
    Array,
    Deployment,
    FrameObservation,
    FrameReward,
    Message,
    Observation,
    Rental,
    RentalOutcome,
)
from emulator.model.offloading import Network, refusal
from emulator.model.world_digest import known_to
from emulator.scenario import Scenario

WARMUP_FRAMES = 2
UNHEARD = -1
"""Stands for the rental of a neighbour of which nothing was heard."""


def _setup(scenario: Scenario, slot_wall_s: float | None, **more: object) -> dict[str, object]:
    return {
        "world": scenario.world,
        "clock": "lockstep" if slot_wall_s is None else "wall",
        "slots_per_frame": scenario.slots_per_frame,
        "slot_s": scenario.slot_s,
        "slot_wall_s": slot_wall_s or 0.0,
        "decision_budget_s": scenario.agent.decision_budget_s,
        "warmup_frames": WARMUP_FRAMES,
        "edges": scenario.edges.count,
        **more,
    }


class DeploymentFace:
    """Deployments of one edge server in the offloading world."""

    decides: type[wire.Said] = wire.Deployment

    def __init__(self, scenario: Scenario, slot_wall_s: float | None, edge: int, network: Network) -> None:
        self._edge = edge
        self._network = network
        self.observation = f"/edge/{edge}/frame_observation"
        self.decision = f"/agent/{edge}/deployment"
        self.in_force = f"/edge/{edge}/deployment_in_force"
        self.reward = "/ledger/frame_reward"
        self.overheard: tuple[str, ...] = ()
        facts = _setup(scenario, slot_wall_s) | known_to(network, edge, scenario.slots_per_frame)
        self.setup = wire.Setup(**facts)  # type: ignore[arg-type]

    def shown(self, message: FrameObservation, *, warm_up: bool = False) -> wire.Said:
        """Tasks of the frame before, slot by slot."""
        counts = message.counts
        return wire.Observation(counts.shape[0], self._network.services, counts.data, warm_up)

    def made_up(self, number: int) -> FrameObservation:
        """First that nothing was seen, then a task of every service in every slot."""
        slots = self.setup.slots_per_frame if number else 0
        return FrameObservation(self._edge, number, Array.of(np.ones((slots, self._network.services))))

    def refusal(self, said: wire.Deployment) -> str:
        """Why a deployment is no good."""
        services = said.services
        if any(not 0 <= service < self._network.services for service in services):
            return "out_of_range"
        return refusal(services, self._edge, self._network)

    def decided(self, said: wire.Deployment, frame: int) -> Message:
        """As an agent of ours would say it."""
        return Deployment(self._edge, frame, said.services)

    def numbers(self, message: Deployment) -> tuple[int, ...]:
        """The services."""
        return message.services

    def nothing(self, frame: int) -> Message:
        """Nobody's deployment."""
        return Deployment(-1, frame, ())

    def rewarded(self, message: FrameReward, overheard: tuple[Any, ...] = ()) -> wire.Said:
        """The reward that all share."""
        return wire.Reward(message.reward_s, message.delay_s, message.all_cloud_s)


class RentalFace:
    """Rentals of one edge server in the rental world, where a frame is a slot."""

    decides: type[wire.Said] = wire.Rental

    def __init__(
        self, scenario: Scenario, slot_wall_s: float | None, edge: int, units: int, neighbours: tuple[int, ...] = ()
    ) -> None:
        self._edge = edge
        self._units = units
        self.observation = f"/edge/{edge}/observation"
        self.decision = f"/agent/{edge}/rental"
        self.in_force = f"/edge/{edge}/rental_in_force"
        self.reward = f"/edge/{edge}/rental_outcome"
        self.overheard = tuple(f"/edge/{other}/rental_in_force" for other in neighbours)
        facts = _setup(scenario, slot_wall_s, units=units, neighbours=neighbours)
        self.setup = wire.Setup(**facts)  # type: ignore[arg-type]

    def shown(self, message: Observation, *, warm_up: bool = False) -> wire.Said:
        """The five numbers."""
        delay_s, users, bandwidth_mhz, price, hour = message.values.values()
        return wire.RentalObservation(delay_s, users, bandwidth_mhz, price, hour, warm_up)

    def made_up(self, number: int) -> Observation:
        """Nobody in range, then one user."""
        return Observation(self._edge, Array.of_floats((0.0, float(number), 1.0, 1.0, 0.0)))

    def refusal(self, said: wire.Rental) -> str:
        """Why a rental is no good."""
        return "" if 0 <= said.units <= self._units else "out_of_range"

    def decided(self, said: wire.Rental, frame: int) -> Message:
        """As an agent of ours would say it."""
        return Rental(self._edge, said.units)

    def numbers(self, message: Rental) -> tuple[int, ...]:
        """The units."""
        return (message.units,)

    def nothing(self, frame: int) -> Message:
        """Nobody's rental."""
        return Rental(-1, 0)

    def rewarded(self, message: RentalOutcome, overheard: tuple[Any, ...] = ()) -> wire.Said:
        """Its own server's outcome, and what the neighbours rented."""
        rented = tuple(UNHEARD if heard is None else heard.units for heard in overheard)
        return wire.Outcome(message.units, message.tasks, message.compute_s, message.wait_s, message.reward, rented)
