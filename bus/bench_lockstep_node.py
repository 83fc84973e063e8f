"""Lockstep by our API: registry, roster, ``SlotDriver``, ``gather``; what the world's nodes use, and nothing less."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from bus import topics
from bus.bench_lockstep import HUB, START_S, Conductor, Follower, Shape, sample_topic
from bus.bench_sample import Sample, sample
from bus.messages import Member, Roster, Shutdown, Tick
from bus.node import Node
from bus.process import Process
from bus.registry import Registry
from bus.slots import Now, SlotDriver
from bus.topics import TopicSpec

LIVELINESS_S: Final = 3600.0  # between turns nobody answers, and nobody shall be missed
SLOTS_PER_FRAME: Final = 5

TABLE: Final = topics.TABLE.extended([TopicSpec("/bench/{n}/sample", Sample)])


def ends(shape: Shape, number: int) -> Conductor | Follower:
    """See ``MEANS``."""
    return Hub(shape) if number < 0 else _Nodes(shape, number)


class Hub:
    """Gives ticks, gathers what the processes acknowledge."""

    def __init__(self, shape: Shape, role: str = "edge") -> None:
        self.ended_s: list[float] = []
        """When each tick was acknowledged by everyone."""
        self._process = process = Process(HUB, table=TABLE)
        self._registry = Registry(process, {role: shape.nodes}, liveliness_s=LIVELINESS_S, grace_s=LIVELINESS_S)
        self._node = node = process.node("/hub")
        self._tick = node.publisher("/hub/tick")
        self._roster = node.publisher("/hub/roster")
        self._shutdown = node.publisher("/hub/shutdown")
        self._names = tuple(f"bench{k}" for k in range(shape.processes))
        for name in self._names:
            node.collect("done", f"/process/{name}/done", name)
        process.register()
        self._slot = -1
        self._end_s = 0.0
        self._idle = True

    def offer(self) -> str:
        """See ``End``."""
        return self._registry.address

    def link(self, offers: Mapping[str, str]) -> None:
        """See ``End``."""
        if not self._process.spin(lambda: not self._registry.missing(), START_S):
            raise TimeoutError(f"not linked within {START_S:g} s: {'; '.join(self._registry.missing()[:8])}")
        members = tuple(Member(node.name, peer.instance) for peer in self._registry.peers() for node in peer.nodes)
        self._roster.publish(Roster(1, members), slot=0)

    def conduct(self, seconds: float) -> int:
        """See ``End``."""
        before = self._slot
        self._end_s, self._idle = time.perf_counter() + seconds, False
        self._begin()
        if not self._process.spin(lambda: self._idle, START_S + seconds):
            raise TimeoutError(f"slot {self._slot} does not end; waiting for {self._node.waiting()[:8]}")
        return self._slot - before

    def shut_down(self, shutdown: Shutdown) -> None:
        """Tell everyone that it is over."""
        self._shutdown.publish(shutdown)

    def _begin(self) -> None:
        self._slot += 1
        slot = self._slot
        self._tick.publish(Tick(slot, slot // SLOTS_PER_FRAME, 1), slot=slot)
        self._node.begin(slot, 0)
        self._node.gather("done", self._names, slot, 0, self._ended)

    def _ended(self, _done: list[Any]) -> None:
        self.ended_s.append(time.perf_counter())
        if self.ended_s[-1] < self._end_s:
            self._begin()
        else:
            self._idle = True


class _Nodes:
    """A process with some nodes."""

    def __init__(self, shape: Shape, number: int) -> None:
        self._shape = shape
        self._number = number
        self._process = Process(f"bench{number}", table=TABLE)

    def offer(self) -> str:
        """See ``End``."""
        return ""

    def link(self, offers: Mapping[str, str]) -> None:
        """See ``End``."""
        process, hosted = self._process, self._shape.nodes_of(self._number)
        names = process.join(offers[HUB], "edge", hosted[0], len(hosted), deadline_s=START_S)
        nodes = [process.node(name) for name in names]
        driver = SlotDriver(nodes[0], SLOTS_PER_FRAME, None)
        for index, node in zip(hosted, nodes, strict=True):
            driver.add(_Speaker(node, driver, index, self._shape.before(index)))
        process.register()

    def follow(self) -> None:
        """See ``End``."""
        while not self._process.stopping:
            self._process.spin_once(1.0)


class _Speaker:
    """A node that says a sample each tick and waits for another one's."""

    def __init__(self, node: Node, driver: SlotDriver, index: int, before: int) -> None:
        self.name = node.name
        self._node = node
        self._driver = driver
        self._sample = node.publisher(sample_topic(index))
        self._before = (before,)
        node.collect("sample", sample_topic(before), before)

    def start(self, now: Now) -> None:
        """Say, and wait."""
        self._node.begin(now.slot, now.attempt)
        self._driver.publish(self._sample, sample(now.slot), now)
        self._node.gather("sample", self._before, now.slot, now.attempt, lambda _: self._driver.finish(self, now))

    def commit(self) -> None:
        """Nothing is kept."""
