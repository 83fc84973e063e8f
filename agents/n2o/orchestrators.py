"""Orchestrators by name: ``owner``, or with options ``max-sum:rounds=10,damping=0.5``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.errors import AgentError
from agents.n2o.conditional import OwnerSide, Polishing
from agents.n2o.consensus import Consensus
from agents.n2o.dual_averaging import DualAveraging, Settings, Slopes
from agents.n2o.letters import Letter, Orchestrator
from agents.n2o.max_sum import DAMPING, MaxSum
from agents.n2o.tables import Ints, LocalTable, Tables
from emulator.model.graph import Graph

DEFAULT: Final = "owner"
MOST_ROUNDS: Final = 256
"""A round's number is one byte of a message's header."""

Options = Mapping[str, Any]
Make = Callable[[Graph, int, LocalTable, "Slopes | None", Options], Orchestrator]


class Alone:
    """MA-DQL: the own entry of the own best joint rental, and not a word.

    Source: N2O section III.B.1.
    """

    def __init__(self, table: LocalTable) -> None:
        self._own = table.best()[:, 0]

    def outgoing(self) -> dict[int, Letter]:
        """See ``Orchestrator``."""
        return {}

    def take(self, received: Mapping[int, Letter]) -> None:
        """See ``Orchestrator``."""

    def rented(self) -> Ints:
        """See ``Orchestrator``."""
        return self._own


@dataclass(frozen=True, slots=True)
class _Kind:
    """A sort of orchestrator: how many rounds it takes, what can be set, and how one is made."""

    rounds: int
    options: Options
    make: Make


def _n2o(graph: Graph, edge: int, table: LocalTable, slopes: Slopes | None, options: Options) -> Orchestrator:
    settings = Settings(options["gamma"], options["centre"], options["output"])
    if options["slopes"] == "secant":
        slopes = table.secants
    if slopes is None:
        raise AgentError("n2o: takes the slopes of a network, and there is a table only; use n2o:slopes=secant")
    return DualAveraging(graph, edge, table, slopes, settings)


_KINDS: Final[Mapping[str, _Kind]] = {
    "own": _Kind(0, {}, lambda graph, edge, table, slopes, options: Alone(table)),
    "n2o": _Kind(
        50,
        {
            "gamma": 10.0,
            "centre": ("own", "shared", "middle"),
            "slopes": ("network", "secant"),
            "output": ("last", "average"),
        },
        _n2o,
    ),
    "owner": _Kind(10, {}, lambda graph, edge, table, slopes, options: OwnerSide(graph, edge, table)),
    "max-sum": _Kind(
        5,
        {"damping": DAMPING},
        lambda graph, edge, table, slopes, options: MaxSum(graph, edge, table, options["damping"]),
    ),
    "consensus": _Kind(20, {}, lambda graph, edge, table, slopes, options: Consensus(graph, edge, table)),
    "polish": _Kind(20, {}, lambda graph, edge, table, slopes, options: Polishing(graph, edge, table)),
}
NAMES: Final = tuple(_KINDS)


@dataclass(frozen=True, slots=True)
class Recipe:
    """An orchestrator to be made for each edge server, and for how many rounds.

    Attributes:
        spec: As it was asked for.
        rounds: How many.
        needs_slopes: Whether it takes slopes of a network.
        make: Makes one server's part from the graph, the server, its table and its slopes.
    """

    spec: str
    rounds: int
    needs_slopes: bool
    make: Callable[[Graph, int, LocalTable, Slopes | None], Orchestrator]

    def parts(self, tables: Tables, slopes: Callable[[int], Slopes] | None = None) -> list[Orchestrator]:
        """All edge servers' parts; slopes by edge server where the recipe needs them."""
        own = slopes if self.needs_slopes else None
        return [
            self.make(tables.graph, edge, table, None if own is None else own(edge))
            for edge, table in enumerate(tables.local)
        ]


def recipe(spec: str = DEFAULT) -> Recipe:
    """An orchestrator by its spec, ``NAME`` or ``NAME:OPTION=VALUE,...``; every one has ``rounds``.

    Raises: AgentError: there is no such orchestrator or option, or a value that it cannot have.
    """
    name, _, text = spec.partition(":")
    kind = _KINDS.get(name)
    if kind is None:
        raise AgentError(f"orchestrator {spec!r}: no such orchestrator; known: {', '.join(NAMES)}")
    known: dict[str, Any] = {"rounds": kind.rounds, **kind.options}
    options = {key: value[0] if isinstance(value, tuple) else value for key, value in known.items()}
    for part in text.split(",") if text else []:
        key, equals, value = part.partition("=")
        if not equals or key not in known:
            raise AgentError(f"orchestrator {spec!r}: no option {key!r}; {name} has {', '.join(known)}")
        options[key] = _read(spec, key, value, known[key])
    needs = options.get("slopes") == "network"

    def make(graph: Graph, edge: int, table: LocalTable, slopes: Slopes | None) -> Orchestrator:
        return kind.make(graph, edge, table, slopes, options)

    return Recipe(spec, options["rounds"], needs, make)


_RANGES: Final = {
    "rounds": (0, MOST_ROUNDS, f"a whole number from 0 to {MOST_ROUNDS}"),
    "gamma": (1e-6, 1e6, "a number above 0"),
    "damping": (0.0, 0.99, "a number from 0 to 0.99"),
}


def _read(spec: str, key: str, text: str, default: Any) -> Any:
    """An option's value.

    Raises: AgentError: it cannot have it.
    """
    if isinstance(default, tuple):
        if text in default:
            return text
        raise AgentError(f"orchestrator {spec!r}: {key} is one of {', '.join(default)}")
    least, most, words = _RANGES[key]
    try:
        value = type(default)(text)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise AgentError(f"orchestrator {spec!r}: {key} must be {words}")
    return value
