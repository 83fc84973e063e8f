"""The folder of a training of TTOSC's agents, and that of a distillation."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

from agents.checkpoint import TRAINING, TrainingFolder
from agents.ttosc.presets import Distillation, Preset


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


class RoundRow(NamedTuple):
    """One round of a distillation; delays in seconds per task.

    Attributes:
        learned_s: Of the deployments that the round priced, in the frames to learn from.
        held_out_s: Of the actors behind the round, in the other frames.
        popularity_s: Of Popularity, in those.
    """

    round: int
    learning_rate: float
    loss: float
    learned_s: float
    held_out_s: float
    popularity_s: float


class DistilledFolder(TrainingFolder[Distillation, RoundRow]):
    """The folder of one distillation."""

    preset_type = Distillation
    row_type = RoundRow
    unit = "rounds"
    command = "edgerig distill ttosc"


def was_distilled(path: Path) -> bool:
    """Whether a folder is that of a distillation; false, too, where it is neither."""
    try:
        return "teacher" in tomllib.loads((path / TRAINING).read_text(encoding="utf-8"))["preset"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
