"""Networks of all agents as one set of tensors with the agent as first axis, so that one step trains them all.

Nothing is shared between agents: each row is a network of its own. A centralised network is one agent's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from agents.n2o.layout import Layout
from emulator.model.streams import Stream

Weights = dict[str, torch.Tensor]
"""``weight_<layer>`` of shape (agent, in, out) and ``bias_<layer>`` of shape (agent, out)."""


def layers_of(weights: Weights) -> int:
    """How many layers a network has."""
    return len(weights) // 2


def drawn_weights(widths: tuple[int, ...], entities: list[str], seed: int, purpose: str = "weights") -> Weights:
    """Random weights, uniform within 1 / sqrt(inputs) layer by layer, each network's from a stream of its own.

    Args:
        widths: Of input, hidden layers and output.
        entities: Whose networks they are, e.g. ``/agent/3``.
        seed: The training's seed.
        purpose: What the networks are for.
    Returns: float32 tensors.
    Source: ours: n2o gives the widths only; the law is PyTorch's.
    """
    sizes = list(pairwise(widths))
    draws = sum((inputs + 1) * outputs for inputs, outputs in sizes)
    uniform = np.stack([2.0 * Stream(seed, each, purpose, draws=draws).uniforms(0)[0] - 1.0 for each in entities])
    weights: Weights = {}
    at = 0
    for layer, (inputs, outputs) in enumerate(sizes):
        own = uniform[:, at : at + (inputs + 1) * outputs].astype(np.float32) / np.float32(np.sqrt(inputs))
        at += (inputs + 1) * outputs
        matrix = own[:, : inputs * outputs].reshape(len(entities), inputs, outputs)
        weights[f"weight_{layer}"] = torch.from_numpy(np.ascontiguousarray(matrix))
        weights[f"bias_{layer}"] = torch.from_numpy(np.ascontiguousarray(own[:, inputs * outputs :]))
    return weights


def outputs_of(weights: Weights, inputs: torch.Tensor, first: int = 0) -> torch.Tensor:
    """What the networks answer: layers with ReLU between them.

    Args:
        weights: Of the networks.
        inputs: Shape (agent, batch, in).
        first: The layer the inputs enter.
    Returns: Shape (agent, batch, out).
    """
    last = layers_of(weights) - 1
    found = inputs
    for layer in range(first, last + 1):
        found = torch.baddbmm(weights[f"bias_{layer}"][:, None], found, weights[f"weight_{layer}"])
        if layer < last:
            found = torch.relu(found)
    return found


@dataclass(frozen=True)
class Table:
    """Values of every local action of the agents that have the same number of neighbours.

    Attributes:
        agents: Which agents, shape (some,).
        values: Shape (some, batch, local action).
    """

    agents: torch.Tensor
    values: torch.Tensor


class TableMaker:
    """Tables by enumeration, all rows of all agents of a kind in one batch."""

    def __init__(self, layout: Layout) -> None:
        self._kinds: list[tuple[torch.Tensor, torch.Tensor]] = []
        for degree, agents in layout.groups:
            actions = np.zeros((layout.actions ** (1 + degree), 1 + layout.degree), dtype=np.float32)
            actions[:, : 1 + degree] = layout.rows(int(agents[0]))
            self._kinds.append((torch.from_numpy(agents), torch.from_numpy(actions)))

    def tables(self, weights: Weights, seen: torch.Tensor) -> list[Table]:
        """Every agent's table.

        Args:
            weights: Of the local Q-networks.
            seen: Scaled observations, shape (agent, batch, field).
        Returns: A table for each number of neighbours.
        Source: N2O section III.B.1, the maximisation over localised decisions, by enumeration.
        """
        fields = seen.shape[-1]
        found = []
        for agents, actions in self._kinds:
            own = {name: tensor[agents] for name, tensor in weights.items()}
            # The first layer is a sum: what is seen, and what is rented; neither is computed for every pair.
            above = torch.baddbmm(own["bias_0"][:, None], seen[agents], own["weight_0"][:, :fields])
            beside = actions.expand(len(agents), -1, -1).bmm(own["weight_0"][:, fields:])
            hidden = torch.relu(above[:, :, None] + beside[:, None])
            some, batch, rows, width = hidden.shape
            values = outputs_of(own, hidden.reshape(some, batch * rows, width), first=1)
            found.append(Table(agents, values.reshape(some, batch, rows)))
        return found
