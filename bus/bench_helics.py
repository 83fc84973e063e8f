"""Lockstep by HELICS: value federates on its ZeroMQ core, uninterruptible, one request of time a tick.

The hub publishes the tick, every node its sample and its acknowledgement, all as raw bytes of our frames' sizes, and
everyone asks for the next second. What was published in one step is read in the next: a tick is one grant of time and
not three in a row (tick, sample, acknowledgement), so HELICS is let off two of the three stages that we go through.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final

import helics as h

from bus.bench_lockstep import HUB, Conductor, Follower, Shape

TICK: Final = bytes(60)
SAMPLE: Final = bytes(156)
ACK: Final = bytes(78)
FIRST_PORT, LAST_PORT = 12_000, 32_000
LOG: Final = "--loglevel=error"


def ends(shape: Shape, number: int) -> Conductor | Follower:
    """See ``MEANS``."""
    return _Federate(shape, number)


class _Federate:
    """One process: a federate, and in the hub's the broker."""

    def __init__(self, shape: Shape, number: int) -> None:
        if shape.hosted != 1:
            raise ValueError("a federate of this bench hosts one node")
        self._shape = shape
        self._number = number
        self._time = 0.0
        self._port = 0
        self._broker: Any = None
        self._federate: Any = None
        self._publications: list[tuple[Any, bytes]] = []
        self._inputs: list[Any] = []

    def offer(self) -> str:
        """See ``End``."""
        if self._number >= 0:
            return ""
        self._port = _free_ports(4 * (self._shape.nodes + 8))
        options = f"-f {self._shape.nodes + 1} --localport={self._port} {LOG}"
        self._broker = h.helicsCreateBroker("zmq", "", options)
        if not h.helicsBrokerIsConnected(self._broker):
            raise ConnectionError(f"HELICS's broker does not listen at port {self._port}")
        return str(self._port)

    def link(self, offers: Mapping[str, str]) -> None:
        """See ``End``."""
        info = h.helicsCreateFederateInfo()
        h.helicsFederateInfoSetCoreTypeFromString(info, "zmq")
        core = f"--federates=1 --broker_address=tcp://127.0.0.1:{offers[HUB]} {LOG}"
        h.helicsFederateInfoSetCoreInitString(info, core)
        h.helicsFederateInfoSetTimeProperty(info, h.helics_property_time_period, 1.0)
        h.helicsFederateInfoSetFlagOption(info, h.helics_flag_uninterruptible, True)
        name = HUB if self._number < 0 else f"node{self._number}"
        self._federate = h.helicsCreateValueFederate(name, info)
        if self._number < 0:
            self._publish("tick", TICK)
            self._subscribe(*(f"ack{k}" for k in range(self._shape.nodes)))
        else:
            self._publish(f"sample{self._number}", SAMPLE)
            self._publish(f"ack{self._number}", ACK)
            self._subscribe("tick", f"sample{self._shape.before(self._number)}")
        h.helicsFederateEnterExecutingMode(self._federate)

    def _publish(self, name: str, value: bytes) -> None:
        made = h.helicsFederateRegisterGlobalPublication(self._federate, name, h.HELICS_DATA_TYPE_RAW, "")
        self._publications.append((made, value))

    def _subscribe(self, *names: str) -> None:
        self._inputs += [h.helicsFederateRegisterSubscription(self._federate, name, "") for name in names]

    def follow(self) -> None:
        """See ``End``."""
        while True:
            self._step()

    def conduct(self, seconds: float) -> int:
        """See ``End``."""
        before, end = self._time, time.perf_counter() + seconds
        while time.perf_counter() < end:
            self._step()
        return round(self._time - before)

    def _step(self) -> None:
        for publication, value in self._publications:
            h.helicsPublicationPublishBytes(publication, value)
        self._time = h.helicsFederateRequestTime(self._federate, self._time + 1.0)
        for each in self._inputs:
            h.helicsInputGetBytes(each)


def _free_ports(count: int) -> int:
    """The first of so many ports in a row that are free now: the broker hands them to the cores.

    Below those that the system gives to connections, which are many while a bench runs.
    """
    first = FIRST_PORT + os.getpid() % 100 * 100
    for port in range(first, LAST_PORT - count, count):
        with ExitStack() as stack:
            try:
                for taken in range(port, port + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", taken))
            except OSError:
                continue
            return port
    raise ConnectionError(f"no {count} free ports in a row from {first} to {LAST_PORT}")
