"""Rates of `edgerig top` are from beat to beat, however often one looks."""

from __future__ import annotations

from typing import Any

import pytest

from bus.messages import Beat, Vital, Vitals
from emulator.cli.top import Rates


def look(rates: Rates, clock_s: float, quiet_s: float, messages: int, wire_bytes: int = 0) -> dict[str, Any]:
    beat = Beat(7, messages=messages, wire_bytes=wire_bytes, processor_s=clock_s - quiet_s)
    return rates.look(Vitals(clock_s, (Vital("edge-0", ("/edge/0",), 1, 7, "ready", quiet_s, beat),)))[0]


def test_a_rate_is_what_came_between_two_beats() -> None:
    rates = Rates()
    assert look(rates, 10.0, 0.5, 100)["messages_per_s"] == 0.0
    row = look(rates, 12.0, 0.5, 300, 5000)
    assert (row["messages_per_s"], row["wire_bytes_per_s"]) == (100.0, 2500.0)
    assert row["cpu_share"] == pytest.approx(1.0)


def test_looking_twice_between_beats_changes_no_rate() -> None:
    rates = Rates()
    look(rates, 10.0, 0.0, 100)
    look(rates, 11.0, 0.0, 150)
    for later_s in (0.2, 0.4, 0.6):
        row = look(rates, 11.0 + later_s, later_s, 150)
        assert row["messages_per_s"] == 50.0
        assert row["lag_s"] == later_s
    assert look(rates, 12.0, 0.0, 250)["messages_per_s"] == 100.0


def test_a_process_that_has_come_back_begins_anew() -> None:
    rates = Rates()
    look(rates, 10.0, 0.0, 100)
    beat = Beat(8, messages=3)
    row = rates.look(Vitals(11.0, (Vital("edge-0", ("/edge/0",), 2, 8, "ready", 0.0, beat),)))[0]
    assert row["messages_per_s"] == 0.0
