from __future__ import annotations

import pytest
from bus_numbers import Number, Word

from bus.calls import Answering
from bus.errors import CallFailed, CallTimeout, PeerLost
from bus.messages import Failure
from bus.process import Process
from bus.testing import Cluster


@pytest.fixture
def pair(bus: Cluster) -> tuple[Cluster, Process, Process]:
    bus.hub({"edge": 2})
    members = [bus.member(f"edge-{i}", "edge", i) for i in range(2)]
    for process in members:
        process.register()
    bus.processes[0].register()
    bus.all_ready()
    return bus, members[0], members[1]


def test_a_call_brings_the_reply(pair: tuple[Cluster, Process, Process]) -> None:
    bus, caller, callee = pair
    callee.nodes["/edge/1"].serve("double", Number, lambda request: Number(2 * request.value))
    node = caller.nodes["/edge/0"]
    reply = bus.call(caller, lambda: node.call("/edge/1", "double", Number(21), Number, 2.0))
    assert reply == Number(42)


def test_a_call_may_be_asked_without_waiting(pair: tuple[Cluster, Process, Process]) -> None:
    bus, caller, callee = pair
    callee.nodes["/edge/1"].serve("double", Number, lambda request: Number(2 * request.value))
    answers: list[Number | Failure] = []
    for value in range(5):
        caller.nodes["/edge/0"].call_later("/edge/1", "double", Number(value), Number, 2.0, answers.append)
    assert answers == []
    bus.until(lambda: len(answers) == 5)
    assert answers == [Number(2 * value) for value in range(5)]


def test_a_silent_callee_is_a_timeout_that_names_it(pair: tuple[Cluster, Process, Process]) -> None:
    _, caller, _ = pair
    node = caller.nodes["/edge/0"]
    with pytest.raises(CallTimeout, match=r"/edge/1 did not answer double within 0\.02 s") as raised:
        node.call("/edge/1", "double", Number(1), Number, 0.02)  # nobody else takes a turn
    assert (raised.value.callee, raised.value.method, raised.value.deadline_s) == ("/edge/1", "double", 0.02)


def test_exceptions_do_not_travel_but_their_text_does(pair: tuple[Cluster, Process, Process]) -> None:
    bus, caller, callee = pair

    def refuse(request: Number) -> Number:
        raise ValueError(f"{request.value} is too many")

    callee.nodes["/edge/1"].serve("double", Number, refuse)
    node = caller.nodes["/edge/0"]
    with pytest.raises(CallFailed, match="9 is too many") as raised:
        bus.call(caller, lambda: node.call("/edge/1", "double", Number(9), Number, 2.0))
    assert raised.value.kind == "ValueError"


def test_wrong_requests_and_replies_are_failures(pair: tuple[Cluster, Process, Process]) -> None:
    bus, caller, callee = pair
    callee.nodes["/edge/1"].serve("double", Number, lambda request: request)
    node = caller.nodes["/edge/0"]
    for method, request, reply_type, kind in [
        ("triple", Number(1), Number, "unknown_method"),
        ("double", Word("x"), Number, "malformed"),
        ("double", Number(1), Word, "malformed"),
    ]:
        with pytest.raises(CallFailed) as raised:
            bus.call(caller, lambda m=method, q=request, r=reply_type: node.call("/edge/1", m, q, r, 2.0))
        assert raised.value.kind == kind


def test_nobody_to_call_is_a_lost_peer(pair: tuple[Cluster, Process, Process]) -> None:
    _, caller, _ = pair
    with pytest.raises(PeerLost, match="/edge/7 is lost"):
        caller.nodes["/edge/0"].call("/edge/7", "double", Number(1), Number, 1.0)


def test_open_calls_fail_when_the_callee_leaves_the_graph(pair: tuple[Cluster, Process, Process]) -> None:
    bus, caller, callee = pair
    answers: list[Number | Failure] = []
    caller.nodes["/edge/0"].call_later("/edge/1", "double", Number(1), Number, 60.0, answers.append)
    bus.kill(callee)
    assert bus.registry is not None
    bus.registry.drop(callee.instance, "killed")
    bus.until(lambda: bool(answers))
    answer = answers[0]
    assert isinstance(answer, Failure)
    assert answer.kind == "peer_lost"


def test_malformed_and_oversize_calls_are_counted_and_dropped(bus: Cluster) -> None:
    callee, caller = bus.process("callee"), bus.process("caller")
    callee.answering = Answering(callee.answering._socket, max_body_bytes=1000)
    dealer = caller.asking(callee.call_endpoint, "callee").socket
    dealer.send(b"\xc1 nonsense")
    dealer.send(b"x" * 1001)
    dealer.send_multipart([b"two", b"parts"])
    bus.until(lambda: callee.answering.malformed == 3)
    assert callee.answering.answered == 0
