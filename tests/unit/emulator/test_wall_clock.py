"""Slots of the wall clock keep to the run's start, whatever the hub's own lateness."""

from __future__ import annotations

import pytest

from bus.measure import Value
from emulator.nodes.wall import WallClock


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def wall() -> tuple[WallClock, Clock, list[str]]:
    clock, notes = Clock(), []
    return WallClock(2.0, clock, notes.append), clock, notes


def test_a_little_lateness_does_not_add_up() -> None:
    made, clock, notes = wall()
    for slot in range(1000):
        clock.now_s += made.begin(slot) + 0.01
    assert clock.now_s == pytest.approx(100.0 + 1000 * 2.0 + 0.01)
    assert notes == []


def test_a_hub_that_was_held_up_says_so_and_gives_the_slot_its_time() -> None:
    made, clock, notes = wall()
    clock.now_s += made.begin(0) + 7.0
    assert made.begin(1) == 2.0
    assert notes == ["the hub was held up: slot 1 begins 7.00 s late"]


def test_how_late_a_slot_begins_is_measured() -> None:
    lag, clock = Value(), Clock()
    made = WallClock(2.0, clock, print, lag)
    clock.now_s += made.begin(0) + 0.25
    made.begin(1)
    assert lag.value == pytest.approx(0.25)


def test_a_share_of_the_slot_is_counted_from_its_pinned_start() -> None:
    made, clock, _ = wall()
    assert made.left_s(0.5) == 0.0  # before the first slot there is nothing to wait for
    clock.now_s += made.begin(0) + 0.5
    made.begin(1)
    assert made.left_s(0.5) == pytest.approx(0.5)
    clock.now_s += 5.0
    assert made.left_s(0.9) == 0.0
