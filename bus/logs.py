"""What a process logs, on the topic ``/log``: best effort, only while somebody listens, and never faster than a rate.

The level of each node is its parameter ``log_level``. Records of modules that belong to no node (``bus.registry``) are
the first node's.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from bus.messages import LogEntry

if TYPE_CHECKING:
    from bus.process import Process
    from bus.publisher import Publisher

TOPIC: Final = "/log"
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
KEPT: Final = 500  # records that wait for their turn; of more the oldest go
RATE_PER_S: Final = 500.0
BURST: Final = 100
PAUSE_S: Final = 0.02
LONGEST_TEXT: Final = 4000  # characters


class BusLog(logging.Handler):
    """A logging handler that publishes; made by ``Process.log_to_bus``."""

    def __init__(self, process: Process, publisher: Publisher, slot_s: float, root: logging.Logger) -> None:
        super().__init__()
        self.dropped = 0
        self._process = process
        self._publisher = publisher
        self._slot_s = slot_s
        self._root = root
        self._waiting: deque[logging.LogRecord] = deque()
        self._flushing = False
        self._speaking = False  # while we publish: what that logs would be published, which would log ...
        self._allowed = float(BURST)
        self._allowed_s = process.clock()
        self._told = 0
        self._first = next(iter(process.nodes))
        self._before = root.level
        root.addHandler(self)
        for name in process.nodes:
            self.add_node(name)

    def add_node(self, name: str) -> None:
        """Let a node of the process have its level as a parameter."""
        logger = self.logger(name)
        start = logging.getLevelName(logger.getEffectiveLevel())
        self._process.nodes[name].parameter(
            "log_level",
            start if start in LEVELS else "INFO",
            choices=LEVELS,
            description="records below this level are not logged, neither here nor on /log",
            on_change=logger.setLevel,
        )

    def logger(self, name: str) -> logging.Logger:
        """The logger whose level a node's parameter sets."""
        return self._root if name == self._first else self._root.getChild(name)

    # -- from any thread -----------------------------------------------------------------------------------------------

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record until the loop turns; nothing is done while nobody listens."""
        if self._speaking or not self._publisher.heard:
            return
        if len(self._waiting) >= KEPT:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(record)
        if not self._flushing:
            self._flushing = True
            self._process.later(self._flush)

    # -- from the loop -------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._flushing = False
        now_s = self._process.clock()
        self._allowed = min(float(BURST), self._allowed + (now_s - self._allowed_s) * RATE_PER_S)
        self._allowed_s = now_s
        self._speaking = True
        try:
            while self._waiting and self._allowed >= 1.0:
                self._allowed -= 1.0
                self._publish(self._entry(self._waiting.popleft()))
            if self.dropped > self._told and not self._waiting:
                count, self._told = self.dropped - self._told, self.dropped
                text = f"{count} records were too many to be sent"
                wall_ns = time.time_ns()
                self._publish(LogEntry(logging.WARNING, self._first, __name__, text, "", 0, wall_ns, self._sim_s()))
        finally:
            self._speaking = False
        if self._waiting and not self._flushing:
            self._flushing = True
            self._process.after(PAUSE_S, self._flush)

    def _publish(self, entry: LogEntry) -> None:
        self._publisher.publish(entry, slot=self._slot())

    def _entry(self, record: logging.LogRecord) -> LogEntry:
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[0] is not None:
                text = f"{text}: {record.exc_info[0].__name__}: {record.exc_info[1]}"
        except (TypeError, ValueError, LookupError) as error:  # the record's own fault: arguments that do not fit
            text = f"{record.msg} ({error})"
        prefix = f"{self._root.name}." if self._root.name != "root" else ""
        logger = record.name or ""  # a record made by hand may have none
        name = logger.removeprefix(prefix)
        node = name if name in self._process.nodes else self._first
        wall_ns = int(record.created * 1e9)
        text = text[:LONGEST_TEXT]
        return LogEntry(record.levelno, node, logger, text, record.filename, record.lineno, wall_ns, self._sim_s())

    def _slot(self) -> int:
        return max((node.collector.slot for node in self._process.nodes.values()), default=0)

    def _sim_s(self) -> float:
        return max(self._slot(), 0) * self._slot_s

    def close(self) -> None:
        """Publish no more; idempotent."""
        if self in self._root.handlers:
            self._root.removeHandler(self)
            self._root.setLevel(self._before)
        super().close()
