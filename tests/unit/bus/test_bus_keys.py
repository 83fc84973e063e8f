"""Keys: who gets in, who may say what, and that a stranger gets and moves nothing, and is counted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq  # noqa: TID251 -- a stranger brings sockets of its own

from bus import codec
from bus.calls import FORBIDDEN, REVOKED
from bus.codec import Header
from bus.credentials import Credential, KeyPair, Keys
from bus.errors import CallFailed, LeaseRefused
from bus.keystore import Enrolled, Keystore
from bus.messages import (
    Beat,
    BeatAck,
    Call,
    Deployment,
    Failure,
    Lease,
    Leased,
    Message,
    Register,
    Registered,
    Reply,
    Revoke,
    Stop,
    Stopped,
    Tick,
)
from bus.names import HUB
from bus.process import Process
from bus.testing import Cluster, cluster
from bus.topics import TABLE, TopicSpec

PATIENCE_S = 8.0


class Run:
    """A hub, agents 0 to 3, and an edge server that hears what they decide and answers ticks."""

    def __init__(self, bus: Cluster, store: Keystore) -> None:
        self.bus, self.store = bus, store
        self.registry = bus.hub({"agent": 4, "edge": 1, "cell": 1}, keys=store.keys("hub"), enrolled=Enrolled(store))
        self.registry.serve("stop", Stop, lambda _: Stopped(0))
        self.hub = bus.processes[0]
        self.tick = self.hub.node("/hub").publisher("/hub/tick")
        self.hub.register()
        self.heard: list[tuple[int, int]] = []
        self.ticks: list[tuple[str, int]] = []

    def member(self, role: str, index: int | None = None, role_of_key: str = "") -> Process:
        name = role if index is None else f"{role}-{index}"
        process = self.bus.member(name, role, index, keys=self.store.keys(role_of_key or role))
        for node in process.nodes.values():
            node.subscribe("/hub/tick", lambda tick, _: self.ticks.append((name, tick.slot)))
        return process

    def agent(self, index: int) -> Process:
        process = self.member("agent", index)
        process.nodes[f"/agent/{index}"].publisher(f"/agent/{index}/deployment")
        process.register()
        return process

    def edge(self) -> Process:
        process = self.member("edge", 0)
        for agent in range(4):
            process.nodes["/edge/0"].subscribe(
                f"/agent/{agent}/deployment", lambda decision, _: self.heard.append((decision.edge, decision.frame))
            )
        process.nodes["/edge/0"].subscribe("/cell/0/arrivals", lambda *_: self.heard.append((-1, -1)))
        process.register()
        return process

    def matched(self, *pairs: tuple[Process, int, Process]) -> None:
        """Wait until the first of each has matched the agent's topic of the second."""
        ends = [(listener.subscriptions[f"/agent/{agent}/deployment"], speaker) for listener, agent, speaker in pairs]
        self.until(lambda: all(subscription.is_matched(speaker.instance) for subscription, speaker in ends))

    def until(self, condition: object) -> None:
        self.bus.until(condition, PATIENCE_S)  # type: ignore[arg-type]

    def refused(self, process: Process, reason: str) -> int:
        assert process.security is not None
        return process.security.refused.counts[reason]

    def until_refused(self, process: Process, reason: str, times: int = 1) -> None:
        self.until(lambda: self.refused(process, reason) >= times)


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore.create(tmp_path / "keys")


@pytest.fixture
def run(store: Keystore) -> Iterator[Run]:
    with cluster() as bus:
        yield Run(bus, store)


@pytest.fixture
def outside() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A context of somebody else's."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    context.destroy(linger=0)


def stranger(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, endpoint: str, own: KeyPair | None, server: str
) -> zmq.Socket[bytes]:
    """A socket that knows the protocol and wants everything."""
    made = context.socket(kind)
    made.linger = 0
    if own is not None:
        made.setsockopt_string(zmq.CURVE_PUBLICKEY, own.public)
        made.setsockopt_string(zmq.CURVE_SECRETKEY, own.secret)
        made.setsockopt_string(zmq.CURVE_SERVERKEY, server)
    made.connect(endpoint)
    if kind == zmq.XSUB:
        made.send(b"\x01")
    else:
        made.send(codec.encode_payload(Call(1, HUB, "peers", codec.encode_payload(Beat(1)))))
    return made


def ask(run: Run, credential: Credential, method: str, request: Message, reply: type[Message]) -> object:
    """Ask the registry as whoever holds that credential; a Reply's body or a Failure."""
    with cluster() as other:
        asking = other.process("asker").sockets.asking(run.registry.address, HUB, other.processes[0].timers, credential)
        answers: list[object] = []
        asking.ask(HUB, method, request, reply, PATIENCE_S, answers.append)

        def turned() -> bool:
            other.step()
            return bool(answers)

        run.until(turned)
        return answers[0]


# -- who gets in -------------------------------------------------------------------------------------------------------


def test_with_keys_a_run_starts_and_hears_each_other(run: Run) -> None:
    agents, edge = [run.agent(index) for index in range(4)], run.edge()
    run.matched(*((edge, index, agent) for index, agent in enumerate(agents)))
    run.until(lambda: run.tick.matched >= {process.uid for process in [*agents, edge]})
    run.tick.publish(Tick(7, 0, 0), slot=7)
    for index, agent in enumerate(agents):
        agent.publishers[f"/agent/{index}/deployment"].publish(Deployment(index, 7, ()), slot=7)
    run.until(lambda: len(run.heard) == 4 and len(run.ticks) == 5)
    assert sorted(run.heard) == [(index, 7) for index in range(4)]
    assert all(process.security.refused.counts.total() == 0 for process in run.bus.processes if process.security)


@pytest.mark.parametrize("kind", [zmq.XSUB, zmq.DEALER])
@pytest.mark.parametrize("lack", ["no_key", "unknown_key", "server_key"])
def test_a_stranger_sees_nothing_and_is_counted(
    run: Run, outside: zmq.Context[zmq.Socket[bytes]], lack: str, kind: int
) -> None:
    agent, edge = run.agent(0), run.edge()
    run.matched((edge, 0, agent))
    assert agent.security is not None
    agent.security.gate.hold_s = 0.05
    at_hub = kind == zmq.DEALER
    victim = run.hub if at_hub else agent
    own = None if lack == "no_key" else KeyPair.fresh()
    if lack == "server_key":  # a key that is known, but for the wrong door
        own = run.store.pair("observer") if at_hub else edge.keys.own if edge.keys else None
    server = KeyPair.fresh().public if lack == "server_key" else victim.public_key
    endpoint = run.registry.address if at_hub else agent.endpoint
    reason = "unknown_key" if lack == "unknown_key" else "handshake"
    with stranger(outside, kind, endpoint, own, server) as spy:
        run.until_refused(victim, reason)
        for frame in range(20):
            agent.publishers["/agent/0/deployment"].publish(Deployment(0, frame, ()), slot=frame)
        run.until(lambda: len(run.heard) == 20)
        assert spy.poll(0) == 0
    refused = {s.labels: s.value for s in victim.measurements.snapshot() if s.name == "bus_refused"}
    assert refused[("reason", reason),] >= 1.0  # type: ignore[operator]


def test_who_comes_before_the_graph_that_names_it_waits_and_is_let_in(store: Keystore) -> None:
    with cluster() as bus:
        source, sink = (bus.process(name, keys=Keys.fresh()) for name in ("source", "sink"))
        heard: list[int] = []
        publisher = source.node("/agent/0").publisher("/agent/0/deployment")
        sink.node("/edge/0").subscribe("/agent/0/deployment", lambda decision, _: heard.append(decision.frame))
        sink.connect(source.instance, source.endpoint, source.public_key)
        assert source.security is not None
        gate = source.security.gate
        bus.until(lambda: bool(gate._held))
        source.admit(sink.instance, sink.public_key)
        bus.until(lambda: sink.uid in publisher.matched)
        publisher.publish(Deployment(0, 3, ()), slot=0)
        bus.until(lambda: heard == [3])
        assert source.security.refused.counts.total() == 0


# -- whose lease -------------------------------------------------------------------------------------------------------


def test_the_key_of_a_role_grants_no_lease_of_another(run: Run) -> None:
    keys = run.store.keys("agent")
    thief = run.bus.process("edge-0", instance=0, keys=Keys(keys.own, keys.hub, {"edge": keys.enrolment["agent"]}))
    with pytest.raises(LeaseRefused, match="role agent grants no lease of role edge"):
        run.bus.join(thief, "edge", 0)
    assert run.refused(run.hub, "role") == 1
    assert run.registry.holder("/edge/0") is None


def test_a_second_process_of_the_same_name_is_refused(run: Run) -> None:
    run.agent(0)
    twin = run.bus.process("agent-0", instance=0, keys=run.store.keys("agent"))
    with pytest.raises(LeaseRefused, match="agent-0 is there already"):
        run.bus.join(twin, "agent", 1)


def test_a_replayed_hello_gets_no_lease_and_takes_none_over(run: Run) -> None:
    victim = run.agent(0)
    run.until(lambda: run.registry.holder("/agent/0") is not None)
    thief = run.agent(1)
    assert victim.keys is not None
    assert thief.keys is not None
    hello = Lease("agent-0", "agent", 2, 1, 0, (), victim.public_key)
    answer = ask(run, run.store.credential("agent"), "lease", hello, Leased)
    assert isinstance(answer, Failure)
    assert answer.kind == FORBIDDEN
    record = run.registry.holder("/agent/0")
    assert record is not None
    answer = ask(run, Credential(thief.keys.own, thief.keys.hub), "register", Register(record), Registered)
    assert isinstance(answer, Failure)
    assert answer.kind == FORBIDDEN
    answer = ask(run, Credential(thief.keys.own, thief.keys.hub), "beat", Beat(victim.instance), BeatAck)
    assert isinstance(answer, Failure)
    assert run.refused(run.hub, "replayed") == 3
    assert run.registry.holder("/agent/0") == record


def test_the_bytes_of_a_hello_sent_again_open_nothing(run: Run) -> None:
    """Every byte of a whole conversation, captured on the wire and sent again."""
    sent = bytearray()
    host, port = "127.0.0.1", int(run.registry.address.rpartition(":")[2])
    with socket.create_server((host, 0)) as tap:
        relay = threading.Thread(target=_relay, args=(tap, (host, port), sent), daemon=True)
        relay.start()
        with cluster() as other:
            asking = other.process("asker").sockets.asking(
                f"tcp://{host}:{tap.getsockname()[1]}", HUB, other.processes[0].timers, run.store.credential("agent")
            )
            answers: list[object] = []
            hello = Lease("agent-3", "agent", 3, 1, 0, (), KeyPair.fresh().public)
            asking.ask(HUB, "lease", hello, Leased, PATIENCE_S, answers.append)

            def turned() -> bool:
                other.step()
                return bool(answers)

            run.until(turned)
            assert isinstance(answers[0], Leased)
        relay.join(PATIENCE_S)
    run.registry.drop(answers[0].instance, "it left")
    calls_before = run.registry._answering.answered
    with socket.create_connection((host, port)) as again:
        again.sendall(sent)
        again.settimeout(0.0)
        run.until(lambda: sum(run.refused(run.hub, reason) for reason in ("handshake", "unknown_key")) >= 1)
    assert run.registry.holder("/agent/3") is None
    assert run.registry._answering.answered == calls_before
    assert "nobody holds /agent/3" in run.registry.missing()


def _relay(tap: socket.socket, to: tuple[str, int], sent: bytearray) -> None:
    near, _ = tap.accept()
    with near, socket.create_connection(to) as far:
        back = threading.Thread(target=_copy, args=(far, near, bytearray()), daemon=True)
        back.start()
        _copy(near, far, sent)
        far.shutdown(socket.SHUT_RDWR)
        back.join()


def _copy(source: socket.socket, sink: socket.socket, seen: bytearray) -> None:
    while data := source.recv(65536):
        seen += data
        sink.sendall(data)


# -- who may say what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["/agent/1/deployment", "/cell/0/arrivals", "/hub/tick"])
def test_who_announces_a_topic_of_another_is_refused(run: Run, topic: str) -> None:
    process = run.member("agent", 0)
    process.nodes["/agent/0"].publisher(topic)
    process.register()
    with pytest.raises(CallFailed, match=f"may not publish {topic}"):
        run.until_refused(run.hub, "never")
    assert run.refused(run.hub, "topic") == 1
    assert all(peer.process != "agent-0" for peer in run.registry.peers())


def unchained(process: Process) -> None:
    """From now on a process's XPUB sends everything to everyone who ever asked it for anything."""
    output = process.pubsub._output
    xpub, notice = output._xpub, output._notice
    xpub.setsockopt(zmq.XPUB_MANUAL, 1)

    def also(joined: bool, uid: str, topic: str) -> None:
        xpub.setsockopt(zmq.SUBSCRIBE, b"")
        notice(joined, uid, topic)

    output._notice = also  # type: ignore[method-assign]


def forged(topic: str, message: Message, instance: int, sequence: int) -> bytes:
    header = Header(codec.VERSION, 0, 0, 0, codec.type_id(type(message)), instance, 9, sequence, 0, 0)
    return codec.encode(topic, header, message)


def test_agent_3_cannot_decide_for_agent_2_nor_speak_as_a_cell_or_the_hub(run: Run) -> None:
    process = run.member("agent", 3)
    unchained(process)
    process.nodes["/agent/3"].publisher("/agent/3/deployment")
    process.register()
    victim, edge = run.agent(2), run.edge()
    run.matched((edge, 3, process), (edge, 2, victim))
    received = edge.subscriptions["/agent/2/deployment"]
    bytes_before = received.wire_bytes
    send = process.pubsub._output.send
    send(forged("/agent/2/deployment", Deployment(2, 1, ()), victim.instance, 1))
    send(forged("/agent/2/deployment", Deployment(2, 1, ()), process.instance, 1))
    send(forged("/cell/0/arrivals", Deployment(0, 1, ()), process.instance, 1))
    send(forged("/hub/tick", Tick(99, 0, 0), run.hub.instance, 1))
    run.until_refused(edge, "topic", 4)
    send(forged("/agent/3/deployment", Deployment(2, 1, ()), victim.instance, 1))
    run.until_refused(edge, "instance", 1)
    victim.publishers["/agent/2/deployment"].publish(Deployment(2, 5, ()), slot=5)
    run.until(lambda: bool(run.heard))
    assert run.heard == [(2, 5)]
    assert run.ticks == []
    assert received.messages == 1
    assert received.wire_bytes - bytes_before < 2 * codec.wire_bytes(100)


def test_nobody_asks_for_repair_in_the_name_of_another(run: Run) -> None:
    agent, edge = run.agent(0), run.edge()
    run.matched((edge, 0, agent))
    topic = "/agent/0/deployment"
    edge.pubsub._inputs.say(agent.instance, topic, f"\x01~{run.hub.uid}{topic}\0".encode())
    run.until_refused(agent, "subscriber")
    assert run.hub.uid not in agent.publishers["/agent/0/deployment"].matched


# -- guests, operators, subtrees ---------------------------------------------------------------------------------------


class Word(Message, frozen=True):
    """What guests say."""

    text: str


GUESTS = TABLE.extended([TopicSpec("chatter", Word)])


def guest(run: Run, name: str, **options: Any) -> Process:
    """A program's process; it says Words on chatter, whatever its rules make of that name."""
    return run.bus.guest(name, f"/{name}", keys=run.store.keys("guest"), table=GUESTS, **options)


@pytest.mark.parametrize("rules", [(), ("chatter:=/elsewhere/chatter",)])
def test_a_guest_is_heard_on_topics_of_its_own_rows_wherever_they_go(run: Run, rules: tuple[str, ...]) -> None:
    talker, listener = guest(run, "talker", remap=rules), guest(run, "listener", remap=rules)
    words: list[str] = []
    publisher = talker.nodes["/talker"].publisher("chatter")
    listener.nodes["/listener"].subscribe("chatter", lambda word, _: words.append(word.text))
    for process in (talker, listener):
        process.register()
    run.until(lambda: listener.uid in publisher.matched)
    publisher.publish(Word("hello"))
    run.until(lambda: words == ["hello"])
    assert publisher.topic == ("/elsewhere/chatter" if rules else "/chatter")


@pytest.mark.parametrize("topic", ["/agent/0/deployment", "/hub/tick", "/agent/9/chatter", "/listener/chatter"])
def test_a_guest_publishes_nothing_of_the_runs_or_of_another_guests(run: Run, topic: str) -> None:
    table = TABLE if TABLE.has(topic) else GUESTS
    guest(run, "listener").register()
    talker = run.bus.guest("talker", "/talker", keys=run.store.keys("guest"), table=table)
    talker.nodes["/talker"].publisher(topic)
    talker.register()
    with pytest.raises(CallFailed, match=f"may not publish {topic}"):
        run.until_refused(run.hub, "never")
    assert run.refused(run.hub, "topic") == 1


def test_an_agent_that_calls_itself_a_guest_or_an_operator_is_refused(run: Run) -> None:
    agent = run.agent(0)
    run.until(lambda: run.registry.holder("/agent/0") is not None)
    record = run.registry.holder("/agent/0")
    assert record is not None
    assert agent.keys is not None
    own = Credential(agent.keys.own, agent.keys.hub)
    for lie in (msgspec.structs.replace(record, guest=True), msgspec.structs.replace(record, operator=True)):
        assert isinstance(ask(run, own, "register", Register(lie), Registered), Failure)
    assert run.refused(run.hub, "rights") == 2


def test_without_a_guest_key_in_the_hubs_keystore_no_guest_comes_in(run: Run) -> None:
    keys = run.store.keys("guest")
    run.store.revoke("guest")
    assert run.hub.security is not None
    admits = run.hub.security.gate.admits["edgerig.registry"]
    run.until(lambda: not admits(keys.enrolment["guest"].public))
    assert "guest" not in {listed.role for listed in run.store.roles()}


def test_a_subtree_hears_all_below_a_name_and_only_from_those_who_may_say_it(run: Run) -> None:
    agents, edge = [run.agent(index) for index in range(2)], run.member("edge", 0)
    heard: list[tuple[str, int]] = []

    def hear(topic: str, payload: Any, _header: Header) -> None:
        heard.append((topic, codec.decode(payload, Deployment).edge))

    edge.nodes["/edge/0"].subscribe_tree("/agent/**", hear, reliable=True)
    edge.register()
    topics = [f"/agent/{index}/deployment" for index in range(2)]
    ends = [agent.publishers[topic] for agent, topic in zip(agents, topics, strict=True)]
    run.until(lambda: all(edge.uid in end.matched for end in ends))
    for frame in range(3):
        for index, end in enumerate(ends):
            end.publish(Deployment(index, frame, ()), slot=frame)
    run.until(lambda: len(heard) == 6)
    assert sorted(heard) == [(topic, index) for index, topic in enumerate(topics) for _ in range(3)]
    agents[1].pubsub._output.send(forged("/agent/0/deployment", Deployment(0, 9, ()), agents[1].instance, 9))
    agents[1].pubsub._output.send(forged("/agent/1/deployment", Deployment(0, 9, ()), agents[0].instance, 9))
    run.until_refused(edge, "topic")
    run.until_refused(edge, "instance")
    assert len(heard) == 6


# -- who may ask for what ----------------------------------------------------------------------------------------------


def test_a_tool_reads_but_ends_nothing(run: Run) -> None:
    agent = run.agent(0)
    run.until(lambda: run.registry.holder("/agent/0") is not None)
    for role, may in (("observer", False), ("agent", False), ("launcher", True)):
        answer = ask(run, run.store.credential(role), "stop", Stop("please"), Stopped)
        assert isinstance(answer, Stopped) == may
    assert agent.keys is not None
    answer = ask(run, Credential(agent.keys.own, agent.keys.hub), "revoke", Revoke("/agent/0"), BeatAck)
    assert isinstance(answer, Failure)
    assert run.refused(run.hub, "rights") == 3


def test_at_a_process_observers_read_and_operators_change(run: Run) -> None:
    agent = run.agent(0)
    done: list[str] = []
    agent.nodes["/agent/0"].serve("change", Beat, lambda _: done.append("changed") or BeatAck(True))
    agent.nodes["/agent/0"].serve("look", Beat, lambda _: done.append("looked") or BeatAck(True), reads=True)
    tools = {}
    for role in ("observer", "launcher"):
        tool = run.bus.member(f"tool-{role}", "observer", keys=run.store.keys(role))
        tool.register()
        tools[role] = tool
    for tool in tools.values():
        run.until(lambda: any(peer.process == "agent-0" for peer in tool.membership.peers.values()))  # noqa: B023
        node = next(iter(tool.nodes.values()))
        run.bus.call(tool, lambda: node.call("/agent/0", "look", Beat(1), BeatAck, PATIENCE_S))  # noqa: B023
    assert done == ["looked", "looked"]
    node = next(iter(tools["observer"].nodes.values()))
    with pytest.raises(CallFailed, match="launcher's key"):
        run.bus.call(tools["observer"], lambda: node.call("/agent/0", "change", Beat(1), BeatAck, PATIENCE_S))
    node = next(iter(tools["launcher"].nodes.values()))
    run.bus.call(tools["launcher"], lambda: node.call("/agent/0", "change", Beat(1), BeatAck, PATIENCE_S))
    assert done == ["looked", "looked", "changed"]
    assert run.refused(agent, "rights") == 1


# -- keys come and go --------------------------------------------------------------------------------------------------


def test_a_revoked_instance_is_cut_everywhere_and_counted(run: Run) -> None:
    lost: list[str] = []
    agent, edge = run.agent(0), run.edge()
    agent.on_lease_lost(lambda: lost.append("agent"))
    run.matched((edge, 0, agent))
    run.until(lambda: agent.uid in run.tick.matched)
    answer = ask(run, run.store.credential("launcher"), "revoke", Revoke("/agent/0"), BeatAck)
    assert answer == BeatAck(True)
    run.until(lambda: agent.instance not in edge.pubsub.connected and not run.tick.is_matched(agent.uid))
    heard = len(run.ticks)
    run.tick.publish(Tick(1, 0, 0), slot=1)
    agent.publishers["/agent/0/deployment"].publish(Deployment(0, 1, ()), slot=1)
    run.until(lambda: bool(lost) and run.refused(run.hub, "revoked") + run.refused(run.hub, "unknown_key") > 0)
    run.until(lambda: ("edge-0", 1) in run.ticks[heard:])
    assert ("agent-0", 1) not in run.ticks
    assert run.heard == []


def test_a_leavers_key_dies_with_its_lease(run: Run) -> None:
    agent = run.agent(0)
    run.until(lambda: run.registry.holder("/agent/0") is not None)
    assert agent.keys is not None
    credential = Credential(agent.keys.own, agent.keys.hub)
    agent.close()
    run.until(lambda: run.registry.holder("/agent/0") is None)
    assert run.hub.security is not None
    assert run.hub.security.instance_of(credential.own.public) is None
    hello = Lease("agent-0", "agent", 0, 1, 0, (), credential.own.public)
    answer = ask(run, run.store.credential("agent"), "lease", hello, Leased)
    assert isinstance(answer, Failure)
    assert run.refused(run.hub, "replayed") == 1


def test_rotation_needs_the_new_key_of_newcomers_and_leaves_the_rest_in_peace(run: Run) -> None:
    old, agent, edge = run.store.credential("agent"), run.agent(0), run.edge()
    run.matched((edge, 0, agent))
    run.store.rotate(["agent"])
    assert run.hub.security is not None
    admits = run.hub.security.gate.admits["edgerig.registry"]
    run.until(lambda: not admits(old.own.public))
    late = run.agent(1)
    run.matched((edge, 1, late), (edge, 0, agent))
    agent.publishers["/agent/0/deployment"].publish(Deployment(0, 2, ()), slot=2)
    late.publishers["/agent/1/deployment"].publish(Deployment(1, 2, ()), slot=2)
    run.until(lambda: len(run.heard) == 2)


def test_what_a_revoked_enrolment_key_let_in_goes(run: Run) -> None:
    agent, edge = run.agent(0), run.edge()
    run.matched((edge, 0, agent))
    lost: list[str] = []
    agent.on_lease_lost(lambda: lost.append("agent"))
    run.store.revoke("agent")
    run.until(lambda: bool(lost))
    assert run.registry.holder("/agent/0") is None
    assert run.registry.holder("/edge/0") is not None
    assert run.refused(run.hub, REVOKED) >= 1


def test_replies_are_never_mistaken_for_another_callers(run: Run) -> None:
    answer = ask(run, run.store.credential("observer"), "status", Beat(1), Reply)
    assert isinstance(answer, Failure)
    assert answer.kind == "malformed"
