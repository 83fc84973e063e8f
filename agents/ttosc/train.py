"""Training TTOSC's agents in one process, frame by frame, so that it can be stopped and resumed at any frame.

A resumed training has the weights of one that was never stopped, bit for bit: what is drawn belongs to seed, agent and
frame, and everything else is in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from agents.checkpoint import CURVE
from agents.curve import Axes, draw_curve
from agents.extras import require_torch
from agents.rollout import play, scheduler_of
from agents.training import COUNTED_FRAMES, SAVE_FRAMES, Pace, Progress, refuse_untrainable
from agents.ttosc.checkpoint import Folder, LogRow
from agents.ttosc.credit import marginal_gains
from agents.ttosc.presets import Preset
from emulator.assembly import resolve
from emulator.model.offloading import Floats
from emulator.scenario import Scenario
from emulator.world import World

if TYPE_CHECKING:
    from agents.ttosc.learner import Learner


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training ended.

    Attributes:
        folder: Where it is.
        frames: Frames it learned from.
        wanted: Frames it was to learn from; more than ``frames`` if it was stopped.
        delay_s: Mean delay of the last frames, seconds per task.
        popularity_s: The same of Popularity on the same frames; nan if it was stopped.
        counted: How many frames these are.
        popularity: Delay of every frame under Popularity, seconds per task, shape (frame,); nan if it was stopped.
    """

    folder: Path
    frames: int
    wanted: int
    delay_s: float
    popularity_s: float
    counted: int
    popularity: Floats


def train(
    folder: Folder,
    frames: int,
    *,
    stopped: Callable[[], bool] = lambda: False,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Trained:
    """Train from the folder's last checkpoint, or from the start, until so many frames are learned from.

    Args:
        folder: Says what and how; gets checkpoints, log and learning curve.
        frames: Frames in all.
        stopped: Asked after each frame; true ends the training there, to be resumed.
        tell: Hears every two seconds how far it is.
    Raises: AgentError: PyTorch is missing, or this world cannot be trained in.
    """
    require_torch()
    scenario = resolve(msgspec.structs.replace(folder.scenario(), frames=frames))
    refuse_untrainable(scenario)
    preset = folder.preset()
    world = World(scenario)
    from agents.ttosc.learner import Learner

    learner = Learner(preset, world.network, scenario.slots_per_frame, scenario.seed)
    first = _resumed(folder, learner, world)
    rows = folder.rows(first)
    done = _frames(folder, rows, learner, world, preset, (first, frames), stopped, tell)
    delays = np.array([row.delay_s for row in rows])
    counted = min(COUNTED_FRAMES, done)
    popularity = np.full(done, np.nan)
    if done == frames and done:
        popularity = popularity_delays(scenario)
    if done:
        title = f"{scenario.name}, {preset.name}, seed {scenario.seed}"
        axes = Axes(title, "frame", "mean delay, s per task", SAVE_FRAMES, from_zero=True)
        draw_curve(folder.path / CURVE, delays, {"Popularity, the same frames": popularity}, axes)
    late = delays[done - counted :].mean() if counted else np.nan
    beside = popularity[done - counted :].mean() if counted else np.nan
    return Trained(folder.path, done, frames, float(late), float(beside), counted, popularity)


def popularity_delays(scenario: Scenario) -> Floats:
    """Delay of every frame under the paper's Popularity, seconds per task, shape (frame,)."""
    agent = msgspec.structs.replace(scenario.agent, policy="popularity")
    same = msgspec.structs.replace(scenario, agent=agent)
    return np.array([played.step.row.delay_s for played in play(same)])


def _resumed(folder: Folder, learner: Learner, world: World) -> int:
    """Bring agents and world to the last checkpoint; returns the frame that comes next."""
    saved = folder.saved()
    if saved is None:
        return 0
    frame, arrays = saved
    learner.restore(arrays)
    world.go_to(frame)
    return frame


def _frames(
    folder: Folder,
    rows: list[LogRow],
    learner: Learner,
    world: World,
    preset: Preset,
    span: tuple[int, int],
    stopped: Callable[[], bool],
    tell: Callable[[Progress], None],
) -> int:
    """Learn frame by frame, saving now and then and at the end; returns how many frames are learned from."""
    first, end = span
    schedule = scheduler_of(world.scenario)
    pace = Pace(first, end, tell)
    done = first
    for frame in range(first, end):
        if stopped():
            break
        seen = world.counts
        deployed, explored = learner.decide(frame, seen)
        row = world.step_frame(deployed, schedule).row
        gains_s = np.zeros(deployed.shape)
        if preset.credit == "marginal":
            gains_s = marginal_gains(world.network, world.counts, deployed)
        if frame:  # before the first frame nothing was seen
            learner.remember(seen, deployed, row.reward_s, gains_s, world.counts)
        loss = learner.learn(frame)
        rates = preset.epsilon_of(frame), preset.learning_rate_of(frame)
        rows.append(LogRow(frame, row.delay_s, row.reward_s, *rates, loss, explored, row.deployed))
        done = frame + 1
        if done % SAVE_FRAMES == 0 and done < end:
            folder.log(rows)
            folder.save(done, learner.arrays())
        pace.after(done, lambda: float(np.mean([late.delay_s for late in rows[-SAVE_FRAMES:]])))
    folder.log(rows)
    folder.save(done, learner.arrays())
    return done
