"""For tests: a registry and several processes in one thread, stepped in a fixed order, without a sleep anywhere."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import zmq

from bus import topics
from bus.credentials import Keys
from bus.process import Process
from bus.registry import Registry
from bus.topics import TopicTable


class Cluster:
    """Processes that take turns. Without a registry they are linked by ``link``."""

    def __init__(self, table: TopicTable = topics.TABLE) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.processes: list[Process] = []
        self.table = table
        self.registry: Registry | None = None
        self._instances = itertools.count(1)

    def process(self, name: str, **options: Any) -> Process:
        """A process without a registry, with the next instance number."""
        options.setdefault("instance", next(self._instances))
        options.setdefault("table", self.table)
        # With keys a process asks its own gate, and libzmq has one per context.
        context = None if options.get("keys") else self.context
        process = Process(name, context=context, **options)
        self.processes.append(process)
        return process

    def link(self, subscriber: Process, publisher: Process) -> None:
        """Let one process listen to another."""
        subscriber.connect(publisher.instance, publisher.endpoint)

    def hub(self, pool: Mapping[str, int | None], *, keys: Keys | None = None, **options: Any) -> Registry:
        """A hub process with a registry; with keys it also needs ``enrolled``."""
        self.registry = Registry(self.process("hub", instance=0, keys=keys), pool, **options)
        return self.registry

    def member(self, name: str, role: str, index: int | None = None, count: int = 1, **options: Any) -> Process:
        """A process that has joined the hub (it hosts its nodes already) but has not registered."""
        if self.registry is None:
            raise RuntimeError("no hub; call hub() first")
        process = self.process(name, instance=0, **options)
        self.join(process, role, index, count)
        return process

    def join(self, process: Process, role: str, index: int | None = None, count: int = 1, wait_s: float = 0.0) -> None:
        """``Process.join`` blocks; here the others must turn meanwhile."""
        if self.registry is None:
            raise RuntimeError("no hub; call hub() first")
        with self._turning(process):
            names = process.join(self.registry.address, role, index, count, wait_s=wait_s)
        for name in names:
            process.node(name)

    def guest(self, name: str, *names: str, **options: Any) -> Process:
        """A guest that has joined the hub (it hosts its nodes already) but has not registered."""
        if self.registry is None:
            raise RuntimeError("no hub; call hub() first")
        process, address = self.process(name, instance=0, **options), self.registry.address
        for full in self.call(process, lambda: process.join_as(address, *names)):
            process.node(full)
        return process

    @contextmanager
    def _turning(self, blocked: Process) -> Iterator[None]:
        """While one process spins, give the others a turn after each of its steps."""
        spin_once = blocked.spin_once

        def step(timeout_s: float = 0.0) -> None:
            self.step(skip=blocked)
            spin_once(min(timeout_s, 0.001))

        blocked.spin_once = step  # type: ignore[method-assign]
        try:
            yield
        finally:
            del blocked.spin_once

    def call(self, caller: Process, function: Callable[[], Any]) -> Any:
        """Run something of a process that blocks (``Node.call``) while the others turn."""
        with self._turning(caller):
            return function()

    def step(self, skip: Process | None = None) -> None:
        """One turn for each process, in the order in which they were made."""
        for process in list(self.processes):
            if process is not skip and not process.closed:
                process.spin_once(0.0)

    def until(self, condition: Callable[[], bool], deadline_s: float = 10.0, skip: Process | None = None) -> None:
        """Step (all but ``skip``) until a condition holds.

        Raises: AssertionError: it did not within ``deadline_s`` of wall time.
        """
        end = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {deadline_s:g} s: {self._missing()}")
            self.step(skip)

    def all_answered(self, skip: Process | None = None) -> None:
        """Step until no question of anyone (but ``skip``) is open, however long the sockets take on a busy machine."""
        asking = [process for process in self.processes if process is not skip and not process.closed]
        self.until(lambda: not any(process.sockets.unanswered for process in asking), skip=skip)

    def all_ready(self, deadline_s: float = 10.0) -> None:
        """Step until the registry misses nobody and every process knows itself ready."""
        registry = self.registry
        if registry is None:
            raise RuntimeError("no hub; call hub() first")
        members = [p for p in self.processes if not p.closed and p.membership.version + len(p.membership.names)]
        self.until(lambda: not registry.missing() and all(p.ready for p in members), deadline_s)

    def kill(self, process: Process) -> None:
        """Close a process's sockets without a word to anybody, as SIGKILL would."""
        process.membership.vanish()
        process.close()

    def close(self) -> None:
        """Close all; raises AssertionError when a socket is left open."""
        for process in self.processes:
            process.close()
        leaked = [socket for process in self.processes for socket in process.sockets.open()]
        self.context.destroy(linger=0)
        if leaked:
            raise AssertionError(f"sockets left open: {leaked}")

    def _missing(self) -> str:
        return "; ".join(self.registry.missing()) if self.registry is not None else "the condition does not hold"


@contextmanager
def cluster(table: TopicTable = topics.TABLE) -> Iterator[Cluster]:
    """A cluster that is closed, and checked for open sockets, at the end."""
    made = Cluster(table)
    try:
        yield made
    finally:
        made.close()
