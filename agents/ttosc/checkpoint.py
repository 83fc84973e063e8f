"""The folder of a training of TTOSC's agents."""

from __future__ import annotations

from typing import NamedTuple

from agents.checkpoint import TrainingFolder
from agents.ttosc.presets import Preset


class LogRow(NamedTuple):
    """One frame of a training: seconds per task, seconds, and what the agents did."""

    frame: int
    delay_s: float
    reward_s: float
    epsilon: float
    learning_rate: float
    loss: float
    explored: int
    deployed: int


class Folder(TrainingFolder[Preset, LogRow]):
    """The folder of one training of TTOSC's agents."""

    preset_type = Preset
    row_type = LogRow
    unit = "frames"
    command = "edgerig train ttosc"
