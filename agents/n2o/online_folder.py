"""A run whose agents learned while they acted, to be exported, evaluated and distilled like a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agents.checkpoint import TRAINING, Arrays
from agents.errors import AgentError
from agents.n2o.checkpoint import Folder
from agents.n2o.layout import FIELDS
from agents.n2o.online import read_state
from agents.n2o.presets import Preset
from emulator.scenario import Scenario
from emulator.scenario_file import load


class LearnedRun(Folder):
    """The folder of such a run; what all agents learned, put together."""

    unit = "slots"
    command = "edgerig run SCENARIO --agent madql-online"

    def scenario(self) -> Scenario:
        """What was run."""
        return load(str(self.path / "scenario.toml"))

    def preset(self) -> Preset:
        """How the first agent learned; the others have networks of the same widths.

        Raises: AgentError: an agent has learned nothing, or in another way.
        """
        presets = [read_state(self.path, edge)[0] for edge in range(self.scenario().edges.count)]
        if len({preset.hidden for preset in presets}) > 1:
            raise AgentError(f"{self.path}: its agents have networks of different widths; they are no team")
        return presets[0]

    def saved(self) -> tuple[int, Arrays] | None:
        """Slots that the agent learned from that learned from fewest, and the weights of all; no memory."""
        states = [read_state(self.path, edge) for edge in range(self.scenario().edges.count)]
        arrays = [found for *_, found in states]
        names = [name for name in arrays[0] if name.startswith(("weights.", "target."))]
        agents = len(states)
        memory: Arrays = {
            "replay.seen": np.zeros((0, agents, FIELDS)),
            "replay.rented": np.zeros((0, agents), dtype=np.int64),
            "replay.reward": np.zeros((0, agents)),
            "replay.seen_next": np.zeros((0, agents, FIELDS)),
            "replay.ended": np.zeros(0, dtype=np.bool_),
            "replay.added": np.array(0),
        }
        together = {name: np.concatenate([each[name] for each in arrays]) for name in names}
        return min(slots for _, slots, *_ in states), {**together, **memory}


def folder_of(path: Path) -> Folder:
    """A training's folder, or a run's whose agents learned."""
    return LearnedRun(path) if (path / "agents").is_dir() and not (path / TRAINING).exists() else Folder(path)
