"""States of nodes: those that are led from outside, and those that follow what their process does."""

from __future__ import annotations

import pytest

from bus import topics
from bus.errors import CallFailed
from bus.lifecycle import ACTIVE, ERROR, FINALIZED, INACTIVE, UNCONFIGURED, TransitionRefused, possible, reached
from bus.messages import Message, NodeState, SetState
from bus.node import Node
from bus.testing import Cluster
from bus.topics import TopicSpec


class Frame(Message, frozen=True):
    number: int


CAMERA = topics.TABLE.extended([TopicSpec("frames", Frame)])


@pytest.fixture
def node(bus: Cluster) -> Node:
    return bus.process("p", table=CAMERA).node("/camera")


def states(bus: Cluster) -> dict[str, str]:
    assert bus.registry is not None
    return {record.node: record.state for record in bus.registry.node_states().nodes}


def test_a_managed_node_goes_through_its_states_and_its_callbacks(node: Node) -> None:
    called: list[str] = []
    life = node.manage(
        on_configure=lambda: called.append("configure"),
        on_activate=lambda: called.append("activate"),
        on_deactivate=lambda: called.append("deactivate"),
        on_cleanup=lambda: called.append("cleanup"),
    )
    assert node.lifecycle is life
    ways = [("configure", INACTIVE), ("activate", ACTIVE), ("deactivate", INACTIVE), ("cleanup", UNCONFIGURED)]
    for transition, state in ways:
        assert life.change(transition).state == life.state == state
    assert called == [transition for transition, _ in ways]
    for transition in ("configure", "activate", "shutdown"):
        life.change(transition)
    assert called[4:] == ["configure", "activate", "deactivate", "cleanup"]
    assert life.state == FINALIZED
    assert possible(FINALIZED) == ()
    with pytest.raises(ValueError, match="managed already"):
        node.manage()


def test_a_transition_that_is_not_possible_says_what_is(node: Node) -> None:
    life = node.manage()
    for transition, said in [
        ("activate", "/camera is unconfigured: activate is not possible; possible is configure, shutdown"),
        ("launch", "/camera is unconfigured: launch is not possible; possible is configure, shutdown"),
    ]:
        with pytest.raises(TransitionRefused, match=said):
            life.change(transition)
    life.change("shutdown")
    with pytest.raises(TransitionRefused, match="is finalized: configure is not possible; possible is nothing"):
        life.change("configure")


def test_a_callback_refuses_or_breaks(node: Node) -> None:
    def no_camera() -> None:
        raise OSError("no camera at /dev/video0")

    def fault() -> None:
        raise ZeroDivisionError("division by zero")

    life = node.manage(on_configure=no_camera, on_activate=fault)
    with pytest.raises(TransitionRefused, match="configure was refused: no camera at"):
        life.change("configure")
    assert life.state == UNCONFIGURED
    life._callbacks.pop("configure")
    life.change("configure")
    told = life.change("activate")
    assert (told.state, told.reason) == (ERROR, "activate failed: ZeroDivisionError: division by zero")
    assert possible(ERROR) == ("cleanup", "shutdown")
    assert life.change("cleanup") == NodeState("/camera", UNCONFIGURED, "p", True)


def test_whoever_is_active_was_inactive_before() -> None:
    assert [state for state in (UNCONFIGURED, INACTIVE, ACTIVE, FINALIZED, ERROR) if reached(state, INACTIVE)] == [
        INACTIVE, ACTIVE,
    ]  # fmt: skip
    assert not reached(INACTIVE, ACTIVE)


def test_a_node_that_is_not_active_publishes_nothing_and_counts_it(bus: Cluster, node: Node) -> None:
    ear = bus.process("q", table=CAMERA)
    heard: list[int] = []
    before = node.publisher("frames")
    ear.node("/ear").subscribe("/frames", lambda frame, _: heard.append(frame.number))
    bus.link(ear, node.process)
    bus.until(lambda: len(before.matched) == 1)
    life = node.manage()
    assert before.publish(Frame(1)) == b""
    assert not before.try_publish(Frame(2), slot=0)
    assert life.record().unsent == 2
    life.change("configure")
    life.change("activate")
    assert "publish" not in vars(before)  # an active node's publishers are as if nobody managed them
    before.publish(Frame(3))
    bus.until(lambda: heard == [3])
    life.change("deactivate")
    before.publish(Frame(4))
    life.change("activate")
    before.publish(Frame(5))
    bus.until(lambda: len(heard) == 2)
    assert heard == [3, 5]
    assert (before.sequence, life.unsent) == (2, 3)


def test_a_publisher_made_while_the_node_is_not_active_waits_too(node: Node) -> None:
    life = node.manage()
    frames = node.publisher("frames")
    frames.publish(Frame(1))
    assert (frames.sequence, life.unsent) == (0, 1)
    settings = node.parameter("rate", 1)
    node.parameters.set({"rate": 2})  # settings are no data: they are told in any state
    assert (settings.value, node.process.publishers["/parameter_events"].sequence) == (2, 1)


def test_states_of_a_runs_nodes_follow_what_their_processes_do(bus: Cluster) -> None:
    members: set[str] = set()
    hub = bus.hub({"edge": 2, "cloud": None})
    hub.states.takes_part = lambda name: name in members if name.startswith("/edge/") else None
    bus.processes[0].node("/hub")
    bus.processes[0].register()
    edge = bus.member("edge-0", "edge", 0)
    bus.until(lambda: states(bus)["/hub"] == ACTIVE)
    assert states(bus) == {
        "/hub": ACTIVE, "/edge/0": UNCONFIGURED, "/edge/1": UNCONFIGURED, "/cloud": UNCONFIGURED,
    }  # fmt: skip
    reasons = {record.node: record.reason for record in hub.node_states().nodes}
    assert (reasons["/edge/0"], reasons["/edge/1"]) == ("it has not registered", "nobody holds it")
    edge.register()
    bus.until(lambda: states(bus)["/edge/0"] == INACTIVE)
    members.add("/edge/0")
    assert states(bus)["/edge/0"] == ACTIVE
    assert [vital.lifecycle for vital in hub.vitals().processes] == [(ACTIVE,), (ACTIVE,)]
    bus.member("cloud", "cloud").register()
    bus.until(lambda: states(bus)["/cloud"] == ACTIVE)
    assert states(bus)["/edge/0"] == ACTIVE  # the graph has a new version, but whoever was ready stays so
    bus.kill(edge)
    hub.drop(edge.instance, "its process ended with code -9")
    record = next(each for each in hub.node_states().nodes if each.node == "/edge/0")
    assert (record.state, record.process, record.reason) == (FINALIZED, "edge-0", "its process ended with code -9")
    again = bus.member("edge-0", "edge", 0)
    assert states(bus)["/edge/0"] == UNCONFIGURED
    again.register()
    bus.until(lambda: states(bus)["/edge/0"] == ACTIVE)


def test_a_managed_guest_is_led_by_a_call_and_the_hub_knows_at_once(bus: Cluster) -> None:
    hub = bus.hub({"edge": 1})
    bus.processes[0].register()
    guest = bus.guest("camera", "/lab/camera")
    life = guest.nodes["/lab/camera"].manage()
    asker = bus.member("edge-0", "edge", 0)
    for process in (guest, asker):
        process.register()
    bus.until(lambda: hub.holder("/lab/camera") is not None)
    record = next(each for each in hub.node_states().nodes if each.node == "/lab/camera")
    assert (record.state, record.managed) == (UNCONFIGURED, True)  # known before it can be taken for an active one
    bus.all_ready()
    assert states(bus)["/lab/camera"] == UNCONFIGURED

    def lead(transition: str) -> NodeState:
        asking = asker.nodes["/edge/0"]
        return bus.call(
            asker, lambda: asking.call("/lab/camera", "lifecycle_set", SetState(transition), NodeState, 5.0)
        )

    for transition, state in (("configure", INACTIVE), ("activate", ACTIVE)):
        assert lead(transition).state == state
        bus.until(lambda wanted=state: states(bus)["/lab/camera"] == wanted, 0.5)  # type: ignore[misc]
    version = hub.version
    with pytest.raises(CallFailed, match="is active: cleanup is not possible; possible is deactivate, shutdown"):
        lead("cleanup")
    assert lead("shutdown").state == FINALIZED
    bus.until(lambda: states(bus)["/lab/camera"] == FINALIZED)
    assert (life.state, hub.version) == (FINALIZED, version)  # a change of state is no change of the graph
    with pytest.raises(CallFailed, match="has no method lifecycle_set"):
        bus.call(
            guest, lambda: guest.nodes["/lab/camera"].call("/edge/0", "lifecycle_set", SetState("x"), NodeState, 5.0)
        )
