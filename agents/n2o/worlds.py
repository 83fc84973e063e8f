"""The rental world as training and evaluation play it: copies with seeds of their own, in episodes."""

from __future__ import annotations

from agents.errors import AgentError
from agents.n2o.copies import Floats
from agents.n2o.layout import Layout
from agents.n2o.tables import Ints
from emulator.rental_plan import Plan
from emulator.rental_world import RentalWorld, in_episodes
from emulator.scenario import Scenario
from emulator.scenario_rental import Rental

PAPER_EPISODE_SLOTS, AUTHORS_EPISODE_SLOTS = 6, 24
"""Slots of an episode where the scenario does not say: an hour that begins at any time, a day from midnight on."""

SEEDS_APART = 1_000_003
JUDGES_SEED = 900_000_000_000
"""Copies of evaluations have seeds from here on: the same for all trainings, and no training's."""


class RentalCopies:
    """Copies of a scenario's world."""

    def __init__(self, scenario: Scenario, copies: int, first_seed: int) -> None:
        """Build them.

        Args:
            scenario: Of the rental world.
            copies: How many.
            first_seed: Of the first copy; the others count on.
        Raises: AgentError: the scenario is of another world; ScenarioError: it cannot be built.
        """
        rental = rental_of(scenario)
        if not rental.episode_slots:
            authors = rental.spec == "A"
            slots = AUTHORS_EPISODE_SLOTS if authors else PAPER_EPISODE_SLOTS
            scenario = in_episodes(scenario, slots, random_start=not authors)
        self.world = RentalWorld(scenario, [first_seed + copy for copy in range(copies)])
        self.episode_slots: int = self.world.plan.rental.episode_slots
        self.copies = copies

    def begin(self, episode: int) -> Floats:
        """See ``Copies``."""
        slot = episode * self.episode_slots
        if self.world.slot != slot:  # after an episode's last slot the next one has begun
            self.world.begin(slot)
        return self.world.observed

    def step(self, rented: Ints) -> tuple[Floats, Floats]:
        """See ``Copies``."""
        played = self.world.step(rented)
        return played.reward, self.world.observed

    @property
    def layout(self) -> Layout:
        """What agents of this world take in."""
        return layout_of(self.world.plan)


def layout_of(plan: Plan) -> Layout:
    """What the agents of a world take in."""
    scaling = plan.rental.observation
    return Layout(plan.graph, plan.rental.units + 1, tuple(scaling.centre), tuple(scaling.scale))


def rental_of(scenario: Scenario) -> Rental:
    """The rental world's part of a scenario.

    Raises: AgentError: it is of another world.
    """
    if scenario.rental is None:
        raise AgentError(f'{scenario.name}: is no rental world; take a scenario with world = "rental"')
    return scenario.rental


def copies_to_train(scenario: Scenario, copies: int) -> RentalCopies:
    """Worlds of one training; trainings of different seeds share none."""
    return RentalCopies(scenario, copies, (1 + scenario.seed) * SEEDS_APART)


def copies_to_judge(scenario: Scenario, copies: int) -> RentalCopies:
    """Worlds of an evaluation, the same whatever was trained."""
    return RentalCopies(scenario, copies, JUDGES_SEED)
