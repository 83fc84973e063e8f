"""The folder of a training of the learned scheduler."""

from __future__ import annotations

from typing import NamedTuple

from agents.checkpoint import TrainingFolder
from agents.ddpg.presets import Preset


class LogRow(NamedTuple):
    """One frame of a training: its deployments, and the delay of its tasks by schedule, seconds per task.

    Attributes:
        frame: The frame.
        world: Seed of the world it was played in.
        deployed: Services deployed, over all edge servers.
        tried_s: As it was explored.
        actor_s: As the actor answered without exploration.
        exact_s: The least there is.
        nearest_s: Of the rule ``nearest``.
        critic_loss: Squared error of the critic, in parts of the cloud's delay; nan before it learned.
    """

    frame: int
    world: int
    deployed: int
    tried_s: float
    actor_s: float
    exact_s: float
    nearest_s: float
    critic_loss: float


class Folder(TrainingFolder[Preset, LogRow]):
    """The folder of one training of the learned scheduler."""

    preset_type = Preset
    row_type = LogRow
    unit = "frames"
    command = "edgerig train ddpg"
