"""Time that passed while nobody ran is nobody's silence. One thread, a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.errors import PeerLost
from bus.registry import Registry
from bus.testing import Cluster, cluster


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def creeps(self) -> None:
        self.now_s += 0.0005


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lost() -> list[str]:
    return []


@pytest.fixture
def bus(clock: Clock, lost: list[str]) -> Iterator[Cluster]:
    with cluster() as made:
        process = made.process("hub", instance=0, clock=clock)
        made.registry = Registry(
            process, {"edge": 2}, liveliness_s=5.0, on_lost=lambda peer, _: lost.append(peer.process)
        )
        process.register()
        for m in range(2):
            made.member(f"edge-{m}", "edge", m, clock=clock).register()
        registry = made.registry
        made.until(lambda: clock.creeps() or (not registry.missing() and all(p.ready for p in made.processes)))
        yield made


def pass_time(bus: Cluster, clock: Clock, seconds: float, *, silent: str = "") -> None:
    """Small steps, in which everyone but the silent one turns until what they ask the hub is answered."""
    skip = next((process for process in bus.processes if process.name == silent), None)
    for _ in range(int(seconds / 0.25)):
        clock.now_s += 0.25
        bus.step(skip)
        if silent != "hub":  # who waits for that one waits in vain
            bus.all_answered(skip)


def test_a_silent_process_is_lost(bus: Cluster, clock: Clock, lost: list[str]) -> None:
    pass_time(bus, clock, 6.0, silent="edge-1")
    assert lost == ["edge-1"]


def test_when_everybody_stood_still_nobody_is_lost(bus: Cluster, clock: Clock, lost: list[str]) -> None:
    pass_time(bus, clock, 2.0)
    clock.now_s += 1000.0
    pass_time(bus, clock, 8.0)
    assert lost == []


def test_a_process_that_is_silent_after_everybody_stood_still_is_lost(
    bus: Cluster, clock: Clock, lost: list[str]
) -> None:
    clock.now_s += 1000.0
    pass_time(bus, clock, 12.0, silent="edge-0")
    assert lost == ["edge-0"]


def test_a_hub_that_is_silent_after_we_stood_still_is_lost(bus: Cluster, clock: Clock) -> None:
    pass_time(bus, clock, 2.0)
    clock.now_s += 1000.0
    with pytest.raises(PeerLost, match="/hub"):
        pass_time(bus, clock, 30.0, silent="hub")
