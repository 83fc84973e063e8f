"""The policy ``onnx:DIR``: an exported actor decides. It needs onnxruntime, and never PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from agents.actor import Actor
from agents.actor_files import actor_path, check_world, read_manifest
from agents.baselines import Random, own_edge
from agents.errors import AgentError
from agents.onnx_session import opened
from agents.policy import Observation, Policy, Reward, Setting, register
from agents.ttosc.features import facts_of
from agents.ttosc.knapsack import best_packing, packing_of
from emulator.model.offloading import Bools, Floats

AVERAGES = "edgerig-averages-1"
"""The state of our distilled actors: averages that forget, see ``ttosc.features.state_after``."""
SHIPPED = Path(__file__).with_name("shipped_actors")


class OnnxActor:
    """Values by the network in a file, the deployment by the knapsack; a random packing while nothing is known."""

    observes: Literal["local"] = "local"

    def __init__(self, setting: Setting, folder: Path) -> None:
        """Load the actor of one edge server.

        Args:
            setting: The world.
            folder: Of an export.
        Raises: AgentError: there is no such actor, it is for another world, or onnxruntime cannot read it.
        """
        self._edge = own_edge(setting, "onnx")
        manifest = read_manifest(folder)
        check_world(folder, manifest, setting.network, setting.slots_per_frame)
        session = opened(actor_path(folder, self._edge))
        self._packing = packing_of(setting.network.service_bytes, setting.network.storage_bytes)
        self._row = np.array([self._edge])
        facts = facts_of(setting.network, self._edge)
        self._actor = Actor(session, setting.slots_per_frame, setting.network.services, facts)
        self._blind = Random(setting)
        self.state_format = AVERAGES if self._actor.remembers else ""
        """Of what it remembers, for whoever takes over; empty: nothing."""

    def decide(self, observation: Observation) -> Bools:
        """The packing of greatest value."""
        if not len(observation.counts):
            return self._blind.decide(observation)
        return best_packing(self.values(observation.counts)[None], self._packing, self._row)[0]

    def values(self, counts: Floats) -> Floats:
        """The value of each service.

        Args:
            counts: Tasks of the frame before, shape (slot, service); slots that were not seen count as empty.
        Returns: [O_j] shape (service,).
        """
        return self._actor.values(counts)

    def after_frame(self, observation: Observation, reward: Reward) -> None:
        """Remember what the frame was decided on; learns nothing. A frame that was not seen leaves no trace."""
        self._actor.keep(observation.counts)

    def give_state(self) -> bytes:
        """What it remembers, for whoever takes over."""
        return self._actor.give()

    def take_state(self, state: bytes) -> None:
        """Remember what another one did. Raises: ValueError: it is none for this actor."""
        self._actor.take(state)


def shipped_for(setting: Setting) -> Path:
    """The folder of the actors that come with edgerig for a world.

    Those of the scenario's name come first, then those for any world: what only shares the servers and services may
    have learned from users who want other things.

    Raises: AgentError: there are none for it.
    """
    refused, found = [], []
    for folder in sorted(path.parent for path in SHIPPED.glob("*/manifest.toml")):
        manifest = read_manifest(folder)
        try:
            check_world(folder, manifest, setting.network, setting.slots_per_frame)
        except AgentError:
            refused.append(folder.name)
        else:
            found.append((folder.name != setting.scenario, manifest.services != "any", folder))
    if found:
        return min(found)[2]
    raise AgentError(
        f"agent onnx: no shipped actor fits this world (there are some for {', '.join(refused) or 'none'}); "
        "train and export one, then name its folder: onnx:DIR"
    )


@register("onnx", "local")
def _onnx(setting: Setting, argument: str) -> Policy:
    """An exported actor, of a folder or of those that come with edgerig."""
    return OnnxActor(setting, Path(argument) if argument else shipped_for(setting))
