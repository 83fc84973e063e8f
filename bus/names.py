"""Names as in ROS 2: what may be one, where a relative or private one belongs, and which are called otherwise.

Absolute ``/edge/3``, relative ``counts`` (in the node's namespace), private ``~/counts`` (below the node), subtree
``/edge/**``. Only absolute names travel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NoReturn

from bus.errors import BadName

HUB: Final = "/hub"
OBSERVER: Final = "observer"  # a role anyone may have, any number of times, and nobody waits for
GUEST: Final = "guest"  # a role for nodes with names of their own; nobody waits for them

SUBTREE: Final = "/**"
RULE: Final = ":="
_ALLOWED: Final = re.compile(r"[A-Za-z0-9_.-]")


def is_subtree(name: str) -> bool:
    """Whether a name stands for every topic below it."""
    return name.endswith(SUBTREE)


def checked(name: str) -> str:
    """An absolute name, or an absolute subtree (``/edge/**``), as it is.

    Raises: BadName: it is none; a caret stands below what is wrong.
    """
    if not name.startswith("/"):
        raise BadName(name, 0, "an absolute name begins with /")
    _check_parts(name, 1)
    return name


def resolve(name: str, namespace: str, node: str) -> str:
    """The absolute name that a node means.

    Args:
        namespace: Absolute; "/" is the root. node: The node's own absolute name, for private names.
    Raises: BadName: it is no name.
    """
    if name.startswith("/"):
        return checked(name)
    if name.startswith("~"):
        if not name.startswith("~/"):
            raise BadName(name, 1, "a private name begins with ~/")
        _check_parts(name, 2)
        return node + name[1:]
    _check_parts(name, 0)
    return f"{'' if namespace == '/' else namespace}/{name}"


def _check_parts(name: str, start: int) -> None:
    """Check what follows the beginning of a name, part by part."""
    body = name[: -len(SUBTREE)] if is_subtree(name) else name
    if len(body) < start:
        return  # "/**": everything
    if len(body) == start:
        raise BadName(name, max(start - 1, 0), "a name has at least one part")
    for at in range(start, len(body)):
        if body[at] == "/":
            if at == start or body[at - 1] == "/":
                raise BadName(name, at, "there must be something between two slashes")
        elif _ALLOWED.fullmatch(body[at]) is None:
            _refuse_character(name, at)
    if body.endswith("/"):
        raise BadName(name, len(body) - 1, "a name does not end with /")


def _refuse_character(name: str, at: int) -> NoReturn:
    character = name[at]
    if character == "*":
        raise BadName(name, at, "a star only stands at the end, as /** (everything below)")
    if character == "~":
        raise BadName(name, at, "~ only stands at the beginning, as ~/")
    raise BadName(name, at, f"{character!r} is not allowed; letters, digits and _ . - are")


class Remap:
    """Rules ``from:=to``: what a process calls one thing is another on the bus.

    A rule for a subtree moves everything below: ``/edge/**:=/lab/edge/**``. Exact rules come first. ``__ns:=/lab`` sets
    the namespace.

    Raises: ValueError: a rule is none, or two rules speak of the same name. BadName: a name in it is none.
    """

    def __init__(self, rules: Iterable[str] = (), namespace: str = "/") -> None:
        self.namespace = namespace if namespace == "/" else checked(namespace)
        self._raw: dict[str, str] = {}
        for rule in rules:
            old, found, new = rule.partition(RULE)
            if not found or not old or not new:
                raise ValueError(f"--remap {rule}: must be FROM:=TO, as in chatter:=/news")
            if old == "__ns":
                self.namespace = checked(new)
                continue
            if is_subtree(old) != is_subtree(new):
                raise ValueError(f"--remap {rule}: {SUBTREE} stands on both sides or on none")
            if self._raw.get(old, new) != new:
                raise ValueError(f"--remap {rule}: {old} becomes {self._raw[old]} already")
            self._raw[old] = new

    def __bool__(self) -> bool:
        return bool(self._raw)

    def apply(self, name: str, namespace: str, node: str) -> str:
        """The absolute name under which an absolute name travels.

        Raises: BadName: a rule holds what is no name. ValueError: two rules send it to different places.
        """
        rules: dict[str, str] = {}
        for old, new in self._raw.items():
            full_old, full_new = resolve(old, namespace, node), resolve(new, namespace, node)
            if rules.setdefault(full_old, full_new) != full_new:
                raise ValueError(f"--remap: {full_old} becomes both {rules[full_old]} and {full_new}; drop one rule")
        if name in rules:
            return rules[name]
        for old in sorted((old for old in rules if is_subtree(old)), key=len, reverse=True):
            stem = old[: -len(SUBTREE)]
            if name.startswith(stem + "/"):
                return rules[old][: -len(SUBTREE)] + name[len(stem) :]
        return name


def rule(text: str) -> str:
    """A remapping rule as it is.

    Raises: ValueError: it is none.
    """
    Remap([text])
    return text


def namespace(text: str) -> str:
    """The rule that sets a namespace.

    Raises: BadName: it is none.
    """
    return f"__ns:={checked(text)}"
