"""Actors that decide alone what orchestrated agents decided together: taught on what these met, then on what they meet.

Source: N2O section V; its pseudocode in Appendix A. The second part (DAgger) and the classification are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from agents.n2o.copies import Copies, Decide
from agents.n2o.layout import FIELDS, Layout, Singles
from agents.n2o.learner import seen_by_agent
from agents.n2o.networks import Weights, drawn_weights, outputs_of
from agents.n2o.presets import Distilling
from agents.n2o.tables import Ints
from agents.tensors import one_thread
from emulator.model.streams import Stream


@dataclass(frozen=True, slots=True)
class Labels:
    """Slots with what the teacher rents in them: scaled observations (slot, agent, field), rentals (slot, agent)."""

    seen: Singles
    rented: Ints

    def with_more(self, others: Labels) -> Labels:
        """These and others."""
        return Labels(np.concatenate([self.seen, others.seen]), np.concatenate([self.rented, others.rented]))


class Actors:
    """All edge servers' actors: one observation in, one rental out."""

    def __init__(self, distilling: Distilling, layout: Layout, seed: int) -> None:
        """Begin with random weights.

        Args:
            distilling: How they are taught.
            layout: Rentals and scales.
            seed: Draws weights and batches.
        """
        one_thread()
        self.distilling = distilling
        self.layout = layout
        self._seed = seed
        outputs = 1 if distilling.actor == "regression" else layout.actions
        entities = [f"/agent/{agent}" for agent in range(layout.agents)]
        self.weights: Weights = drawn_weights((FIELDS, *distilling.hidden, outputs), entities, seed, "actor")
        for tensor in self.weights.values():
            tensor.requires_grad_()
        self._optimiser = torch.optim.Adam(self.weights.values(), lr=distilling.learning_rate)
        self._updates = 0

    def answers(self, seen: Singles) -> torch.Tensor:
        """What the networks say, shape (agent, slot, output)."""
        return outputs_of(self.weights, seen_by_agent(seen))

    def rented(self, observations: NDArray[np.floating]) -> Ints:
        """What they rent.

        Args:
            observations: As they are, shape (slot, agent, field).
        Returns: Shape (slot, agent).
        Source: N2O section V, mu_n(o_n), rounded; of several outputs the largest.
        """
        with torch.no_grad():
            return self.chosen(self.answers(self.layout.scaled(observations)))

    def chosen(self, answers: torch.Tensor) -> Ints:
        """Rentals (slot, agent) by answers (agent, slot, output)."""
        if self.distilling.actor == "regression":
            found = answers[..., 0].round().clamp(0, self.layout.actions - 1).long()
        else:
            found = answers.argmax(dim=-1)
        return found.numpy().T.copy()

    def learn(self, labels: Labels, updates: int) -> float:
        """Take so many steps of gradient descent on labels, ever smaller; returns the last loss, mean over agents.

        Source: N2O section V, the loss L_n; ours: cross-entropy for several outputs.
        """
        loss = float("nan")
        for update in range(updates):
            for group in self._optimiser.param_groups:
                group["lr"] = self.distilling.learning_rate_of(update, updates)
            stream = Stream(self._seed, "/learner", "labels", draws=self.distilling.batch)
            at = (stream.uniforms(self._updates)[0] * len(labels.seen)).astype(np.int64)
            wanted = torch.from_numpy(np.ascontiguousarray(labels.rented[at].T))
            losses = self._losses(self.answers(labels.seen[at]), wanted)
            self._optimiser.zero_grad()
            losses.sum().backward()
            self._optimiser.step()
            self._updates += 1
            loss = float(losses.detach().mean())
        return loss

    def _losses(self, answers: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Of each agent, shape (agent,)."""
        if self.distilling.actor == "regression":
            return (answers[..., 0] - wanted).square().mean(dim=-1)
        flat = cross_entropy(answers.flatten(0, 1), wanted.flatten(), reduction="none")
        return flat.reshape(wanted.shape).mean(dim=-1)


def labelled(world: Copies, layout: Layout, teacher: Decide, plays: Decide, slots: int, first: int) -> Labels:
    """Play whole episodes and let the teacher say what it would rent.

    Args:
        world: Copies to play in.
        layout: Scales.
        teacher: Whose rentals are the labels.
        plays: Who rents; the teacher, or those who learn from it.
        slots: At least so many.
        first: The first episode's number.
    Source: N2O section V (labels by N2O); ours: the pupils' own slots (DAgger).
    """
    episodes = -(-slots // (world.copies * world.episode_slots))
    seen_all, rented_all = [], []
    for episode in range(first, first + episodes):
        seen = world.begin(episode)
        for _ in range(world.episode_slots):
            label = teacher(seen)
            seen_all.append(layout.scaled(seen))
            rented_all.append(label)
            _, seen = world.step(label if plays is teacher else plays(seen))
    return Labels(np.concatenate(seen_all), np.concatenate(rented_all))


def taught(
    distilling: Distilling,
    layout: Layout,
    world: Copies,
    teacher: Decide,
    seed: int,
    tell: Callable[[str], None] = lambda text: None,
    labels: Labels | None = None,
) -> Actors:
    """Teach actors.

    Args:
        distilling: How.
        layout: Rentals and scales.
        world: Copies in which labels are made.
        teacher: Observations (copy, agent, field) to rentals.
        seed: Draws weights and batches.
        tell: Hears how far it is.
        labels: To begin with, where there are some already; otherwise the teacher plays for them.
    Source: N2O section V; rounds: ours (DAgger).
    """
    actors = Actors(distilling, layout, seed)
    if labels is None:
        labels = labelled(world, layout, teacher, teacher, distilling.slots, first=0)
    tell(f"{len(labels.seen)} slots labelled")
    loss = actors.learn(labels, distilling.updates)
    tell(f"taught, loss {loss:.3f}")
    for round_ in range(distilling.rounds):
        first = (1 + round_) * 1_000_000  # episodes of its own
        labels = labels.with_more(labelled(world, layout, teacher, actors.rented, distilling.round_slots, first))
        loss = actors.learn(labels, distilling.updates)
        tell(f"round {round_ + 1} of {distilling.rounds}: {len(labels.seen)} slots labelled, loss {loss:.3f}")
    return actors
