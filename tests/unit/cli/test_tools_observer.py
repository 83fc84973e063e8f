"""An observer on the bus: nobody waits for it, and what it hears is not the run's traffic."""

from __future__ import annotations

from bus.accounting import link_report
from bus.messages import Deployment
from bus.process import Process
from bus.qos import BEST_EFFORT
from bus.testing import Cluster, cluster


def watch(bus: Cluster, name: str, heard: list[Deployment]) -> Process:
    process = bus.member(name, "observer")
    node = process.nodes[f"/observer/{name}"]
    node.subscribe("/agent/0/deployment", lambda message, header: heard.append(message), BEST_EFFORT)
    process.register()
    return process


def test_an_observer_that_says_nothing_keeps_nobody_from_being_ready() -> None:
    with cluster() as bus:
        registry = bus.hub({"agent": 1})
        bus.processes[0].node("/hub")
        bus.processes[0].register()
        agent = bus.member("agent-0", "agent")
        agent.nodes["/agent/0"].publisher("/agent/0/deployment")
        agent.register()
        bus.until(lambda: not registry.missing())
        stuck = watch(bus, "stuck", [])
        stuck.spin_once(0.0)  # registered, and never heard of again
        others = [process for process in bus.processes if process is not stuck]

        def turn() -> bool:
            for process in others:
                process.spin_once(0.001)
            return stuck.instance in agent.membership.peers and registry.ready(agent.instance)

        bus.step = lambda skip=None: None  # type: ignore[method-assign]
        bus.until(turn)
        assert registry.missing() == []
        del bus.step


def test_what_an_observer_hears_is_accounted_apart_even_after_it_left() -> None:
    with cluster() as bus:
        bus.hub({"agent": 1})
        bus.processes[0].node("/hub").subscribe("/agent/0/deployment", lambda message, header: None)
        bus.processes[0].register()
        agent = bus.member("agent-0", "agent")
        deployment = agent.nodes["/agent/0"].publisher("/agent/0/deployment")
        agent.register()
        heard: list[Deployment] = []
        observer = watch(bus, "watching", heard)
        bus.all_ready()
        bus.until(lambda: len(deployment.matched) == 2)
        deployment.publish(Deployment(0, 0, (1,)), slot=0)
        bus.until(lambda: bool(heard))
        observer.close()
        bus.until(lambda: observer.instance not in agent.membership.peers)
        links = [link for link in link_report(agent).links if link.kind != "control"]
        assert [(link.kind, link.subscriber) for link in links] == [("data", "hub"), ("observed", "")]
        data, observed = links
        assert data.messages == 1
        # The message, the mark that the link was matched, and, where it is slow, that the publisher still lives.
        assert 2 <= observed.messages <= 4
