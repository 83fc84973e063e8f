"""What can go wrong on the bus.

BusError
    DecodeError       bytes that are not the record they should be
    BadName           a name that is none (also a ValueError)
    UnknownTopic      no row of the topic table fits (also a ValueError)
    TypeMismatch      the two ends of a topic mean different messages
    QosIncompatible   a subscriber asks for more than the publisher promises
    NotMatched        whom a topic was to be matched with has not come in time
    Backlog           a subscriber that must lose nothing is too far behind
    LeaseRefused      the registry gives the names to nobody, or to somebody else
    CallFailed        the callee answered with a failure
      NotRegistered   the registry does not take what a process tells of itself
    CallTimeout       the callee did not answer in time
    PeerLost          a process is gone
    KeyRefused        the other side does not know our key, or is not who we think
KeystoreError         a folder of keys is not as it must be (not of the bus: a thing to mend before)
"""

from __future__ import annotations

from pathlib import Path


class BusError(Exception):
    """Root of all errors that the bus raises for what others did."""


class DecodeError(BusError):
    """Bytes that are not the record they should be."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}; it was made by another version or was damaged")
        self.what = what
        self.reason = reason


class BadName(BusError, ValueError):
    """Text that is no name of a node or topic; ``at`` is where it goes wrong."""

    def __init__(self, name: str, at: int, reason: str) -> None:
        super().__init__(f"{name!r} is no name: {reason}\n  {name}\n  {' ' * at}^")
        self.name = name
        self.at = at
        self.reason = reason


class UnknownTopic(BusError, ValueError):
    """A topic that fits no row of the topic table."""

    def __init__(self, topic: str, suggestion: str) -> None:
        hint = f"did you mean {suggestion}?" if suggestion else "declare it: TABLE.extended([TopicSpec(...)])"
        super().__init__(f"no topic {topic!r} in the topic table; {hint}")
        self.topic = topic
        self.suggestion = suggestion


class TypeMismatch(BusError):
    """The two ends of a topic mean different messages."""

    def __init__(self, topic: str, ours: int, theirs: int, peer: str) -> None:
        super().__init__(
            f"{topic}: our type id is {ours:08x}, that of {peer} is {theirs:08x}; run one version everywhere"
        )
        self.topic = topic
        self.ours = ours
        self.theirs = theirs
        self.peer = peer


class QosIncompatible(BusError):
    """A subscriber asks for more than the publisher promises."""

    def __init__(self, topic: str, asked: str, offered: str, peer: str) -> None:
        super().__init__(f"{topic}: asked {asked}, offered {offered} (with {peer}); ask for less or promise more")
        self.topic = topic
        self.asked = asked
        self.offered = offered
        self.peer = peer


class NotMatched(BusError):
    """Too few of those at the other end of a topic have matched in time; missing names them."""

    def __init__(self, topic: str, wanted: int, matched: int, missing: tuple[str, ...], deadline_s: float) -> None:
        who = ", ".join(missing) if missing else f"{wanted - matched} more that the graph does not show"
        super().__init__(f"{topic}: {matched} of {wanted} matched within {deadline_s:g} s; missing: {who}")
        self.topic = topic
        self.wanted = wanted
        self.matched = matched
        self.missing = missing


class Backlog(BusError):
    """A subscriber that must lose nothing is too far behind; slow names those furthest behind."""

    def __init__(self, topic: str, slow: tuple[str, ...], held: int, waited_s: float) -> None:
        waited = f" within {waited_s:g} s" if waited_s else ""
        super().__init__(
            f"{topic}: {', '.join(slow)} did not acknowledge any of {held} messages{waited}; "
            "publish less, speed it up, or let it lose some (when_full drop_oldest)"
        )
        self.topic = topic
        self.slow = slow
        self.held = held


class LeaseRefused(BusError):
    """The registry did not give the names; kind is "held", "surplus" or "unknown_role"."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class KeyRefused(BusError):
    """The other side does not know our key, or has another than we expect, or wants one and we have none."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"no entry at {address}: {reason}")
        self.address = address
        self.reason = reason


class KeystoreError(Exception):
    """A folder of keys that cannot be used as it is."""

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"{path}: {reason}; {remedy}")
        self.path = path
        self.reason = reason
        self.remedy = remedy


class CallFailed(BusError):
    """The callee answered with a failure."""

    def __init__(self, callee: str, method: str, kind: str, text: str) -> None:
        super().__init__(f"{callee} refused {method}: {kind}: {text}")
        self.callee = callee
        self.method = method
        self.kind = kind
        self.text = text


class NotRegistered(CallFailed):
    """The registry does not take what a process tells of itself; kind is "type_conflict", "not_leased", or so."""

    def __init__(self, process: str, kind: str, text: str) -> None:
        super().__init__("/hub", "register", kind, text)
        self.args = (f"the hub does not take {process}: {text}",)
        self.process = process


class CallTimeout(BusError):
    """The callee did not answer in time."""

    def __init__(self, callee: str, method: str, deadline_s: float) -> None:
        super().__init__(f"{callee} did not answer {method} within {deadline_s:g} s; is it alive?")
        self.callee = callee
        self.method = method
        self.deadline_s = deadline_s


class PeerLost(BusError):
    """A process is gone, or was never there."""

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"{peer} is lost: {reason}")
        self.peer = peer
        self.reason = reason
