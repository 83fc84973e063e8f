"""Table II computed again: what the two methods hold, send and choose from at nine edge servers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from agents.n2o.layout import FIELDS
from agents.n2o.network import orchestrated
from agents.n2o.orchestrators import recipe
from agents.n2o.presets import preset_of
from agents.n2o.tables import Tables
from emulator.model.graph import Graph

ACTIONS = 3
FLOAT_BYTES, DOUBLE_BYTES = 4, 8
MEGABYTE = 1e6


class Sizes(NamedTuple):
    """What Table II compares, on one graph.

    Attributes:
        states: Numbers that a decision is made on: centralized, each local network.
        joint: Joint rentals of everyone.
        local: Joint rentals of an edge server and its neighbours, by edge server.
        central_parameters: Of the centralized network.
        local_parameters: Of all local networks together.
        link_bytes: Payload of a directed link and decision by orchestrator.
        links: Directed links.
        collected_bytes: All observations in one place, float32 and float64.
    """

    states: tuple[int, int]
    joint: int
    local: tuple[int, ...]
    central_parameters: int
    local_parameters: int
    link_bytes: dict[str, int]
    links: int
    collected_bytes: tuple[int, int]


def parameters(widths: Sequence[int]) -> int:
    """Weights and biases of a network of such widths, input and output included."""
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


def sizes_of(graph: Graph, orchestrators: Sequence[str] = ("n2o:slopes=secant", "owner", "max-sum")) -> Sizes:
    """Everything that Table II compares.

    Args:
        graph: Of the edge servers; at most 9 for the centralized network.
        orchestrators: Whose bytes are counted.
    Source: N2O Table II, section VI.A.2 (widths).
    """
    edges = graph.edges
    central, local = (preset_of(method, edges, 1, double=False).hidden for method in ("centralized", "madql"))
    degrees = [len(others) for others in graph.neighbours]
    return Sizes(
        (FIELDS * edges, FIELDS),
        ACTIONS**edges,
        tuple(ACTIONS ** (1 + degree) for degree in degrees),
        parameters((FIELDS * edges, *central, ACTIONS**edges)),
        sum(parameters((FIELDS + 1 + degree, *local, 1)) for degree in degrees),
        {spec: link_bytes(graph, spec) for spec in orchestrators},
        sum(degrees),
        (FIELDS * edges * FLOAT_BYTES, FIELDS * edges * DOUBLE_BYTES),
    )


def link_bytes(graph: Graph, spec: str) -> int:
    """Payload bytes of a directed link and decision, counted in the letters themselves; the heaviest link."""
    flat = [np.zeros((1, ACTIONS ** (1 + len(others)))) for others in graph.neighbours]
    made = recipe(spec)
    course = orchestrated(made.parts(Tables.of(graph, flat, ACTIONS)), made.rounds)
    return max(course.payload_bytes.values())
