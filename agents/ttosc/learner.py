"""TTOSC's agents in one process: they decide, remember and learn together, each on its own network.

Source: TTOSC Algorithm 1; what the presets change about it is said there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from agents.checkpoint import Arrays
from agents.policy import first_fit
from agents.tensors import copied, kept, one_thread, restore
from agents.ttosc.knapsack import best_packing, packing_of
from agents.ttosc.networks import Shape, Weights, action_values, drawn_weights, scaled_input, service_values
from agents.ttosc.presets import Preset
from agents.ttosc.replay import Replay, Trajectory
from emulator.model.offloading import Bools, Floats, Network
from emulator.model.streams import Stream


class Learner:
    """The agents of some edge servers: networks, target networks, optimiser and memory."""

    def __init__(
        self, preset: Preset, network: Network, slots_per_frame: int, seed: int, agents: Sequence[int] | None = None
    ) -> None:
        """Begin with random weights.

        Args:
            preset: How they learn.
            network: The world.
            slots_per_frame: K.
            seed: Draws weights, exploration and batches, each agent by streams of its own.
            agents: The edge servers whose agents these are; one agent for each edge server if left out.
        """
        one_thread()
        self._preset = preset
        self._network = network
        self._packing = packing_of(network.service_bytes, network.storage_bytes)
        self._agents = list(range(network.edges) if agents is None else agents)
        self._explore = [Stream(seed, f"/agent/{m}", "exploration", draws=network.services + 1) for m in self._agents]
        self.shape = Shape(network.services, preset.hidden, preset.layers)
        self.weights = {
            name: tensor.requires_grad_() for name, tensor in drawn_weights(self.shape, self._agents, seed).items()
        }
        self.acting = self.weights
        """What decisions are made by; whoever decides while these agents learn puts a copy here."""
        self._target = copied(self.weights)
        self._optimiser = torch.optim.Adam(self.weights.values(), lr=preset.learning_rate)
        self._replay = Replay(preset.buffer, self._agents, slots_per_frame, network.services, seed)

    def decide(self, frame: int, counts: Floats) -> tuple[Bools, int]:
        """Deployments of all edge servers for a frame, and how many were drawn at random.

        Args:
            frame: The frame.
            counts: Tasks of the frame before, shape (agent, slot, service); no slots where nothing is known.
        Returns: Shape (agent, service); the number of agents that explored.
        Source: Algorithm 1, line 5.
        """
        epsilon = self._preset.epsilon_of(frame)
        deployed = None if not counts.shape[1] else self.best(counts[:, None], self.acting)[:, 0]
        explored = 0
        rows = []
        for row, (agent, stream) in enumerate(zip(self._agents, self._explore, strict=True)):
            generator = stream.generator(frame)
            if deployed is not None and generator.random() >= epsilon:
                rows.append(deployed[row])
                continue
            rows.append(first_fit(generator.permutation(self._network.services), self._network, agent))
            explored += 1
        return np.stack(rows), explored

    def best(self, counts: NDArray[np.floating], weights: Weights | None = None) -> Bools:
        """The deployments of greatest value.

        Args:
            counts: Tasks of a frame, shape (agent, batch, slot, service).
            weights: Whose values; those that learn if left out.
        Returns: Shape (agent, batch, service).
        Source: TTOSC P5.
        """
        with torch.no_grad():
            values = service_values(weights or self.weights, self._preset.layers, self._scaled(counts)).numpy()
        return self._packed(values)

    def remember(self, seen: Floats, deployed: Bools, reward_s: float, gains_s: Floats, seen_next: Floats) -> None:
        """Keep a frame; see ``Trajectory``. The gains of what was not deployed are not read."""
        self._replay.add(seen, deployed, reward_s, gains_s, seen_next)

    @property
    def remembered(self) -> int:
        """Frames in the memory."""
        return len(self._replay)

    def learn(self, frame: int) -> float:
        """One step of gradient descent of all agents, if enough is remembered.

        Returns: The loss, mean over agents; nan if there was no step.
        Source: Algorithm 1, lines 12 to 15.
        """
        loss = float("nan")
        if len(self._replay) >= self._preset.batch:
            batch = self._replay.drawn(frame, self._preset.batch)
            values = service_values(self.weights, self._preset.layers, self._scaled(batch.seen))
            losses = self._losses(values, batch)
            for group in self._optimiser.param_groups:
                group["lr"] = self._preset.learning_rate_of(frame)
            self._optimiser.zero_grad()
            losses.sum().backward()
            self._optimiser.step()
            loss = float(losses.detach().mean())
        if (frame + 1) % self._preset.target_frames == 0:
            self._target = copied(self.weights)
        return loss

    def _losses(self, values: torch.Tensor, batch: Trajectory) -> torch.Tensor:
        """Mean squared error of each agent, shape (agent,)."""
        deployed = torch.from_numpy(batch.deployed.astype(np.float32))
        if self._preset.credit == "marginal":
            wrong = (values - torch.from_numpy(batch.gains_s)) * deployed
            return (wrong * wrong).sum(dim=-1).mean(dim=-1)
        wanted = torch.from_numpy(batch.reward_s)
        if self._preset.gamma > 0.0:
            wanted = wanted + self._preset.gamma * self._next_value(batch.seen_next)
        wrong = action_values(values, deployed) - wanted
        return (wrong * wrong).mean(dim=-1)

    def _next_value(self, seen_next: NDArray[np.float32]) -> torch.Tensor:
        """Double Q-learning: the weights choose the next deployment, the target network says what it is worth."""
        chosen = torch.from_numpy(self.best(seen_next).astype(np.float32))
        with torch.no_grad():
            values = service_values(self._target, self._preset.layers, self._scaled(seen_next))
        return action_values(values, chosen)

    def _packed(self, values: NDArray[np.float32]) -> Bools:
        agents, batch, services = values.shape
        rows = np.repeat(np.array(self._agents), batch)
        packed = best_packing(values.reshape(-1, services).astype(np.float64), self._packing, rows)
        return packed.reshape(agents, batch, services)

    def _scaled(self, counts: NDArray[np.floating]) -> torch.Tensor:
        return scaled_input(counts, self._preset.count_unit)

    def arrays(self) -> Arrays:
        """Everything that learning goes on from, for a checkpoint."""
        return {**kept(self.weights, self._target, self._optimiser), **self._replay.arrays()}

    def restore(self, arrays: Arrays) -> None:
        """Take back what ``arrays`` gave."""
        restore(arrays, self.weights, self._target, self._optimiser)
        self._replay.restore(arrays)
