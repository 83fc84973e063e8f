"""What a rental policy is: five numbers about an edge server in, units of compute to rent out.

As with deployment policies (``agents.policy``), a policy never sees a socket, a clock or a metric. ``decide`` is pure:
asked again for the same slot it answers the same; what it learns from a slot it takes in ``after_slot``, called once,
when the slot is committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from agents.registry import Registry
from emulator.model.graph import Floats
from emulator.model.rental import OBSERVED, Ints
from emulator.model.streams import Stream
from emulator.rental_plan import Plan

DRAWS_PER_SLOT = 4096


@dataclass(frozen=True, slots=True, eq=False)
class RentalObservation:
    """What a policy is asked on.

    Attributes:
        slot: The slot to decide for.
        values: Delay, users in range, bandwidth, price, hour (``emulator.model.rental.OBSERVED``): shape (5,) for a
            local policy, (edge, 5) for one that observes the network.
    """

    slot: int
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class RentalOutcome:
    """What a slot came to.

    Attributes:
        slot: Which.
        units: What was rented: one's own and then the neighbours', in the graph's order; all, for the network.
        reward: One's own r_n, shape (); all, shape (edge,), for the network.
    """

    slot: int
    units: Ints
    reward: Floats


@dataclass(frozen=True, slots=True, eq=False)
class RentalExperience:
    """A slot that is over, as a policy learns from it.

    Attributes:
        seen: What was observed before it was decided, shape (5,).
        outcome: The slot, what was in force, and the own reward.
        seen_next: What was observed one slot later, shape (5,).
    """

    seen: Floats
    outcome: RentalOutcome
    seen_next: Floats


LostIn = Callable[[int], Callable[[int, int, int], bool]]
"""Slot to what is lost in it: round, sender and receiver to whether that letter does not come."""


@dataclass(frozen=True, slots=True, eq=False)
class RentalSetting:
    """The world a policy decides in.

    Attributes:
        plan: Sites, graph, and the scenario's keys; ``plan.rental.units`` is K.
        edge: The edge server it decides for; None when one policy decides for all.
        seed: The run's seed.
        scenario: Name of the scenario.
        lost: Which letters between agents a slot's links withhold, where all decide in one process; None: none.
        state: Where a policy that learns keeps what it has learned; None: nowhere.
    """

    plan: Plan
    edge: int | None
    seed: int
    scenario: str = ""
    lost: LostIn | None = None
    state: Path | None = None

    def generator(self, slot: int) -> np.random.Generator:
        """Random numbers of one slot: the edge server's own, or common to all where one decides for all."""
        entity = "/planner" if self.edge is None else f"/agent/{self.edge}"
        return Stream(self.seed, entity, "policy", draws=DRAWS_PER_SLOT).generator(slot)


class LocalRental(Protocol):
    """Decides for one edge server from what that server observes."""

    observes: Literal["local"]

    def decide(self, observation: RentalObservation) -> int:
        """Units to rent, 0..K."""
        ...

    def after_slot(self, observation: RentalObservation, outcome: RentalOutcome) -> None:
        """Learn from a committed slot."""
        ...


class NetworkRental(Protocol):
    """Decides for all edge servers from what all observe."""

    observes: Literal["network"]

    def decide(self, observation: RentalObservation) -> Ints:
        """Units to rent, 0..K, shape (edge,)."""
        ...

    def after_slot(self, observation: RentalObservation, outcome: RentalOutcome) -> None:
        """Learn from a committed slot."""
        ...


@runtime_checkable
class LearningRental(Protocol):
    """Decides for one edge server and learns meanwhile; instead of ``after_slot`` it gets whole experiences.

    As ``agents.policy.LearningPolicy``: ``learn`` and ``save`` run in a thread beside the agent's loop, and are over
    before the next decision in lockstep.
    """

    observes: Literal["local"]

    def decide(self, observation: RentalObservation) -> int:
        """Units to rent, 0..K."""
        ...

    def resume(self) -> None:
        """Go on from what a process before this one has saved in the same run, if there is anything."""
        ...

    def learn(self, experience: RentalExperience) -> None:
        """Learn from the slot that is over."""
        ...

    def save(self) -> None:
        """Keep all that learning goes on from, whole or not at all."""
        ...


RentalPolicy = LocalRental | LearningRental | NetworkRental


def _load() -> None:
    from agents import rental_baselines, rental_networks  # noqa: F401 -- they register themselves
    from agents.n2o import online  # noqa: F401


_REGISTRY: Registry[RentalSetting, RentalPolicy] = Registry(_load)
register, lent, names = _REGISTRY.register, _REGISTRY.lent, _REGISTRY.names
observes, make_rental_policy = _REGISTRY.observes, _REGISTRY.make


def warm_up(policy: LearningRental) -> None:
    """Ask a policy once about nothing, so that what it loads is there before time counts.

    ``decide`` is pure, so this leaves no trace.
    """
    policy.decide(RentalObservation(0, np.zeros(len(OBSERVED))))
