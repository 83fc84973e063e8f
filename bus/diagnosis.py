"""Who holds the others up: every process is asked what it waits for, and the answers are followed to where they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from bus.messages import ClockStatus, Failure, Holder, Peer, ProcessState, Query
from bus.peers import answers_calls
from bus.process import Process, own_node
from bus.registry import Registry

ANSWER_S: Final = 0.3
"""How long a process has to answer, wall seconds. A loop that turns answers within a millisecond."""


class Inquiry:
    """Asks all processes of a hub, once; the hub answers for itself."""

    def __init__(
        self, process: Process, registry: Registry, unacknowledged: Iterable[str], then: Callable[[list[Holder]], None]
    ) -> None:
        """Ask.

        Args:
            process: The hub's.
            registry: Of its members.
            unacknowledged: Processes that have not done their part yet.
            then: Called from the loop, within ``ANSWER_S``, with the holders, causes first.
        """
        self._process = process
        self._registry = registry
        self._unacknowledged = frozenset(unacknowledged)
        self._then = then
        self._peers = {
            p.process: p
            for p in registry.peers()
            if answers_calls(p) and not all(_watches(node.name) for node in p.nodes)
        }
        self._states: dict[str, ProcessState | None] = {process.name: process.state()}
        for name, peer in self._peers.items():
            if name != process.name:
                asking = process.asking(peer.call_endpoint, name, peer.public_key)
                asking.ask(own_node(name), "state", Query(), ProcessState, ANSWER_S, partial(self._answered, name))
        self._maybe_end()

    def _answered(self, name: str, answer: Any) -> None:
        self._states[name] = None if isinstance(answer, Failure) else answer
        self._maybe_end()

    def _maybe_end(self) -> None:
        if self._states.keys() >= self._peers.keys():
            heard = {name: self._registry.heard(peer.instance) for name, peer in self._peers.items()}
            self._then(holders(self._states, publishers_of(self._peers.values()), self._unacknowledged, heard))


def _watches(node: str) -> bool:
    return node.startswith("/observer/")


def publishers_of(peers: Iterable[Peer]) -> dict[str, tuple[str, ...]]:
    """The processes that publish each topic."""
    found: dict[str, tuple[str, ...]] = {}
    for peer in peers:
        for record in (record for node in peer.nodes for record in node.publishes):
            found[record.topic] = (*found.get(record.topic, ()), peer.process)
    return found


def holders(
    states: Mapping[str, ProcessState | None],
    publishers: Mapping[str, tuple[str, ...]],
    unacknowledged: frozenset[str],
    heard: Mapping[str, tuple[float, float]],
) -> list[Holder]:
    """Everybody a slot waits for, where the waiting ends first.

    Args:
        states: What each process said; None if it did not answer.
        publishers: Processes by topic.
        unacknowledged: Processes that have not done their part.
        heard: Seconds since the last beat, and of announced work still to come, by process.
    """
    behind: dict[str, list[str]] = {}
    for name, state in states.items():
        for topic in state.waits_for if state is not None else ():
            for publisher in publishers.get(topic, ()):
                if name not in behind.setdefault(publisher, []):
                    behind[publisher].append(name)
    found = []
    for name in sorted(unacknowledged | behind.keys() | {name for name, state in states.items() if _waits(state)}):
        state = states.get(name)
        quiet_s, busy_s = heard.get(name, (0.0, 0.0))
        word = _word(name, state, unacknowledged, busy_s)
        topics = state.waits_for if state is not None else ()
        unpublished = any(topic not in publishers for topic in topics)
        cause = word != "waits" or unpublished
        found.append(Holder(name, word, cause, topics, tuple(behind.get(name, ())), quiet_s, busy_s))
    return sorted(found, key=lambda holder: (not holder.cause, -len(holder.behind), holder.process))


def _waits(state: ProcessState | None) -> bool:
    return state is not None and bool(state.waits_for)


def _word(name: str, state: ProcessState | None, unacknowledged: frozenset[str], busy_s: float) -> str:
    if state is None:
        return "busy" if busy_s > 0.0 else "silent"
    if state.waits_for:
        return "waits"
    return "at work" if name in unacknowledged else "sent"


def document(status: ClockStatus) -> dict[str, Any]:
    """A clock status by field names, each holder with its sentence: for files and programs."""
    fields: dict[str, Any] = {name: getattr(status, name) for name in status.__struct_fields__}
    fields["holders"] = [
        {**{name: getattr(holder, name) for name in holder.__struct_fields__}, "text": sentence(holder)}
        for holder in status.holders
    ]
    return fields


def sentence(holder: Holder, most: int = 3) -> str:
    """One holder for people: what it is up to, and how many wait for it."""
    waits_for = ", ".join(holder.waits_for[:most])
    more = len(holder.waits_for) - most
    texts = {
        "silent": f"does not answer (stopped, or in one long step); last heard {holder.quiet_s:.1f} s ago",
        "busy": f"is busy, as it announced, for up to {holder.busy_s:.1f} s more",
        "at work": "is at work and waits for nobody",
        "waits": f"waits for {waits_for}{f' and {more} more' if more > 0 else ''}",
        "sent": "has done its part; its message is on its way, or lost and to be repaired",
    }
    unpublished = ", which nobody publishes" if holder.cause and holder.state == "waits" else ""
    count = len(holder.behind)
    crowd = f"; {count} {'waits' if count == 1 else 'wait'} for it" if count else ""
    return f"{holder.process} {texts[holder.state]}{unpublished}{crowd}"
