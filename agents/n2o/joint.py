"""Learners that know max-sum: coordinated training acts by its joint rental, and looks ahead at it."""

from __future__ import annotations

import numpy as np

from agents.n2o.layout import Layout
from agents.n2o.learner import Learner
from agents.n2o.network import orchestrated
from agents.n2o.networks import Table
from agents.n2o.orchestrators import recipe
from agents.n2o.presets import Preset
from agents.n2o.tables import Ints, LocalTable, Tables


def learner_of(preset: Preset, layout: Layout, seed: int) -> Learner:
    """The learner of a method, which has learned nothing yet."""
    return Learner(preset, layout, seed, lambda tables: by_max_sum(tables, layout))


def whole_tables(tables: list[Table], layout: Layout) -> Tables:
    """All agents' tables in the order of the edge servers, of all states of the batch."""
    found: dict[int, LocalTable] = {}
    for table in tables:
        for agent, values in zip(table.agents.tolist(), table.values.numpy(), strict=True):
            found[agent] = LocalTable(values.astype(np.float64), layout.actions)
    return Tables(layout.graph, tuple(found[agent] for agent in range(layout.agents)))


def by_max_sum(tables: list[Table], layout: Layout) -> Ints:
    """Joint rentals of every state of the batch, shape (batch, agent).

    Source: ours: coordinated training, so that what is learned is what is played.
    """
    made = recipe("max-sum")
    return orchestrated(made.parts(whole_tables(tables, layout)), made.rounds).last
