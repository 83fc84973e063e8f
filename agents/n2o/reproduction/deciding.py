"""What each edge server's network rents by itself, over hours and prices."""

from __future__ import annotations

from typing import Final

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.reproduction.measuring import Found
from agents.n2o.reproduction.networks import Networks
from agents.n2o.reproduction.plan import LOCAL

HOURS: Final = 24
PRICES: Final = 21
"""Prices between the least and the greatest of the world."""


def observations(centre: tuple[float, ...], low: float, high: float, edges: int) -> Floats:
    """Every hour with every price, all else as usual, shape (hour and price, edge, field)."""
    hours, prices = np.meshgrid(np.arange(HOURS), np.linspace(low, high, PRICES), indexing="ij")
    seen = np.empty((HOURS * PRICES, edges, len(centre)))
    seen[:] = centre
    seen[..., 3], seen[..., 4] = prices.reshape(-1, 1), hours.reshape(-1, 1)
    return seen


def decisions(networks: Networks) -> Found:
    """Rentals by MA-DQL; ``edge N``: hour after hour, price after price."""
    rental = networks.world.world.plan.rental
    seen = observations(tuple(rental.observation.centre), rental.reward.price_low, rental.reward.price_high,
                        networks.case.edges)  # fmt: skip
    rented = networks.team.decider(LOCAL)(seen)
    return Found(numbers={f"edge {edge}": rented[:, edge].astype(float).tolist() for edge in range(rented.shape[1])})
