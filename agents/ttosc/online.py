"""The policy ``ttosc``: Algorithm 1 for one edge server, which learns while it decides.

It needs PyTorch, which is loaded with the first decision: who only checks a SPEC starts without.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from agents.baselines import own_edge
from agents.checkpoint import SCENARIO, TRAINING, Arrays
from agents.errors import AgentError
from agents.extras import require_torch
from agents.learned_state import Start, facts_of, keep, read_run, state_path, take_up
from agents.policy import Experience, Figures, Observation, Policy, Setting, Signal, register
from agents.ttosc.checkpoint import Folder
from agents.ttosc.presets import PRESETS, Preset
from emulator.assembly import build_network, resolve
from emulator.model.offloading import Bools
from emulator.model.world_digest import world_digest

if TYPE_CHECKING:
    from agents.ttosc.learner import Learner

DEFAULT = "marginal"

_log = logging.getLogger("agent")


class OnlineAgent:
    """One agent of TTOSC that decides, remembers and learns by itself, frame by frame."""

    observes: Literal["local"] = "local"

    def __init__(self, setting: Setting, start: Start) -> None:
        """Make an agent that learns on from a start.

        Args:
            setting: The world; with a ``state`` that is where ``save`` keeps what was learned.
            start: Where it begins.
        """
        self.signals: frozenset[Signal] = frozenset(["marginal_gains"] if start.preset.credit == "marginal" else [])
        self._edge = own_edge(setting, "ttosc")
        self._setting = setting
        self._start = start
        self._learned = start.steps  # up to which frame, counted from the beginning of all learning
        self._made: Learner | None = None
        self._loss = float("nan")

    @property
    def learner(self) -> Learner:
        """Networks, optimiser and memory; made when first needed."""
        if self._made is None:
            from agents.ttosc.learner import Learner

            setting, preset = self._setting, self._start.preset
            self._made = Learner(preset, setting.network, setting.slots_per_frame, setting.seed, [self._edge])
            if self._start.arrays is not None:
                self._take(self._start.arrays)
        return self._made

    def decide(self, observation: Observation) -> Bools:
        """The packing of greatest value, or with the probability of its age a random one.

        Source: Algorithm 1, line 5.
        """
        rows, _ = self.learner.decide(self._start.steps + observation.frame, observation.counts[None])
        return rows[0]

    def learn(self, experience: Experience) -> None:
        """Remember a frame and take one step of gradient descent.

        Source: Algorithm 1, lines 11 to 15.
        """
        from agents.tensors import copied, one_thread

        one_thread()  # what PyTorch was told counts for the thread that told it
        learner, slots = self.learner, self._setting.slots_per_frame
        frame = self._start.steps + experience.frame
        if len(experience.seen) == len(experience.seen_next) == slots:  # not before an edge server has seen a frame
            gains_s = np.zeros(experience.deployed.shape) if experience.gains_s is None else experience.gains_s
            learner.remember(
                experience.seen[None],
                experience.deployed[None],
                experience.reward.reward_s,
                gains_s[None],
                experience.seen_next[None],
            )
        loss = learner.learn(frame)
        self._loss = self._loss if math.isnan(loss) else loss
        learner.acting = copied(learner.weights)
        self._learned = frame + 1

    def figures(self) -> Figures:
        """How learning goes, as of the last frame that was learned from."""
        return Figures(self._loss, self._start.preset.epsilon_of(self._learned), self.learner.remembered)

    # -- what is kept --------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep weights, target network, optimiser, memory, and the counter that exploration and draws follow.

        Raises: AgentError: the disk does not take it.
        """
        if self._setting.state is not None:
            keep(self._setting.state, self.learner.arrays(), self._facts(), self._learned)

    def resume(self) -> None:
        """Take up what ``save`` kept earlier in this run; what another seed's episode left is not taken."""
        found = take_up(self._setting.state, self._facts())
        if found is None:
            return
        self._learned, saved = found
        self._take(saved)
        count = int(saved["replay.added"])
        _log.info("/agent/%d goes on with what it learned up to frame %d (%d frames)", self._edge, self._learned, count)

    def _take(self, arrays: Arrays) -> None:
        from agents.tensors import copied

        self.learner.restore(arrays)
        self.learner.acting = copied(self.learner.weights)

    def _facts(self) -> Arrays:
        """What a state is of."""
        setting = self._setting
        world = world_digest(setting.network, setting.slots_per_frame)
        return facts_of(self._edge, setting.seed, self._start, world)


def start_of(argument: str, setting: Setting) -> Start:
    """What stands after ``ttosc:`` in a SPEC: a preset, a folder of a training, or one of a run that learned.

    Raises: AgentError: it is none of these, or of another world.
    """
    name = argument or DEFAULT
    if name in PRESETS:
        return Start(PRESETS[name])
    path = Path(name)
    if (path / SCENARIO).exists() and (path / TRAINING).exists():
        return _of_training(Folder(path), setting)
    edge = own_edge(setting, "ttosc")
    found = read_run(path, edge, Preset)
    if found is None:
        raise AgentError(
            f"agent ttosc:{name}: is no preset ({', '.join(PRESETS)}), no folder of `edgerig train ttosc`, and no run "
            f"whose agent of edge {edge} learned ({state_path(path, edge)} is missing)"
        )
    preset, frames, world, saved = found
    _check(path, world, setting)
    return Start(preset, frames, saved)


def _of_training(folder: Folder, setting: Setting) -> Start:
    scenario = resolve(folder.scenario())
    _check(folder.path, world_digest(build_network(scenario), scenario.slots_per_frame), setting)
    saved = folder.saved()
    if saved is None:
        raise AgentError(f"{folder.path}: has no checkpoint yet; let it train longer")
    return Start(folder.preset(), saved[0], of_agent(saved[1], own_edge(setting, "ttosc")))


def _check(path: Path, world: str, setting: Setting) -> None:
    if world != world_digest(setting.network, setting.slots_per_frame):
        raise AgentError(
            f"{path}: learned in another world (servers, links, cloud, services or slots_per_frame differ); "
            "use its scenario and world_seed, or begin with a preset: ttosc:marginal"
        )


PER_AGENT = ("seen", "deployed", "gains_s", "seen_next")
"""Parts of the memory that have the agent as second axis."""


def of_agent(arrays: Arrays, row: int) -> Arrays:
    """One agent's part of what agents that were trained together go on from."""
    found: Arrays = {}
    for name, value in arrays.items():
        kind, _, part = name.partition(".")
        if kind == "replay":
            found[name] = value[:, row : row + 1] if part in PER_AGENT else value
        else:
            found[name] = value[row : row + 1] if value.ndim else value
    return found


@register("ttosc", "local")
def _ttosc(setting: Setting, argument: str) -> Policy:
    """An agent that learns on the bus."""
    require_torch()
    return OnlineAgent(setting, start_of(argument, setting))
