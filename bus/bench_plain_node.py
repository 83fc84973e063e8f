"""A plain node: a process with one publisher, one subscription and a lease, as a user's first program is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bus.bench_crew import Line
from bus.bench_sample import ECHO, TABLE, TOPIC, sample
from bus.codec import Header
from bus.process import Process
from bus.registry import Registry

READY_S: Final = 30.0
PERIOD_S: Final = 0.1

Serve = Callable[[Process], str]
"""Serves a process's metrics; returns their URL."""


def main(line: Line, serve: Serve, address: str) -> None:
    """A child: the hub, or with its address the node; answers with an address, or with the URL of its metrics."""
    if address:
        _node(line, serve, address)
    else:
        _hub(line)


def _hub(line: Line) -> None:
    process = Process("hub", table=TABLE)
    registry = Registry(process, {"edge": 1})
    process.register()
    line.answer(registry.address)
    process.spin()


def _node(line: Line, serve: Serve, address: str) -> None:
    process = Process("plain", table=TABLE)
    (name,) = process.join(address, "edge")
    node = process.node(name)
    publisher = node.publisher(TOPIC)
    node.subscribe(ECHO, _ignore)
    url = serve(process)
    process.register(url)
    if not process.spin(lambda: process.ready, READY_S):
        raise TimeoutError(f"the plain node is not ready within {READY_S:g} s")
    process.settle()
    line.answer(url)

    def publish() -> None:
        publisher.publish(sample(0), slot=0)

    node.timer(PERIOD_S, publish)
    process.spin()


def _ignore(_message: Any, _header: Header) -> None:
    """Nobody needs it."""
