"""The start order: what a scenario may say of it, and who may start when."""

from __future__ import annotations

from typing import Any

import pytest

from bus.messages import NodeState, NodeStates
from emulator.errors import ScenarioError
from emulator.layout import groups, hosted
from emulator.scenario import Scenario
from emulator.scenario_file import dump, parse
from emulator.start_order import NotReached, Order, await_turn, held_back

HEAD = 'name = "ordered"\n[edges]\ncount = 3\n'


def rule(node: str, after: str, state: str = "inactive") -> str:
    return f'[[start]]\nnode = "{node}"\nafter = {{ node = "{after}", state = "{state}" }}\n'


def scenario(*rules: str, more: str = "") -> Scenario:
    return parse(HEAD + more + "".join(rules))


class Known:
    """A registry that knows these."""

    def __init__(self, *records: NodeState) -> None:
        self._records = records

    def node_states(self) -> NodeStates:
        return NodeStates(self._records)


def states(**found: str) -> NodeStates:
    return NodeStates(tuple(NodeState("/" + name.replace("_", "/"), state) for name, state in found.items()))


def test_a_start_order_survives_being_written_down() -> None:
    made = scenario(rule("edge/*", "/cloud"), rule("agent", "edge/2"), rule("cell/0", "/lab/camera", "active"))
    assert parse(dump(made)) == made


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((rule("edgy/*", "/cloud"),), "start[0].node: 'edgy/*' is no node of the run; nodes are cell/N, edge/N"),
        ((rule("edge/3", "/cloud"),), "start[0].node: 'edge/3' is no node of the run"),
        ((rule("/hub", "/cloud"),), "/hub is there before all others; it can wait for nobody"),
        ((rule("edge", "/ledger"),), "/ledger is there before any other is started; leave the table out"),
        ((rule("edge", "clowd"),), "start[0].after.node: 'clowd' is no node; nodes are"),
        ((rule("edge", "/clowd"),), "'/clowd' is no node; did you mean cloud?"),
        ((rule("edge", "/cell/7"),), "'/cell/7' is no node; did you mean cell?"),
        ((rule("edge", "/cloud", "ready"),), "start[0].after.state: must be one of inactive, active"),
        ((rule("edge", "/cloud", "active"),), "/cloud is never active before slot 0, which waits for everybody; "),
        ((rule("edge/0", "edge/0"),), "start[0].after: can never be met: edge/0 waits for edge/0, and process edge-0"),
        (
            (rule("edge", "cloud"), rule("agent", "edge/1"), rule("scheduler", "agent/2")),
            "start[0].after: can never be met: edge waits for cloud, scheduler waits for agent/2, agent waits for",
        ),
        ((rule("cell/0", "cell/1"),), "process cell-0-2 is at both ends; change it"),
    ],
)
def test_what_can_never_be_met_is_said_before_anything_starts(rules: tuple[str, ...], said: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario(*rules)
    assert said in str(raised.value)
    assert "scenario:" in str(raised.value)  # with its line


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ScenarioError) as raised:
        scenario(rule("edgy", "clowd"), rule("edge", "/cloud", "active"), rule("agent/0", "agent/0"))
    assert len(raised.value.problems) == 4


def test_processes_apart_are_no_circle() -> None:
    made = scenario(rule("cell/0", "cell/1"), more="[processes]\ncell = 3\n")
    assert len(made.start) == 1


def test_a_process_waits_for_what_any_of_its_nodes_waits_for() -> None:
    made = scenario(rule("agent/1", "edge/*"), rule("edge", "cloud"), more="[processes]\nagent = 1\n")
    order = Order(made)
    plan = {group.name: hosted(made, group.kind, group.first, group.count) for group in groups(made)}
    assert set(plan) == {"cloud", "cell-0-2", "edge-0", "edge-1", "edge-2", "agent-0-2"}
    nothing = NodeStates(())
    waiting = [name for name, nodes in plan.items() if order.waits_for(nodes, nothing)]
    assert waiting == ["edge-0", "edge-1", "edge-2", "agent-0-2"]
    cloud = states(cloud="inactive", edge_0="unconfigured", edge_1="active", edge_2="inactive")
    assert [name for name, nodes in plan.items() if order.waits_for(nodes, cloud)] == ["agent-0-2"]
    assert order.waits_for(plan["agent-0-2"], cloud) == ["/edge/0 to be inactive (it is unconfigured)"]
    assert held_back(made, Known(*cloud.nodes)) == ["agent/1 waits for /edge/0 to be inactive (it is unconfigured)"]


def test_a_node_of_ones_own_must_be_as_far_as_was_asked() -> None:
    made = scenario(rule("edge", "/lab/camera", "active"))
    assert held_back(made, Known()) == ["edge waits for /lab/camera to be active (nobody holds it)"]
    gone = NodeState("/lab/camera", "finalized", reason="its process ended with code 1")
    assert held_back(made, Known(gone)) == [
        "edge waits for /lab/camera to be active (it is finalized, its process ended with code 1)"
    ]
    assert held_back(made, Known(NodeState("/lab/camera", "active"))) == []


class Answers:
    """A hub that tells one answer after the other, and the last one ever after."""

    def __init__(self, *answers: NodeStates) -> None:
        self.answers = list(answers)
        self.asked = 0

    def call(self, _method: str, *_arguments: Any) -> NodeStates:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_a_process_waits_for_its_turn_by_itself() -> None:
    made = scenario(rule("edge", "cloud"), more="[deadlines]\nstart_s = 0.1\n")
    hub = Answers(NodeStates(()), states(cloud="unconfigured"), states(cloud="inactive"))
    await_turn(hub, made, ["/edge/0"], lambda: False)  # type: ignore[arg-type]
    assert hub.asked == 3
    await_turn(hub, made, ["/cloud", "/scheduler"], lambda: False)  # type: ignore[arg-type]
    assert hub.asked == 3
    with pytest.raises(NotReached, match=r"not started within 0.1 s \(deadlines.start_s\): waits for /cloud to be"):
        await_turn(Answers(NodeStates(())), made, ["/edge/0"], lambda: False)  # type: ignore[arg-type]
