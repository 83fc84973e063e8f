"""Policies by name: who makes them, and what they must be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from agents.errors import AgentError

Observes = Literal["local", "network"]
F = TypeVar("F")


class Registry(Generic[F]):
    """Factories by the name that a SPEC, ``NAME`` or ``NAME:ARGUMENT``, begins with."""

    def __init__(self, load: Callable[[], None]) -> None:
        """Start empty; ``load`` imports the modules whose factories register themselves."""
        self._load = load
        self._factories: dict[str, tuple[Observes, F]] = {}

    def register(self, name: str, observes: Observes) -> Callable[[F], F]:
        """Make a factory known by name."""

        def keep(factory: F) -> F:
            self._factories[name] = (observes, factory)
            return factory

        return keep

    def names(self) -> list[str]:
        """All names."""
        self._load()
        return sorted(self._factories)

    def find(self, spec: str) -> tuple[Observes, F]:
        """What a policy observes, and its factory.

        Raises: AgentError: no policy has that name.
        """
        self._load()
        name = spec.partition(":")[0]
        if name not in self._factories:
            raise AgentError(f"agent {spec!r}: no such policy; known: {', '.join(sorted(self._factories))}")
        return self._factories[name]
