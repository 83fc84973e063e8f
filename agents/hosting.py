"""A Python class or an ONNX file of a manifest as a policy in this process, for `edgerig sim` and trials in one.

On the bus the same has a process of its own (``agents.host``). Here it is called directly, so it sees the same
arrays and answers the same, but a crash of its is an exception here, and it may use whatever this process may.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from agents.baselines import own_edge
from agents.errors import AgentError
from agents.host import class_in
from agents.manifest import load
from agents.onnx_host import decider_in
from agents.policy import Observation, Policy, Reward, Setting
from bus import agent_wire as wire
from bus.agent_client import Decider
from emulator.model.offloading import Bools
from emulator.model.world_digest import known_to
from emulator.specs import manifest_of


class HostedPolicy:
    """One object of the class, for one edge server."""

    observes: Literal["local"] = "local"

    def __init__(self, made: Any, services: int, who: str) -> None:
        self._made = made
        self._services = services
        self._who = who
        self._after = getattr(made, "after_frame", None)

    def decide(self, observation: Observation) -> Bools:
        """What the class decides.

        Raises: AgentError: no service has one of the indices it gives.
        """
        deployed = np.zeros(self._services, dtype=np.bool_)
        for service in self._made.decide(observation.frame, observation.counts.copy()):
            if not 0 <= int(service) < self._services:
                raise AgentError(f"{self._who}: deploys service {service}, but there are 0..{self._services - 1}")
            deployed[int(service)] = True
        return deployed

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Tell the class, if it wants to know."""
        if self._after is not None:
            self._after(reward.frame, wire.Reward(reward.reward_s, reward.delay_s, reward.all_cloud_s))


class HostedNetwork:
    """An ONNX file's decider, for one edge server."""

    observes: Literal["local"] = "local"

    def __init__(self, made: Decider, services: int) -> None:
        self._made = made
        self._services = services

    def decide(self, observation: Observation) -> Bools:
        """What its host would say."""
        slots, services = observation.counts.shape
        said = wire.Observation(slots, services, observation.counts.astype("<f8").tobytes())
        decided = self._made.decide(_frame(observation.frame), said)
        deployed = np.zeros(self._services, dtype=np.bool_)
        deployed[list(getattr(decided, "services", ()))] = True
        return deployed

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Tell it that the frame counts."""
        told = wire.Reward(reward.reward_s, reward.delay_s, reward.all_cloud_s)
        self._made.hear(_frame(reward.frame), told)


def _frame(frame: int) -> wire.Header:
    return wire.Header(wire.MAGIC, wire.PROTOCOL, 0, 0, 0, 0, frame, 0)


def hosted(setting: Setting, spec: str) -> Policy:
    """The policy that a manifest of kind python or onnx names.

    Raises: AgentError: it is a program, which only `edgerig run` starts, or cannot be used.
    """
    found = load(manifest_of(spec))
    manifest, network, edge = found.manifest, setting.network, own_edge(setting, spec)
    if manifest.kind == "exec":
        raise AgentError(f"{found.path}: a program has a process of its own; use `edgerig run`, which starts it")
    if manifest.world != "offloading":
        raise AgentError(f"{found.path}: is of the {manifest.world} world, but this scenario's is offloading")
    about = "offloading", "lockstep", setting.slots_per_frame, setting.slot_s, 0.0, setting.decision_budget_s, 0
    setup = wire.Setup(*about, **known_to(network, edge, setting.slots_per_frame))
    if manifest.kind == "onnx":
        return HostedNetwork(decider_in(found.named.place(edge), manifest.world)(setup, edge), network.services)
    made = class_in(f"{found.named.place(edge)}:{manifest.factory}")
    return HostedPolicy(made(setup), network.services, f"{manifest.name} at edge server {edge}")
