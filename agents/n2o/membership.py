"""An edge server joins or leaves: neighbours' networks gain or lose an input, others notice nothing.

Who rents nothing takes no users, and neither does who is not there. So an input that goes is a neighbour that rents
nothing ever after, and an input that comes is one that rented nothing before.

Source: ours: N2O's networks have an input for each neighbour, so only neighbours are concerned; n2o does not say how
they adapt.
"""

from __future__ import annotations

from collections.abc import Collection

import torch

from agents.n2o.joint import by_max_sum, learner_of
from agents.n2o.layout import FIELDS, Layout, Singles
from agents.n2o.learner import Learner, LocalNets
from agents.n2o.networks import Weights
from agents.n2o.presets import Preset
from agents.n2o.tables import Ints
from emulator.model.graph import Graph

OWN = FIELDS + 1
"""Inputs of a local Q-network before those of its neighbours: what it observes and what it rents."""

NOTHING = -1.0
"""How networks see that a neighbour rents nothing; see ``Layout.scaled_actions``."""


def adapted(weights: Weights, before: Graph, after: Graph, newcomers: Collection[int] = ()) -> Weights:
    """Networks for another graph of the same edge servers.

    A new neighbour counts as much as those before do on average, a newcomer begins with the network of its first
    neighbour that was there.

    Args:
        weights: Local Q-networks' (``agents.n2o.networks``), padded to the most neighbours.
        before: Whom they know.
        after: Whom they are to know.
        newcomers: Edge servers that were not there before.
    Returns: Weights of their own. Who has the same neighbours has the same, bit for bit. Where new neighbours rent
        nothing, and lost ones did, a network answers what it did before.
    Raises: ValueError: a newcomer has no neighbour that was there.
    """
    made = {name: tensor.detach().clone() for name, tensor in weights.items()}
    for edge in newcomers:
        like = next((other for other in after.neighbours[edge] if other not in newcomers), None)
        if like is None:
            raise ValueError(f"edge server {edge}: no neighbour that was there before; it has to learn from nothing")
        for name, tensor in weights.items():
            made[name][edge] = tensor[like]
    first, bias = made["weight_0"], made["bias_0"]
    most = max((len(those) for those in after.neighbours), default=0)
    wide = torch.zeros(after.edges, OWN + most, first.shape[2])
    wide[:, :OWN] = first[:, :OWN]
    for edge, now in enumerate(after.neighbours):
        if now == before.neighbours[edge]:
            both = OWN + min(most, first.shape[1] - OWN)
            wide[edge, :both] = first[edge, :both]
            continue
        teacher = edge
        if edge in newcomers:
            teacher = next(other for other in now if other not in newcomers)
        knew = before.neighbours[teacher]
        rows = {other: first[edge, OWN + at] for at, other in enumerate(knew)}
        average = torch.stack(list(rows.values())).mean(dim=0) if rows else torch.zeros(first.shape[2])
        kept = {} if edge in newcomers else {other: row for other, row in rows.items() if other in now}
        for at, other in enumerate(now):
            wide[edge, OWN + at] = kept.get(other, average)
            if other not in kept:
                bias[edge] -= NOTHING * average
        for other, row in rows.items():
            if other not in kept:
                bias[edge] += NOTHING * row
    made["weight_0"] = wide
    return made


def concerned(before: Graph, after: Graph) -> tuple[int, ...]:
    """Edge servers that have other neighbours now, and any at all."""
    pairs = enumerate(zip(before.neighbours, after.neighbours, strict=True))
    return tuple(edge for edge, (were, are) in pairs if were != are and are)


def adapting(preset: Preset, layout: Layout, seed: int, weights: Weights, only: Collection[int]) -> Learner:
    """A learner that goes on after a change: only those who are concerned learn, and explore.

    Args:
        preset: How.
        layout: With the graph after the change.
        seed: Draws exploration and batches.
        weights: As ``adapted`` gave them.
        only: Who learns.
    """
    learner = learner_of(preset, layout, seed)
    learner.start_from(weights, only)
    return learner


def together(learner: Learner, layout: Layout, seen: Singles) -> Ints:
    """What all rent by max-sum over the learner's local networks, shape (state, agent)."""
    nets = learner.nets
    if not isinstance(nets, LocalNets):
        raise TypeError("one network for all has no tables to orchestrate")
    return by_max_sum(nets.tables(learner.weights, seen), layout)
