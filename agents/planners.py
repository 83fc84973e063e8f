"""Deployment policies that plan for the whole network: marginal greedy, iterated local search, oracle.

All plan on an expected demand by the network's objective with the exact scheduler. The random numbers are common to
all edge servers, so every agent computes the same plan and takes its row.

Source: ours; defined as ``docs/decisions/0005-baselines.md`` records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from agents.errors import AgentError
from agents.policy import Observation, Policy, Reward, Setting, first_fit, register
from agents.search import KICKS, Moves, climb, iterate, moves_of
from emulator.model.offloading import Bools, Floats

EWMA_WEIGHT = 0.3
"""Weight of the last frame in the smoothed demand."""

RESTARTS = 30
WARM_RESTARTS = 6
ORACLE_RESTARTS = 100

Search = Callable[[Moves, Sequence[Bools], int], Bools]
"""Prices of moves, starts of shape (edge, service) and the frame, to a deployment of the same shape."""


class Forecast:
    """The demand expected of a frame: an average of the frames seen, the last one with the given weight."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._smoothed: Floats | None = None

    def of(self, counts: Floats) -> Floats | None:
        """What is expected after a frame's counts of shape (edge, slot, service): tasks a slot, (edge, service).

        Where the frame was not seen, what was expected before; None if nothing was ever seen.
        """
        if not counts.shape[1]:
            return self._smoothed
        mean = counts.mean(axis=1)
        if self._smoothed is None:
            return mean
        return (1.0 - self._weight) * self._smoothed + self._weight * mean

    def learn(self, counts: Floats) -> None:
        """Take in a committed frame's counts."""
        self._smoothed = self.of(counts)


class Planner:
    """Plans all edge servers' deployments on the expected demand; at random while no demand is known."""

    observes: Literal["network"] = "network"

    def __init__(self, setting: Setting, search: Search, *, weight: float, warm: bool = False) -> None:
        """Plan by a search.

        Args:
            setting: The world.
            search: How a deployment is sought.
            weight: Weight of the last frame in the expected demand; 1: it alone.
            warm: Start from the plan of the frame before as well as from nothing.
        """
        self._setting = setting
        self._search = search
        self._forecast = Forecast(weight)
        self._warm = warm
        self._starts = [np.zeros((setting.network.edges, setting.network.services), dtype=np.bool_)]
        self._latest: tuple[Observation, Bools] | None = None

    def decide(self, observation: Observation) -> Bools:
        """The plan for a frame, shape (edge, service)."""
        demand = self._forecast.of(observation.counts)
        if demand is None or not demand.any():
            plan = random_packing(self._setting, observation.frame)
        else:
            moves = moves_of(self._setting.network, demand, self._setting.backend)
            plan = self._search(moves, self._starts, observation.frame)
        self._latest = observation, plan
        return plan.copy()

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Smooth the demand and, for a warm start, remember the plan."""
        if self._warm:
            self._starts = [self._starts[0], self._plan_of(observation)]
        self._forecast.learn(observation.counts)

    def _plan_of(self, observation: Observation) -> Bools:
        """The plan that was made on an observation; made again where another one came between."""
        if self._latest is not None:
            asked, plan = self._latest
            if asked.frame == observation.frame and np.array_equal(asked.counts, observation.counts):
                return plan
        return self.decide(observation)


class Oracle:
    """Plans on the tasks that the coming frame will have: a bound that no policy can be held to."""

    observes: Literal["network"] = "network"

    def __init__(self, setting: Setting, upcoming: Callable[[int], Floats], search: Search) -> None:
        self._setting = setting
        self._upcoming = upcoming
        self._search = search
        self._nothing = np.zeros((setting.network.edges, setting.network.services), dtype=np.bool_)

    def decide(self, observation: Observation) -> Bools:
        """The plan for a frame, shape (edge, service)."""
        demand = self._upcoming(observation.frame).mean(axis=1)
        moves = moves_of(self._setting.network, demand, self._setting.backend)
        return self._search(moves, [self._nothing], observation.frame)

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Learns nothing."""


def random_packing(setting: Setting, frame: int) -> Bools:
    """A random maximal packing of every edge server (TTOSC Algorithm 1, line 5), shape (edge, service)."""
    generator, network = setting.generator(frame), setting.network
    orders = (generator.permutation(network.services) for _ in range(network.edges))
    return np.stack([first_fit(order, network, edge) for edge, order in enumerate(orders)])


def _marginal(moves: Moves, starts: Sequence[Bools], frame: int) -> Bools:
    return climb(moves, starts[0], swaps=False)[0]


def _iterated(setting: Setting, restarts: int) -> Search:
    def search(moves: Moves, starts: Sequence[Bools], frame: int) -> Bools:
        kicks = setting.generator(frame).random((restarts, KICKS, 3))
        return iterate(moves, starts, kicks, setting.network)[0]

    return search


def _arguments(name: str, argument: str, restarts: int) -> tuple[int, float]:
    """Restarts and weight of the last frame from ``N``, ``last`` or ``N:last``."""
    number, _, demand = argument.partition(":")
    if number in ("last", "ewma") and not demand:
        number, demand = "", number
    if (number and not (number.isascii() and number.isdigit())) or demand not in ("", "last", "ewma"):
        raise AgentError(f"agent {name}:{argument}: write {name}[:RESTARTS][:last|:ewma], e.g. {name}:{restarts}:last")
    return int(number or restarts), 1.0 if demand == "last" else EWMA_WEIGHT


@register("marginal-greedy", "network")
def _marginal_greedy(setting: Setting, argument: str) -> Policy:
    """Add or drop what saves most, until nothing does; on last frame's demand, or ``:ewma``."""
    if argument not in ("", "last", "ewma"):
        raise AgentError(f"agent marginal-greedy:{argument}: write marginal-greedy or marginal-greedy:ewma")
    return Planner(setting, _marginal, weight=EWMA_WEIGHT if argument == "ewma" else 1.0)


@register("local-search", "network")
def _local_search(setting: Setting, argument: str) -> Policy:
    """Add, drop or swap what saves most, until nothing does."""
    if argument not in ("", "last", "ewma"):
        raise AgentError(f"agent local-search:{argument}: write local-search or local-search:last")
    return Planner(setting, _iterated(setting, 0), weight=1.0 if argument == "last" else EWMA_WEIGHT)


@register("ils", "network")
def _ils(setting: Setting, argument: str) -> Policy:
    """Local search and N restarts from perturbations of the best, from an empty network."""
    restarts, weight = _arguments("ils", argument, RESTARTS)
    return Planner(setting, _iterated(setting, restarts), weight=weight)


@register("ils-warm", "network")
def _ils_warm(setting: Setting, argument: str) -> Policy:
    """The same, also from the plan of the frame before, so that few restarts do."""
    restarts, weight = _arguments("ils-warm", argument, WARM_RESTARTS)
    return Planner(setting, _iterated(setting, restarts), weight=weight, warm=True)


@register("oracle", "network")
def _oracle(setting: Setting, argument: str) -> Policy:
    """Local search with many restarts on the coming frame's own tasks."""
    if argument:
        raise AgentError(f"agent oracle:{argument}: oracle takes no argument")
    if setting.upcoming is None:
        raise AgentError("agent oracle: knows the tasks to come only in one process; use it with edgerig sim")
    return Oracle(setting, setting.upcoming, _iterated(setting, ORACLE_RESTARTS))
