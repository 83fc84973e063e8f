"""Foreign agents in a run with keys: who gets a lease, who speaks for it, and what a key is worth afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq  # noqa: TID251 -- agents bring sockets of their own
from foreign_agent import ACCEPTED, ACK, BEAT, DEPLOYMENT, GOODBYE, JOIN, REFUSED, ForeignAgent, first_fit, unpack
from thread_run import small

from bus.keystore import Enrolled, Keystore, is_key
from bus.process import Process
from bus.rights import Rights
from bus.slots import SlotDriver
from bus.testing import Cluster, cluster
from emulator.assembly import build_network
from emulator.nodes.gateway import Door, Gateway
from emulator.nodes.seat_faces import DeploymentFace


class Run:
    """A hub and the process of two edge servers, with keys or without, and foreign agents that come."""

    def __init__(self, bus: Cluster, context: zmq.Context[zmq.Socket[bytes]], store: Keystore | None) -> None:
        self.bus, self.context, self.store = bus, context, store
        enrolled = Enrolled(store) if store is not None else None
        self.registry = bus.hub({"agent": 2, "edge": 2}, keys=self.keys("hub"), enrolled=enrolled)
        self.registry.receive_agents("offloading")
        self.hub = bus.processes[0]
        self.hub.node("/hub").publisher("/hub/tick")
        self.hub.register()
        self.edge = bus.member("edge-0-1", "edge", 0, 2, keys=self.keys("edge"))
        scenario = small()
        network = build_network(scenario)
        faces = [DeploymentFace(scenario, None, m, network) for m in range(2)]
        nodes = [self.edge.nodes[f"/edge/{m}"] for m in range(2)]
        driver = SlotDriver(nodes[0], scenario.slots_per_frame, None)
        for node, face in zip(nodes, faces, strict=True):
            node.collect("decision", face.decision, face.decision.rpartition("/")[0])
        Door(self.edge, [Gateway(nodes[m], m, faces[m], driver) for m in range(2)])
        self.edge.register()
        self.bus.until(lambda: self.registry.holder("/edge/0") is not None)
        self.agents: list[ForeignAgent] = []

    def keys(self, role: str) -> Any:
        return self.store.keys(role) if self.store is not None else None

    def agent(self, edge: int = 0, role: str = "agent", own: str | None = None) -> ForeignAgent:
        shown = None
        if self.store is not None:
            pair = self.store.pair(role)
            shown = (pair.public, pair.secret, self.store.public("hub"))
        made = ForeignAgent(self.context, self.registry.address, first_fit, edge, keys=shown, own=own)
        self.agents.append(made)
        return made

    def seated(self, edge: int = 0) -> ForeignAgent:
        made = self.agent(edge)
        self.until(lambda: made.state == "ready" and self.registry.holder(f"/agent/{edge}") is not None)
        return made

    def until(self, condition: Any) -> None:
        def holds() -> bool:
            for agent in self.agents:
                agent.step()
            return bool(condition())

        self.bus.until(holds)

    def refused(self, process: Process) -> dict[str, int]:
        assert process.security is not None
        return dict(process.security.refused.counts)


@contextmanager
def running(store: Keystore | None) -> Iterator[Run]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with cluster() as bus:
        run = Run(bus, context, store)
        try:
            yield run
        finally:
            for agent in run.agents:
                agent.close()
            context.destroy(linger=0)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with running(Keystore.create(tmp_path / "keys")) as made:
        yield made


def test_its_own_key_is_let_in_by_the_hub_and_its_edge_server_and_is_in_no_graph(run: Run) -> None:
    agent = run.seated()
    peer = run.registry.holder("/agent/0")
    assert peer is not None
    assert (peer.process, peer.public_key, peer.instance) == ("foreign-toy", "", agent.instance)
    for process in (run.hub, run.edge):
        assert process.security is not None
        assert process.security.instance_of(agent.own[0]) == agent.instance
        assert run.refused(process) == {}
    run.until(lambda: agent.told(ACK) == [{"known": True}])


def test_two_of_one_image_are_two_processes(run: Run) -> None:
    run.seated(0)
    run.seated(1)
    names = [peer.process for name in ("/agent/0", "/agent/1") if (peer := run.registry.holder(name)) is not None]
    assert names == ["foreign-toy", "foreign-toy-2"]


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("", "no public_key of 40 characters"),
        ("x" * 40 + "é", "no public_key of 40 characters"),
        ("hub", "has had its lease"),
        ("used", "has had its lease"),
        ("edge", "grants no lease of role agent"),
    ],
)
def test_what_grants_no_lease_is_refused_by_name(run: Run, shown: str, text: str) -> None:
    key = {"hub": run.hub.public_key, "used": run.edge.public_key, "edge": None}.get(shown, shown)
    agent = run.agent(role="edge" if shown == "edge" else "agent", own=key)
    run.until(lambda: [said for said in agent.told(REFUSED) if text in said["text"]])
    assert {said["reason"] for said in agent.told(REFUSED)[-1:]} == {"keys"}
    assert agent.told(REFUSED)[-1]["retry_s"] == 0.0


def test_nobody_speaks_for_another(run: Run) -> None:
    one, other = run.seated(0), run.seated(1)
    other.say(other.hub, BEAT, {}, edge=0, instance=one.instance)
    other.say(other.hub, GOODBYE, {}, edge=0, instance=one.instance)
    other.say(other.hub, GOODBYE, {}, instance=run.edge.instance)
    for kind in (JOIN, DEPLOYMENT):
        other.say(other.server, kind, {"services": []}, edge=0, instance=one.instance)
    run.until(lambda: len(other.told(REFUSED)) == 2 and len(other.told(ACK)) == 2)
    assert other.told(ACK) == [{"known": True}, {"known": False}]
    assert [said["reason"] for said in other.told(REFUSED)] == ["unknown_instance"] * 2
    one.say(one.hub, BEAT, {})
    run.until(lambda: len(one.told(ACK)) == 2)
    assert one.told(ACK) == [{"known": True}] * 2
    assert run.registry.holder("/edge/0") is not None


def test_a_hello_that_is_repeated_means_the_same_lease(run: Run) -> None:
    agent = run.agent()
    agent.silent = True
    agent.hello()
    frames: list[bytes] = []

    def both() -> bool:
        while agent.hub.poll(0):
            frames.append(agent.hub.recv())
        return len(frames) == 2

    run.until(both)
    (one, said), (other, repeated) = map(unpack, frames)
    assert (one[2], one[4], said) == (ACCEPTED, other[4], repeated)


def test_a_lost_lease_is_a_revoked_key_and_the_next_takes_another(run: Run) -> None:
    agent = run.seated()
    key, instance = agent.own[0], agent.instance
    run.registry.drop(instance, "no beat")
    run.until(lambda: {"reason": "no beat", "again": True} in agent.told(GOODBYE))
    agent.say(agent.hub, BEAT, {})
    run.until(lambda: {"known": False} in agent.told(ACK))
    for process in (run.hub, run.edge):
        assert process.security is not None
        run.until(lambda security=process.security: security.instance_of(key) is None)
    again = run.agent(own=key)
    run.until(lambda: again.told(REFUSED))
    assert again.told(REFUSED)[-1]["reason"] == "keys"
    assert run.seated().instance != instance


def test_a_revoked_role_ends_its_foreign_agents(run: Run) -> None:
    agent = run.seated()
    assert run.store is not None
    run.store.revoke("agent")
    run.until(lambda: {"reason": "its key is revoked", "again": True} in agent.told(GOODBYE))


def test_without_keys_a_foreign_agent_ends_no_process_of_ours() -> None:
    with running(None) as run:
        agent = run.seated()
        agent.say(agent.hub, GOODBYE, {}, instance=run.edge.instance)
        agent.say(agent.hub, BEAT, {}, instance=run.edge.instance)
        agent.say(agent.hub, BEAT, {})
        run.until(lambda: len(agent.told(ACK)) == 2)
        assert agent.told(ACK) == [{"known": False}, {"known": True}]
        assert run.registry.holder("/edge/0") is not None


def test_a_key_is_40_characters_of_z85() -> None:
    public, _ = zmq.curve_keypair()
    assert is_key(public.decode())
    for wrong in ("", "x" * 39, "x" * 41, '"' * 40, "é" * 40, "#" * 40):
        assert not is_key(wrong), wrong


def test_an_edge_servers_process_says_what_its_own_agent_decides_and_nothing_else_of_an_agents() -> None:
    rights = Rights.of("edge-3", ["/edge/3"])
    assert rights.publishes("/agent/3/deployment")
    assert rights.publishes("/agent/3/rental")
    for topic in ("/agent/4/deployment", "/agent/30/rental", "/agent/3/orchestration", "/agent/3", "/edge/4/outcome"):
        assert not rights.publishes(topic), topic
    assert not Rights.of("cell-3", ["/cell/3"]).publishes("/agent/3/deployment")
