"""Rounds of a contest: every contestant once a round, in an order drawn anew, so that load from elsewhere meets all.

Ratios are taken within a round; what is told of them is the median over rounds and the extremes.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from bus.bench_contest import KEYED, PLAIN, Flood, Team

WARM_UP_PART: Final = 0.5
"""How long the warm-up lasts, as a part of a round's turn: buffers fill, caches warm, links match."""

Step = Callable[[str], None]
Figures = dict[str, float]


def shuffled(names: Iterable[str], seed: int, round_number: int) -> list[str]:
    """An order that depends on the seed and the round only."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{round_number}/{name}".encode()).digest())


def ratio(key: str, over: Sequence[float], under: Sequence[float]) -> Figures:
    """The median of the rounds' ratios, and the extremes."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return {key: statistics.median(ratios), f"{key}_least": min(ratios), f"{key}_most": max(ratios)}


def floods(
    names: Sequence[str], receivers: int, *, rounds: int, seconds: float, seed: int, step: Step
) -> dict[str, list[Flood]]:
    """Let each contestant send as fast as its receivers take it.

    Returns: A flood per round, by contestant.
    """
    found: dict[str, list[Flood]] = {name: [] for name in names}
    with ExitStack() as stack:
        teams = _teams(stack, names, receivers, step)
        for team in teams.values():
            team.flood(WARM_UP_PART * seconds)
        for k in range(rounds):
            for name in shuffled(names, seed, k):
                flood = teams[name].flood(seconds)
                found[name].append(flood)
                step(f"1 to {receivers}, round {k + 1} of {rounds}: {name} {flood.per_s:,.0f} deliveries/s")
    return found


def pings(names: Sequence[str], *, rounds: int, count: int, seed: int, step: Step) -> dict[str, list[list[float]]]:
    """Let each contestant send a message and wait for its echo, ``count`` times a round.

    Returns: Seconds of the round trips, sorted, per round, by contestant.
    """
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    with ExitStack() as stack:
        teams = _teams(stack, names, 1, step)
        for team in teams.values():
            team.ping(max(1, int(WARM_UP_PART * count)))
        for k in range(rounds):
            for name in shuffled(names, seed, k):
                times = sorted(teams[name].ping(count))
                found[name].append(times)
                step(f"round trip, round {k + 1} of {rounds}: {name} {1e6 * quantile(times, 0.5):.0f} us")
    return found


def _teams(stack: ExitStack, names: Sequence[str], receivers: int, step: Step) -> dict[str, Team]:
    teams = {}
    for name in names:
        teams[name] = stack.enter_context(Team(name, receivers))
        step(f"{name}: 1 sender and {receivers} {'receiver' if receivers == 1 else 'receivers'} are linked")
    return teams


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which that part of an ordered list lies (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def told_floods(found: Mapping[str, Sequence[Flood]], receivers: int) -> Figures:
    """The figures of floods: rates, CPU, and ours over each other contestant."""
    stem = f"typed_1to{receivers}"
    figures: Figures = {}
    for name, floods_of_one in found.items():
        figures[f"{stem}_per_s_{name}"] = statistics.median(flood.per_s for flood in floods_of_one)
        figures[f"{stem}_cpu_us_{name}"] = statistics.median(flood.cpu_us for flood in floods_of_one)
    ours = [flood.per_s for flood in found["edgerig"]]
    for name in found:
        if name != "edgerig":
            figures |= ratio(f"{stem}_over_{name}", ours, [flood.per_s for flood in found[name]])
    return figures


def told_keys(found: Mapping[str, Sequence[Flood]]) -> Figures:
    """The figures of floods with and without keys."""
    rates = {name: [flood.per_s for flood in floods_of_one] for name, floods_of_one in found.items()}
    figures = {f"1kb_per_s_{name}": statistics.median(values) for name, values in rates.items()}
    figures |= {f"1kb_cpu_us_{name}": statistics.median(each.cpu_us for each in found[name]) for name in found}
    return figures | ratio("curve_over_plain_1kb", rates[KEYED], rates[PLAIN])


def told_pings(found: Mapping[str, Sequence[Sequence[float]]]) -> Figures:
    """The figures of round trips: medians over rounds of p50 and p99, and our p50 over each other contestant's."""
    figures: Figures = {}
    for name, rounds in found.items():
        figures[f"rtt_p50_us_{name}"] = 1e6 * statistics.median(quantile(times, 0.5) for times in rounds)
        figures[f"rtt_p99_us_{name}"] = 1e6 * statistics.median(quantile(times, 0.99) for times in rounds)
    ours = [quantile(times, 0.5) for times in found["edgerig"]]
    for name in found:
        if name != "edgerig":
            figures |= ratio(f"rtt_over_{name}", ours, [quantile(times, 0.5) for times in found[name]])
    return figures
