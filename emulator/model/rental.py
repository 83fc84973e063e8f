"""The rental world's equations: where users send their tasks, how many, what they wait and what that is worth.

All functions are elementwise over leading axes, so that one world and many copies of it compute the same numbers.
Sums over users are taken strictly in the order of the users.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emulator.model.graph import NOBODY, Floats
from emulator.model.mobility import Bools

Ints = NDArray[np.int64]
DelayLaw = Literal["mm1", "constant"]
OBSERVED = ("delay", "users", "bandwidth", "price", "hour")
"""The five numbers an edge server observes, in their order."""


def zone_of(positions: Floats, sides_m: Floats, split_x: tuple[float, float], split_y: float) -> Ints:
    """Zone of each position: 0 residential, 1 school, 2 commercial, 3 public; shape (...).

    Args:
        positions: Metres, shape (..., 2).
        sides_m: Extent of the area, shape (2,).
        split_x: Share of the width up to which the lower half is school, and the upper half residential.
        split_y: Share of the height that is the lower half.
    Source: N2O section VI.A.1 (four types of zones); their borders as in the authors' file.
    """
    share = positions / sides_m
    x, y = share[..., 0], share[..., 1]
    lower = np.where(x <= split_x[0], 1, 2)
    upper = np.where(x <= split_x[1], 0, 3)
    return np.where(y <= split_y, lower, upper)


def willingness(remembered_s: Floats, most_s: float, least: float) -> Floats:
    """Share of its demand that a user sends to an edge server it remembers as slow.

    Args:
        remembered_s: Delay that the user remembers of the server.
        most_s: A delay at which demand is at its least.
        least: The share that is left then.
    Source: N2O section VI.A.2 ("the user will offload less tasks"); its form as in the authors' file.
    """
    return np.maximum(least, (most_s - remembered_s) / most_s)


def poisson(mean: Floats, uniform: Floats) -> Ints:
    """Poisson counts by inversion of one uniform each, so that worlds that differ in the mean stay coupled.

    Args:
        mean: Expected counts, shape (...), at most ``MOST_MEAN``.
        uniform: In [0, 1), same shape.
    Source: N2O section VI.A.1 (service demand of a user); the law as in the authors' file.
    """
    counts = np.zeros(np.shape(mean), dtype=np.int64)
    open_ = np.flatnonzero(uniform > 0.0)
    rate, left = np.ravel(mean)[open_], np.ravel(uniform)[open_]
    term = np.exp(-rate)
    below = term.copy()
    flat = counts.reshape(-1)
    count = 0
    while open_.size:
        # A term too small to move the sum ends the tail, so rounding cannot keep a count open for ever.
        more = (below <= left) & ((below + term > below) | (count < rate))
        open_, rate, left, term, below = open_[more], rate[more], left[more], term[more], below[more]
        count += 1
        flat[open_] = count
        term = term * (rate / count)
        below = below + term
    return counts


MOST_MEAN = 500.0
"""Largest mean of ``poisson``: beyond 700 the first term is no longer a number."""


def chosen(cost_s: Floats, candidates: Bools, temperature_s: float, uniform: Floats) -> Ints:
    """The edge server that each user picks, by the soft minimum of what it expects to wait.

    Args:
        cost_s: Expected delay of each choice, shape (..., user, choice).
        candidates: What the user can choose, same shape.
        temperature_s: Difference in delay that changes the odds by e.
        uniform: In [0, 1), shape (..., user).
    Returns: Index of the choice, ``NOBODY`` where there is none, shape (..., user).
    Source: N2O section VI.A.1 ("the offloading policy aims to minimize the expected service delay"); the soft minimum
        as in the authors' file.
    """
    cost = np.where(candidates, cost_s, np.inf)
    least = cost.min(axis=-1, keepdims=True)
    some = np.isfinite(least)
    weight = np.exp((np.where(some, least, 0.0) - cost) / temperature_s)
    below = np.cumsum(weight, axis=-1)
    total = below[..., -1]
    # A uniform next to 1 must not round up to the total, beyond the last choice.
    mark = np.minimum(uniform * total, np.nextafter(total, 0.0))
    return np.where(some[..., 0], (below <= mark[..., None]).sum(axis=-1), NOBODY)


def summed(place: Ints, values: Floats, places: int) -> Floats:
    """Sums of users' values by edge server, strictly in the order of the users.

    Args:
        place: Which edge server (of which copy) each user is connected to, shape (user,).
        values: What to sum, shape (user,).
        places: How many sums.
    Returns: Shape (places,).
    Source: ours: equal numbers in one process and in many.
    """
    return np.asarray(np.bincount(place, weights=values, minlength=places), dtype=np.float64)


def compute_s(units: Ints, tasks: Floats, tasks_per_unit: float, most_s: float, law: DelayLaw) -> Floats:
    """Delay of a task in a server, whatever the server's number of units, shape (...).

    Args:
        units: a_n, units of compute rented.
        tasks: omega_n, tasks received in the slot.
        tasks_per_unit: u_rate, tasks a slot that one unit computes.
        most_s: Longest delay: overloaded or not rented.
        law: ``mm1``: 1 / (a u - omega). ``constant``: 1 / (a u), whatever the load.
    Source: N2O section VI.A.1, M/M/1, or section II.C.1, constant rate; the cap as in the authors' file.
    """
    spare = units * tasks_per_unit - (tasks if law == "mm1" else 0.0)
    return 1.0 / np.maximum(spare, 1.0 / most_s)


def rewards(
    units: Ints, tasks: Floats, wait_s: Floats, price: Floats, *, worth: float, weight: float, scale: float
) -> Floats:
    """What a slot was worth to each edge server; nothing where nothing was rented.

    Args:
        units: a_n, units of compute rented.
        tasks: omega_n, tasks received.
        wait_s: Delay summed over those tasks, seconds.
        price: p_n of one unit in this slot.
        worth: Of one task at the edge.
        weight: Of one second that a task waits.
        scale: Of the whole.
    Returns: r_n, shape of ``units``.
    Source: N2O section II.C (delay reduction times demand less rental cost); the form as in the authors' file,
        0.1 ((5 - 0.7 d) omega - a p).
    """
    return np.where(units > 0, scale * (worth * tasks - weight * wait_s - units * price), 0.0)


def averaged(before: Floats, new: Floats, share: float) -> Floats:
    """A running average: a share of the new, the rest of the old.

    Args:
        before, new: Of equal shape.
        share: Weight of the new.
    Source: N2O section VI.A.1 ("averaging the previously experienced computation delays").
    """
    return (1.0 - share) * before + share * new


def normalised(observation: Floats, centre: Floats, scale: Floats) -> Floats:
    """Observations as networks like them: around 0, of size 1.

    Args:
        observation: As in ``OBSERVED``, shape (..., 5).
        centre, scale: Shape (5,).
    Source: ours: N2O section VI.A leaves the input's scaling open.
    """
    return (observation - centre) / scale
