from __future__ import annotations

import numpy as np
import pytest
from bus_numbers import TABLE, WORDS

from bus.errors import BusError, CallFailed, LeaseRefused, PeerLost, QosIncompatible, TypeMismatch
from bus.messages import Array, Arrivals, Peer, ReportExit, Tick
from bus.process import Process
from bus.qos import RELIABLE
from bus.testing import Cluster

ARRIVALS = Arrivals(Array.of(np.arange(4.0)))


class Run:
    """A hub, and members whose every node hears the ticks and answers with arrivals."""

    def __init__(self, bus: Cluster, **options: object) -> None:
        self.bus = bus
        self.events: list[tuple[str, str]] = []
        self.registry = bus.hub(
            {"cell": 3, "edge": 2},
            on_join=lambda peer: self.events.append(("join", peer.process)),
            on_lost=lambda peer, reason: self.events.append((reason, peer.process)),
            **options,
        )
        self.hub = bus.processes[0]
        self.tick = self.hub.node("/hub").publisher("/hub/tick")
        self.hub.register()
        self.ticks: list[tuple[str, int]] = []
        self.arrivals: list[tuple[str, int, int]] = []

    def cell(self, index: int, name: str = "") -> Process:
        process = self.bus.member(name or f"cell-{index}", "cell", index)
        node = process.nodes[f"/cell/{index}"]
        publisher = node.publisher(f"/cell/{index}/arrivals")

        def on_tick(tick: Tick, _header: object) -> None:
            self.ticks.append((process.name, tick.slot))
            publisher.publish(ARRIVALS, slot=tick.slot)

        node.subscribe("/hub/tick", on_tick)
        process.register()
        return process

    def edge(self, index: int) -> Process:
        process = self.bus.member(f"edge-{index}", "edge", index)
        for cell in range(3):

            def on_arrivals(_message: Arrivals, header: object, cell: int = cell) -> None:
                self.arrivals.append((process.name, cell, header.slot))  # type: ignore[attr-defined]

            process.nodes[f"/edge/{index}"].subscribe(f"/cell/{cell}/arrivals", on_arrivals)
        process.register()
        return process

    def start(self) -> None:
        self.cells = [self.cell(index) for index in range(3)]
        self.edges = [self.edge(index) for index in range(2)]
        self.bus.all_ready()

    def slot(self, slot: int, cells: int = 3, edges: int = 2) -> None:
        self.arrivals.clear()
        self.tick.publish(Tick(slot, 0, 0), slot=slot)
        self.bus.until(lambda: len(self.arrivals) >= cells * edges)
        assert len(set(self.arrivals)) == len(self.arrivals) == cells * edges
        assert {s for _, _, s in self.arrivals} == {slot}


@pytest.fixture
def run(bus: Cluster) -> Run:
    return Run(bus)


def test_the_first_tick_after_readiness_reaches_everyone_once(run: Run) -> None:
    run.start()
    assert run.registry.missing() == []
    assert run.registry.complete()
    for slot in range(3):
        run.slot(slot)
    assert sorted(run.ticks) == sorted((f"cell-{c}", s) for c in range(3) for s in range(3))


def test_missing_says_who_holds_nothing_and_who_waits_for_whom(run: Run) -> None:
    assert run.registry.missing()[0] == "nobody holds /cell/0"
    run.cell(0)
    run.bus.member("edge-0", "edge", 0)
    run.bus.step()
    sentences = run.registry.missing()
    assert "edge-0 (/edge/0) has not registered" in sentences
    assert "nobody holds /cell/0" not in sentences
    assert not run.registry.all_ready()


def test_the_next_free_names_are_granted_and_a_held_one_is_refused(run: Run) -> None:
    run.cell(1)
    process = run.bus.member("cells", "cell", count=2)
    assert process.membership.names == ("/cell/0", "/cell/2")
    with pytest.raises(LeaseRefused, match="/cell/1 is held by cell-1") as raised:
        run.bus.member("thief", "cell", 1)
    assert raised.value.kind == "held"
    with pytest.raises(LeaseRefused) as raised:
        run.bus.member("surplus", "cell")
    assert raised.value.kind == "surplus"
    with pytest.raises(LeaseRefused, match="no role 'edgy'"):
        run.bus.member("typo", "edgy")


def test_a_spare_waits_until_a_name_is_free(run: Run) -> None:
    run.start()
    spare = run.bus.process("spare", instance=0)
    run.hub.after(0.05, lambda: run.registry.drop(run.cells[1].instance, "killed"))
    run.cells[1].on_lease_lost(lambda: None)
    run.bus.join(spare, "cell", wait_s=5.0)
    assert spare.membership.names == ("/cell/1",)


def test_a_name_that_is_kept_for_who_stands_by_is_no_spares(run: Run) -> None:
    run.start()
    standbys, (first, second, third) = run.registry.standbys, run.cells
    for cell in run.cells:
        cell.on_lease_lost(lambda: None)
    standbys.exchange("/cell/1", third.instance, second.instance)  # third has two names now
    run.registry.drop(third.instance, "killed")
    spare, other = (run.bus.process(name, instance=0) for name in ("spare", "other"))
    run.bus.join(spare, "cell", wait_s=0.5)
    assert spare.membership.names == ("/cell/2",), "of the two that are free, the one that is not kept"
    with pytest.raises(LeaseRefused, match="0 of 3"):
        run.bus.join(other, "cell", wait_s=0.5)
    standbys.exchange("/cell/1", second.instance)
    standbys.exchange("/cell/1", first.instance, second.instance)
    standbys.let_go("/cell/1")
    run.registry.drop(first.instance, "killed")
    run.bus.join(other, "cell", wait_s=0.5)
    assert other.membership.names == ("/cell/0",)


def test_a_name_is_not_kept_for_the_dead(run: Run) -> None:
    run.start()
    standbys, (_, second, third) = run.registry.standbys, run.cells
    standbys.exchange("/cell/1", third.instance, second.instance)
    assert standbys.kept() == {"/cell/1": "cell-1"}
    second.on_lease_lost(lambda: None)
    run.registry.drop(second.instance, "killed")
    assert standbys.kept() == {}


def test_a_spare_that_is_told_to_stop_asks_no_more(run: Run) -> None:
    run.start()
    spare = run.bus.process("spare", instance=0)
    run.cells[1].on_lease_lost(lambda: None)

    def stop_and_free() -> None:
        spare.stop()
        run.registry.drop(run.cells[1].instance, "killed")

    run.hub.after(0.05, stop_and_free)
    with pytest.raises(LeaseRefused):
        run.bus.join(spare, "cell", wait_s=5.0)
    for _ in range(100):
        run.bus.step()
    assert "nobody holds /cell/1" in run.registry.missing()


def test_names_that_come_while_we_stop_are_given_back(run: Run) -> None:
    process = run.bus.process("late", instance=0)
    process.stop()
    run.bus.join(process, "cell", wait_s=5.0)
    assert process.membership.names == ("/cell/0",)
    assert "nobody holds /cell/0" not in run.registry.missing()
    process.close("stopped")
    run.bus.until(lambda: "nobody holds /cell/0" in run.registry.missing())


def test_a_process_registers_only_names_it_holds(run: Run) -> None:
    process = run.bus.member("edge-0", "edge", 0)
    process.node("/edge/1")
    process.register()
    with pytest.raises(CallFailed, match="edge-0 does not hold /edge/1"):
        run.bus.until(lambda: False, 1.0)


def test_a_restart_under_a_new_instance_loses_nothing_and_doubles_nothing(run: Run) -> None:
    run.start()
    run.slot(0)
    for life in range(1, 6):
        victim = run.cells[1]
        run.bus.kill(victim)
        assert run.registry.drop(victim.instance, "killed")
        run.cells[1] = run.cell(1, f"cell-1-life-{life}")
        run.bus.all_ready()
        run.slot(life)
        subscription = run.edges[0].subscriptions["/cell/1/arrivals"]
        assert subscription.matched == {run.cells[1].instance}
        assert subscription.lost == 0
    assert run.edges[0].pubsub.connected == {p.instance for p in [run.hub, *run.cells]}


def test_leavers_are_out_of_the_graph_and_their_names_are_free(run: Run) -> None:
    run.start()
    run.cells[2].close("for today")
    run.bus.until(lambda: ("left for today", "cell-2") in run.events)
    assert run.registry.holder("/cell/2") is None
    run.bus.until(run.registry.all_ready)
    run.slot(5, cells=2)


def test_silence_costs_the_lease_and_the_silent_one_hears_so(bus: Cluster) -> None:
    run = Run(bus, liveliness_s=0.1)
    run.start()
    victim = run.cells[0]
    bus.processes.remove(victim)  # it takes no turns: stopped
    bus.until(lambda: any("no beat" in reason for reason, _ in run.events))
    assert run.registry.holder("/cell/0") is None
    bus.processes.append(victim)
    with pytest.raises(PeerLost, match="cell-0 is lost: the hub gave /cell/0 away"):
        bus.until(lambda: False, 2.0)


def test_a_process_that_announced_work_may_be_silent(bus: Cluster) -> None:
    run = Run(bus, liveliness_s=0.05)
    run.start()
    victim = run.cells[0]
    victim.busy(30.0)
    bus.processes.remove(victim)  # it works, and takes no turns
    ticks: list[int] = []
    run.hub.after(0.3, lambda: ticks.append(1))
    bus.until(lambda: bool(ticks))
    assert run.registry.holder("/cell/0") is not None
    bus.processes.append(victim)


def test_a_reported_exit_frees_the_names_at_once(run: Run) -> None:
    run.start()
    victim = run.cells[0]
    record = run.registry.holder("/cell/0")
    assert record is not None
    run.bus.kill(victim)
    assert not run.registry._report_exit(ReportExit("cell-0", record.pid + 1, -9)).known  # type: ignore[attr-defined]
    assert run.registry._report_exit(ReportExit("cell-0", record.pid, -9)).known  # type: ignore[attr-defined]
    assert ("its process ended with code -9", "cell-0") in run.events


def test_a_dead_hub_is_noticed(bus: Cluster) -> None:
    run = Run(bus, liveliness_s=0.1)
    run.cells = [run.cell(0)]
    reasons: list[str] = []
    run.cells[0].on_hub_lost(reasons.append, deadline_s=0.1)
    bus.until(lambda: run.cells[0].membership.version > 0)
    bus.kill(run.hub)
    bus.until(lambda: bool(reasons))
    assert "/hub did not answer" in reasons[0]


def test_a_dead_hub_raises_by_default(bus: Cluster) -> None:
    run = Run(bus, liveliness_s=0.1)
    cell = run.cell(0)
    cell.membership.hub_deadline_s = 0.1
    bus.until(lambda: cell.membership.version > 0)
    bus.kill(run.hub)
    with pytest.raises(PeerLost, match="/hub is lost"):
        bus.until(lambda: False, 2.0)


def test_a_late_subscription_is_matched_while_the_run_goes_on(run: Run) -> None:
    run.start()
    run.slot(0)
    seen: list[int] = []
    run.cells[0].nodes["/cell/0"].subscribe("/cell/2/arrivals", lambda m, h: seen.append(h.slot))
    run.bus.until(lambda: bool(seen))  # the latched one of slot 0
    run.bus.all_ready()
    run.slot(1)
    run.bus.until(lambda: seen == [0, 1])


def test_other_types_are_refused_on_both_ends_and_keep_the_run_from_starting(numbers: Cluster) -> None:
    registry = numbers.hub({"edge": 2})
    numbers.processes[0].register()
    refusals: dict[str, list[type]] = {"writer": [], "reader": []}
    writer = numbers.member("writer", "edge", 0)
    numbers.table = WORDS
    reader = numbers.member("reader", "edge", 1)
    numbers.table = TABLE
    for process in (writer, reader):
        process.on_refused(lambda error, name=process.name: refusals[name].append(type(error)))
    publisher = writer.nodes["/edge/0"].publisher("/edge/0/number")
    reader.nodes["/edge/1"].subscribe("/edge/0/number", lambda m, h: None)
    writer.register()
    reader.register()
    numbers.until(lambda: all(refusals.values()))
    assert refusals == {"writer": [TypeMismatch], "reader": [TypeMismatch]}
    assert not publisher.matched
    reader.membership.beat()
    numbers.until(lambda: any("refused" in sentence for sentence in registry.missing()))


def test_an_observer_is_waited_for_by_nobody(run: Run) -> None:
    run.start()
    observer = run.bus.process("top", instance=0)
    run.bus.join(observer, "observer")
    assert observer.membership.names == ("/observer/top",)
    assert run.registry.all_ready()
    observer.register()
    run.bus.until(lambda: observer.ready)


def test_peers_are_listed_with_their_nodes_and_topics(run: Run) -> None:
    run.start()
    peers: dict[str, Peer] = {peer.process: peer for peer in run.registry.peers()}
    assert sorted(peers) == ["cell-0", "cell-1", "cell-2", "edge-0", "edge-1", "hub"]
    (node,) = peers["cell-2"].nodes
    assert node.name == "/cell/2"
    assert [record.topic for record in node.publishes] == ["/cell/2/arrivals"]
    assert [record.topic for record in node.subscribes] == ["/hub/tick"]


def test_a_promise_too_small_is_refused_on_both_ends_by_the_graph(numbers: Cluster) -> None:
    numbers.hub({"edge": 2})
    numbers.processes[0].register()
    writer, reader = numbers.member("writer", "edge", 0), numbers.member("reader", "edge", 1)
    refusals: dict[str, list[BusError]] = {"writer": [], "reader": []}
    for process in (writer, reader):
        process.on_refused(refusals[process.name].append)
    publisher = writer.nodes["/edge/0"].publisher("/edge/0/gauge")
    subscription = reader.nodes["/edge/1"].subscribe("/edge/0/gauge", lambda m, h: None, RELIABLE)
    writer.register()
    reader.register()
    numbers.until(lambda: all(refusals.values()))
    for name, other in (("writer", "reader"), ("reader", "writer")):
        (error,) = refusals[name]
        assert isinstance(error, QosIncompatible)
        assert (error.topic, error.asked, error.offered) == ("/edge/0/gauge", "reliable", "best_effort")
        assert error.peer in (other, f"instance {writer.instance}")
    assert not publisher.matched
    assert not subscription.matched
    assert not reader.ready


def test_thousands_of_links_become_ready_in_moments(bus: Cluster) -> None:
    edges, groups = 24, 3
    bus.hub({"edge": edges})
    bus.processes[0].register()
    for group in range(groups):
        process = bus.member(f"edges-{group}", "edge", count=edges // groups)
        for name, node in process.nodes.items():
            here = int(name.rsplit("/", 1)[1])
            for there in set(range(edges)) - {here}:
                node.publisher(f"/edge/{here}/offload/{there}")
                node.collect("offload", f"/edge/{there}/offload/{here}", there)
        process.register()
    bus.all_ready(20.0)
    assert bus.registry is not None
    assert bus.registry.version < 10  # joins that come together make few graphs
