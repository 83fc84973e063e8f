"""A hundred thousand malformed frames at every socket of a process and of the hub: nothing dies, each is counted."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq  # noqa: TID251 -- a stranger brings sockets of its own
from numpy.random import Generator

from bus import codec
from bus.codec import HEADER, VERSION, Header, encode_payload, type_id
from bus.errors import DecodeError
from bus.messages import Array, Arrivals, Beat, Call, Lease, Message, Query, Ready, Register, Reply, ReportExit
from bus.process import Process
from bus.testing import Cluster, cluster
from bus.upstream import ACK, NACK, Word

TOPIC = "/cell/0/arrivals"
ROGUE = 77
BATCH = 500
FRAMES = 40_000
WORDS = 20_000
CALLS = 20_000  # at each of two sockets
ANSWERS = 10_000
GOOD = Arrivals(Array.of(np.array([1.0, 2.0, 3.0])))


class Scene:
    """A hub, one member, and a stranger with raw sockets."""

    def __init__(self, bus: Cluster) -> None:
        self.bus = bus
        self.registry = bus.hub({"edge": 1})
        self.hub = bus.processes[0]
        self.edge: Process = bus.member("edge-0", "edge", 0)
        self.node = self.edge.nodes["/edge/0"]
        self.got: list[Any] = []
        self.node.subscribe(TOPIC, lambda message, _: self.got.append(message))
        self.node.publisher("/edge/0/frame_observation")
        for process in bus.processes:
            process.register()
        bus.all_ready()
        self.sockets: list[zmq.Socket[bytes]] = []

    def socket(self, kind: int) -> zmq.Socket[bytes]:
        made = self.bus.context.socket(kind)
        made.linger = 0
        self.sockets.append(made)
        made.sndhwm = made.rcvhwm = 0
        return made

    def publisher(self) -> zmq.Socket[bytes]:
        """A rogue that the edge server listens to, as if the graph had named it."""
        made = self.socket(zmq.XPUB)
        port = made.bind_to_random_port("tcp://127.0.0.1")
        self.edge.connect(ROGUE, f"tcp://127.0.0.1:{port}")
        private = f"~{self.edge.uid}{TOPIC}".encode() + b"\0"
        seen: list[bytes] = []

        def subscribed() -> bool:
            while made.poll(0):
                seen.append(made.recv())
            return b"\1" + private in seen

        self.bus.until(subscribed)
        made.send(private + mark(codec.END, 0) + b"\3")
        self.bus.until(lambda: self.edge.subscriptions[TOPIC].is_matched(ROGUE))
        return made

    def alive(self) -> None:
        """Everyone still does what it is there for."""
        self.bus.all_ready()
        assert not any(process.closed for process in self.bus.processes)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with cluster() as bus:
        made = Scene(bus)
        yield made
        for socket in made.sockets:
            socket.close(linger=0)


def mark(flags: int, sequence: int) -> bytes:
    return HEADER.pack(VERSION, flags, 0, 0, type_id(Arrivals), ROGUE, 0, sequence, 0, 0)


# -- what comes from publishers ----------------------------------------------------------------------------------------


def is_malformed(frame: bytes) -> bool:
    """By other code than that which reads it on the hot path."""
    try:
        _, header, payload = codec.split(frame)
        if header.flags & ~codec.FLAGS or header.instance != ROGUE:
            return True
        codec.decode(payload, Arrivals)
    except DecodeError:
        return True
    return False


def broken_frame(draw: Generator, sequence: int) -> bytes:
    """A frame on the topic that is none, or nobody's; a payload that cannot be read comes in sequence."""
    header = Header(VERSION, 0, 0, 0, type_id(Arrivals), ROGUE, 1, sequence, 0, 0)
    frame = codec.encode(TOPIC, header, GOOD)
    at = len(TOPIC) + 1
    kind = int(draw.integers(6))
    if kind == 0:  # cut within the header
        return frame[: int(draw.integers(at, at + codec.HEADER_BYTES))]
    if kind == 1:  # another version
        return frame[:at] + bytes([int(draw.integers(2, 256))]) + frame[at + 1 :]
    if kind == 2:  # flags that nobody knows
        return frame[: at + 1] + bytes([int(draw.integers(32, 256)) | 32]) + frame[at + 2 :]
    if kind == 3:  # a stranger's
        return codec.encode(TOPIC, header._replace(instance=int(draw.integers(1000, 2**32))), GOOD)
    if kind == 4:  # a gap without its end
        return TOPIC.encode() + b"\0" + mark(codec.GAP, 1) + draw.bytes(int(draw.integers(8)))
    payload = encode_payload(GOOD)
    ways = [
        lambda: payload[: int(draw.integers(len(payload) - 1))],
        lambda: draw.bytes(int(draw.integers(1, 40))),
        lambda: b"\x91" * int(draw.integers(2, 3000)),  # arrays in arrays
        lambda: b"\xdd\xff\xff\xff\xff",  # an array of four milliards that are not there
        lambda: payload + draw.bytes(3),
        lambda: encode_payload(Beat(3)),
    ]
    return codec.encode(TOPIC, header, GOOD)[: at + codec.HEADER_BYTES] + ways[int(draw.integers(len(ways)))]()


def test_broken_frames_of_publishers_are_counted_and_kill_nobody(scene: Scene) -> None:
    draw = np.random.default_rng(1)
    rogue = scene.publisher()
    subscription = scene.edge.subscriptions[TOPIC]
    sent, sequence = 0, 1
    while sent < FRAMES:
        batch: list[bytes] = []
        while len(batch) < BATCH:
            frame = broken_frame(draw, sequence)
            if is_malformed(frame):
                batch.append(frame)
                at = len(TOPIC) + 1
                readable = len(frame) >= at + codec.HEADER_BYTES and frame[at : at + 2] == bytes((VERSION, 0))
                sequence += readable and struct.unpack_from("<I", frame, at + 8)[0] == ROGUE
        for frame in batch:
            rogue.send(frame)
        sent += len(batch)
        scene.bus.until(lambda sent=sent: subscription.malformed + subscription.strangers >= sent)
    assert subscription.malformed + subscription.strangers == sent
    assert scene.got == []
    rogue.send(codec.encode(TOPIC, Header(VERSION, 0, 0, 0, type_id(Arrivals), ROGUE, 1, sequence, 0, 0), GOOD))
    scene.bus.until(lambda: scene.got == [GOOD])
    scene.alive()


# -- what comes from subscribers ---------------------------------------------------------------------------------------


def broken_word(draw: Generator, instance: int, topic: str) -> bytes:
    kind = int(draw.integers(5))
    if kind == 0:  # neither a subscription nor a word
        return bytes([int(draw.integers(5, 256))]) + draw.bytes(int(draw.integers(40)))
    if kind == 1:  # a word that is cut off
        return Word(NACK, instance, 5, 1, 2, "").pack()[: int(draw.integers(1, 25))]
    if kind == 2:  # about what is not published
        return Word(int(draw.choice([NACK, ACK])), instance, 5, 1, 2, "/nowhere/" + draw.bytes(3).hex()).pack()
    if kind == 3:  # a private channel of nobody
        return b"\1~" + draw.bytes(int(draw.integers(7))).replace(b"/", b"") + b"\0"
    return b"\1~zzzzzzzz" + topic.encode() + b"\0"


def test_broken_words_of_subscribers_are_counted_and_kill_nobody(scene: Scene) -> None:
    draw = np.random.default_rng(2)
    rogue = scene.socket(zmq.XSUB)
    rogue.connect(scene.edge.endpoint)
    topic, before, sent = "/edge/0/frame_observation", scene.edge.pubsub.words_malformed, 0
    while sent < WORDS:
        for _ in range(BATCH):
            rogue.send(broken_word(draw, scene.edge.instance, topic))
        sent += BATCH
        scene.bus.until(lambda sent=sent: scene.edge.pubsub.words_malformed - before >= sent)
    assert scene.edge.pubsub.words_malformed - before == sent
    assert scene.edge.publishers[topic].matched == set()
    scene.alive()


# -- calls and answers -------------------------------------------------------------------------------------------------


def broken_call(draw: Generator) -> list[bytes]:
    good = encode_payload(Call(1, "/hub", "lease", encode_payload(Lease("x", "edge"))))
    kind = int(draw.integers(7))
    if kind == 0:
        return [draw.bytes(int(draw.integers(60)))]
    if kind == 1:
        return [good[: int(draw.integers(len(good)))]]
    if kind == 2:
        return [good, good]  # two bodies
    if kind == 3:
        return [b"\x91" * int(draw.integers(2, 3000))]
    if kind == 4:
        return [encode_payload(Reply(1, b""))]  # an answer where a question belongs
    if kind == 5:  # a call with a body that is none
        return [encode_payload(Call(1, "/hub", "lease", draw.bytes(int(draw.integers(30)))))]
    return [encode_payload(["call", 1, 2, 3, 4])]


def is_broken(parts: list[bytes]) -> bool:
    if len(parts) != 1:
        return True
    try:
        call = msgspec.msgpack.decode(parts[0], type=Call)
        msgspec.msgpack.decode(call.body, type=Lease)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
    return False


@pytest.mark.parametrize("whose", ["hub", "edge"])
def test_broken_calls_are_counted_and_kill_nobody(scene: Scene, whose: str) -> None:
    draw = np.random.default_rng(3)
    answering = scene.registry._answering if whose == "hub" else scene.edge.answering
    address = scene.registry.address if whose == "hub" else scene.edge.call_endpoint
    if whose == "edge":
        scene.edge.answering.serve("/hub", "lease", Lease, lambda request: Query())
    rogue = scene.socket(zmq.DEALER)
    rogue.connect(address)
    sent = 0
    while sent < CALLS:
        batch: list[list[bytes]] = []
        while len(batch) < BATCH:
            parts = broken_call(draw)
            if is_broken(parts):
                batch.append(parts)
        for parts in batch:
            rogue.send_multipart(parts)
        sent += BATCH
        scene.bus.until(lambda sent=sent: answering.malformed >= sent)
        while rogue.poll(0):
            rogue.recv()
    assert answering.malformed == sent
    scene.alive()


def test_broken_answers_are_counted_and_kill_nobody(scene: Scene) -> None:
    draw = np.random.default_rng(4)
    rogue = scene.socket(zmq.ROUTER)
    port = rogue.bind_to_random_port("tcp://127.0.0.1")
    asking = scene.edge.asking(f"tcp://127.0.0.1:{port}", "/rogue")
    answers: list[Any] = []
    asking.ask("/rogue", "anything", Query(), Query, 600.0, answers.append)
    scene.bus.until(lambda: bool(rogue.poll(0)))
    who = rogue.recv_multipart()[0]
    sent = 0
    while sent < ANSWERS:
        for _ in range(BATCH):
            body = draw.bytes(int(draw.integers(1, 40))) if draw.random() < 0.5 else b"\x92" * int(draw.integers(3000))
            rogue.send_multipart([who, body])
        sent += BATCH
        scene.bus.until(lambda sent=sent: asking.malformed >= sent)
    assert asking.malformed == sent
    assert answers == []
    scene.alive()


# -- well-formed nonsense ----------------------------------------------------------------------------------------------


def nonsense(draw: Generator) -> Message:
    """Requests of the right shape whose values make no sense."""
    number = int(draw.choice([-1, 0, 1, 2**31, 2**32 - 1, 2**63 - 1, -(2**63)]))
    text = str(draw.choice(["", "/", "edge", "/edge/0", "~", "\0", "ä" * 40, "hub", "observer", "x" * 1000]))
    kinds: list[Message] = [
        Lease(text, text, number, number, number),
        Lease(text, "edge", None, number, number),
        Lease(text, "observer", number, 1, number),
        Lease(text, "guest", None, 1, 0, names=(text, text)),
        Beat(number, abs(number) % 2**31, number % 256, (text,), float(number), abs(number)),
        Ready(number, number),
        ReportExit(text, number, number),
    ]
    return kinds[int(draw.integers(len(kinds)))]


METHODS = {Lease: "lease", Beat: "beat", Ready: "ready", ReportExit: "report_exit", Register: "register"}


def test_requests_that_make_no_sense_are_refused_and_kill_nobody(scene: Scene) -> None:
    draw = np.random.default_rng(5)
    rogue = scene.socket(zmq.DEALER)
    rogue.connect(scene.registry.address)
    answered = 0
    for number in range(2000):
        request = nonsense(draw)
        body = encode_payload(Call(number, "/hub", METHODS[type(request)], encode_payload(request)))
        rogue.send(body)
        if number % 100 == 99:
            goal = number + 1

            def there(goal: int = goal) -> bool:
                nonlocal answered
                while rogue.poll(0):
                    rogue.recv()
                    answered += 1
                return answered >= goal

            scene.bus.until(there)
    assert answered == 2000
    assert scene.registry.holder("/edge/0") is not None
    scene.alive()


def test_the_frames_of_this_file_are_a_hundred_thousand() -> None:
    assert FRAMES + WORDS + 2 * CALLS + ANSWERS >= 100_000
