"""DDPG over the schedules of single services: an actor that answers with shares, a critic that learns their delay.

Source: Lillicrap et al. (2016), the algorithm that TTOSC's section V.A names as a baseline; what is ours is said at the
networks and presets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from agents.checkpoint import Arrays
from agents.ddpg.features import Pairs, Singles, instances_of, load_unit, pairs_of, unit_seconds
from agents.ddpg.networks import (
    action_values,
    actor_shape,
    critic_shape,
    drawn_weights,
    pair_values,
    shares_of,
)
from agents.ddpg.presets import Preset
from agents.ddpg.replay import Replay, Tried
from agents.ddpg.shares import split_by
from agents.tensors import Weights, kept, one_thread, restore
from emulator.model.offloading import Floats, FrameCosts
from emulator.model.streams import Stream

LEAST_DRAW = 1e-9
"""So that no row of random shares is 0 everywhere."""

DRAWS_PER_SLOT = 1 << 22
"""Uniforms that exploration owns in a slot: more than the normals of any world that can be trained in."""

SPARSENESS = 0.5
"""Concentration of random shares (Dirichlet): mostly few targets, since the best shares are."""


class Tensors(NamedTuple):
    """``Pairs`` for PyTorch, float32."""

    figures: torch.Tensor
    allowed: torch.Tensor
    weight: torch.Tensor


class Losses(NamedTuple):
    """What a step found: the critic's squared error, and the delay it expects of the actor, in units."""

    critic: float
    actor: float


class Learner:
    """Actor, critic, their optimisers and the memory."""

    def __init__(self, preset: Preset, edges: int, seed: int) -> None:
        """Begin with random weights.

        Args:
            preset: How it learns.
            edges: M of the worlds of the training.
            seed: Draws weights, exploration and batches.
        """
        one_thread()
        self._preset = preset
        self.actor = drawn_weights(actor_shape(preset.hidden, preset.layers), "/scheduler/actor", seed)
        self.critic = drawn_weights(critic_shape(preset.hidden, preset.layers), "/scheduler/critic", seed)
        self._actor_steps = torch.optim.Adam(self.actor.values(), lr=preset.actor_rate)
        self._critic_steps = torch.optim.Adam(self.critic.values(), lr=preset.critic_rate)
        self._explore = Stream(seed, "/scheduler", "exploration", draws=DRAWS_PER_SLOT)
        self._replay = Replay(preset.buffer, edges, seed)

    def schedule(self, tasks: Floats, costs: FrameCosts) -> Floats:
        """What the actor answers, without exploration; arguments and answer as of ``agents.schedulers.Scheduler``."""

        def best(pairs: Pairs) -> Singles:
            seen = _tensors(pairs)
            with torch.no_grad():
                return shares_of(self._logits(seen), seen.allowed).numpy()

        return split_by(best, tasks, costs)

    def explore(self, slot: int, tasks: Floats, costs: FrameCosts) -> Floats:
        """What is tried in a slot of the training: the actor's logits with noise, or random shares."""
        generator = self._explore.generator(slot)

        def tried(pairs: Pairs) -> Singles:
            seen = _tensors(pairs)
            noise = generator.standard_normal(pairs.allowed.shape, dtype=np.float32)
            with torch.no_grad():
                logits = self._logits(seen) + torch.from_numpy(noise * np.float32(self._preset.noise_of(slot)))
                shares = shares_of(logits, seen.allowed).numpy()
            drawn = (generator.standard_gamma(SPARSENESS, shares.shape) + LEAST_DRAW) * pairs.allowed
            at_random = generator.random(len(shares)) < self._preset.random_share_of(slot)
            drawn /= drawn.sum(axis=2, keepdims=True)
            return np.where(at_random[:, None, None], drawn, shares).astype(np.float32)

        return split_by(tried, tasks, costs)

    def _logits(self, seen: Tensors) -> torch.Tensor:
        return pair_values(self.actor, self._preset.layers, seen.figures, seen.allowed, seen.weight)

    def remember(self, costs: FrameCosts, tasks: Floats, split: Floats, cost_s: Floats) -> None:
        """Keep what a slot's schedule came to, service by service; services without tasks say nothing.

        Args:
            costs: Seconds per task of the deployment.
            tasks: [N_m^j] shape (edge, service).
            split: [p_mn^j] shape (edge from, target, service).
            cost_s: Task-seconds of each cell and service, as the edge servers tell it, shape (edge, service).
        """
        total = tasks.sum(axis=0)
        asked = np.flatnonzero(total > 0.0)
        instances = instances_of(tasks, costs, asked)
        shares = split.transpose(2, 0, 1)[asked]
        self._replay.add(Tried(instances, shares, cost_s.sum(axis=0)[asked] / total[asked]))

    def learn(self, slot: int) -> Losses:
        """The updates of a slot, if enough is remembered."""
        found = Losses(float("nan"), float("nan"))
        if len(self._replay) >= self._preset.batch:
            rate = self._preset.rate_of(slot)
            for steps, most in (
                (self._actor_steps, self._preset.actor_rate),
                (self._critic_steps, self._preset.critic_rate),
            ):
                for group in steps.param_groups:
                    group["lr"] = most * rate
            for step in range(slot * self._preset.updates, (slot + 1) * self._preset.updates):
                found = self._step(step, blind=slot < self._preset.blind_slots)
        return found

    def _step(self, step: int, *, blind: bool) -> Losses:
        """One step of the critic towards what was measured, and one of the actor up the critic's slope."""
        tried = self._replay.drawn(step, self._preset.batch)
        instances = tried.instances
        seen = _tensors(pairs_of(instances))
        unit_s = unit_seconds(instances)
        load = torch.from_numpy(load_unit(instances))
        layers = self._preset.layers

        def value_of(shares: torch.Tensor) -> torch.Tensor:
            return action_values(self.critic, layers, *seen, shares, load)

        wanted = torch.from_numpy((-tried.delay_s / unit_s).astype(np.float32))
        wrong = value_of(torch.from_numpy(tried.shares.astype(np.float32))) - wanted
        critic_loss = (wrong * wrong).mean()
        self._critic_steps.zero_grad()
        critic_loss.backward()
        self._critic_steps.step()
        if blind:
            return Losses(float(critic_loss.detach()), float("nan"))
        # A slot's delay is the sum over its services by their tasks; seconds, not units, are what counts.
        matters = instances.tasks.sum(axis=1) * unit_s
        weights = torch.from_numpy((matters / matters.sum()).astype(np.float32))
        shares = shares_of(self._logits(seen), seen.allowed)
        actor_loss = -(value_of(shares) * weights).sum()
        self._actor_steps.zero_grad()
        actor_loss.backward()
        self._actor_steps.step()
        return Losses(float(critic_loss.detach()), float(actor_loss.detach()))

    def arrays(self) -> Arrays:
        """Everything that learning goes on from, for a checkpoint."""
        found = self._replay.arrays()
        for who, weights, steps in self._networks():
            found |= {f"{who}.{name}": array for name, array in kept(weights, {}, steps).items()}
        return found

    def restore(self, arrays: Arrays) -> None:
        """Take back what ``arrays`` gave."""
        for who, weights, steps in self._networks():
            mark = f"{who}."
            own = {name.removeprefix(mark): array for name, array in arrays.items() if name.startswith(mark)}
            restore(own, weights, {}, steps)
        self._replay.restore(arrays)

    def _networks(self) -> tuple[tuple[str, Weights, torch.optim.Optimizer], ...]:
        return (("actor", self.actor, self._actor_steps), ("critic", self.critic, self._critic_steps))


def _tensors(pairs: Pairs) -> Tensors:
    return Tensors(*(torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in pairs))
