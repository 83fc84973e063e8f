"""Tables to orchestrate on: networks nobody trained, and a small economy in which neighbours share users."""

from __future__ import annotations

from agents.n2o import example_tables
from agents.n2o.example_tables import ACTIONS, economy, square
from agents.n2o.tables import Tables
from emulator.model.graph import Graph


def drawn_networks(graph: Graph, states: int, seed: int) -> Tables:
    return example_tables.drawn_networks(graph, states, seed).tables


__all__ = ["ACTIONS", "drawn_networks", "economy", "square"]
