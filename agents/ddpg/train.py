"""Training the learned scheduler in one process, frame by frame; it can be stopped and resumed at any frame.

Frames are played in several worlds in turn (services, popularity and arrivals drawn anew), under deployments of
several policies, so that the actor learns to schedule and not one network's deployments by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from agents.checkpoint import CURVE
from agents.curve import Axes, draw_curve
from agents.ddpg.folder import Folder, LogRow
from agents.extras import require_torch
from agents.rollout import Team, scheduler_of
from agents.schedulers import Nearest
from agents.training import COUNTED_FRAMES, SAVE_FRAMES, Pace, Progress, refuse_untrainable
from emulator.assembly import resolve
from emulator.model.offloading import Floats, FrameCosts
from emulator.model.scheduling import schedule_cost
from emulator.model.streams import Stream
from emulator.scenario import Scenario
from emulator.world import Schedule, World

if TYPE_CHECKING:
    from agents.ddpg.learner import Learner

DEPLOYERS: Final = (("popularity", 0.4), ("local-search:last", 0.4), ("random", 0.2))
"""Who deploys in a frame of the training, and how often: the paper's rule, near the best, and anything that fits."""


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training ended.

    Attributes:
        folder: Where it is.
        frames: Frames it learned from.
        wanted: Frames it was to learn from; more than ``frames`` if it was stopped.
        over_exact: Delay of the actor in the last frames, as a multiple of the least there is.
        nearest_over_exact: The same of the rule ``nearest``.
        counted: How many frames these are.
    """

    folder: Path
    frames: int
    wanted: int
    over_exact: float
    nearest_over_exact: float
    counted: int


class _Place:
    """One world of a training, and who may deploy in it."""

    def __init__(self, scenario: Scenario, index: int) -> None:
        seed, world_seed = scenario.seed + index, scenario.world_seed + index
        self.scenario = msgspec.structs.replace(scenario, seed=seed, world_seed=world_seed)
        self.world = World(self.scenario)
        self._teams = [Team(self._by(policy), self.world) for policy, _ in DEPLOYERS]

    def _by(self, policy: str) -> Scenario:
        agent = msgspec.structs.replace(self.scenario.agent, policy=policy)
        return msgspec.structs.replace(self.scenario, agent=agent)

    def deploy(self, uniform: float) -> None:
        """Put a deployment in force for the frame that comes; ``uniform`` draws whose."""
        ends = np.cumsum([part for _, part in DEPLOYERS])
        team = self._teams[min(int(np.searchsorted(ends, uniform, side="right")), len(ends) - 1)]
        deployed, _ = team.decide(self.world.frame, self.world.counts)
        self.world.deploy(deployed)


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
    places = [_Place(scenario, index) for index in range(preset.worlds)]
    from agents.ddpg.learner import Learner

    learner = Learner(preset, scenario.edges.count, scenario.seed)
    saved = folder.saved()
    first = 0
    if saved is not None:
        first, arrays = saved
        learner.restore(arrays)
        for index, place in enumerate(places):
            place.world.go_to((first - index + len(places) - 1) // len(places))
    rows = folder.rows(first)
    done = _frames(folder, rows, learner, places, (first, frames), stopped, tell)
    actor, exact, nearest = (
        np.array([getattr(row, name) for row in rows]) for name in ("actor_s", "exact_s", "nearest_s")
    )
    counted = min(COUNTED_FRAMES, done)
    if done:
        title = f"{scenario.name}, ddpg, seed {scenario.seed}, {preset.worlds} worlds"
        axes = Axes(title, "frame", "delay / that of the exact scheduler", SAVE_FRAMES, from_zero=False)
        draw_curve(folder.path / CURVE, actor / exact, {"nearest, the same slots": nearest / exact}, axes)
    late = slice(done - counted, done)
    least = exact[late].sum() if counted else np.nan
    return Trained(
        folder.path, done, frames, float(actor[late].sum() / least), float(nearest[late].sum() / least), counted
    )


def _frames(
    folder: Folder,
    rows: list[LogRow],
    learner: Learner,
    places: list[_Place],
    span: tuple[int, int],
    stopped: Callable[[], bool],
    tell: Callable[[Progress], None],
) -> int:
    """Learn frame by frame, saving now and then and at the end; returns how many frames are learned from."""
    first, end = span
    pace = Pace(first, end, tell)
    scenario = places[0].scenario
    draws = Stream(scenario.seed, "/scheduler", "deployments", draws=1)
    exact = scheduler_of(scenario)
    done = first
    for frame in range(first, end):
        if stopped():
            break
        place = places[frame % len(places)]
        place.deploy(float(draws.uniforms(frame)[0, 0]))
        rows.append(_frame(frame, learner, place, exact))
        done = frame + 1
        if done % SAVE_FRAMES == 0 and done < end:
            folder.log(rows)
            folder.save(done, learner.arrays())
        pace.after(done, lambda: float(np.mean([late.actor_s for late in rows[-SAVE_FRAMES:]])))
    folder.log(rows)
    folder.save(done, learner.arrays())
    return done


def _frame(frame: int, learner: Learner, place: _Place, exact: Schedule) -> LogRow:
    """Play a frame, learn from each of its slots, and score the actor beside others on the same slots."""
    world = place.world
    slots_per_frame = place.scenario.slots_per_frame
    nearest = Nearest().schedule
    beside_s = np.zeros(3)
    total, loss = 0.0, float("nan")
    steps = []
    for slot in range(frame * slots_per_frame, (frame + 1) * slots_per_frame):

        def tried(tasks: Floats, costs: FrameCosts, slot: int = slot) -> Floats:
            return learner.explore(slot, tasks, costs)

        step = world.step_slot(tried)
        steps.append(step)
        tasks, costs = step.tasks, world.costs
        for k, schedule in enumerate((learner.schedule, exact, nearest)):
            beside_s[k] += schedule_cost(tasks[:, None] * schedule(tasks, costs), costs).sum()
        total += float(tasks.sum())
        learner.remember(costs, tasks, step.split, step.ends.cost_s)
        loss = learner.learn(slot).critic
    row = world.close_frame(steps).row
    actor_s, exact_s, nearest_s = (beside_s / max(total, 1.0)).tolist()
    seed = place.scenario.world_seed
    return LogRow(frame, seed, row.deployed, row.delay_s, actor_s, exact_s, nearest_s, loss)
