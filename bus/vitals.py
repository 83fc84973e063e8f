"""Vital signs of a process: what it sent and used so far, as its beats carry it."""

from __future__ import annotations

import functools
import os
import resource
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bus.messages import Beat

if TYPE_CHECKING:
    from bus.process import Process

MOST_SENTENCES = 32


def vital_signs(
    process: Process, slot: int = 0, attempt: int = 0, waiting: Sequence[str] = (), busy_s: float = 0.0
) -> Beat:
    """A beat of a process: where it is, whom it waits for (sentences), and what it sent and used so far."""
    copies = [copy for publisher in process.publishers.values() for copy in publisher.copies().values()]
    messages, wire_bytes = sum(copy.messages for copy in copies), sum(copy.wire_bytes for copy in copies)
    used = (messages, wire_bytes, memory_bytes(), time.process_time())
    states = tuple(node.lifecycle.record() for node in process.nodes.values() if node.lifecycle is not None)
    return Beat(process.instance, slot, attempt, tuple(waiting[:MOST_SENTENCES]), busy_s, *used, states)


def memory_bytes() -> int:
    """Resident memory of this process; 0 where the kernel does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


@functools.cache
def started_s() -> float:
    """When this process began, seconds since 1970; 0 where the kernel does not say."""
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
            began_ticks = int(file.read().rpartition(")")[2].split()[19])
        with open("/proc/uptime", encoding="utf-8") as file:
            up_s = float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0
    return time.time() - (up_s - began_ticks / os.sysconf("SC_CLK_TCK"))
