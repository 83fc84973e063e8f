"""A thread beside the loop: what it finds comes back to the loop, and who waits for it is not dead."""

from __future__ import annotations

import threading

import pytest

from bus.background import Background
from bus.entries import condition
from bus.process import Process
from bus.testing import Cluster

PATIENCE_S = 20.0


def worker(bus: Cluster) -> tuple[Process, Background]:
    process = bus.process("worker")
    return process, Background(process)


def test_results_come_back_to_the_loop_in_order(bus: Cluster) -> None:
    _, background = worker(bus)
    threads: list[int] = []
    heard: list[tuple[int, int]] = []
    for number in range(5):

        def work(number: int = number) -> int:
            threads.append(threading.get_ident())
            return number

        background.run(work, lambda found: heard.append((found, threading.get_ident())))
    bus.until(lambda: len(heard) == 5)
    assert heard == [(number, threading.get_ident()) for number in range(5)]
    assert set(threads) != {threading.get_ident()}
    assert len(set(threads)) == 1
    assert background.pending == 0


def test_the_loop_turns_while_the_thread_works_and_is_woken_when_it_is_done(bus: Cluster) -> None:
    process, background = worker(bus)
    release, ticks, heard = threading.Event(), [], []
    background.run(lambda: release.wait(PATIENCE_S), heard.append)
    process.after(0.01, lambda: ticks.append(1))
    bus.until(lambda: bool(ticks))
    assert not heard
    assert background.pending == 1
    threading.Timer(0.2, release.set).start()
    process.spin_once(PATIENCE_S)  # one long poll: it must not take its whole time
    bus.until(lambda: heard == [True])


def test_whoever_waits_for_idleness_comes_after_all_that_was_asked_before(bus: Cluster) -> None:
    _, background = worker(bus)
    order: list[str] = []
    background.when_idle(lambda: order.append("at once"))
    background.run(lambda: "first", order.append)
    background.when_idle(lambda: order.append("idle"))
    background.run(lambda: "second", order.append)
    bus.until(lambda: "idle" in order)
    assert order == ["at once", "first", "second", "idle"]


def test_what_is_abandoned_is_never_heard_of(bus: Cluster) -> None:
    process, background = worker(bus)
    heard: list[int] = []
    background.run(lambda: 1, heard.append)
    background.run(lambda: 2, heard.append)
    background.when_idle(lambda: heard.append(3))
    background.abandon()
    background.run(lambda: 4, heard.append)
    bus.until(lambda: bool(heard))
    process.spin_once(0.0)
    assert heard == [4]


def test_what_the_thread_raises_rises_from_the_loop(bus: Cluster) -> None:
    _, background = worker(bus)
    background.run(lambda: 1 // 0, lambda _: None)
    with pytest.raises(ZeroDivisionError):
        bus.until(lambda: False)


def test_closing_a_process_waits_for_its_thread(bus: Cluster) -> None:
    process, background = worker(bus)
    begun, done = threading.Event(), []

    def work() -> None:
        begun.set()
        threading.Event().wait(0.1)
        done.append(1)

    background.run(work, lambda _: None)
    background.run(lambda: done.append(2), lambda _: None)
    assert begun.wait(PATIENCE_S)
    process.close()
    assert done == [1], "what has begun ends, what has not is left"


@pytest.mark.parametrize("announced", [True, False])
def test_who_works_in_the_background_may_be_silent_for_as_long_as_it_announced(bus: Cluster, announced: bool) -> None:
    """The loop stands still here while the thread works: without a word before, that is death."""
    lost: list[str] = []
    registry = bus.hub({"agent": 1}, liveliness_s=0.2, max_busy_s=5.0, on_lost=lambda _peer, why: lost.append(why))
    registry._process.register()  # type: ignore[attr-defined]
    member = bus.member("agent-0", "agent")
    background = Background(member)
    member.register()
    bus.all_ready()
    release = threading.Event()
    background.run(lambda: release.wait(PATIENCE_S), lambda _: None, busy_s=100.0 if announced else 0.0)
    bus.until(lambda: registry.heard(member.instance)[1] > 1.0) if announced else bus.step()
    waited: list[int] = []
    bus.processes[0].after(1.0, lambda: waited.append(1))
    bus.until(lambda: bool(waited), skip=member)
    assert bool(lost) != announced, lost
    if announced:
        quiet_s, busy_s = registry.heard(member.instance)
        assert busy_s < 5.0, "no more is believed than the hub was told to believe"
        assert condition(quiet_s, busy_s, 0.2, ready=True) == "busy"
    release.set()


def test_beats_of_a_loop_that_turns_announce_as_long_again_as_the_thread_has_worked(bus: Cluster) -> None:
    registry = bus.hub({"agent": 1}, liveliness_s=0.1)
    registry._process.register()  # type: ignore[attr-defined]
    member = bus.member("agent-0", "agent")
    background = Background(member)
    member.register()
    bus.all_ready()
    release, heard = threading.Event(), []
    background.run(lambda: release.wait(PATIENCE_S), heard.append)
    bus.until(lambda: registry.heard(member.instance)[1] > 0.3)
    release.set()
    bus.until(lambda: bool(heard))
    bus.until(lambda: registry.heard(member.instance)[1] == 0.0)
