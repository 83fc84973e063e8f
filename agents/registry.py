"""Policies by name: who makes them, and what they must be shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Literal, NoReturn, TypeVar

from agents.errors import AgentError
from emulator.specs import is_program

Observes = Literal["local", "network"]
S = TypeVar("S")
P = TypeVar("P")


def _elsewhere(_setting: object, spec: str) -> NoReturn:
    raise AgentError(f"agent {spec}: a program has a process of its own; use `edgerig run`, which starts it")


class Registry(Generic[S, P]):
    """Factories by the name that a SPEC, ``NAME`` or ``NAME:ARGUMENT``, begins with."""

    def __init__(self, load: Callable[[], None], program: Callable[[S, str], P] = _elsewhere) -> None:
        """Start empty.

        Args:
            load: Imports the modules whose factories register themselves.
            program: Makes a policy of this process of a program's SPEC, where that can be.
        """
        self._load = load
        self._program = program
        self._factories: dict[str, tuple[Observes, Callable[[S, str], P]]] = {}

    def register(self, name: str, observes: Observes) -> Callable[[Callable[[S, str], P]], Callable[[S, str], P]]:
        """Make a policy known by name; its factory takes the setting and what follows ``name:`` in a SPEC."""

        def keep(factory: Callable[[S, str], P]) -> Callable[[S, str], P]:
            self._factories[name] = (observes, factory)
            return factory

        return keep

    @contextmanager
    def lent(self, name: str, observes: Observes, factory: Callable[[S, str], P]) -> Iterator[None]:
        """Make a policy known for a while; afterwards this name is as it was before, and nothing else has changed."""
        self._load()  # or those that register themselves meanwhile could pass for ours
        before = self._factories.get(name)
        self._factories[name] = (observes, factory)
        try:
            yield
        finally:
            self._factories.pop(name, None)
            if before is not None:
                self._factories[name] = before

    def names(self) -> list[str]:
        """All names."""
        self._load()
        return sorted(self._factories)

    def observes(self, spec: str) -> Observes:
        """What a policy must be shown.

        Raises: AgentError: no policy has that name.
        """
        return "local" if is_program(spec) else self._find(spec)[0]

    def make(self, spec: str, setting: S) -> P:
        """A policy from its SPEC.

        Raises: AgentError: no policy has that name, or it cannot work in this setting.
        """
        if is_program(spec):
            return self._program(setting, spec)
        return self._find(spec)[1](setting, spec.partition(":")[2])

    def _find(self, spec: str) -> tuple[Observes, Callable[[S, str], P]]:
        self._load()
        name = spec.partition(":")[0]
        if name not in self._factories:
            raise AgentError(f"agent {spec!r}: no such policy; known: {', '.join(sorted(self._factories))}")
        return self._factories[name]
