from __future__ import annotations

import os
import signal

import pytest
from bus_numbers import Number

from bus.process import Process, stop_on_signals
from bus.testing import Cluster
from bus.timers import Timers


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_timers_run_in_the_order_in_which_they_become_due() -> None:
    clock = Clock()
    timers = Timers(clock)
    ran: list[str] = []
    timers.after(2.0, lambda: ran.append("two"))
    timers.after(1.0, lambda: ran.append("one"))
    cancelled = timers.after(1.5, lambda: ran.append("cancelled"))
    timers.every(1.0, lambda: ran.append("every"))
    cancelled.cancel()
    clock.now_s += 1.0
    timers.run_due()
    assert ran == ["one", "every"]
    clock.now_s += 5.0
    timers.run_due()
    assert ran == ["one", "every", "two", "every"]  # a late round is not made up for
    assert timers.next_due_s() == clock.now_s + 1.0


def test_a_period_of_nothing_is_misuse() -> None:
    with pytest.raises(ValueError, match="period_s"):
        Timers(Clock()).every(0.0, lambda: None)


def test_spin_returns_at_its_deadline_and_says_so(bus: Cluster) -> None:
    process = bus.process("p")
    assert process.spin(lambda: False, 0.01) is False
    assert process.spin(lambda: True, 0.01) is True


def test_a_signal_stops_the_loop() -> None:
    process = Process("p", instance=1)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop_on_signals(process)
        process.after(0.01, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert process.spin(lambda: False, 5.0) is False
        assert process.stopping
    finally:
        process.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def test_closing_twice_is_harmless_and_leaves_no_socket_open() -> None:
    process = Process("p", instance=1)
    process.close()
    process.close()
    assert process.sockets.open() == []


def test_a_chain_of_local_messages_does_not_recurse(numbers: Cluster) -> None:
    process = numbers.process("p")
    node = process.node("/edge/1")
    publisher = node.publisher("/edge/1/number")
    last: list[int] = []

    def count_down(message: Number, _header: object) -> None:
        last.append(message.value)
        if message.value:
            publisher.publish(Number(message.value - 1), slot=0)

    node.subscribe("/edge/1/number", count_down)
    publisher.publish(Number(3000), slot=0)
    numbers.until(lambda: last[-1:] == [0])
    assert len(last) == 3001


def test_node_timers_run_from_the_loop(numbers: Cluster) -> None:
    ticks: list[int] = []
    timer = numbers.process("p").node("/edge/1").timer(0.001, lambda: ticks.append(1))
    numbers.until(lambda: len(ticks) == 3)
    timer.cancel()
    for _ in range(10):
        numbers.step()
    assert len(ticks) == 3
