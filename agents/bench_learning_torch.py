"""The rows of `edgerig bench learning` that need PyTorch: batched networks of all agents beside five stock modules."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from agents.rollout import scheduler_of
from agents.tensors import one_thread
from agents.ttosc.credit import marginal_gains
from agents.ttosc.knapsack import best_packing, packing_of
from agents.ttosc.learner import Learner
from agents.ttosc.presets import Preset, preset_of
from emulator.model.offloading import Bools, Floats
from emulator.scenario import Scenario
from emulator.world import World


class Stock:
    """Five agents as PyTorch's own modules, one after the other: what is replaced by batched networks."""

    def __init__(self, world: World, preset: Preset, seed: int) -> None:
        one_thread()
        torch.manual_seed(seed)
        network = world.network
        self._preset = preset
        self._packing = packing_of(network.service_bytes, network.storage_bytes)
        self._agents, self._targets = (
            [_Network(network.services, preset.hidden, preset.layers) for _ in range(network.edges)] for _ in range(2)
        )
        self._steps = [torch.optim.Adam(agent.parameters(), lr=preset.learning_rate) for agent in self._agents]

    def decide(self, counts: Floats) -> list[Bools]:
        """Deployments of all edge servers; counts of shape (agent, slot, service)."""
        with torch.no_grad():
            return [self._packed(m, agent(_tensor(counts[m][None]))) for m, agent in enumerate(self._agents)]

    def update(self, batch: Batch) -> None:
        """The gradient step of the preset ``literal``: double Q-learning on the reward that all share."""
        for m, (agent, target, steps) in enumerate(zip(self._agents, self._targets, self._steps, strict=True)):
            values = (agent(_tensor(batch.seen[m])) * _tensor(batch.deployed[m])).sum(dim=-1)
            with torch.no_grad():
                following = _tensor(batch.seen_next[m])
                chosen = _tensor(self._packed(m, agent(following)))
                wanted = _tensor(batch.reward_s[m]) + self._preset.gamma * (target(following) * chosen).sum(dim=-1)
            loss = torch.nn.functional.mse_loss(values, wanted)
            steps.zero_grad()
            loss.backward()
            steps.step()

    def _packed(self, edge: int, values: torch.Tensor) -> Bools:
        rows = np.full(len(values), edge)
        return best_packing(values.numpy().astype(np.float64), self._packing, rows)


class Batch(NamedTuple):
    """Made-up trajectories, shape (agent, batch, ...)."""

    seen: Floats
    seen_next: Floats
    deployed: Floats
    reward_s: Floats


class _Network:
    def __init__(self, services: int, hidden: int, layers: int) -> None:
        self._gru = torch.nn.GRU(services, hidden, layers, batch_first=True)
        self._output = torch.nn.Linear(hidden, services)

    def __call__(self, sequence: torch.Tensor) -> torch.Tensor:
        return self._output(self._gru(sequence)[0][:, -1])

    def parameters(self) -> list[torch.Tensor]:
        return [*self._gru.parameters(), *self._output.parameters()]


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))


def decisions(world: World, slots_per_frame: int, seed: int) -> dict[str, Callable[[Floats], object]]:
    """Five agents' deployments by the training's networks, and by stock modules."""
    preset = preset_of("literal")
    learner, stock = Learner(preset, world.network, slots_per_frame, seed), Stock(world, preset, seed)
    return {"decision_torch_ms": lambda counts: learner.best(counts[:, None]), "decision_stock_ms": stock.decide}


def trainings(scenario: Scenario, frames: int) -> dict[str, float]:
    """Median milliseconds of a frame of ``literal`` and ``marginal``, and of the former's step beside stock modules."""
    found: dict[str, float] = {}
    for name in ("literal", "marginal"):
        found[f"frame_{name}_ms"], update_ms = _training(scenario, preset_of(name), frames)
        if name == "literal":
            found["update_literal_ms"] = update_ms
    preset, world = preset_of("literal"), World(scenario)
    stock, rng = Stock(world, preset, scenario.seed), np.random.default_rng(scenario.seed)
    agents, services = world.network.edges, world.network.services
    shape = (agents, preset.batch, scenario.slots_per_frame, services)
    batch = Batch(
        rng.poisson(0.4, shape).astype(np.float64),
        rng.poisson(0.4, shape).astype(np.float64),
        (rng.random((agents, preset.batch, services)) < 0.3).astype(np.float64),
        rng.random((agents, preset.batch)) * 50.0,
    )
    taken = []
    for _ in range(frames + 1):
        start = time.thread_time_ns()
        stock.update(batch)
        taken.append(time.thread_time_ns() - start)
    return {**found, "update_stock_ms": float(np.median(taken[1:])) * 1e-6}


def _training(scenario: Scenario, preset: Preset, frames: int) -> tuple[float, float]:
    """Milliseconds of a whole frame, and of its gradient step, once a batch is remembered."""
    world, schedule = World(scenario), scheduler_of(scenario)
    learner = Learner(preset, world.network, scenario.slots_per_frame, scenario.seed)
    whole, steps = [], []
    for frame in range(preset.batch + 1 + frames):
        start = time.thread_time_ns()
        seen = world.counts
        deployed, _ = learner.decide(frame, seen)
        row = world.step_frame(deployed, schedule).row
        gains_s = np.zeros(deployed.shape)
        if preset.credit == "marginal":
            gains_s = marginal_gains(world.network, world.counts, deployed)
        if frame:
            learner.remember(seen, deployed, row.reward_s, gains_s, world.counts)
        before_step = time.thread_time_ns()
        learner.learn(frame)
        end = time.thread_time_ns()
        if frame > preset.batch:
            whole.append(end - start)
            steps.append(end - before_step)
    return float(np.median(whole)) * 1e-6, float(np.median(steps)) * 1e-6
