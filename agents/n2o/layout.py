"""What an agent of the rental world takes in: its own observation, and what it and its neighbours rent.

An agent's *local action* is what it rents and then what each neighbour rents, in a neighbour order that never changes;
its *table* has a value for every local action, in counting order: the last neighbour's rental runs fastest. Networks of
agents with fewer neighbours than others are padded: the places of the neighbours they lack are 0 after scaling.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    graph: Graph
    actions: int
    centre: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def agents(self) -> int:
        """[N] how many agents there are."""
        return self.graph.edges

    @cached_property
    def degree(self) -> int:
        """The most neighbours an agent has."""
        return max((len(those) for those in self.graph.neighbours), default=0)

    @cached_property
    def groups(self) -> tuple[tuple[int, Ints], ...]:
        """Agents by how many neighbours they have: (neighbours, agents of that kind); their tables are equally long."""
        degrees = np.array([len(those) for those in self.graph.neighbours])
        return tuple((int(degree), np.flatnonzero(degrees == degree)) for degree in np.unique(degrees))

    @cached_property
    def local(self) -> Ints:
        """Whose rentals an agent's local action holds, shape (agent, 1 + degree); -1 where there is no neighbour."""
        rows = np.full((self.agents, 1 + self.degree), -1)
        for agent, those in enumerate(self.graph.neighbours):
            rows[agent, : 1 + len(those)] = [agent, *those]
        return rows

    def rows(self, agent: int) -> Singles:
        """Every local action of an agent as its network sees it, in counting order, shape (row, 1 + neighbours)."""
        return self.scaled_actions(joint_rentals(self.actions, 1 + len(self.graph.neighbours[agent])))

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
            rented: What all rent, shape (batch, agent).
        Returns: Shape (agent, batch, 1 + degree); 0 where there is no neighbour.
        Source: N2O section III.B, the input [a_n, a_Bn] of a local Q-network.
        """
        taken = self.scaled_actions(rented)[:, self.local]
        return np.ascontiguousarray(np.where(self.local >= 0, taken, np.float32(0.0)).transpose(1, 0, 2))
