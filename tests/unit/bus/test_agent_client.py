"""The agent's side of the protocol against a hub and an edge server that a test plays, in one socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import zmq  # noqa: TID251 -- the other side of the protocol

from bus import agent_wire as wire
from bus.agent_client import MAKE_S, AgentClient

PATIENCE_MS = 20_000
BUDGET_S = 7.0


class Thinks:
    """Takes its time."""

    def __init__(self, nap_s: float) -> None:
        threading.Event().wait(nap_s)
        self._nap_s = nap_s

    def decide(self, header: wire.Header, observation: wire.Said) -> wire.Said:
        threading.Event().wait(self._nap_s)
        return wire.Deployment(())

    def hear(self, header: wire.Header, said: wire.Said) -> None: ...


class Side:
    """The hub and the edge server: what the agent said since last time, and what it is told."""

    def __init__(self, nap_s: float) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.identity = b""
        self.router.linger = 0
        port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"
        self.client = AgentClient(
            self.address, 0, wire.Hello("deployment", "offloading", "toy"), lambda _: Thinks(nap_s)
        )
        self.thread = threading.Thread(target=self.client.run)
        self.thread.start()

    def take(self, kind: type[wire.Said]) -> tuple[bytes, list[wire.Said]]:
        """Everything up to the first message of a kind, and who said that."""
        said: list[wire.Said] = []
        while not said or not isinstance(said[-1], kind):
            said += self.take_one()
        return self.identity, said

    def take_one(self) -> list[wire.Said]:
        """The next message, alone."""
        assert self.router.poll(PATIENCE_MS), "nothing comes"
        self.identity, frame = self.router.recv_multipart()
        return [wire.said_in(frame, wire.header_of(frame))]

    def tell(self, identity: bytes, said: wire.Said, frame: int = 0) -> None:
        self.router.send_multipart((identity, wire.encode(said, edge=0, instance=5, epoch=1, frame=frame)))

    def joined(self, beat_s: float) -> tuple[bytes, bytes]:
        """Where its hub socket and its edge socket are, once it has joined."""
        hub, _ = self.take(wire.Hello)
        self.tell(hub, wire.Accepted("/agent/0", self.address, beat_s, 30.0))
        edge, _ = self.take(wire.Join)
        return hub, edge

    def close(self) -> None:
        self.client.stop()
        self.thread.join(20.0)
        self.router.close()
        self.context.term()


@pytest.fixture
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    made = Side(request.param)
    yield made
    made.close()


def beats(said: list[wire.Said]) -> list[wire.Beat]:
    return [each for each in said if isinstance(each, wire.Beat)]


def busy(said: list[wire.Said]) -> list[float]:
    return [beat.busy_s for beat in beats(said) if beat.busy_s]


@pytest.mark.parametrize(("side", "beat_s", "again"), [(0.3, 0.05, [BUDGET_S]), (0.0, 8.0, [])], indirect=["side"])
def test_who_may_think_for_long_says_so_before(side: Side, beat_s: float, again: list[float]) -> None:
    _, edge = side.joined(beat_s)
    side.tell(edge, wire.Setup("offloading", "lockstep", 1, 1.0, 0.0, BUDGET_S, 2, 1.0, (1.0,)))
    side.tell(edge, wire.Observation(0, 1, b""))
    said: list[wire.Said] = []
    # Its two sockets are read in any order; on one of them nothing overtakes. The next beat ends the announcement.
    while busy(said) != [MAKE_S, BUDGET_S] or beats(said)[-1].busy_s or wire.Deployment(()) not in said:
        said += side.take_one()
    side.tell(edge, wire.Observation(0, 1, b""), frame=1)
    said = side.take(wire.Deployment)[1]
    side.client.stop()
    said += side.take(wire.Goodbye)[1]
    assert busy(said) == again


@pytest.mark.parametrize("side", [0.0], indirect=True)
def test_it_asks_again_only_as_long_as_it_is_to_wait(side: Side) -> None:
    hub, _ = side.take(wire.Hello)
    side.tell(hub, wire.Refused("held", "another decides", 1, 0.01))
    hub, _ = side.take(wire.Hello)
    side.client.wait_s = 0.0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading, "excepthook", lambda told: ended.append(told.exc_type.__name__))
        ended: list[str] = []
        side.tell(hub, wire.Refused("held", "another decides", 2, 0.01))
        side.thread.join(20.0)
    assert ended == ["RefusedForGood"]
