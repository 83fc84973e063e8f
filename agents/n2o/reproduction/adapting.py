"""Networks that meet another demand: how fast what was learned is adapted."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from agents.n2o.copies import played
from agents.n2o.reproduction.measuring import Found, Stops, preset_for
from agents.n2o.reproduction.networks import Networks
from agents.n2o.reproduction.plan import LOCAL
from agents.n2o.train import play_episode
from agents.n2o.worlds import RentalCopies, copies_to_judge, copies_to_train, rental_of
from agents.reproduction.crew import Stopped
from emulator.scenario import Scenario

if TYPE_CHECKING:
    from agents.n2o.learner import Learner

LATER_H: Final = 9
SHARE: Final = 0.25
"""Steps of the adaptation, as a part of those of the training."""

LOOKS: Final = 6
"""Times that the adapting networks are judged on the way."""

EXPLORES: Final = 0.1
EPISODES: Final = 4


def changed(scenario: Scenario) -> Scenario:
    """The scenario with every zone's demand that of another zone, nine hours later."""
    rental = rental_of(scenario)
    demand = rental.demand

    def later(pattern: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(np.roll(pattern, LATER_H).tolist())

    other = msgspec.structs.replace(
        demand,
        residential=later(demand.commercial),
        school=later(demand.public),
        commercial=later(demand.residential),
        public=later(demand.school),
    )
    return msgspec.structs.replace(scenario, rental=msgspec.structs.replace(rental, demand=other))


def adapted(networks: Networks, stopped: Stops) -> Found:
    """Let trained networks go on learning where the demand has changed, beside networks that begin anew there.

    Returns: ``steps`` after the change; rewards of an episode by the adapting networks, each alone (``alone``) and
        with max-sum (``joint``); ``before``: alone and joint in the world they were trained in; ``fresh``: alone and
        joint of networks trained in the changed world from the start, with as many steps as these.
    Raises: Stopped: it was asked to stop.
    """
    from agents.n2o.joint import learner_of

    case, scenario = networks.case, networks.folder.scenario()
    other = changed(scenario)
    judges = copies_to_judge(other, case.judges)
    preset = preset_for(case, LOCAL)
    learner = learner_of(preset, judges.layout, scenario.seed)
    learner.take(networks.weights)
    before = _worth(learner, networks.world)
    slots, first = judges.episode_slots, case.steps // judges.episode_slots
    more = round(SHARE * case.steps / slots)
    adapting = replace(preset, steps=2 * case.steps, least_epsilon=EXPLORES)
    learner = learner_of(adapting, judges.layout, scenario.seed)
    learner.take(networks.weights)
    looks = [0, *(more * (look + 1) // LOOKS for look in range(LOOKS))]
    worth = [_worth(learner, judges)]
    world = copies_to_train(other, preset.copies)
    for begin, end in pairwise(looks):
        _learn(learner, world, (first + begin, first + end), stopped)
        worth.append(_worth(learner, judges))
    fresh = learner_of(preset, judges.layout, scenario.seed)
    _learn(fresh, copies_to_train(other, preset.copies), (0, first), stopped)
    numbers = {
        "steps": [float(slots * look) for look in looks],
        "alone": [alone for alone, _ in worth],
        "joint": [joint for _, joint in worth],
        "before": list(before),
        "fresh": list(_worth(fresh, judges)),
    }
    return Found(numbers=numbers)


def _worth(learner: Learner, judges: RentalCopies) -> tuple[float, float]:
    """Rewards of an episode: each alone, and with max-sum."""
    from agents.n2o.joint import by_max_sum
    from agents.n2o.learner import LocalNets

    layout, nets = judges.layout, learner.nets
    if not isinstance(nets, LocalNets):
        raise TypeError("only local networks are orchestrated")
    alone = played(judges, lambda seen: learner.greedy(layout.scaled(seen)), EPISODES)
    joint = played(judges, lambda seen: by_max_sum(nets.tables(learner.weights, layout.scaled(seen)), layout), EPISODES)
    return alone.mean, joint.mean


def _learn(learner: Learner, world: RentalCopies, span: tuple[int, int], stopped: Stops) -> None:
    """Play and learn whole episodes, from one to another."""
    slots = world.episode_slots
    for episode in range(*span):
        if stopped():
            raise Stopped
        play_episode(learner, world, world.layout, episode, (episode * slots, (episode + 1) * slots))
