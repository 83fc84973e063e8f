"""One measurement: train, if the scheme learns, then count the delay of frames that nobody has learned from."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agents.checkpoint import TRAINING
from agents.reproduction.crew import Stopped
from agents.reproduction.store import world_text
from agents.rollout import play
from agents.ttosc.checkpoint import DistilledFolder, Folder
from agents.ttosc.distill import distill
from agents.ttosc.presets import Distillation, Preset, distillation_of, preset_of
from agents.ttosc.reproduction.plan import Measurement
from agents.ttosc.train import train
from emulator.assembly import resolve
from emulator.model.offloading import Floats
from emulator.scenario import Scenario
from emulator.scenario_file import load

VERSION = 1
"""Of what a measurement means; one of another version is made again."""

WARM_UP_FRAMES = 5
"""Played before the frames that count: smoothed forecasts begin with nothing."""

LONG_MEMORY = {"distilled": 30}
"""The same where averages forget more slowly than a planner's."""

TEACHER = "ils"

BLOCK_FRAMES = 10
"""Frames of a learning curve that are kept as one mean."""


class Curve(msgspec.Struct, frozen=True):
    """A training, means of every ``BLOCK_FRAMES`` frames: seconds per task, a slot's reward, Popularity's delay."""

    delay_s: list[float]
    gain_s: list[float]
    popularity_s: list[float]


class Result(msgspec.Struct, frozen=True):
    """What was measured.

    Attributes:
        version: See ``VERSION``.
        what: The measurement in words, for people.
        delay_s: Mean over the frames that count, seconds per task.
        gain_s: The same of the reward of a slot.
        deployed: Services on a server.
        curve: Of the training, where there was one.
        cpu_s: What it took, seconds of this process.
        delays_s: Of each frame that counts, seconds per task.
    """

    version: int
    what: dict[str, Any]
    delay_s: float
    gain_s: float
    deployed: float
    curve: Curve | None
    cpu_s: float
    delays_s: list[float] = []


def world_of(measurement: Measurement) -> Scenario:
    """The resolved scenario of a measurement, as long as it is played; its policy is to be set."""
    frames = measurement.first_frame + measurement.counted_frames
    common = (f"seed={measurement.seed}", f"world_seed={measurement.seed}", f"frames={frames}")
    scheduler = f'scheduler.kind="{measurement.scheme.scheduler}"'
    return resolve(load(measurement.scenario, [*common, scheduler, *measurement.overrides]))


def key_of(measurement: Measurement) -> str:
    """What a measurement is kept under: it covers the whole scenario and everything that is done in it."""
    scheme = measurement.scheme
    learned = msgspec.to_builtins(_how(scheme.learns)) if scheme.learns else {}
    played = measurement.first_frame, measurement.learning_frames, measurement.counted_frames
    facts = [VERSION, world_text(world_of(measurement)), scheme.policy, learned, *played]
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=12).hexdigest()


def _how(learns: str) -> Preset | Distillation:
    """How a scheme learns."""
    return distillation_of(TEACHER) if learns == "distilled" else preset_of(learns)


def measured(
    measurement: Measurement,
    folder: Path,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Result:
    """Make a measurement.

    Args:
        measurement: What.
        folder: For the training; goes on with what is in it, and is gone when the measurement is made.
        stopped: Asked after each frame.
    Raises: Stopped: it was asked to stop; AgentError: an extra is missing.
    """
    started_s = time.process_time()
    scenario, curve = world_of(measurement), None
    policy = measurement.scheme.policy
    learns, frames = measurement.scheme.learns, measurement.learning_frames
    if learns:
        actors = folder / "onnx"
        if learns == "distilled":
            distilled(msgspec.structs.replace(scenario, frames=frames), folder, actors, stopped)
        else:
            curve = trained(scenario, learns, frames, folder, actors, stopped)
        policy = f"{policy}:{actors}"
    rows = []
    agent = msgspec.structs.replace(scenario.agent, policy=policy)
    warm_up = LONG_MEMORY.get(learns, WARM_UP_FRAMES)
    for played in play(msgspec.structs.replace(scenario, agent=agent), first=measurement.first_frame - warm_up):
        rows.append(played.step.row)
        if stopped():
            raise Stopped
    rows = rows[warm_up:]
    shutil.rmtree(folder, ignore_errors=True)
    return Result(
        VERSION,
        {**measurement._asdict(), "scheme": measurement.scheme.name},
        float(np.mean([row.delay_s for row in rows])),
        float(np.mean([row.reward_s for row in rows])) / scenario.slots_per_frame,
        float(np.mean([row.deployed for row in rows])) / scenario.edges.count,
        curve,
        time.process_time() - started_s,
        [row.delay_s for row in rows],
    )


def trained(
    scenario: Scenario, preset: str, frames: int, folder: Path, actors: Path, stopped: Callable[[], bool]
) -> Curve:
    """Train on the first frames of a world and export; goes on where it was stopped.

    Args:
        scenario: The world.
        preset: How to learn.
        frames: How many to learn from.
        folder: Of the training.
        actors: The folder to write.
        stopped: Asked after each frame.
    Returns: How it went.
    Raises: Stopped: it was asked to stop.
    """
    from agents.ttosc.export import export

    training = Folder(folder)
    if not _begun(folder):
        training = Folder.create(folder, scenario, preset_of(preset))
    end = train(training, frames, stopped=stopped)
    if end.frames < frames:
        raise Stopped
    shutil.rmtree(actors, ignore_errors=True)
    export(training, actors)
    rows = training.rows(frames)
    return Curve(
        blocks(np.array([row.delay_s for row in rows])),
        blocks(np.array([row.reward_s for row in rows]) / scenario.slots_per_frame),
        blocks(end.popularity),
    )


def distilled(scenario: Scenario, folder: Path, actors: Path, stopped: Callable[[], bool]) -> None:
    """Distil a planner's plans for all frames of a world and export; goes on where it was stopped.

    Args:
        scenario: The world, as long as what is learned from.
        folder: Of the distillation.
        actors: The folder to write.
        stopped: Asked now and then.
    Raises: Stopped: it was asked to stop.
    """
    from agents.ttosc.student_export import export_student

    distillation = DistilledFolder(folder)
    if not _begun(folder):
        distillation = DistilledFolder.create(folder, scenario, distillation_of(TEACHER))
    end = distill(distillation, stopped=stopped)
    if end.rounds < end.wanted:
        raise Stopped
    shutil.rmtree(actors, ignore_errors=True)
    export_student(distillation, actors)


def _begun(folder: Path) -> bool:
    """Whether a training is there to go on with; one that was stopped while it was made is cleared away."""
    if (folder / TRAINING).exists():
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def blocks(values: Floats) -> list[float]:
    """Means of consecutive frames; a last block that is not full is left out."""
    whole = len(values) // BLOCK_FRAMES
    return values[: whole * BLOCK_FRAMES].reshape(whole, BLOCK_FRAMES).mean(axis=1).tolist()
