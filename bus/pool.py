"""Which names there are: those of the run by role, and which a guest may have besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bus.errors import BadName, BusError
from bus.messages import Lease
from bus.names import GUEST, OBSERVER, checked, is_subtree

RESERVED: Final = frozenset({"hub", "process", "launcher", "scheduler", OBSERVER})


class Refusal(BusError):
    """A lease that is not given; kind is a word for callers."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class NamePool:
    """The names of a run.

    Args:
        roles: How many nodes of each role there are, as ``Registry`` takes it.
        own: Names that the hub's process has.
    """

    def __init__(self, roles: Mapping[str, int | None], own: tuple[str, ...]) -> None:
        self._roles = dict(roles)
        self._reserved = RESERVED | set(roles) | {name.split("/")[1] for name in own}

    def names(self, role: str) -> list[str]:
        """All names of a role, by index."""
        count = self._roles[role]
        return [f"/{role}"] if count is None else [f"/{role}/{index}" for index in range(count)]

    def all(self) -> list[str]:
        """All names of all roles."""
        return [name for role in self._roles for name in self.names(role)]

    def free(self, held: Mapping[str, str]) -> list[str]:
        """Names that nobody holds."""
        return [name for name in self.all() if name not in held]

    def choose(self, request: Lease, held: Mapping[str, str]) -> tuple[str, ...]:
        """The names to give.

        Args:
            held: Who holds what: process by name.
        Raises: Refusal: held, surplus, reserved, or unknown.
        """
        if request.role == OBSERVER:
            return (f"/{OBSERVER}/{request.process}",)
        if request.role == GUEST:
            return self._guests(request.names, held)
        if request.role not in self._roles:
            raise Refusal("unknown_role", f"no role {request.role!r} here; roles are {', '.join(sorted(self._roles))}")
        names = self.names(request.role)
        if request.index is not None:
            names = names[request.index : request.index + request.count] if request.index >= 0 else []
            if len(names) < request.count:
                raise Refusal("unknown_index", f"no {request.count} names of {request.role} from {request.index} on")
            for name in names:
                if name in held:
                    raise Refusal("held", f"{name} is held by {held[name]}; stop it or take another index")
            return tuple(names)
        free = [name for name in names if name not in held]
        if len(free) < request.count or request.count < 1:
            raise Refusal("surplus", f"{len(free)} of {len(names)} {request.role} names are free, not {request.count}")
        return tuple(free[: request.count])

    def _guests(self, names: tuple[str, ...], held: Mapping[str, str]) -> tuple[str, ...]:
        for name in names:
            try:
                checked(name)
            except BadName as error:
                raise Refusal("bad_name", str(error)) from None
            if is_subtree(name):
                raise Refusal("bad_name", f"{name} stands for many names; a node has one")
            if name.split("/")[1] in self._reserved:
                raise Refusal("reserved", f"{name}: names of the run begin so; choose another, such as /my{name}")
            if name in held:
                raise Refusal("held", f"{name} is held by {held[name]}; stop it or choose another name")
        if not names or len(set(names)) < len(names):
            raise Refusal("bad_name", f"a guest needs names, each once, not {', '.join(names) or 'none'}")
        return names
