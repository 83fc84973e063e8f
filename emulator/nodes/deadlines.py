"""How far into a slot each stage may last on the wall clock, as a share of the slot.

In lockstep nothing here is read: gathers close by messages alone.
"""

from __future__ import annotations

SENSED = 0.05
DECISION = 0.25
RENTED = 0.4
"""A rental: longer than for a deployment, since agents write to each other before, and nobody schedules after."""

SCHEDULER_INPUT = 0.35
SCHEDULE = 0.5
OFFLOAD = 0.65
COMPLETED = 0.85
OUTCOME = 0.95
