"""Lockstep without a bus: processes that exchange given bytes over the same sockets, in the same stages.

What `edgerig bench emulation` compares a run with. Each process has one XPUB and one XSUB over tcp, blocks in ``recv``,
counts what came by kind (the frame's last byte), and sends what is due when the counts of its next stage are reached.
Nothing is decoded, nothing computed, nothing kept.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final

import zmq

from bus.errors import PeerLost

SILENCE_S: Final = 60.0
KINDS: Final = 16


@dataclass
class Stage:
    """Wait for so many frames of some kinds, counted since the start; then send."""

    needs: list[tuple[int, int]]
    sends: list[bytes] = field(default_factory=list)


@dataclass
class Part:
    """What one process does.

    Attributes:
        name: Of the process.
        subscribes: Topics, as on the bus.
        listens_to: Names of the processes it connects to.
        notices: Subscriptions that it waits for before it is ready.
        slots: The stages of each slot.
    """

    name: str
    subscribes: list[str]
    listens_to: list[str]
    notices: int
    slots: list[list[Stage]]


def play(parts: Sequence[Part]) -> list[float]:
    """Run the parts, a process each; the first one begins and ends the slots.

    Returns: The times (seconds, of one clock) at which the first part ended each slot.
    Raises: PeerLost: a process ended or kept silent.
    """
    context = multiprocessing.get_context("spawn")
    children: list[tuple[Part, SpawnProcess, Connection]] = []
    try:
        for part in parts:
            ours, theirs = context.Pipe()
            child = context.Process(target=_main, args=(theirs,), name=f"bare-{part.name}", daemon=True)
            child.start()
            theirs.close()
            children.append((part, child, ours))
        for part, _, pipe in children:
            pipe.send(part)
        endpoints = {part.name: _from(part, pipe) for part, _, pipe in children}
        for word in (endpoints, "go"):
            for _, _, pipe in children:
                pipe.send(word)
            answers = [_from(part, pipe) for part, _, pipe in children]
        for _, _, pipe in children:
            pipe.send("end")  # not before everyone has all it needs
        for _, child, _ in children:
            child.join(SILENCE_S)
        return answers[0]
    finally:
        for _, child, pipe in children:
            child.kill()
            child.join()
            pipe.close()


def _from(part: Part, pipe: Connection) -> list[float]:
    try:
        if pipe.poll(SILENCE_S):
            answer: list[float] = pipe.recv()
            return answer
    except EOFError:
        raise PeerLost(part.name, "it ended") from None
    raise PeerLost(part.name, f"no answer in {SILENCE_S:g} s")


def _main(pipe: Connection) -> None:
    """One process."""
    part: Part = pipe.recv()
    context = zmq.Context(1)
    xsub, xpub = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
    for socket in (xsub, xpub):
        socket.linger, socket.sndhwm, socket.rcvhwm = 0, 0, 0
        socket.rcvtimeo = int(SILENCE_S * 1000)
    xpub.setsockopt(zmq.XPUB_VERBOSE, 1)
    xpub.bind("tcp://127.0.0.1:*")
    pipe.send(xpub.getsockopt_string(zmq.LAST_ENDPOINT))
    endpoints = pipe.recv()
    for topic in part.subscribes:
        xsub.send(b"\x01" + topic.encode() + b"\0")
    for name in part.listens_to:
        xsub.connect(endpoints[name])
    for _ in range(part.notices):
        xpub.recv()
    pipe.send([])
    pipe.recv()
    pipe.send(_slots(part, xsub, xpub))
    pipe.recv()
    context.destroy(linger=0)


def _slots(part: Part, xsub: zmq.Socket[bytes], xpub: zmq.Socket[bytes]) -> list[float]:
    recv, send, clock = xsub.recv, xpub.send, time.perf_counter
    counts = [0] * KINDS
    ends = []
    for stages in part.slots:
        for stage in stages:
            for kind, count in stage.needs:
                while counts[kind] < count:
                    counts[recv()[-1]] += 1
            for frame in stage.sends:
                send(frame)
        ends.append(clock())
    return ends
