"""The rental world of a trial in this process, where a frame is a slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from agents.n2o.network import withheld
from agents.rental_networks import Together
from agents.rental_policy import (
    RentalObservation,
    RentalOutcome,
    RentalPolicy,
    RentalSetting,
    make_rental_policy,
    observes,
)
from bus.messages import Array, Observation
from emulator import records
from emulator.linking import table_of
from emulator.model.graph import Floats
from emulator.rental_world import Played, RentalWorld
from emulator.scenario import Scenario
from emulator.trials.arms import Binding
from emulator.trials.callees import Answer, Callees, judged
from emulator.trials.figures import Arm, FrameSeen


class RentalCrew:
    """The agents of one arm; those who negotiate are one policy, whose letters travel in this process."""

    def __init__(self, spec: str, scenario: Scenario, world: RentalWorld, budget_s: float) -> None:
        self.everyone = observes(spec) == "network"
        self._most, self._budget_s, self._graph = world.most_units, budget_s, world.graph
        edges = [None] if self.everyone else list(range(world.edges))
        lost = partial(withheld, table_of(scenario), scenario.seed) if scenario.link else None
        settings = [RentalSetting(world.plan, edge, scenario.seed, scenario.name, lost) for edge in edges]
        self._policies = [make_rental_policy(spec, setting) for setting in settings]
        self._callees: Callees[RentalPolicy] = Callees(self._policies)

    def decide(self, slot: int, observed: Floats, edges: Sequence[int]) -> dict[int, Answer]:
        """Ask for the units of some edge servers."""
        if self.everyone:
            units, seconds, crash = self._callees.ask(0, RentalObservation(slot, observed.copy()))
            return {edge: self._judged(None if crash else units[edge], seconds, crash) for edge in edges}
        shown = {edge: RentalObservation(slot, observed[edge].copy()) for edge in edges}
        return {edge: self._judged(*self._callees.ask(edge, seen)) for edge, seen in shown.items()}

    def _judged(self, units: object, seconds: float, crash: str) -> Answer:
        def unfit(units: object) -> str:
            good = isinstance(units, int | np.integer) and 0 <= units <= self._most
            return "" if good else f"{units} units, of 0..{self._most}"

        return judged(units, seconds, crash, self._budget_s, unfit)

    def message_bytes(self, observed: Floats) -> float:
        """What one agent was sent for its last decision: letters, else what others observe; payload bytes, mean.

        Source: ours: letters as N2O counts them, without framing; who plans for all is shown all observations, and one
        of them is each agent's own.
        """
        if not self.everyone:
            return 0.0
        policy, edges = self._policies[0], len(observed)
        if isinstance(policy, Together) and policy.course is not None:
            return sum(policy.course.payload_bytes.values()) / edges
        sizes = [len(records.payload_of(Observation(edge, Array.of(observed[edge])))) for edge in range(edges)]
        return sum(sizes) * (edges - 1) / edges

    def after_slot(self, observed: Floats, played: Played, edges: Sequence[int]) -> None:
        """Tell those that were asked what the slot came to."""
        units, reward = played.units[0], played.reward[0]
        for place in [0] if self.everyone else edges:
            near = list(range(len(units))) if self.everyone else [place, *self._graph.neighbours[place]]
            outcome = RentalOutcome(played.slot, units[near], reward if self.everyone else reward[place])
            seen = RentalObservation(played.slot, observed if self.everyone else observed[place])
            self._callees.tell(place, "after_slot", seen, outcome)


class RentalTrack:
    """The rental world with its arms. Shadows see what another world shows, and so are scored by an estimate."""

    def __init__(
        self,
        scenario: Scenario,
        arms: Mapping[Arm, str],
        budget_s: float,
        shown_by: RentalTrack | None = None,
    ) -> None:
        """Stand before slot 0 with the baseline bound everywhere.

        Args:
            scenario: Resolved.
            arms: The SPEC of each arm.
            budget_s: What a decision may take.
            shown_by: Of shadows: the live world, whose next slot is the same; its observations are what they see.
        """
        self.world = RentalWorld(scenario)
        self._shown_by = shown_by
        self._crews = {arm: RentalCrew(spec, scenario, self.world, budget_s) for arm, spec in arms.items()}
        self._arms = Binding(["baseline"] * self.world.edges, scenario.agent.is_lost)
        self._units = np.zeros(self.world.edges, dtype=np.int64)

    def bind(self, arms: Sequence[Arm]) -> None:
        """Say who is bound from the next slot on."""
        self._arms.bound = list(arms)

    def frame(self, asked: Sequence[int] = ()) -> FrameSeen:
        """Play the next slot."""
        slot, observed = self.world.slot, self.world.observed[0]
        if self._shown_by is not None:
            observed = self._shown_by.world.observed[0]
        here = self._arms.asked(asked)
        answers = {arm: crew.decide(slot, observed, here[arm]) for arm, crew in self._crews.items()}
        units = self._units.copy()
        incidents, _ = self._arms.obey(slot, answers, units.__setitem__)
        self._units = units
        played = self.world.step(units[None])
        for arm, crew in self._crews.items():
            crew.after_slot(observed, played, here[arm])
        seconds = {arm: [answer.seconds for answer in given.values()] for arm, given in answers.items()}
        settled = played.settled
        return FrameSeen(
            slot,
            tuple(settled.tasks[0].tolist()),
            tuple(settled.wait_s[0].tolist()),
            float(played.reward[0].sum()),
            self._message_bytes(observed),
            tuple(incidents),
            seconds,
        )

    def _message_bytes(self, observed: Floats) -> float:
        """For one decision, mean over agents by who is bound."""
        bound = self._arms.bound
        sent = {arm: self._crews[arm].message_bytes(observed) for arm in set(bound)}
        return sum(sent[arm] for arm in bound) / len(bound)
