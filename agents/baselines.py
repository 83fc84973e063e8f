"""Deployment policies that look at their own edge server only: cloud-only, random, popularity, greedy.

Source: TTOSC section V.A; defined as ``docs/decisions/0005-baselines.md`` records.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from agents.errors import AgentError
from agents.policy import Observation, Policy, Reward, Setting, first_fit, register
from emulator.model.offloading import Bools, Floats, cloud_delay

SCORE_SCALE = 10**12
"""Tasks per byte as a whole number; 64 bits hold it for up to nine million tasks."""


class CloudOnly:
    """Deploys nothing, so every task goes to the cloud."""

    observes: Literal["local"] = "local"

    def __init__(self, setting: Setting) -> None:
        self._nothing = np.zeros(setting.network.services, dtype=np.bool_)

    def decide(self, observation: Observation) -> Bools:
        """Nothing."""
        return self._nothing.copy()

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Learns nothing."""


class Random:
    """A random maximal packing, drawn anew each frame."""

    observes: Literal["local"] = "local"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._edge = own_edge(setting, "random")

    def decide(self, observation: Observation) -> Bools:
        """Services in a random order, as long as they fit."""
        order = self._setting.generator(observation.frame).permutation(self._setting.network.services)
        return first_fit(order, self._setting.network, self._edge)

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Learns nothing."""


class Ranked:
    """Deploys services by a score of last frame's local counts, highest first, skipping what does not fit.

    Services nobody asked for are not deployed: each would take its share of compute and link for nothing. Without an
    observation the packing is random (Algorithm 1, line 5).
    """

    observes: Literal["local"] = "local"

    def __init__(self, setting: Setting, weight: Floats) -> None:
        self._setting = setting
        self._edge = own_edge(setting, "a local policy")
        self._weight = weight
        self._blind = Random(setting)

    def decide(self, observation: Observation) -> Bools:
        """Services by falling score."""
        if not len(observation.counts):
            return self._blind.decide(observation)
        score = observation.counts.sum(axis=0) * self._weight
        order = np.argsort(-score, kind="stable")
        return first_fit(order[score[order] > 0.0], self._setting.network, self._edge)

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Learns nothing."""


class MarginalPopularity:
    """Deploys what serves most tasks of last frame's per byte, by whole numbers: any program can decide the same.

    A service's score is tasks times 10^12 divided by its bytes, without the fraction; ties go to the lowest index.
    Services nobody asked for are not deployed; where nothing was seen at all, everything that fits is, by index.
    """

    observes: Literal["local"] = "local"

    def __init__(self, setting: Setting) -> None:
        self._network = setting.network
        self._edge = own_edge(setting, "marginal-popularity")
        self._sizes = [int(size) for size in setting.network.service_bytes.tolist()]

    def decide(self, observation: Observation) -> Bools:
        """Services by falling score."""
        scores = [1] * len(self._sizes)
        if len(observation.counts):
            tasks = observation.counts.sum(axis=0).tolist()
            scores = [int(count) * SCORE_SCALE // size for count, size in zip(tasks, self._sizes, strict=True)]
        order = sorted((j for j, score in enumerate(scores) if score > 0), key=lambda j: -scores[j])
        return first_fit(np.array(order, dtype=np.int64), self._network, self._edge)

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Learns nothing."""


def own_edge(setting: Setting, who: str) -> int:
    """The edge server a local policy decides for."""
    if setting.edge is None:
        raise AgentError(f"{who} decides for one edge server and was given none")
    return setting.edge


def plain(name: str, argument: str) -> None:
    """Refuse an argument where a policy takes none."""
    if argument:
        raise AgentError(f"agent {name}:{argument}: {name} takes no argument")


@register("cloud-only", "local")
def _cloud_only(setting: Setting, argument: str) -> Policy:
    plain("cloud-only", argument)
    return CloudOnly(setting)


@register("random", "local")
def _random(setting: Setting, argument: str) -> Policy:
    plain("random", argument)
    return Random(setting)


@register("popularity", "local")
def _popularity(setting: Setting, argument: str) -> Policy:
    """Most requested first: what users of the same cell asked for in the frame before (paper's baseline 3)."""
    plain("popularity", argument)
    return Ranked(setting, np.ones(setting.network.services))


@register("marginal-popularity", "local")
def _marginal_popularity(setting: Setting, argument: str) -> Policy:
    """Most tasks per byte first, in whole numbers: the rule that examples/agent-c decides by, too."""
    plain("marginal-popularity", argument)
    return MarginalPopularity(setting)


@register("greedy", "local")
def _greedy(setting: Setting, argument: str) -> Policy:
    """Most cloud delay saved per byte first (paper's baseline 1, its deployment half)."""
    plain("greedy", argument)
    network, edge = setting.network, own_edge(setting, "greedy")
    delay_s = cloud_delay(network.task_bytes, network.task_cycles, network.cloud_bps, network.cloud_hz)[edge]
    return Ranked(setting, delay_s / network.service_bytes)
