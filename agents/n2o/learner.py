"""Deep Q-learning in the rental world: one centralised network, or one for each edge server, trained in one step.

Source: N2O sections III.A and III.B; pseudocode in its Appendix A.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import numpy as np
import torch
from torch.nn.functional import huber_loss

from agents.checkpoint import Arrays
from agents.n2o.layout import FIELDS, Layout, Singles
from agents.n2o.networks import Table, TableMaker, Weights, drawn_weights, outputs_of
from agents.n2o.presets import Preset
from agents.n2o.replay import Replay, Slots
from agents.n2o.tables import Ints
from agents.tensors import copied, kept, one_thread, restore
from emulator.model.streams import Stream

Joint = Callable[[list[Table]], Ints]
"""Joint rentals, shape (batch, agent), of all agents' tables."""


class Nets(Protocol):
    """What a network is asked and how its values become rentals."""

    widths: tuple[int, ...]
    entities: list[str]

    def rewards(self, slots: Slots) -> Singles:
        """What each network is rewarded with, shape (net, slot)."""
        ...

    def taken(self, weights: Weights, slots: Slots) -> torch.Tensor:
        """Values of what was rented, shape (net, slot)."""
        ...

    def ahead(self, weights: Weights, target: Weights, seen: Singles) -> torch.Tensor:
        """What the best rental is worth by the target network, chosen by the weights, shape (net, slot)."""
        ...

    def greedy(self, weights: Weights, seen: Singles) -> Ints:
        """Rentals of greatest value, shape (slot, agent)."""
        ...


def seen_by_agent(seen: Singles) -> torch.Tensor:
    """Observations with the agent first, shape (agent, slot, field)."""
    return torch.from_numpy(np.ascontiguousarray(seen.transpose(1, 0, 2)))


class LocalNets:
    """A network for each edge server: its observation, its rental and its neighbours' give one value."""

    def __init__(self, layout: Layout, hidden: tuple[int, ...], joint: Joint | None = None) -> None:
        """Say how large they are.

        Args:
            layout: Neighbours, rentals, scales.
            hidden: Widths of the hidden layers.
            joint: Finds the joint rental for all; without it, each takes its own entry of its own best local action.
        """
        self.widths = (FIELDS + 1 + layout.degree, *hidden, 1)
        self.entities = [f"/agent/{edge}" for edge in layout.members]
        self._layout = layout
        self._maker = TableMaker(layout)
        self._joint = joint

    def rewards(self, slots: Slots) -> Singles:
        """Each its own."""
        return np.ascontiguousarray(slots.reward.T)

    def taken(self, weights: Weights, slots: Slots) -> torch.Tensor:
        """By one pass through all networks.

        Source: N2O section III.B, Q_n(o_n, alpha_n; theta_n).
        """
        return self._values(weights, slots.seen, slots.rented)

    def ahead(self, weights: Weights, target: Weights, seen: Singles) -> torch.Tensor:
        """By the tables.

        Source: N2O section III.B, the maximum over localised decisions; at max-sum's joint rental: ours.
        """
        with torch.no_grad():
            tables = self.tables(weights, seen)
            if self._joint is not None:
                return self._values(target, seen, self._joint(tables))
            found = torch.empty(self._layout.agents, len(seen))
            if weights is target:
                for table in tables:
                    found[table.agents] = table.values.max(dim=-1).values
                return found
            for chosen, valued in zip(tables, self.tables(target, seen), strict=True):
                best = chosen.values.argmax(dim=-1, keepdim=True)
                found[chosen.agents] = valued.values.gather(-1, best)[..., 0]
            return found

    def greedy(self, weights: Weights, seen: Singles) -> Ints:
        """Each agent's own entry of its best local action, or the joint rental.

        Source: N2O section III.B, pi_n(o_n; theta_n).
        """
        tables = self.tables(weights, seen)
        return own_entries(tables, self._layout) if self._joint is None else self._joint(tables)

    def tables(self, weights: Weights, seen: Singles) -> list[Table]:
        """Values of every local action; see ``TableMaker``."""
        with torch.no_grad():
            return self._maker.tables(weights, seen_by_agent(seen))

    def _values(self, weights: Weights, seen: Singles, rented: Ints) -> torch.Tensor:
        actions = torch.from_numpy(self._layout.local_actions(rented))
        return outputs_of(weights, torch.cat([seen_by_agent(seen), actions], dim=-1))[..., 0]


def own_entries(tables: list[Table], layout: Layout) -> Ints:
    """What each agent rents in the best local action of its table, shape (batch, agent).

    Source: N2O section III.B, pi_n(o_n; theta_n).
    """
    found = np.empty((tables[0].values.shape[1], layout.agents), dtype=np.int64)
    for table in tables:
        others = table.values.shape[-1] // layout.actions
        found[:, table.agents.numpy()] = (table.values.argmax(dim=-1) // others).numpy().T
    return found


class CentralNet:
    """One network: all observations give a value for every joint rental.

    Source: N2O section III.A.
    """

    def __init__(self, layout: Layout, hidden: tuple[int, ...]) -> None:
        self._powers = layout.actions ** np.arange(layout.agents)[::-1]
        self._actions = layout.actions
        self.widths = (FIELDS * layout.agents, *hidden, layout.actions**layout.agents)
        self.entities = ["/central"]

    def rewards(self, slots: Slots) -> Singles:
        """The sum over edge servers."""
        return slots.reward.sum(axis=1)[None]

    def taken(self, weights: Weights, slots: Slots) -> torch.Tensor:
        """The outputs of the joint rentals; of the last layer only their columns are computed."""
        codes = torch.from_numpy(slots.rented @ self._powers)
        last = len(weights) // 2 - 1
        below = {name: tensor for name, tensor in weights.items() if not name.endswith(f"_{last}")}
        hidden = torch.relu(outputs_of(below, self._inputs(slots.seen)))[0]
        columns = weights[f"weight_{last}"][0].t()[codes]
        return ((hidden * columns).sum(dim=-1) + weights[f"bias_{last}"][0][codes])[None]

    def ahead(self, weights: Weights, target: Weights, seen: Singles) -> torch.Tensor:
        """The largest output."""
        with torch.no_grad():
            values = outputs_of(target, self._inputs(seen))
            if weights is target:
                return values.max(dim=-1).values
            best = outputs_of(weights, self._inputs(seen)).argmax(dim=-1, keepdim=True)
            return values.gather(-1, best)[..., 0]

    def greedy(self, weights: Weights, seen: Singles) -> Ints:
        """The joint rental of the largest output."""
        with torch.no_grad():
            best = outputs_of(weights, self._inputs(seen))[0].argmax(dim=-1).numpy()
        return best[:, None] // self._powers % self._actions

    @staticmethod
    def _inputs(seen: Singles) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(seen.reshape(1, len(seen), -1)))


def nets_of(preset: Preset, layout: Layout, joint: Joint | None) -> LocalNets | CentralNet:
    """The networks of a method; ``joint`` is what ``coordinated`` acts by."""
    if preset.method == "centralized":
        return CentralNet(layout, preset.hidden)
    return LocalNets(layout, preset.hidden, joint if preset.method == "coordinated" else None)


class Learner:
    """Networks, target networks, optimiser and memory.

    Attributes:
        preset: How it learns.
        weights: What it learns.
        acting: What it decides by; the weights themselves unless somebody puts copies there.
    """

    def __init__(self, preset: Preset, layout: Layout, seed: int, joint: Joint | None = None) -> None:
        """Begin with random weights.

        Args:
            preset: How to learn.
            layout: Neighbours, rentals, scales.
            seed: Draws weights, exploration and batches.
            joint: What ``coordinated`` acts by.
        """
        one_thread()
        self.preset = preset
        self._layout = layout
        self.nets: Nets = nets_of(preset, layout, joint)
        self.weights = drawn_weights(self.nets.widths, self.nets.entities, seed)
        for tensor in self.weights.values():
            tensor.requires_grad_()
        self._target = copied(self.weights)
        self._optimiser = torch.optim.Adam(self.weights.values(), lr=preset.learning_rate)
        self.acting = self.weights
        self._replay = Replay(
            preset.capacity_steps, preset.copies, layout.agents, seed, known=len(layout.known), learner=layout.learner
        )
        self._explore = Stream(seed, layout.learner, "exploration", draws=2 * preset.copies * layout.agents)
        self._learns = np.ones(layout.agents, dtype=np.bool_)

    def decide(self, step: int, seen: Singles, rented: Ints | None = None) -> Ints:
        """What all rent in a step, shape (copy, agent); now and then something random.

        Args:
            step: The step.
            seen: Scaled observations, shape (copy, agent, field).
            rented: What they rent where it is not random; None: what the networks say is best.
        Source: ours: epsilon-greedy, each agent for itself; n2o names a long exploration only.
        """
        if rented is None:
            rented = self.nets.greedy(self.acting, seen)
        odds, others = self._explore.uniforms(step)[0].reshape(2, *rented.shape)
        random = (others * self._layout.actions).astype(np.int64)
        return np.where(self._learns & (odds < self.preset.epsilon_of(step)), random, rented)

    def greedy(self, seen: Singles) -> Ints:
        """What all rent without exploring, shape (copy, agent)."""
        return self.nets.greedy(self.weights, seen)

    def tables(self, seen: Singles) -> list[Table]:
        """What it decides by says of every local action.

        Raises: TypeError: one network for all has no tables.
        """
        if not isinstance(self.nets, LocalNets):
            raise TypeError("one network for all has no tables")
        return self.nets.tables(self.acting, seen)

    def remember(self, slots: Slots) -> None:
        """Keep a step's slots of all copies."""
        self._replay.add(slots)

    @property
    def remembered(self) -> int:
        """Slots in the memory."""
        return len(self._replay)

    def learn(self, step: int) -> float:
        """One step of gradient descent of every network; returns the loss, mean over networks.

        Source: N2O section III.A, the loss of the Q-network with a target network; Huber's loss is ours.
        """
        preset = self.preset
        batch = self._replay.drawn(step, preset.batch)
        chooser = self.weights if preset.double else self._target
        ahead = self.nets.ahead(chooser, self._target, batch.seen_next)
        goes_on = torch.from_numpy(preset.discount * ~batch.ended).float()
        wanted = torch.from_numpy(self.nets.rewards(batch)) + goes_on * ahead
        found = self.nets.taken(self.weights, batch)
        losses = huber_loss(found, wanted, reduction="none", delta=preset.huber).mean(dim=-1)
        for group in self._optimiser.param_groups:
            group["lr"] = preset.learning_rate_of(step)
        self._optimiser.zero_grad()
        losses.sum().backward()
        self._cut_gradients()
        self._optimiser.step()
        if (step + 1) % preset.target_steps == 0:
            self._target = copied(self.weights)
        return float(losses.detach().mean())

    def _cut_gradients(self) -> None:
        """Cut each network's gradient by its own norm, so that no agent learns slower because of another."""
        gradients = [tensor.grad for tensor in self.weights.values() if tensor.grad is not None]
        norms = torch.stack([gradient.flatten(1).square().sum(dim=1) for gradient in gradients]).sum(dim=0).sqrt()
        shares = (self.preset.largest_gradient / norms.clamp_min(1e-12)).clamp_max(1.0)
        for gradient in gradients:
            gradient.mul_(shares.reshape(-1, *[1] * (gradient.ndim - 1)))

    def start_from(self, weights: Weights, only: Collection[int]) -> None:
        """Take over weights, and let only some agents learn and explore; the others' stay as they are, bit for bit.

        Args:
            weights: Of all networks.
            only: The agents that learn.
        """
        self._learns = np.isin(np.arange(len(self._learns)), list(only))
        learns = torch.from_numpy(self._learns).float()
        for name, tensor in self.weights.items():
            with torch.no_grad():
                tensor.copy_(weights[name])
            mask = learns.reshape(-1, *[1] * (tensor.ndim - 1))
            # Adam moves nothing whose gradient was 0 ever since it began.
            tensor.register_hook(lambda gradient, mask=mask: gradient * mask)
        self._target = copied(self.weights)

    def arrays(self) -> Arrays:
        """Everything that learning goes on from, for a checkpoint."""
        return {**kept(self.weights, self._target, self._optimiser), **self._replay.arrays()}

    def take(self, arrays: Arrays) -> None:
        """Begin with weights of another training of the same networks: ``weights.<name>`` as ``arrays`` names them."""
        restore(
            {**arrays, **{f"target.{name}": arrays[f"weights.{name}"] for name in self.weights}},
            self.weights,
            self._target,
            self._optimiser,
        )

    def restore(self, arrays: Arrays) -> None:
        """Take back what ``arrays`` gave."""
        restore(arrays, self.weights, self._target, self._optimiser)
        self._replay.restore(arrays)
