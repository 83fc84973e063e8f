"""A reliable topic under ten times the load its subscriber takes, with cut links and loss: nothing lost or doubled."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from bus.messages import Message
from bus.process import Process
from bus.qos import Qos
from bus.topics import TopicSpec, TopicTable

pytestmark = pytest.mark.processes

MESSAGES = 20_000
CUTS = 10


class Numbered(Message, frozen=True):
    value: int


KEEP_ALL = Qos(keep="all", history=32, block_s=20.0)
TABLE = TopicTable([TopicSpec("/edge/{m}/number", Numbered, KEEP_ALL)])

SUBSCRIBER = """
import sys, time
from test_bus_overload import MESSAGES, TABLE
from bus.process import Process

lose = lambda topic, sequence: sequence % 100 == 37
process = Process("slow", instance=2, table=TABLE, drop=lose)
seen = []

def take(message, header):
    until = time.perf_counter() + 100e-6
    seen.append(message.value)
    while time.perf_counter() < until:
        pass

subscription = process.node("/edge/2").subscribe("/edge/1/number", take)
process.connect(1, sys.argv[1])
process.spin(lambda: len(seen) >= MESSAGES, 100.0)
process.spin(None, 0.2)
print(len(seen), seen == list(range(MESSAGES)), subscription.lost, subscription.injected)
process.close()
"""


class Wire:
    """A TCP link that can be cut: both connections close, what was on its way is gone."""

    def __init__(self, port: int) -> None:
        self.cuts = 0
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ends: list[socket.socket] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def cut(self) -> None:
        self.cuts += 1
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing = True
        self.cut()
        self._thread.join(10)
        self._listener.close()

    def _run(self) -> None:
        while not self._closing:
            if select.select([self._listener], [], [], 0.05)[0]:
                ours, _ = self._listener.accept()
                with contextlib.suppress(OSError), ours, socket.create_connection(("127.0.0.1", self._port)) as theirs:
                    self._ends = [ours, theirs]
                    self._forward({ours: theirs, theirs: ours})

    def _forward(self, other: dict[socket.socket, socket.socket]) -> None:
        while not self._closing:
            for end in select.select(list(other), [], [], 0.05)[0]:
                data = end.recv(65536)
                if not data:
                    return
                other[end].sendall(data)


@pytest.fixture
def source() -> Iterator[Process]:
    process = Process("source", instance=1, table=TABLE)
    try:
        yield process
    finally:
        process.close()


def test_overload_cut_links_and_loss_leave_no_trace(source: Process) -> None:
    publisher = source.node("/edge/1").publisher("/edge/1/number")
    wire = Wire(int(source.endpoint.rsplit(":", 1)[1]))
    child = subprocess.Popen(
        [sys.executable, "-c", SUBSCRIBER, wire.endpoint], cwd=__file__.rpartition("/")[0], stdout=subprocess.PIPE
    )
    try:
        publisher.wait_matched(1, 30.0)
        start_s, blocked = time.monotonic(), 0
        for value in range(MESSAGES):
            blocked += publisher.sequence >= publisher.limit
            publisher.publish(Numbered(value), slot=0)
            if value % (MESSAGES // CUTS) == MESSAGES // CUTS // 2:
                wire.cut()
        assert time.monotonic() - start_s < 90.0
        assert source.spin(lambda: child.poll() is not None, 60.0)
        assert child.stdout is not None
        count, whole, lost, injected = child.stdout.read().decode().split()
        assert (count, whole, lost) == (str(MESSAGES), "True", "0")
        assert 100 < int(injected) <= MESSAGES // 100  # what a cut took as well came as repair
        assert wire.cuts == CUTS
        assert blocked > 10  # the load was more than the subscriber takes
        sent = publisher.traffic
        repairs = sum(t.wire_bytes for (_, kind), t in publisher.links().items() if kind == "repair")
        assert 0 < repairs <= 0.05 * sent.wire_bytes, repairs / sent.wire_bytes
    finally:
        child.kill()
        child.wait(10)
        wire.close()
