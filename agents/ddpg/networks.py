"""Actor and critic: networks over a table of pairs (cell, target) that treat all cells, and all targets, alike.

Each layer mixes a pair with the mean of its row (the cell's targets), of its column (the cells, by their tasks) and of
all pairs, by weights that all pairs share. So the size of a network does not depend on the number of edge servers, and
numbering them otherwise only numbers the shares otherwise.

Source: ours; after DDPG (Lillicrap et al., 2016), whose plain networks see edge servers as unrelated inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from agents.ddpg.features import ACTION_FIGURES, FIGURES
from agents.tensors import Weights
from emulator.model.streams import Stream

FORBIDDEN = -1e9


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a network is: figures of a pair, width, hidden layers."""

    figures: int
    hidden: int
    layers: int

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor: of a pair, its row, its column and all of them, and a bias."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.layers):
            below = self.figures if layer == 0 else self.hidden
            shapes |= {f"{part}_{layer}": (below, self.hidden) for part in ("pair", "row", "column", "all")}
            shapes[f"bias_{layer}"] = (self.hidden,)
        return {**shapes, "output": (self.hidden, 1), "output_bias": (1,)}


def actor_shape(hidden: int, layers: int) -> Shape:
    """Of the network from a slot to shares."""
    return Shape(FIGURES, hidden, layers)


def critic_shape(hidden: int, layers: int) -> Shape:
    """Of the network from a slot and shares to the delay."""
    return Shape(FIGURES + ACTION_FIGURES, hidden, layers)


def drawn_weights(shape: Shape, entity: str, seed: int) -> Weights:
    """Random weights: normal, with a variance that keeps the size of what passes through; biases 0.

    Args:
        shape: How large.
        entity: Whose they are; it has a stream of its own.
        seed: The training's seed.
    Returns: float32 tensors that record gradients.
    Source: ours: He et al. (2015), halved since four parts add up.
    """
    found: Weights = {}
    for name, dimensions in shape.tensors().items():
        size = int(np.prod(dimensions))
        drawn = Stream(seed, entity, name, draws=2 * size).normals(0, size)
        scale = 0.0 if "bias" in name else (0.1 if name == "output" else 1.0) / np.sqrt(dimensions[0])
        found[name] = torch.from_numpy((drawn * scale).astype(np.float32).reshape(dimensions)).requires_grad_()
    return found


def pair_values(
    weights: Weights, layers: int, figures: torch.Tensor, allowed: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """One number for each pair.

    Args:
        weights: Of the network.
        layers: Hidden layers.
        figures: Shape (instance, edge from, target, figure).
        allowed: 0 or 1, shape (instance, edge from, target).
        weight: Shape (instance, edge from).
    Returns: Shape (instance, edge from, target).
    Source: ours, as the module.
    """
    state = figures
    in_row = (allowed / allowed.sum(dim=2, keepdim=True))[..., None]
    in_column = weight[:, :, None, None]
    for layer in range(layers):
        row = (state * in_row).sum(dim=2, keepdim=True)
        column = (state * in_column).sum(dim=1, keepdim=True)
        everything = (row * in_column).sum(dim=1, keepdim=True)
        state = torch.relu(
            state @ weights[f"pair_{layer}"]
            + row @ weights[f"row_{layer}"]
            + column @ weights[f"column_{layer}"]
            + everything @ weights[f"all_{layer}"]
            + weights[f"bias_{layer}"]
        )
    return (state @ weights["output"] + weights["output_bias"])[..., 0]


def shares_of(logits: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """The action: a softmax over the targets that are allowed, shape (instance, edge from, target).

    Source: TTOSC eq. (2)-(3), which the softmax and its mask keep for any weights.
    """
    return torch.softmax(torch.where(allowed > 0.0, logits, FORBIDDEN), dim=2)


def with_action(figures: torch.Tensor, shares: torch.Tensor, load_unit: torch.Tensor) -> torch.Tensor:
    """What the critic sees of a pair: what the actor sees, the share, and the share as a load, plain and squeezed.

    Args:
        figures: Shape (instance, edge from, target, figure).
        shares: Shape (instance, edge from, target).
        load_unit: Shape (instance, target).
    Returns: Shape (instance, edge from, target, figure).
    Source: ours: the load that would come of it if all cells did the same.
    """
    load = shares * load_unit[:, None]
    return torch.cat([figures, torch.stack([shares, load, load / (1.0 + load)], dim=3)], dim=3)


def action_values(
    weights: Weights,
    layers: int,
    figures: torch.Tensor,
    allowed: torch.Tensor,
    weight: torch.Tensor,
    shares: torch.Tensor,
    load_unit: torch.Tensor,
) -> torch.Tensor:
    """The critic's estimate of minus the mean delay of a service's tasks, in the service's unit of time.

    A learned delay for each pair, of which the mean over tasks is taken, as eq. (8) defines the delay of a slot.

    Returns: [Q] shape (instance,).
    Source: ours; TTOSC eq. (8) for the mean.
    """
    seen = with_action(figures, shares, load_unit)
    delay = pair_values(weights, layers, seen, allowed, weight)
    return -(delay * shares * weight[..., None]).sum(dim=(1, 2))
