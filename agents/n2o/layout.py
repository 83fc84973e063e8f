"""What an agent of the rental world takes in: its own observation, and what it and its neighbours rent.

An agent's *local action* is what it rents and then what each neighbour rents, in a neighbour order that never changes;
its *table* has a value for every local action, in counting order: the last neighbour's rental runs fastest. Networks of
agents with fewer neighbours than others are padded: the places of the neighbours they lack are 0 after scaling.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agents.n2o.tables import Ints, joint_rentals
from emulator.model.graph import Graph

Singles = NDArray[np.float32]
FIELDS = 5
"""Numbers of an observation."""


@dataclass(frozen=True)
class Layout:
    """Who is whose neighbour, what can be rented, and the units networks see an observation in.

    Attributes:
        graph: Edge servers and their neighbours; each has an agent.
        actions: Rentals to choose from, 0 to ``actions`` - 1 units.
        centre: Subtracted from an observation, shape (field,).
        scale: What it is divided by then, shape (field,).
        only: The one agent that learns, knowing what it and its neighbours rent; None: all learn.
    """

    graph: Graph
    actions: int
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    only: int | None = None

    def alone(self, agent: int) -> Layout:
        """What one agent takes in that learns by itself; its network is that of the whole layout."""
        return replace(self, only=agent)

    @cached_property
    def members(self) -> tuple[int, ...]:
        """Edge servers of the agents that learn."""
        return tuple(range(self.graph.edges)) if self.only is None else (self.only,)

    @property
    def agents(self) -> int:
        """[N] how many agents learn."""
        return len(self.members)

    @property
    def learner(self) -> str:
        """Whose draws exploration and batches are."""
        return "/learner" if self.only is None else f"/agent/{self.only}"

    @property
    def known(self) -> tuple[int, ...]:
        """Edge servers whose rentals are known after a slot: all, or one's own and then the neighbours'."""
        return self.members if self.only is None else (self.only, *self.graph.neighbours[self.only])

    @cached_property
    def degree(self) -> int:
        """The most neighbours that an agent of the graph has."""
        return max((len(those) for those in self.graph.neighbours), default=0)

    @cached_property
    def groups(self) -> tuple[tuple[int, Ints], ...]:
        """Agents by how many neighbours they have: (neighbours, agents of that kind); their tables are equally long."""
        degrees = np.array([len(self.graph.neighbours[edge]) for edge in self.members])
        return tuple((int(degree), np.flatnonzero(degrees == degree)) for degree in np.unique(degrees))

    @cached_property
    def local(self) -> Ints:
        """Places in ``known`` of an agent's local action, shape (agent, 1 + degree); -1 where there is no neighbour."""
        rows = np.full((self.agents, 1 + self.degree), -1)
        for row, edge in zip(rows, self.members, strict=True):
            those = (edge, *self.graph.neighbours[edge])
            row[: len(those)] = [self.known.index(other) for other in those]
        return rows

    def rows(self, agent: int) -> Singles:
        """Every local action of an agent as its network sees it, in counting order, shape (row, 1 + neighbours)."""
        neighbours = self.graph.neighbours[self.members[agent]]
        return self.scaled_actions(joint_rentals(self.actions, 1 + len(neighbours)))

    def scaled(self, observations: NDArray[np.floating]) -> Singles:
        """Observations as networks see them, the same shape (..., field)."""
        return ((observations - np.array(self.centre)) / np.array(self.scale)).astype(np.float32)

    def scaled_actions(self, rented: NDArray[np.integer]) -> Singles:
        """Rentals as networks see them, in [-1, 1].

        Source: ours: n2o leaves the coding open.
        """
        return (2.0 * rented / (self.actions - 1) - 1.0).astype(np.float32)

    def local_actions(self, rented: NDArray[np.integer]) -> Singles:
        """Every agent's local action as its network sees it.

        Args:
            rented: What those in ``known`` rent, shape (batch, known).
        Returns: Shape (agent, batch, 1 + degree); 0 where there is no neighbour.
        Source: N2O section III.B, the input [a_n, a_Bn] of a local Q-network.
        """
        taken = self.scaled_actions(rented)[:, self.local]
        return np.ascontiguousarray(np.where(self.local >= 0, taken, np.float32(0.0)).transpose(1, 0, 2))
