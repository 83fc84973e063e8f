"""Rental policies against the in-process world, in one loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from agents.n2o.network import withheld
from agents.n2o.team import QTeam
from agents.n2o.worth import Totals
from agents.policy import per_edge_specs
from agents.rental_networks import Together, networks_behind
from agents.rental_policy import (
    LearningRental,
    RentalExperience,
    RentalObservation,
    RentalOutcome,
    RentalPolicy,
    RentalSetting,
    make_rental_policy,
    observes,
)
from emulator.folder import state_of
from emulator.linking import table_of
from emulator.model.graph import Floats
from emulator.model.rental import Ints
from emulator.rental_world import Played, RentalWorld
from emulator.scenario import Scenario


@dataclass(frozen=True)
class PlayedSlot:
    """One slot that was played: the world's step, decisions refused, and the seconds that deciding took."""

    step: Played
    refused: int
    decision_s: list[float]


class RentalTeam:
    """The agents of a scenario, asked together; a policy that observes the network is asked once."""

    def __init__(
        self, scenario: Scenario, world: RentalWorld, folder: Path | None = None, totals: Totals | None = None
    ) -> None:
        specs = per_edge_specs(scenario.agent.policy, world.edges, observes)
        self._graph, self._most, self._is_lost = world.graph, world.most_units, scenario.agent.is_lost
        self._policies: list[RentalPolicy] = []
        self._unlearned: dict[int, tuple[Floats, RentalOutcome]] = {}
        shared: dict[str, RentalPolicy] = {}
        table = table_of(scenario)
        lost = partial(withheld, table, scenario.seed) if scenario.link else None
        for edge, spec in enumerate(specs):
            everyone = observes(spec) == "network"
            state = None if folder is None or everyone else state_of(folder, edge)
            own = None if everyone else edge
            setting = RentalSetting(world.plan, own, scenario.seed, scenario.name, lost, state)
            if not everyone or spec not in shared:
                shared[spec] = make_rental_policy(spec, setting)
            self._policies.append(shared[spec])
        self._totals = totals
        self._plan = world.plan
        # P2 is of networks of all: where agents differ, there is none.
        self._networks: QTeam | None = None
        if totals is not None and len(set(specs)) == 1:
            first, setting = self._policies[0], RentalSetting(world.plan, None, scenario.seed, scenario.name)
            self._networks = first.team if isinstance(first, Together) else networks_behind(specs[0], setting)

    def decide(self, slot: int, observed: Floats, before: Ints) -> tuple[Ints, int, list[float]]:
        """Units of all edge servers, how many decisions were refused, and the seconds each took.

        Args:
            slot: To decide for.
            observed: Shape (edge, 5).
            before: What is rented now, shape (edge,); stays where a decision is refused.
        """
        plans: dict[int, Ints] = {}
        units, refused, seconds = before.copy(), 0, []
        for edge, policy in enumerate(self._policies):
            if isinstance(policy, LearningRental) and edge in self._unlearned:
                seen, outcome = self._unlearned.pop(edge)
                policy.learn(RentalExperience(seen, outcome, observed[edge].copy()))
            start = time.perf_counter()
            if policy.observes == "local":
                wanted = policy.decide(RentalObservation(slot, observed[edge].copy()))
            else:
                if id(policy) not in plans:
                    plans[id(policy)] = policy.decide(RentalObservation(slot, observed.copy()))
                wanted = plans[id(policy)][edge]
            seconds.append(time.perf_counter() - start)
            if self._is_lost(edge, slot):
                continue
            if isinstance(wanted, int | np.integer) and 0 <= wanted <= self._most:
                units[edge] = wanted
            else:
                refused += 1
        self._measure(slot, observed, units)
        return units, refused, seconds

    def _measure(self, slot: int, observed: Floats, units: Ints) -> None:
        """Add up what came of negotiating, and what the networks say of it."""
        first = self._policies[0]
        if self._totals is None or self._networks is None:
            return
        if isinstance(first, Together) and first.course is not None:
            self._totals.negotiated(first.course, first.rounds)
        tables = self._networks.tables(observed[None], self._plan.graph_at(slot))
        self._totals.valued([float(value[0]) for value in tables.terms(units[None])])

    def after_slot(self, observed: Floats, played: Played) -> None:
        """Tell each policy what the slot was worth: its own reward, or everybody's."""
        told: set[int] = set()
        units, reward = played.units[0], played.reward[0]
        for edge, policy in enumerate(self._policies):
            if policy.observes == "local":
                near = [edge, *self._graph.neighbours[edge]]
                outcome = RentalOutcome(played.slot, units[near], reward[edge])
                if isinstance(policy, LearningRental):
                    self._unlearned[edge] = observed[edge].copy(), outcome
                else:
                    policy.after_slot(RentalObservation(played.slot, observed[edge]), outcome)
            elif id(policy) not in told:
                policy.after_slot(RentalObservation(played.slot, observed), RentalOutcome(played.slot, units, reward))
                told.add(id(policy))

    def save(self) -> None:
        """Let every policy that learns keep what it learned, if it has a place for it."""
        for policy in self._policies:
            if isinstance(policy, LearningRental):
                policy.save()


def play(
    scenario: Scenario, world: RentalWorld | None = None, folder: Path | None = None, totals: Totals | None = None
) -> Iterator[PlayedSlot]:
    """Run a resolved scenario in this process, slot by slot.

    Args:
        scenario: Resolved.
        world: Its world, if somebody else looks at it, too.
        folder: The run folder, where policies that learn keep at the end what they learned; None: nowhere.
        totals: Where negotiations and P2's objective are added up; None: nowhere.
    """
    world = world or RentalWorld(scenario)
    team = RentalTeam(scenario, world, folder, totals)
    units = np.zeros(world.edges, dtype=np.int64)
    for slot in range(scenario.slots):
        observed = world.observed[0]
        units, refused, seconds = team.decide(slot, observed, units)
        played = world.step(units[None])
        team.after_slot(observed, played)
        yield PlayedSlot(played, refused, seconds)
    team.save()
