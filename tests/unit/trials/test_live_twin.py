"""The twin of a live run comes near to it before anybody takes control."""

from __future__ import annotations

import itertools

import pytest

from emulator.scenario_file import load
from emulator.trials.live_twin import AT_HAND_SLOTS, Twin


@pytest.fixture
def twin() -> Twin:
    return Twin(load("quickstart", ("edges.count=2", "services.count=4", "frames=100000")), "popularity")


def test_a_twin_catches_up_with_a_run_that_goes_on(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.trials.live_twin.TELL_S", 0.0)
    played = []
    frame = twin._track.frame
    monkeypatch.setattr(twin._track, "frame", lambda: (played.append(1), frame()))
    told: list[str] = []
    slots = iter((300, 400, 420))
    twin.catch_up(lambda: next(slots), told.append)
    assert not list(slots), "it looked again where the run was, until it was near"
    assert 400 - AT_HAND_SLOTS <= 5 * len(played) < 420 + AT_HAND_SLOTS
    assert told[0].startswith("twin of the run: slot 50 of 300, ETA ")


def test_a_run_that_is_as_quick_as_its_twin_is_not_chased_for_ever(twin: Twin) -> None:
    slots = itertools.count(200, 300)
    twin.catch_up(lambda: next(slots), lambda text: None)
    assert next(slots) == 800, "behind by 200, by 300: enough"


def test_delays_do_not_depend_on_when_the_twin_is_played(twin: Twin) -> None:
    again = Twin(load("quickstart", ("edges.count=2", "services.count=4", "frames=100000")), "popularity")
    again.catch_up(lambda: 120, lambda text: None)
    assert twin.delay_s(60, 100) == again.delay_s(60, 100) > 0.0
