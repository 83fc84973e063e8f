from __future__ import annotations

from typing import Any

import pytest

from bus.errors import CallFailed
from bus.messages import ParameterEvent, ParameterQuery, Parameters, SetParameters
from bus.node import Node
from bus.parameters import ParameterRefused
from bus.testing import Cluster


@pytest.fixture
def node(bus: Cluster) -> Node:
    return bus.process("p").node("/edge/3")


def settings(node: Node) -> dict[str, Any]:
    return {p.name: p.value for p in node.parameters.listed().parameters}


def test_a_parameter_is_typed_and_bounded(node: Node) -> None:
    rate = node.parameter("rate", 2.0, minimum=1.0, maximum=4.0, description="messages a second")
    node.parameter("mode", "slow", choices=("slow", "fast"))
    node.parameter("on", True)
    node.parameter("most", 3, minimum=0)
    node.parameters.set({"rate": 3, "mode": "fast", "on": False, "most": 0})
    assert rate.value == 3.0
    assert type(rate.value) is float
    assert settings(node) == {"rate": 3.0, "mode": "fast", "on": False, "most": 0}
    for values, said in [
        ({"rate": 0.5}, "must be at least 1, not 0.5"),
        ({"rate": 4.5}, "must be at most 4, not 4.5"),
        ({"rate": float("nan")}, "must be finite"),
        ({"rate": "3"}, "is a float, not '3'"),
        ({"mode": "quick"}, "is one of slow, fast, not quick"),
        ({"on": 1}, "is a bool, not 1"),
        ({"most": 1.0}, r"is a int, not 1\.0"),
        ({"most": True}, "is a int, not True"),
        ({"speed": 1}, r"no such parameter \(there are rate, mode, on, most\)"),
    ]:
        with pytest.raises(ParameterRefused, match=said):
            node.parameters.set(values)  # type: ignore[arg-type]


def test_several_are_changed_together_or_not_at_all(node: Node) -> None:
    seen: list[tuple[str, Any]] = []

    def refuse(value: int) -> None:
        if value > 5:
            raise ValueError("there is no room")
        seen.append(("b", value))

    node.parameter("a", 1, on_change=lambda value: seen.append(("a", value)))
    node.parameter("b", 1, on_change=refuse)
    node.parameter("c", 1, read_only="it follows from a")
    with pytest.raises(ParameterRefused, match="b: there is no room; nothing was changed"):
        node.parameters.set({"a": 2, "b": 9})
    assert settings(node) == {"a": 1, "b": 1, "c": 1}
    assert seen == [("a", 2), ("a", 1)]  # whoever uses it was told to go back
    with pytest.raises(ParameterRefused, match="c: cannot be set: it follows from a"):
        node.parameters.set({"a": 2, "c": 2})
    assert settings(node)["a"] == 1
    node.parameters.set({"a": 2, "b": 2, "c": 1})  # a dump that is loaded again names those that cannot be set, too
    assert seen[2:] == [("a", 2), ("b", 2)]


def test_a_rule_over_several_sees_them_as_they_would_be(node: Node) -> None:
    def ascend(values: Any) -> None:
        if values["low"] > values["high"]:
            raise ValueError(f"low {values['low']} is above high {values['high']}")

    node.parameter("low", 1)
    node.parameter("high", 2)
    node.parameters.require(ascend)
    with pytest.raises(ParameterRefused, match="low: low 3 is above high 2; nothing was changed"):
        node.parameters.set({"low": 3})
    with pytest.raises(ParameterRefused, match="low, high: low 9 is above high 8"):
        node.parameters.set({"low": 9, "high": 8})
    assert settings(node) == {"low": 1, "high": 2}
    node.parameters.set({"low": 3, "high": 4})
    assert settings(node) == {"low": 3, "high": 4}


def test_each_call_that_changes_something_is_one_event(bus: Cluster) -> None:
    bus.hub({"edge": 2})
    bus.processes[0].register()
    owner, asker = bus.member("owner", "edge", 0), bus.member("asker", "edge", 1)
    mine = owner.nodes["/edge/0"]
    mine.parameter("a", 1)
    mine.parameter("b", 1, maximum=3)
    asking = asker.nodes["/edge/1"]
    events: list[ParameterEvent] = []
    asking.subscribe("/parameter_events", lambda event, _: events.append(event))
    for process in (owner, asker):
        process.register()
    bus.all_ready()

    def set_(values: dict[str, Any]) -> Parameters:
        return bus.call(asker, lambda: asking.call("/edge/0", "param_set", SetParameters(values), Parameters, 5.0))

    assert [p.value for p in set_({"a": 2, "b": 3}).parameters] == [2, 3]
    set_({"a": 2})  # nothing changes
    with pytest.raises(CallFailed, match="b: must be at most 3, not 4; nothing was changed"):
        set_({"a": 7, "b": 4})
    set_({"a": 8})
    bus.until(lambda: len(events) == 2)
    assert events == [ParameterEvent("/edge/0", {"a": 2, "b": 3}), ParameterEvent("/edge/0", {"a": 8})]
    listed = bus.call(asker, lambda: asking.call("/edge/0", "param_list", ParameterQuery(("b",)), Parameters, 5.0))
    assert (listed.node, [p.maximum for p in listed.parameters]) == ("/edge/0", [3.0])


def test_a_default_that_breaks_its_bounds_is_misuse(node: Node) -> None:
    with pytest.raises(ValueError, match="at most"):
        node.parameter("a", 3, maximum=2)
    node.parameter("b", 1)
    with pytest.raises(ValueError, match="already"):
        node.parameter("b", 1)
    with pytest.raises(ValueError, match="must be bool, int, float or str"):
        node.parameter("c", (1, 2))  # type: ignore[arg-type]
