"""Which nodes are started only when others have come so far: ``[[start]]`` of a scenario.

What is waited for is a state of a node (bus/lifecycle.py), never a time.
"""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from bus.link_table import LinkTable, role_of
from bus.messages import NodeStates, Query
from emulator.layout import groups, hosted
from emulator.linking import NodeNames
from emulator.scenario import Scenario, Start

if TYPE_CHECKING:
    from bus.client import Client

FIRST = ("hub", "ledger")
"""Nodes that are there before any other is started."""

NEAR = 0.7
LOOK_S = 0.05


class NotReached(Exception):
    """Nodes that others wait for have not come so far in time; the text names them."""


class Registry(Protocol):
    """Whoever knows the states of all nodes."""

    def node_states(self) -> NodeStates:
        """As they are now."""


def held_back(scenario: Scenario, registry: Registry) -> list[str]:
    """Who is not to be started yet, and why: a sentence for each unmet rule."""
    if not scenario.start:
        return []
    order, states = Order(scenario), registry.node_states()
    return [f"{rule.node} waits for {why}" for rule in scenario.start for why in order.unmet(rule, states)]


class Order:
    """What a scenario's rules mean for its nodes."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._table = LinkTable((), scenario.tags)

    @cached_property
    def _names(self) -> list[str]:
        return list(NodeNames(self._scenario).all())

    def means(self, wanted: str, node: str) -> bool:
        """Whether a name, a kind, a pattern or a tag means a node."""
        return role_of(node) == wanted.strip("/") or self._table.matches(wanted, node)

    def nodes(self, wanted: str) -> list[str]:
        """All nodes of the run that it means."""
        return [name for name in self._names if self.means(wanted, name)]

    def rules_of(self, nodes: Iterable[str]) -> list[Start]:
        """The rules that hold back a process with these nodes."""
        named = list(nodes)
        return [rule for rule in self._scenario.start if any(self.means(rule.node, name) for name in named)]

    def unmet(self, rule: Start, states: NodeStates) -> list[str]:
        """Which nodes have not come as far as a rule wants, as parts of a sentence; empty: they have."""
        from bus.lifecycle import reached  # here, because who only reads a scenario needs no sockets

        known = {record.node: record for record in states.nodes}
        found = []
        for name in self.nodes(rule.after.node) or [rule.after.node]:
            record = known.get(name)
            if record is None:
                found.append(f"{name} to be {rule.after.state} (nobody holds it)")
            elif not reached(record.state, rule.after.state):
                why = f", {record.reason}" if record.reason else ""
                found.append(f"{name} to be {rule.after.state} (it is {record.state}{why})")
        return found

    def waits_for(self, nodes: Iterable[str], states: NodeStates) -> list[str]:
        """For whom a process with these nodes still has to wait; empty: it may start."""
        return [why for rule in self.rules_of(nodes) for why in self.unmet(rule, states)]


def await_turn(
    client: Client,
    scenario: Scenario,
    nodes: Iterable[str],
    is_over: Callable[[], bool],
) -> None:
    """Wait until a process with these nodes may join; nothing is asked where no rule names them.

    Args:
        client: Of the hub.
        scenario: The run's.
        nodes: What the process will host.
        is_over: Whether nobody wants us any more.
    Raises: NotReached: within ``deadlines.start_s`` they have not, or it is over. BusError: the hub does not answer.
    """
    order, named = Order(scenario), list(nodes)
    if not order.rules_of(named):
        return
    deadline_s, never = scenario.deadlines.start_s, threading.Event()
    end_s = time.monotonic() + deadline_s
    while waiting := order.waits_for(named, client.call("node_states", Query(), NodeStates)):
        if time.monotonic() > end_s or is_over():
            raise NotReached(f"not started within {deadline_s:g} s (deadlines.start_s): waits for {'; '.join(waiting)}")
        never.wait(LOOK_S)


# -- what a scenario may not say ---------------------------------------------------------------------------------------


def start_contradictions(scenario: Scenario) -> Iterator[str]:
    """Every contradiction in the scenario's start order."""
    if not scenario.start:
        return
    order, names = Order(scenario), NodeNames(scenario)
    sound = []
    for k, rule in enumerate(scenario.start):
        problems = [*_waiting_problems(rule, order, names), *_awaited_problems(rule, order, names)]
        yield from (f"start[{k}].{problem}" for problem in problems)
        if not problems:
            sound.append(k)
    yield from _cycles(scenario, order, sound)


def _waiting_problems(rule: Start, order: Order, names: NodeNames) -> Iterator[str]:
    if role_of(rule.node) in FIRST:
        yield f"node: {rule.node} is there before all others; it can wait for nobody"
    elif not order.nodes(rule.node):
        yield f"node: {rule.node!r} is no node of the run; {names.hint}, or a kind such as edge"


def _awaited_problems(rule: Start, order: Order, names: NodeNames) -> Iterator[str]:
    wanted, state = rule.after.node, rule.after.state
    if role_of(wanted) in FIRST:
        yield f"after.node: {wanted} is there before any other is started; leave the table out"
    elif order.nodes(wanted):
        if state == "active":
            yield (
                f"after.state: {wanted} is never active before slot 0, which waits for everybody; "
                "wait for inactive (it has joined, and its links stand)"
            )
    elif not wanted.startswith("/") or (near := difflib.get_close_matches(role_of(wanted), ROLES, 1, NEAR)):
        hint = f"did you mean {near[0]}? " if wanted.startswith("/") else ""
        yield f"after.node: {wanted!r} is no node; {hint}{names.hint}; nodes of your own are like /lab/camera"


ROLES = ("cell", "edge", "agent", "cloud", "scheduler")


def _cycles(scenario: Scenario, order: Order, sound: list[int]) -> Iterator[str]:
    """Rules that wait for each other: all that a process hosts waits for what any of its nodes waits for."""
    plan = {g.name: hosted(scenario, g.kind, g.first, g.count) for g in groups(scenario)}

    def processes(wanted: str) -> set[str]:
        return {process for process, nodes in plan.items() if any(order.means(wanted, name) for name in nodes)}

    waiting = {k: processes(scenario.start[k].node) for k in sound}
    awaited = {k: processes(scenario.start[k].after.node) for k in sound}
    behind = {k: [j for j in sound if awaited[k] & waiting[j]] for k in sound}
    for k in sound:
        circle = _circle(k, behind)
        if circle and k == min(circle):
            steps = ", ".join(f"{scenario.start[j].node} waits for {scenario.start[j].after.node}" for j in circle)
            shared = min(awaited[circle[-1]] & waiting[k])
            rules = f"rules {', '.join(map(str, circle))}" if len(circle) > 1 else "it"
            yield f"start[{k}].after: can never be met: {steps}, and process {shared} is at both ends; change {rules}"


def _circle(start: int, behind: Mapping[int, list[int]]) -> list[int]:
    """A way from a rule back to itself, the shortest; empty if there is none."""
    ways = [[start]]
    seen: set[int] = set()
    for way in ways:
        for rule in behind[way[-1]]:
            if rule == start:
                return way
            if rule not in seen:
                seen.add(rule)
                ways.append([*way, rule])
    return []
