"""A foreign agent in a few lines, for tests: two DEALERs, ``struct`` and msgpack, and nothing of ours.

It is stepped, like everything in a thread run, and does what it is told to do wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec
import zmq  # noqa: TID251 -- it shares nothing with us, sockets neither

HEADER = struct.Struct("<BBHIIIII")
HELLO, ACCEPTED, REFUSED, BEAT, ACK, GOODBYE = range(1, 7)
JOIN, SETUP, STATE, OBSERVATION, RENTAL_OBSERVATION, DEPLOYMENT, RENTAL, REWARD, OUTCOME, RESET = range(16, 26)
ANY = 0xFFFFFFFF


def pack(
    kind: int, said: object, edge: int, instance: int = 0, epoch: int = 0, frame: int = 0, number: int = 0
) -> bytes:
    return HEADER.pack(0xC1, 1, kind, edge, instance, epoch, frame, number) + msgspec.msgpack.encode(said)


def unpack(frame: bytes) -> tuple[tuple[int, ...], Any]:
    return HEADER.unpack_from(frame), msgspec.msgpack.decode(frame[HEADER.size :])


class ForeignAgent:
    """Decides by a function of the observation's map and the setup; ``step`` handles what has come."""

    def __init__(
        self,
        context: Any,
        hub: str,
        decide: Callable[[ForeignAgent, tuple[int, ...], dict[str, Any]], Any],
        edge: int = ANY,
        world: str = "offloading",
        keys: tuple[str, str, str] | None = None,
        own: str | None = None,
    ) -> None:
        self.context = context
        self.decide = decide
        self.edge, self.instance = edge, 0
        self.world = world
        self.heard: list[tuple[int, tuple[int, ...], Any]] = []
        self.setup: dict[str, Any] = {}
        self.state = ""
        self.silent = False
        self.numbers = 0
        self.address, self.keys = hub, keys  # public and secret of the enrolment, and the hub's public key
        self.own = tuple(key.decode() for key in zmq.curve_keypair())
        self.own = self.own if own is None else (own, self.own[1])
        self.hub = self.dealer(hub, *self.enrolment())
        self.server: Any = None
        self.hello()

    def enrolment(self) -> tuple[str, ...]:
        return () if self.keys is None else (self.keys[2], *self.keys[:2])

    def dealer(self, address: str, server: str = "", public: str = "", secret: str = "") -> Any:
        socket = self.context.socket(zmq.DEALER)
        socket.linger = 0
        if server:
            socket.setsockopt_string(zmq.CURVE_SERVERKEY, server)
            socket.setsockopt_string(zmq.CURVE_PUBLICKEY, public)
            socket.setsockopt_string(zmq.CURVE_SECRETKEY, secret)
        socket.connect(address)
        return socket

    def hello(self, **more: Any) -> None:
        role = "deployment" if self.world == "offloading" else "rental"
        said = {"role": role, "world": self.world, "name": "toy", "unheard-of": [1, 2]}
        said |= {"public_key": self.own[0]} if self.keys is not None else {}
        self.say(self.hub, HELLO, said | more)

    def say(self, socket: Any, kind: int, said: object, epoch: int = 0, frame: int = 0, **more: int) -> None:
        self.numbers += 1
        place = {"edge": self.edge, "instance": self.instance} | more
        socket.send(pack(kind, said, place["edge"], place["instance"], epoch, frame, self.numbers))

    def step(self) -> None:
        for socket in (self.hub, self.server):
            while socket is not None and not socket.closed and not self.silent and socket.poll(0):
                header, said = unpack(socket.recv())
                self.heard.append((header[2], header, said))
                self.take(header, said)

    def take(self, header: tuple[int, ...], said: Any) -> None:
        kind, epoch, frame = header[2], header[5], header[6]
        if kind == ACCEPTED:
            self.edge, self.instance = header[3], header[4]
            if self.server is not None:
                self.server.close()
            if self.keys is None:
                self.server = self.dealer(said["edge_address"])
            else:
                self.hub.close()
                self.hub = self.dealer(self.address, self.keys[2], *self.own)
                self.say(self.hub, BEAT, {})
                self.server = self.dealer(said["edge_address"], said["edge_key"], *self.own)
            self.say(self.server, JOIN, {})
        elif kind == REFUSED and said["retry_s"] > 0:
            self.hello()
        elif kind == SETUP:
            self.setup = said
        elif kind == STATE:
            self.state = said["state"]
        elif kind in (OBSERVATION, RENTAL_OBSERVATION):
            decision = self.decide(self, header, said)
            if decision is not None:
                self.say(self.server, DEPLOYMENT if kind == OBSERVATION else RENTAL, decision, epoch, frame)

    def told(self, kind: int) -> list[Any]:
        return [said for known, _, said in self.heard if known == kind]

    def close(self) -> None:
        for socket in (self.hub, self.server):
            if socket is not None:
                socket.close()


def counts_of(said: dict[str, Any]) -> list[list[float]]:
    numbers = struct.unpack(f"<{len(said['counts']) // 8}d", said["counts"])
    return [list(numbers[s * said["services"] : (s + 1) * said["services"]]) for s in range(said["slots"])]


def first_fit(agent: ForeignAgent, header: tuple[int, ...], said: dict[str, Any]) -> dict[str, Any]:
    """The services asked for most that fit, ties to the lowest."""
    rows = counts_of(said)
    score = [sum(column) for column in zip(*rows, strict=True)] if rows else [1.0] * said["services"]
    room, chosen = agent.setup["storage_bytes"], []
    for service in sorted(range(len(score)), key=lambda j: -score[j]):
        if score[service] > 0 and agent.setup["service_bytes"][service] <= room:
            room -= agent.setup["service_bytes"][service]
            chosen.append(service)
    return {"services": sorted(chosen)}
