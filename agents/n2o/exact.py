"""The exact maximiser of P2, in one place: what orchestrators are measured against. It is no way to decide on the bus.

Brute force looks at every joint rental; elimination maximises over one edge server after the other and keeps a table of
those that its choice depends on: (K + 1) ** 10 entries for a 5 x 5 grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.n2o.tables import Floats, Ints, Tables, joint_rentals
from emulator.model.graph import Graph

MOST_JOINT: int = 3**10
"""Joint rentals that brute force looks at, at most."""

MOST_ENTRIES: int = 3**14
"""Entries of elimination's largest table, at most."""

AT_ONCE: int = 2_000_000
"""Entries that states are looked at together for."""

_Solve = Callable[[Tables], Ints]
_Choice = tuple[tuple[int, ...], NDArray[np.int8]]
"""Whose rentals the best one depends on, and which it is for each of theirs."""


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """Best rentals (state, edge), and what they are worth (state,)."""

    rented: Ints
    value: Floats


def maximise(tables: Tables) -> Maximum:
    """The exact maximum of P2, by elimination.

    Raises: ValueError: the graph is too dense for it.
    Source: N2O problem P2; ours: variable elimination.
    """
    order, width = elimination_order(tables.graph)
    entries = tables.actions**width
    if entries > MOST_ENTRIES:
        raise ValueError(
            f"P2 on this graph takes a table of {tables.actions}^{width} entries; the limit is {MOST_ENTRIES}: "
            "compare with an orchestrator instead"
        )
    return _in_parts(tables, entries, lambda part: _eliminate(part, order))


def brute_force(tables: Tables) -> Maximum:
    """The exact maximum of P2, by looking at every joint rental; the first of equals in counting order.

    Raises: ValueError: more than ``MOST_JOINT`` of them.
    Source: N2O problem P2; ours: enumeration.
    """
    joint = tables.actions**tables.graph.edges
    if joint > MOST_JOINT:
        raise ValueError(f"{joint} joint rentals are too many to look at each; use maximise")
    rentals = joint_rentals(tables.actions, tables.graph.edges)
    return _in_parts(tables, joint, lambda part: _look_at_all(part, rentals))


def elimination_order(graph: Graph) -> tuple[tuple[int, ...], int]:
    """An order to eliminate edge servers in, and how many rentals its largest table is of.

    Of two it is the better one: as numbered (on a grid a frontier that walks through it), and whoever depends on the
    fewest others first.
    """
    numbered = tuple(range(graph.edges))
    greedy: list[int] = []
    depends = _dependence(graph)
    while len(greedy) < graph.edges:
        left = [edge for edge in depends if edge not in greedy]
        greedy.append(min(left, key=lambda edge: (len(depends[edge]), edge)))
        _leave(depends, greedy[-1])
    return min(((order, _width(graph, order)) for order in (numbered, tuple(greedy))), key=lambda found: found[1])


def _dependence(graph: Graph) -> dict[int, set[int]]:
    """With whom each edge server shares a table."""
    depends: dict[int, set[int]] = {edge: set() for edge in range(graph.edges)}
    for edge, others in enumerate(graph.neighbours):
        scope = {edge, *others}
        for member in scope:
            depends[member] |= scope - {member}
    return depends


def _leave(depends: dict[int, set[int]], edge: int) -> None:
    """Take one out: those that it shares tables with now share one."""
    those = depends[edge]
    for other in those:
        depends[other] = (depends[other] | those) - {edge, other}


def _width(graph: Graph, order: Sequence[int]) -> int:
    depends, width = _dependence(graph), 0
    for edge in order:
        width = max(width, 1 + len(depends[edge]))
        _leave(depends, edge)
    return width


def _in_parts(tables: Tables, entries: int, solve: _Solve) -> Maximum:
    step = max(1, AT_ONCE // entries)
    rented = np.concatenate([solve(part) for part in _parts(tables, step)])
    return Maximum(rented, tables.total(rented))


def _parts(tables: Tables, step: int) -> Iterator[Tables]:
    for first in range(0, tables.states, step):
        yield tables.part(first, first + step)


def _look_at_all(tables: Tables, rentals: Ints) -> Ints:
    total = np.zeros((tables.states, len(rentals)))
    for scope, table in zip(tables.scopes, tables.local, strict=True):
        rows = rentals[:, scope] @ (tables.actions ** np.arange(len(scope) - 1, -1, -1))
        total += table.values.reshape(tables.states, -1)[:, rows]
    return rentals[np.argmax(total, axis=1)]


@dataclass(frozen=True, slots=True, eq=False)
class _Factor:
    """A table of whose rentals (ascending), shape (state, actions, ...)."""

    scope: tuple[int, ...]
    values: Floats


def _eliminate(tables: Tables, order: Sequence[int]) -> Ints:
    factors = [_sorted(scope, table.values) for scope, table in zip(tables.scopes, tables.local, strict=True)]
    choices: list[tuple[int, _Choice]] = []
    for edge in order:
        joined = _sum([factor for factor in factors if edge in factor.scope])
        factors = [factor for factor in factors if edge not in factor.scope]
        axis = 1 + joined.scope.index(edge)
        rest = tuple(each for each in joined.scope if each != edge)
        best, chosen = _best(np.moveaxis(joined.values, axis, 0))
        choices.append((edge, (rest, chosen)))
        factors.append(_Factor(rest, best))
    rented = np.zeros((tables.states, tables.graph.edges), dtype=np.int64)
    every = np.arange(tables.states)
    for edge, (rest, chosen) in reversed(choices):
        rented[:, edge] = chosen[(every, *(rented[:, other] for other in rest))]
    return rented


def _best(values: Floats) -> tuple[Floats, NDArray[np.int8]]:
    """Maximum and argmax along a first axis of a few entries: much faster than NumPy's own along a short axis."""
    best, chosen = values[0].copy(), np.zeros(values.shape[1:], dtype=np.int8)
    for rented in range(1, len(values)):
        better = values[rented] > best
        chosen[better] = rented
        np.maximum(best, values[rented], out=best)
    return best, chosen


def _sorted(scope: tuple[int, ...], values: Floats) -> _Factor:
    axes = np.argsort(scope)
    return _Factor(tuple(sorted(scope)), values.transpose(0, *(1 + axes)))


def _sum(factors: Sequence[_Factor]) -> _Factor:
    scope = tuple(sorted({edge for factor in factors for edge in factor.scope}))
    total: Floats = np.zeros((1,) * (1 + len(scope)))
    for factor in factors:
        missing = tuple(1 + k for k, edge in enumerate(scope) if edge not in factor.scope)
        total = total + np.expand_dims(factor.values, missing)
    return _Factor(scope, total)
