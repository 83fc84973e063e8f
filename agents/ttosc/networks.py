"""The value networks of TTOSC's agents: GRU layers over a frame's slots, and the two-layer output of eq. (14).

The networks of all agents are one set of tensors with the agent as first axis, so that one step trains them all.
Nothing is shared between agents: each row is a network of its own.

Source: TTOSC section IV.C, Fig. 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from emulator.model.streams import Stream

Weights = dict[str, torch.Tensor]
"""Tensors by name; the names, the order of gates (reset, update, new) and the shapes behind the agent are PyTorch's."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a network is: services J at both ends, hidden width H, GRU layers."""

    services: int
    hidden: int
    layers: int

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor of one agent."""
        gates = 3 * self.hidden
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.layers):
            below = self.services if layer == 0 else self.hidden
            shapes[f"weight_ih_l{layer}"] = (gates, below)
            shapes[f"weight_hh_l{layer}"] = (gates, self.hidden)
            shapes[f"bias_ih_l{layer}"] = (gates,)
            shapes[f"bias_hh_l{layer}"] = (gates,)
        return {**shapes, "output.weight": (self.services, self.hidden), "output.bias": (self.services,)}


def drawn_weights(shape: Shape, agents: list[int], seed: int) -> Weights:
    """Random weights, uniform within 1 / sqrt(H) as PyTorch draws them, but each agent's from a stream of its own.

    Args:
        shape: How large.
        agents: Edge servers whose networks they are.
        seed: The training's seed.
    Returns: float32 tensors, shape (agent, ...).
    Source: Algorithm 1, line 2; the law is PyTorch's.
    """
    sizes = {name: int(np.prod(dimensions)) for name, dimensions in shape.tensors().items()}
    bound = 1.0 / np.sqrt(shape.hidden)
    rows = []
    for agent in agents:
        stream = Stream(seed, f"/agent/{agent}", "weights", draws=sum(sizes.values()))
        rows.append((2.0 * stream.uniforms(0)[0] - 1.0) * bound)
    everything = np.stack(rows).astype(np.float32)
    ends = np.cumsum(list(sizes.values()))[:-1]
    parts = np.split(everything, ends, axis=1)
    return {
        name: torch.from_numpy(np.ascontiguousarray(part).reshape(len(agents), *dimensions))
        for (name, dimensions), part in zip(shape.tensors().items(), parts, strict=True)
    }


def service_values(weights: Weights, layers: int, scaled: torch.Tensor) -> torch.Tensor:
    """The partial state-action value of each service.

    Args:
        weights: Tensors of shape (agent, ...).
        layers: GRU layers.
        scaled: Tasks of a frame in the network's unit, shape (agent, batch, slot, service).
    Returns: [O_j] shape (agent, batch, service).
    Source: TTOSC section IV.C, the first layer of the two-layer output; it reads the GRU's state after the last slot.
    """
    sequence = scaled
    for layer in range(layers):
        sequence = _gru(weights, layer, sequence, keep=layer < layers - 1)
    return torch.baddbmm(weights["output.bias"][:, None], sequence[:, :, -1], weights["output.weight"].transpose(1, 2))


def action_values(values: torch.Tensor, deployed: torch.Tensor) -> torch.Tensor:
    """The state-action value of deployments.

    Args:
        values: [O_j] shape (agent, batch, service).
        deployed: [d_j] 0 or 1, the same shape.
    Returns: [Q] shape (agent, batch).
    Source: TTOSC eq. (14).
    """
    return (values * deployed).sum(dim=-1)


def _gru(weights: Weights, layer: int, sequence: torch.Tensor, *, keep: bool) -> torch.Tensor:
    """One GRU layer; states after all slots, or after the last only, shape (agent, batch, slot, hidden)."""
    agents, batch, slots, width = sequence.shape
    above = weights[f"weight_hh_l{layer}"].transpose(1, 2)
    bias = weights[f"bias_hh_l{layer}"][:, None]
    entering = torch.baddbmm(
        weights[f"bias_ih_l{layer}"][:, None],
        sequence.reshape(agents, batch * slots, width),
        weights[f"weight_ih_l{layer}"].transpose(1, 2),
    ).reshape(agents, batch, slots, -1)
    hidden = above.shape[1]
    state = torch.zeros(agents, batch, hidden)
    states = []
    for slot in range(slots):
        enters, kept = entering[:, :, slot], torch.baddbmm(bias, state, above)
        gates = torch.sigmoid(enters[..., : 2 * hidden] + kept[..., : 2 * hidden])
        reset, update = gates[..., :hidden], gates[..., hidden:]
        new = torch.tanh(enters[..., 2 * hidden :] + reset * kept[..., 2 * hidden :])
        state = new + update * (state - new)
        if keep or slot == slots - 1:
            states.append(state)
    return torch.stack(states, dim=2)


def scaled_input(counts: NDArray[np.floating], count_unit: float) -> torch.Tensor:
    """A frame's tasks as the network takes them.

    Args:
        counts: Tasks, shape (agent, batch, slot, service).
        count_unit: Tasks that become 1.
    Returns: float32, the same shape.
    """
    return torch.from_numpy(np.ascontiguousarray(counts, dtype=np.float32)) / count_unit
