"""A subscriber that stands still must not fill its publisher's memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bus.messages import Message
from bus.process import Process
from bus.qos import BEST_EFFORT
from bus.topics import TopicSpec, TopicTable

pytestmark = pytest.mark.processes


class Text(Message, frozen=True):
    text: str


TABLE = TopicTable([TopicSpec("/edge/{m}/text", Text, BEST_EFFORT)])
MESSAGES = 150_000
LETTERS = 1000

SUBSCRIBER = """
import sys
from test_bus_suspended import TABLE
from bus.process import Process, stop_on_signals

process = Process("watcher", instance=2, table=TABLE)
stop_on_signals(process)
subscription = process.node("/edge/2").subscribe("/edge/1/text", lambda message, header: None)
process.connect(1, sys.argv[1])
process.spin(None, 60.0)
print(subscription.messages + subscription.superseded, subscription.lost)
process.close()
"""


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_what_a_suspended_subscriber_does_not_read_is_bounded_and_counted_as_lost() -> None:
    process = Process("source", instance=1, table=TABLE)
    child = subprocess.Popen(
        [sys.executable, "-c", SUBSCRIBER, process.endpoint], cwd=Path(__file__).parent, stdout=subprocess.PIPE
    )
    try:
        publisher = process.node("/edge/1").publisher("/edge/1/text")
        publisher.wait_matched(1, 30.0)
        os.kill(child.pid, signal.SIGSTOP)
        before = resident_bytes()
        message = Text("x" * LETTERS)
        for _ in range(MESSAGES):
            publisher.publish(message, slot=0)
        assert resident_bytes() - before < 0.5 * MESSAGES * LETTERS
        os.kill(child.pid, signal.SIGCONT)
        process.spin(None, 1.0)
        publisher.publish(message, slot=0)  # shows what is missing
        process.spin(None, 1.0)
        child.terminate()
        assert process.spin(lambda: child.poll() is not None, 20.0)
        assert child.stdout is not None
        came, lost = map(int, child.stdout.read().split())
        assert lost > 0.5 * MESSAGES
        assert came + lost == MESSAGES + 1
    finally:
        child.kill()
        child.wait(10)
        process.close()
