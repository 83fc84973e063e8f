"""What an edge server's coming or going costs, and how fast its neighbours make up for it.

One training before the change, then three ways on: neighbours (and the newcomer) learn, nobody learns, all begin anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from agents.errors import AgentError
from agents.n2o.copies import played
from agents.n2o.joint import learner_of
from agents.n2o.layout import Layout
from agents.n2o.learner import Learner
from agents.n2o.membership import adapted, adapting, concerned, together
from agents.n2o.presets import Preset
from agents.n2o.tables import Floats, Ints
from agents.n2o.train import play_episode
from agents.n2o.worlds import RentalCopies, copies_to_judge, copies_to_train, rental_of
from emulator.model.graph import Graph
from emulator.scenario import Scenario
from emulator.scenario_rental import Membership

Kind = Literal["join", "leave"]
Course = Literal["before", "neighbours adapt", "nobody learns", "all anew"]
COURSES: Final[tuple[Course, ...]] = ("neighbours adapt", "nobody learns", "all anew")
JUDGES, JUDGED_EPISODES, POINTS = 64, 2, 5
NEVER = 2**31
ADAPTING_RATE = 1e-3
"""Learning rate to begin adapting with: a third of a training's, which good weights would not survive."""


class Change(NamedTuple):
    """What happens: an edge server joins or leaves."""

    kind: Kind
    edge: int


class Effort(NamedTuple):
    """Steps of 16 slots each: learned before the change, and after it."""

    before: int
    after: int


class Point(NamedTuple):
    """What was learned so far is worth.

    Attributes:
        change: Join or leave.
        seed: Of the trainings.
        course: Who learns.
        slots: Learned from since the change; before it, negative.
        reward: Of an episode, decided together by max-sum, without exploring.
    """

    change: Kind
    seed: int
    course: Course
    slots: int
    reward: float


class _World:
    """The copies that learn and those that judge, and the episode with which the change comes."""

    def __init__(self, scenario: Scenario, change: Change, preset: Preset) -> None:
        rental = rental_of(scenario)
        slots = RentalCopies(scenario, 1, 0).episode_slots
        self.episodes_before = -(-preset.steps // slots)
        slot = self.episodes_before * slots

        def changed(slot: int) -> Scenario:
            event = ((slot, change.edge),)
            membership = Membership(join=event) if change.kind == "join" else Membership(leave=event)
            return msgspec.structs.replace(scenario, rental=msgspec.structs.replace(rental, membership=membership))

        self.learned = copies_to_train(changed(slot), preset.copies)
        # Before and after are judged on the same episodes, from the second one on.
        self._judges = [copies_to_judge(changed(when), JUDGES) for when in (NEVER, 1)]
        plan = self.learned.world.plan
        self.graphs = plan.graph_at(0), plan.graph_at(slot)

    def layout(self, graph: Graph) -> Layout:
        """Scales, and a graph."""
        return dataclasses.replace(self.learned.layout, graph=graph)

    def worth(self, learner: Learner, layout: Layout, *, after: bool) -> float:
        """Mean reward of an episode before or after the change, the same episodes for all."""

        def decide(seen: Floats) -> Ints:
            return together(learner, layout, layout.scaled(seen))

        return played(self._judges[after], decide, JUDGED_EPISODES, first=1).mean


def study(
    scenario: Scenario, change: Change, effort: Effort, *, stopped: Callable[[], bool], tell: Callable[[str], None]
) -> list[Point] | None:
    """Learn, let the change come, and go on in every way.

    Args:
        scenario: Of the rental world; its seed is the trainings'.
        change: What happens.
        effort: How long before and after.
        stopped: Asked after each episode.
        tell: Hears how far it is.
    Returns: What was found; None if it was stopped.
    Raises: AgentError: there is no such edge server, or it has no neighbours.
    """
    if change.edge >= scenario.edges.count:
        raise AgentError(f"--edge {change.edge}: there are edge servers 0..{scenario.edges.count - 1}")
    preset = Preset("madql", steps=effort.before)
    world = _World(scenario, change, preset)
    old, new = (world.layout(graph) for graph in world.graphs)
    if not (old if change.kind == "leave" else new).graph.neighbours[change.edge]:
        raise AgentError(f"--edge {change.edge}: has no neighbours, so nobody is concerned")
    learner = learner_of(preset, old, scenario.seed)
    found = []
    for done, reward in _learned(world, learner, old, (0, effort.before), 0, stopped):
        tell(f"{change.kind}, seed {scenario.seed}: {done} of {effort.before} steps before, reward {reward:.2f}")
        found.append(Point(change.kind, scenario.seed, "before", (done - effort.before) * preset.copies, reward))
    if found[-1].slots < 0:
        return None
    newcomers = (change.edge,) if change.kind == "join" else ()
    weights = adapted(learner.weights, *world.graphs, newcomers)
    fresh = dataclasses.replace(preset, steps=effort.after)
    late = dataclasses.replace(fresh, learning_rate=ADAPTING_RATE)
    starts = {
        "neighbours adapt": (adapting(late, new, scenario.seed, weights, concerned(*world.graphs)), 0),
        "nobody learns": (adapting(fresh, new, scenario.seed, weights, ()), effort.after),
        "all anew": (learner_of(fresh, new, scenario.seed + 1), 0),
    }
    for course in COURSES:
        learner, first = starts[course]
        end = learner.preset.steps
        for done, reward in _learned(world, learner, new, (first, end), world.episodes_before, stopped):
            tell(f"{change.kind}, seed {scenario.seed}, {course}: {done - first} of {end - first} steps, {reward:.2f}")
            found.append(Point(change.kind, scenario.seed, course, (done - first) * preset.copies, reward))
        if done < end:
            return None
    return found


def _learned(
    world: _World, learner: Learner, layout: Layout, span: tuple[int, int], episode: int, stopped: Callable[[], bool]
) -> Iterator[tuple[int, float]]:
    """Learn from one step to another; now and then the steps done and what an episode is worth, first and last too."""
    after, (done, end) = episode > 0, span
    told, every = done, max(1, (end - done) // POINTS)
    yield done, world.worth(learner, layout, after=after)
    while done < end and not stopped():
        until = min(end, done + world.learned.episode_slots)
        play_episode(learner, world.learned, layout, episode, (done, until))
        episode, done = episode + 1, until
        if done - told >= every or done == end:
            told = done
            yield done, world.worth(learner, layout, after=after)
