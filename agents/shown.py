"""What an agent is shown over the protocol, as arrays without surprises."""

from __future__ import annotations

from typing import Final

import numpy as np

from bus import agent_wire as wire
from emulator.model.offloading import Floats

CAP: Final = 9e6
"""More tasks of a service in a slot than anyone has; what is no number of tasks at all is shown as none."""


def counts_in(observation: wire.Observation) -> Floats:
    """Counts as an array (slot, service); what is no number of tasks is shown as none.

    Raises: ValueError: there are not as many as it says.
    """
    shape = (observation.slots, observation.services)
    if len(observation.counts) != 8 * shape[0] * shape[1]:
        raise ValueError(f"{len(observation.counts)} bytes are no {shape[0]} x {shape[1]} counts")
    return capped(np.frombuffer(observation.counts, "<f8").reshape(shape), least=0.0)


def values_in(observation: wire.RentalObservation) -> Floats:
    """The five numbers, shape (1, 5)."""
    seen = observation
    return capped(np.array([[seen.delay_s, seen.users, seen.bandwidth_mhz, seen.price, seen.hour]]), least=-CAP)


def capped(values: Floats, least: float) -> Floats:
    """Within bounds, and numbers."""
    return np.clip(np.nan_to_num(values, nan=0.0, posinf=CAP, neginf=least), least, CAP)
