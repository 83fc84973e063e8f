"""Which emulated link has which shape: rules over names, patterns and tags, the last one that fits wins."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

import msgspec

from bus.messages import LinkRule, LinkShape

OUTSIDE: Final = frozenset({"hub", "ledger", "observer", "process", "monitor", "log"})
"""Roles whose messages pass no emulated link: time, names, and the run's books."""

PLAIN: Final = LinkShape()

_SOURCE = re.compile(r"(/[a-z_]+(?:/[0-9]+)?)(?:/|$)")


class Shaped(NamedTuple):
    """What a table says of one link."""

    shape: LinkShape
    down: bool


class LinkTable:
    """Rules in order. A node's link to itself is none, and neither is one that starts or ends outside the world."""

    def __init__(self, rules: Sequence[LinkRule], tags: Mapping[str, Sequence[str]] | None = None) -> None:
        self.rules = tuple(rules)
        self.tags = dict(tags or {})
        self._known: dict[tuple[str, str], Shaped | None] = {}

    def find(self, source: str, target: str) -> Shaped | None:
        """What the link from one node to another does; None for a link that does nothing."""
        key = (source, target)
        if key not in self._known:
            self._known[key] = self._find(source, target)
        return self._known[key]

    def _find(self, source: str, target: str) -> Shaped | None:
        if source == target or role_of(source) in OUTSIDE or role_of(target) in OUTSIDE:
            return None
        shape, down = PLAIN, False
        for rule in self.rules:
            if self.matches(rule.source, source) and self.matches(rule.target, target):
                if rule.action == "set":
                    shape = rule.shape
                else:
                    down = rule.action == "cut"
                    shape = shape if down else msgspec.structs.replace(shape, cut=(), flap_period_s=0.0)
        return Shaped(shape, down) if down or is_shaped(shape) else None

    def matches(self, wanted: str, node: str) -> bool:
        """Whether a name, a pattern or a tag means a node."""
        patterns = self.tags.get(wanted, (wanted,))
        return any(fnmatchcase(node, pattern if pattern.startswith("/") else f"/{pattern}") for pattern in patterns)


def is_shaped(shape: LinkShape) -> bool:
    """Whether a shape does anything."""
    return shape != PLAIN and shape != LinkShape(flap_up_share=shape.flap_up_share)


def role_of(node: str) -> str:
    """``/edge/3``: edge."""
    return node.lstrip("/").partition("/")[0]


def source_of(topic: str) -> str:
    """The node that a topic's name begins with: role, and index if there is one."""
    found = _SOURCE.match(topic)
    return found[1] if found else topic
