"""The folder of a training in the rental world."""

from __future__ import annotations

from typing import NamedTuple

from agents.checkpoint import TrainingFolder
from agents.n2o.presets import Preset


class LogRow(NamedTuple):
    """One episode of a training: steps done by its end, its reward (mean over copies), and how it was learned."""

    episode: int
    steps: int
    reward: float
    epsilon: float
    learning_rate: float
    loss: float


class Folder(TrainingFolder[Preset, LogRow]):
    """The folder of one training in the rental world."""

    preset_type = Preset
    row_type = LogRow
    unit = "steps"
    command = "edgerig train n2o"
