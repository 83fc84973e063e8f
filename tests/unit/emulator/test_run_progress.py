"""What a person is told of the time that a run still takes."""

from __future__ import annotations

import pytest

from bus.messages import RunStatus
from emulator.cli import progress


class Clock:
    """Stands in for ``time`` in the module."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


def status(slot: int, slots: int = 101) -> RunStatus:
    return RunStatus("running", slot, slots, slot // 5, 1.0, 2.0, 3.0, {}, 10 * slot, 0, 0, ())


def test_slots_that_take_long_do_not_make_the_rest_look_endless(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    shown = progress.Progress("a run")
    for second in range(62):  # a slot takes 12 s, and statuses come every second
        clock.now_s += 1.0
        shown.show(status(second // 12))
    last = capsys.readouterr().err.splitlines()[-1]
    assert "slot 6/101" in last
    assert 95 * 12 * 0.9 < float(last.split("ETA ")[1].split()[0]) < 95 * 12 * 1.1
