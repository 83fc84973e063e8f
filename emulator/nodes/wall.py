"""When the slots of a run on the wall clock end."""

from __future__ import annotations

from collections.abc import Callable

from bus.measure import Value
from bus.process import Process
from emulator.scenario import Scenario


class WallClock:
    """Slots of equal wall time, pinned to the first: being late by a little does not add up."""

    def __init__(
        self, slot_s: float, clock: Callable[[], float], note: Callable[[str], None], lag: Value | None = None
    ) -> None:
        """Take the wall seconds of a slot, a clock (seconds), and where a hub that was held up says so.

        In ``lag`` is kept how many wall seconds too late the last slot began.
        """
        self._slot_s = slot_s
        self._clock = clock
        self._note = note
        self._lag = lag if lag is not None else Value()
        self._ends_s: float | None = None

    def begin(self, slot: int) -> float:
        """A slot begins: the wall seconds until it ends.

        A hub that was held up for long gives the slot all its time: a slot of no time would lose everybody's tasks.
        """
        now_s = self._clock()
        before_s = now_s if self._ends_s is None else self._ends_s
        self._ends_s = before_s + self._slot_s
        self._lag.value = now_s - before_s
        if now_s - before_s > self._slot_s / 2.0:
            self._note(f"the hub was held up: slot {slot} begins {now_s - before_s:.2f} s late")
            self._ends_s = now_s + self._slot_s
        return self._ends_s - now_s

    def left_s(self, share: float) -> float:
        """Wall seconds until a share of the present slot has passed; 0 when it has."""
        if self._ends_s is None:
            return 0.0
        return max(0.0, self._ends_s - (1.0 - share) * self._slot_s - self._clock())


def clock_of(scenario: Scenario, process: Process, note: Callable[[str], None]) -> WallClock | None:
    """The wall clock of a hub; None in lockstep. How long slots are meant to last is measured either way."""
    measured = process.measurements
    measured.gauge("slot_seconds").value = scenario.slot_s
    if scenario.clock != "wall":
        return None
    slot_wall_s = scenario.slot_s / scenario.rate
    measured.gauge("slot_wall_seconds").value = slot_wall_s
    return WallClock(slot_wall_s, process.clock, note, measured.gauge("slot_lag_seconds"))
