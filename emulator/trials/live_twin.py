"""The twin of a live run: the same run with the baseline everywhere, in this process, slot for slot."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from emulator.scenario import Scenario
from emulator.trials.rental_worlds import RentalTrack
from emulator.trials.worlds import OffloadingTrack

AT_HAND_SLOTS: Final = 50
"""So few are played while one is in control of the run, that nobody takes one for silent."""
TELL_S: Final = 2.0


class Twin:
    """Is played as far as it is needed."""

    def __init__(self, scenario: Scenario, baseline: str) -> None:
        """Play nothing yet.

        Args: scenario: The live run's. baseline: SPEC of the policy that decides everywhere.
        """
        made = RentalTrack if scenario.world == "rental" else OffloadingTrack
        self._track = made(scenario, {"baseline": baseline}, float("inf"))
        self._slots: list[tuple[float, float]] = []

    def delay_s(self, first: int, end: int) -> float | None:
        """Mean delay of the tasks of slots first..end-1, seconds; None without tasks."""
        self._play(end)
        done = sum(each[0] for each in self._slots[first:end])
        return sum(each[1] for each in self._slots[first:end]) / done if done else None

    def catch_up(self, now: Callable[[], int], tell: Callable[[str], None]) -> None:
        """Come near to the live run, which goes on meanwhile; after hours of it that takes seconds.

        Args:
            now: How many slots of it are over. tell: Takes lines for people, with the seconds that are left.
        """
        behind, told_s = now() - len(self._slots), time.monotonic()
        while behind > AT_HAND_SLOTS:
            begun, began_s, end = len(self._slots), time.monotonic(), len(self._slots) + behind
            while len(self._slots) < end:
                self._play(min(end, len(self._slots) + AT_HAND_SLOTS))
                if (now_s := time.monotonic()) - told_s > TELL_S:
                    left = end - len(self._slots)
                    left_s = left * (now_s - began_s) / (end - left - begun)
                    told_s = now_s
                    tell(f"twin of the run: slot {end - left} of {end}, ETA {left_s:.0f} s")
            was, behind = behind, now() - len(self._slots)
            if behind >= was:
                return  # the run is as quick as we are

    def _play(self, end: int) -> None:
        while len(self._slots) < end:
            self._frame(self._track)

    def _frame(self, track: RentalTrack | OffloadingTrack) -> None:
        seen = track.frame()
        if isinstance(track, RentalTrack):
            self._slots.append((sum(seen.completed), sum(seen.cost_s)))
            return
        for slot in track.latest.slots if track.latest is not None else ():
            done = slot.row.local + slot.row.peer + slot.row.cloud
            self._slots.append((done, done * slot.row.delay_s))
