"""Who holds the others up: pure answers followed to where they end, and an inquiry over real sockets."""

from __future__ import annotations

from bus_numbers import Number

from bus.diagnosis import Inquiry, holders, sentence
from bus.messages import Holder, ProcessState
from bus.testing import Cluster

PUBLISHERS = {"/a": ("a",), "/b": ("b",), "/c": ("c",)}


def states(**waits_for: tuple[str, ...] | None) -> dict[str, ProcessState | None]:
    return {name: None if topics is None else ProcessState(name, 7, 0, topics) for name, topics in waits_for.items()}


def test_a_chain_ends_at_the_one_that_does_not_answer() -> None:
    found = holders(states(a=("/b",), b=("/c",), c=None), PUBLISHERS, frozenset("abc"), {"c": (1.5, 0.0)})
    assert [(h.process, h.state, h.cause, h.behind) for h in found] == [
        ("c", "silent", True, ("b",)),
        ("b", "waits", False, ("a",)),
        ("a", "waits", False, ()),
    ]
    assert "last heard 1.5 s ago; 1 waits for it" in sentence(found[0])


def test_who_announced_to_be_busy_is_not_called_silent() -> None:
    found = holders(states(a=("/b",), b=None), PUBLISHERS, frozenset("ab"), {"b": (3.0, 12.5)})
    assert (found[0].process, found[0].state) == ("b", "busy")
    assert "for up to 12.5 s more" in sentence(found[0])


def test_who_turns_and_waits_for_nobody_is_at_work() -> None:
    assert [(h.process, h.state) for h in holders(states(a=()), PUBLISHERS, frozenset("a"), {})] == [("a", "at work")]


def test_who_is_done_but_waited_for_has_sent_what_is_missing() -> None:
    found = holders(states(a=("/b",), b=()), PUBLISHERS, frozenset("a"), {})
    assert [(h.process, h.state, h.cause) for h in found] == [("b", "sent", True), ("a", "waits", False)]


def test_a_topic_that_nobody_publishes_is_a_cause_of_its_own() -> None:
    (found,) = holders(states(a=("/x",)), PUBLISHERS, frozenset("a"), {})
    assert found.cause
    assert sentence(found) == "a waits for /x, which nobody publishes"


def test_when_nobody_waits_nobody_is_named() -> None:
    assert holders(states(a=(), b=()), PUBLISHERS, frozenset(), {}) == []


def test_an_inquiry_asks_the_living_and_names_the_silent(numbers: Cluster) -> None:
    bus = numbers
    registry = bus.hub({"edge": 2, "cell": 1})
    hub = bus.processes[0]
    edges = [bus.member(f"edge-{m}", "edge", m) for m in range(2)]
    edges[0].nodes["/edge/0"].collect("numbers", "/edge/1/number", "/edge/1")
    publisher = edges[1].nodes["/edge/1"].publisher("/edge/1/number")
    bus.member("cell-0", "cell", 0)
    for process in bus.processes:
        process.register()
    bus.all_ready()
    edges[0].nodes["/edge/0"].gather("numbers", ["/edge/1"], 3, 0, lambda _: None)
    told: list[list[Holder]] = []

    def named(silent: str) -> list[tuple[str, str]]:
        told.clear()
        Inquiry(hub, registry, ["edge-0", "edge-1"], told.append)
        bus.until(lambda: bool(told), skip=next((p for p in bus.processes if p.name == silent), None))
        return [(holder.process, holder.state) for holder in told[0]]

    assert named(silent="edge-1") == [("edge-1", "silent"), ("edge-0", "waits")]
    assert named(silent="") == [("edge-1", "at work"), ("edge-0", "waits")]
    publisher.publish(Number(1), slot=3)
    bus.until(lambda: not edges[0].state().waits_for)
    assert named(silent="") == [("edge-0", "at work"), ("edge-1", "at work")]
