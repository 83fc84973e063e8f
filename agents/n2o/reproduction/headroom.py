"""What rounds of messages gain on P2 of trained networks, round by round, with links that fail."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.headroom import Yardstick
from agents.n2o.network import losing, orchestrated
from agents.n2o.orchestrators import recipe
from agents.n2o.reproduction.measuring import Found
from agents.n2o.reproduction.networks import Networks
from agents.n2o.reproduction.plan import OWNER
from agents.n2o.tables import Tables

STATES: Final = 48
GROUP: Final = 8
"""States that lose the same letters."""

ROUNDS: Final[dict[str, int]] = {
    "n2o": 50,
    "n2o:output=average": 50,
    "n2o:slopes=secant,centre=shared,gamma=3": 50,
    "owner": 10,
    "max-sum": 10,
    "consensus": 20,
}
"""Who is followed round by round, and how long."""

FAILING: Final = (0.2, 0.4, 0.6, 0.8)
"""Probabilities with which a link of Figure 10 fails in a round, for both ends."""

LOST: Final = (0.5, 0.8)
"""Shares of the letters that are lost one by one, for owner-side and max-sum."""


def recovered(networks: Networks) -> Found:
    """Follow every orchestrator in states that are met in play.

    Returns: ``share SPEC``: P2 in parts of its maximum after 0, 1, ... rounds; ``fail SHARE``: the same of published
        N2O where links fail; ``gain SPEC`` and ``gain SPEC loss SHARE``: headroom recovered in the end, ``, first``
        where no letter of the first round is lost.
    """
    seen = states(networks)
    tables = networks.team.tables(seen)
    yardstick = Yardstick(tables, partial(networks.team.slopes, seen))
    most = float(yardstick.most.sum())
    numbers = {"own": [yardstick.floor_share]}
    for spec, rounds in ROUNDS.items():
        made = recipe(spec)
        course = orchestrated(made.parts(tables, yardstick.slopes), rounds)
        numbers[f"share {spec}"] = [float(tables.total(rented).sum()) / most for rented in course.rented]
        numbers[f"gain {spec}"] = [yardstick.recovered(course.last)]
    for share in FAILING:
        numbers[f"fail {share}"] = (_failing(networks, seen, tables, share) / most).tolist()
    for spec in ("owner", "max-sum:rounds=10"):
        for share in LOST:
            for first in (False, True):
                name = f"gain {spec} loss {share}{', first' if first else ''}"
                numbers[name] = [yardstick.lossy(recipe(spec), share, 1, first_comes=first)]
    return Found(numbers=numbers)


def states(networks: Networks) -> Floats:
    """Observations that are met where owner-side dual averaging decides, shape (state, edge, field)."""
    world, decide = networks.world, networks.team.decider(OWNER)
    copies = max(1, STATES // world.episode_slots)
    seen, met = world.begin(0), []
    for _ in range(world.episode_slots):
        met.append(seen[:copies].copy())
        _, seen = world.step(decide(seen))
    return np.concatenate(met)[:STATES]


def _failing(networks: Networks, seen: Floats, tables: Tables, share: float) -> Floats:
    """P2 of published N2O after each round, summed over states, where links fail for both ends."""
    made, rounds = recipe("n2o"), ROUNDS["n2o"]
    total = np.zeros(1 + rounds)
    for group, first in enumerate(range(0, len(seen), GROUP)):
        some = seen[first : first + GROUP]
        part = tables.part(first, first + GROUP)
        lost = losing(share, 1, group, "symmetric")
        course = orchestrated(made.parts(part, partial(networks.team.slopes, some)), rounds, lost)
        total += [part.total(rented).sum() for rented in course.rented]
    return total
