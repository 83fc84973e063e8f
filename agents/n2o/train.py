"""Training in the rental world, episode by episode, so that it can be stopped and resumed after any episode.

A resumed training has the weights of one that was never stopped, bit for bit: what is drawn belongs to seed, step and
episode, and everything else is in the checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agents.checkpoint import CURVE
from agents.curve import Axes, draw_curve
from agents.errors import AgentError
from agents.extras import require_torch
from agents.n2o.checkpoint import Folder, LogRow
from agents.n2o.copies import Copies, Played
from agents.n2o.judge import JUDGES, judged
from agents.n2o.layout import Layout
from agents.n2o.replay import Slots
from agents.n2o.worlds import copies_to_judge, copies_to_train

if TYPE_CHECKING:
    from agents.n2o.learner import Learner

SAVE_S = 20.0
TELL_S = 2.0
WINDOW = 50
"""Episodes of the smoothed learning curve and of the progress shown."""


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training ended.

    Attributes:
        folder: Where it is.
        steps: Steps it learned from.
        wanted: Steps it was to learn from; more than ``steps`` if it was stopped.
        reward: Of an episode of what was learned, without exploration, on worlds of the evaluation; None if stopped.
    """

    folder: Path
    steps: int
    wanted: int
    reward: Played | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is: steps done, of how many, mean episode reward of late, seconds left."""

    steps: int
    wanted: int
    reward: float
    left_s: float


def train(
    folder: Folder,
    *,
    stopped: Callable[[], bool] = lambda: False,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Trained:
    """Train in the folder's scenario, from its last checkpoint or from the start, then judge what was learned.

    Args:
        folder: Says what and how; gets checkpoints, log and learning curve.
        stopped: Asked after each episode; true ends the training there, to be resumed.
        tell: Hears every two seconds how far it is.
    Raises: AgentError: PyTorch is missing, or this world cannot be trained in.
    """
    require_torch()
    scenario, preset = folder.scenario(), folder.preset()
    if scenario.agent.lost:
        raise AgentError(f"{scenario.name}: agent.lost: in training every agent is heard; leave it out")
    world = copies_to_train(scenario, preset.copies)
    from agents.n2o.joint import learner_of

    layout = world.layout
    learner = learner_of(preset, layout, scenario.seed)
    done = learn(folder, learner, world, layout, stopped=stopped, tell=tell)
    if done < preset.steps:
        return Trained(folder.path, done, preset.steps, None)
    judges = copies_to_judge(scenario, JUDGES)
    reward = judged(judges, lambda seen: learner.greedy(layout.scaled(seen)))
    return Trained(folder.path, done, preset.steps, reward)


def learn(
    folder: Folder,
    learner: Learner,
    world: Copies,
    layout: Layout,
    *,
    stopped: Callable[[], bool] = lambda: False,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> int:
    """Learn from the folder's last checkpoint, or from the start, until all steps of its preset are done.

    Args:
        folder: As ``train``.
        learner: Begins as its seed says; brought to the last checkpoint here.
        world: What it plays in.
        layout: Scales.
        stopped: As ``train``.
        tell: As ``train``.
    Returns: Steps that are learned from.
    """
    preset = folder.preset()
    done = 0
    saved = folder.saved()
    if saved is not None:
        done, arrays = saved
        learner.restore(arrays)
    rows = folder.rows(-(-done // world.episode_slots))
    started_s = told_s = saved_s = time.monotonic()
    first = done
    while done < preset.steps and not stopped():
        episode = done // world.episode_slots
        end = min(done + world.episode_slots, preset.steps)
        rows.append(play_episode(learner, world, layout, episode, (done, end)))
        done = end
        now_s = time.monotonic()
        if now_s - saved_s >= SAVE_S and done < preset.steps:
            saved_s = now_s
            folder.log(rows)
            folder.save(done, learner.arrays())
        if now_s - told_s >= TELL_S:
            told_s = now_s
            left_s = (now_s - started_s) / (done - first) * (preset.steps - done)
            tell(Progress(done, preset.steps, float(np.mean([row.reward for row in rows[-WINDOW:]])), left_s))
    folder.log(rows)
    folder.save(done, learner.arrays())
    if rows:
        title = f"{folder.scenario().name}, {preset.method}"
        axes = Axes(title, "episode", "reward of an episode, exploration included", WINDOW, from_zero=False)
        draw_curve(folder.path / CURVE, np.array([row.reward for row in rows]), {}, axes)
    return done


def play_episode(learner: Learner, world: Copies, layout: Layout, episode: int, span: tuple[int, int]) -> LogRow:
    """Play and learn one episode in every copy.

    Args:
        learner: Decides, remembers and learns.
        world: The copies.
        layout: Scales.
        episode: Its number.
        span: Its first step and the one after its last.
    """
    seen = layout.scaled(world.begin(episode))
    total, losses = 0.0, []
    for step in range(*span):
        rented = learner.decide(step, seen)
        rewards, after = world.step(rented)
        following = layout.scaled(after)
        ended = np.full(world.copies, step + 1 == span[1])
        learner.remember(Slots(seen, rented, rewards.astype(np.float32), following, ended))
        losses.append(learner.learn(step))
        total += float(rewards.sum()) / world.copies
        seen = following
    epsilon, rate = learner.preset.epsilon_of(span[0]), learner.preset.learning_rate_of(span[0])
    return LogRow(episode, span[1], total, epsilon, rate, float(np.mean(losses)))
