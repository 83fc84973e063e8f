"""Lockstep without a bus: the frames of ``bus.bench_lockstep_node``, encoded beforehand, over the same sockets.

A process blocks in ``recv``, counts what comes by its kind (the frame's last byte), and sends what is due when the
counts of its next stage are reached. Nothing is decoded, nothing kept, no poll, no timer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import zmq

from bus import codec
from bus.bench_lockstep import HUB, START_S, Conductor, Follower, Shape, sample_topic
from bus.bench_sample import sample
from bus.messages import Done, Message, Tick

TICK, SAMPLE, DONE = range(3)
KINDS: Final = 3
TICK_TOPIC: Final = "/hub/tick"
LATER_SLOT: Final = 100_000  # its number is as long as those of most slots

Stage = tuple[int, int, Sequence[bytes]]
"""A kind of frame, how many of it come each tick, and what is sent when they have."""


def ends(shape: Shape, number: int) -> Conductor | Follower:
    """See ``MEANS``."""
    return _Bare(shape, number)


class _Bare:
    """One process, the hub's or a node's: one XPUB, one XSUB."""

    def __init__(self, shape: Shape, number: int) -> None:
        self._shape = shape
        self._number = number
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._xsub, self._xpub = self._context.socket(zmq.XSUB), self._context.socket(zmq.XPUB)
        for socket in (self._xsub, self._xpub):
            socket.linger, socket.sndhwm, socket.rcvhwm = 0, 0, 0
        self._xpub.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._xpub.rcvtimeo = int(1000 * START_S)
        self._xpub.bind("tcp://127.0.0.1:*")
        self._counts = [0] * KINDS
        self._ticks = 0

    def offer(self) -> str:
        """See ``End``."""
        return self._xpub.getsockopt_string(zmq.LAST_ENDPOINT)

    def link(self, offers: Mapping[str, str]) -> None:
        """See ``End``; ready when everyone who listens to us has said so."""
        shape, names = self._shape, [name for name in offers if name != HUB]
        if self._number < 0:
            self._listen({_done_topic(k): offers[name] for k, name in enumerate(names)})
            self._await(*[TICK_TOPIC] * shape.processes)  # which they subscribe last, see below
            self._xsub.rcvtimeo = int(1000 * START_S)
            return
        hosted = shape.nodes_of(self._number)
        own = [_done_topic(self._number)]
        if shape.processes > 1:
            before = shape.before(hosted[0])
            self._listen({sample_topic(before): offers[names[before // shape.hosted]]})
            own.append(sample_topic(hosted[-1]))
        self._await(*own)
        self._listen({TICK_TOPIC: offers[HUB]})

    def _listen(self, topics: Mapping[str, str]) -> None:
        for topic, endpoint in topics.items():
            self._xsub.send(b"\x01" + topic.encode() + b"\0")
            self._xsub.connect(endpoint)

    def _await(self, *topics: str) -> None:
        """Until these have been subscribed; a subscription goes to all whom its XSUB knows, so others come too."""
        missing = Counter(b"\x01" + topic.encode() + b"\0" for topic in topics)
        while missing:
            notice = self._xpub.recv()
            if notice in missing:
                missing[notice] -= 1
                missing = +missing

    def _stages(self) -> list[Stage]:
        """What a node's process does each tick; samples for its own nodes do not leave it."""
        hosted = self._shape.nodes_of(self._number)
        done = _frame(_done_topic(self._number), Done(f"bench{self._number}", LATER_SLOT), DONE)
        if self._shape.processes == 1:
            return [(TICK, 1, [done])]
        return [(TICK, 1, [_frame(sample_topic(hosted[-1]), sample(0), SAMPLE)]), (SAMPLE, 1, [done])]

    def follow(self) -> None:
        """See ``End``."""
        recv, send, counts, stages = self._xsub.recv, self._xpub.send, self._counts, self._stages()
        while True:
            self._ticks += 1
            for kind, each, frames in stages:
                due = each * self._ticks
                while counts[kind] < due:
                    counts[recv()[-1]] += 1
                for frame in frames:
                    send(frame)

    def conduct(self, seconds: float) -> int:
        """See ``End``."""
        recv, send, counts, each = self._xsub.recv, self._xpub.send, self._counts, self._shape.processes
        tick = _frame(TICK_TOPIC, Tick(LATER_SLOT, LATER_SLOT // 5, 1), TICK)
        before, end = self._ticks, time.perf_counter() + seconds
        while time.perf_counter() < end:
            send(tick)
            self._ticks += 1
            due = each * self._ticks
            while counts[DONE] < due:
                counts[recv()[-1]] += 1
        return self._ticks - before


def _done_topic(process: int) -> str:
    return f"/process/bench{process}/done"


def _frame(topic: str, message: Message, kind: int) -> bytes:
    frame = codec.encode(topic, codec.Header(codec.VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0), message)
    return frame[:-1] + bytes((kind,))
