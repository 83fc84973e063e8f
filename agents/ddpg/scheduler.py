"""The scheduler ``ddpg``: a trained actor in an ONNX file answers with shares. It needs onnxruntime, never PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from agents.ddpg import features
from agents.ddpg.features import Pairs, Singles
from agents.ddpg.shares import split_by
from agents.errors import AgentError
from agents.onnx_session import opened
from emulator.model.offloading import Floats, FrameCosts

KIND: Final = "edgerig ddpg scheduler"
SHIPPED: Final = Path(__file__).parents[1] / "shipped_schedulers" / "ddpg.onnx"


class Ddpg:
    """Shares by the network in a file; the same file serves any number of edge servers and services."""

    def __init__(self, file: Path = SHIPPED) -> None:
        """Load an actor.

        Args:
            file: Of `edgerig export ddpg`; the one that comes with edgerig if left out.
        Raises: AgentError: there is no such actor, or it was made for other inputs.
        """
        if not file.is_file():
            raise AgentError(f"scheduler ddpg: {file}: there is no such file; `edgerig export ddpg` makes one")
        self._session = opened(file)
        facts = self._session.get_modelmeta().custom_metadata_map
        if facts.get("kind") != KIND:
            raise AgentError(f"scheduler ddpg: {file}: is no actor of a scheduler; `edgerig export ddpg` makes one")
        if facts.get("features") != str(features.VERSION):
            raise AgentError(
                f"scheduler ddpg: {file}: reads inputs of version {facts.get('features')}, "
                f"this edgerig makes {features.VERSION}; train and export again"
            )

    def schedule(self, tasks: Floats, costs: FrameCosts) -> Floats:
        """See ``agents.schedulers.Scheduler``."""
        return split_by(self.shares, tasks, costs)

    def shares(self, pairs: Pairs) -> Singles:
        """What the network answers, shape (instance, edge from, target)."""
        fed = {"figures": pairs.figures, "allowed": pairs.allowed.astype(np.float32), "weight": pairs.weight}
        found: Any = self._session.run(None, fed)[0]
        return np.asarray(found, dtype=np.float32)
