"""Orchestrators measured: time and bytes of a decision on the bus, and how much of the headroom they recover.

Wires agents, bus and steps together. What is compared with what: docs/orchestration.md.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from agents.bench_negotiation import Agents, Plan, Weighed, bare, letters_of
from agents.n2o.example_tables import drawn_networks, economy, square, trained_networks
from agents.n2o.headroom import Yardstick, pooled
from agents.n2o.orchestrators import Recipe, recipe
from emulator.bench_bus import Steps

Figures = dict[str, Any]
Progress = Callable[[str], None]

TIMED: Final = ("n2o", "owner", "max-sum")
"""Orchestrators whose decisions are timed and weighed between processes."""

SIDE: Final = 3
SIDES: Final = (2, 3, 4, 5)

CURVES: Final = {
    "owner": 20,
    "max-sum": 20,
    "polish": 40,
    "consensus": 50,
    "n2o": 50,
    "n2o:slopes=secant,centre=shared,gamma=3": 50,
}
"""Whose headroom is drawn, and for how many rounds."""

LOSSES: Final = (0.5, 0.8)
WARM_UP_S: Final = 0.5


@dataclass(frozen=True)
class Options:
    """How much to measure.

    Attributes:
        turns: Of our processes and of bare ones, in turns. turn_s: How long each of ours lasts.
        states: Of each kind of table, by side of its grid.
        seed: Of all that is drawn.
    """

    turns: int = 5
    turn_s: float = 4.0
    states: Mapping[int, int] = field(default_factory=lambda: {2: 96, 3: 96, 4: 48, 5: 16})
    seed: int = 1


QUICK: Final = Options(turns=1, turn_s=2.0, states={2: 32, 3: 32, 4: 8, 5: 4})


def _say(text: str) -> None:
    sys.stderr.write(f"bench orchestration: {text}\n")


def run(options: Options, progress: Progress = _say) -> Figures:
    """Measure.

    Returns: For each timed orchestrator ``NAME_ms_p50``, ``_p99``, ``NAME_cpu_ms`` (of all processes),
        ``NAME_bare_ms_p50``, ``NAME_over_bare`` (median of the turns' rates as a part of bare's) and
        ``NAME_payload_bytes``, ``NAME_wire_bytes`` (of a directed link and decision);
        ``headroom_*`` as shares, on trained networks and (``drawn_``) on harder tables; what letters weigh by number of
        servers.
    Raises: PeerLost: a process ended. RuntimeError: the bus counted other bytes than were written.
    """
    due_s = dict.fromkeys(TIMED, options.turns * (options.turn_s + 6.0))
    due_s["headroom"] = 0.2 * sum(options.states.values()) + 5.0
    counts = dict.fromkeys(TIMED, 2 * options.turns) | {"headroom": len(SIDES) + 2}
    steps = Steps(due_s, counts, progress)
    figures: Figures = {"servers": SIDE**2, "turns": options.turns, "seed": options.seed}
    for name in TIMED:
        steps.begin(name)
        figures |= _timed(name, options, steps)
    steps.begin("headroom")
    return figures | _headroom(options, steps) | {"letters_bytes": _by_servers(options.seed)}


def key_of(name: str) -> str:
    """An orchestrator's name in keys of figures."""
    return name.replace("-", "_")


def _timed(name: str, options: Options, step: Progress) -> Figures:
    """Decisions of our processes and of bare ones, in turns."""
    plan, key = Plan(name, SIDE, options.seed), key_of(name)
    ours: list[float] = []
    floor: list[float] = []
    ratios, cpu_ms = [], []
    with Agents(plan) as agents:
        agents.turn(WARM_UP_S)
        for turn in range(options.turns):
            took_s = agents.turn(options.turn_s)
            cpu_ms.append(1e3 * agents.cpu_s / len(took_s))
            step(f"{name}, turn {turn + 1} of {options.turns}: {1e3 * statistics.median(took_s):.1f} ms a decision")
            bare_s = bare(plan, len(took_s))
            ratios.append(statistics.median(bare_s) / statistics.median(took_s))
            step(f"{name}, turn {turn + 1} of {options.turns}: bare {1e3 * statistics.median(bare_s):.1f} ms")
            ours += took_s
            floor += bare_s
        weighed = agents.weigh()
    return {
        f"{key}_rounds": plan.recipe.rounds,
        f"{key}_decisions": len(ours),
        f"{key}_ms_p50": 1e3 * statistics.median(ours),
        f"{key}_ms_p99": 1e3 * statistics.quantiles(ours, n=100)[98],
        f"{key}_cpu_ms": statistics.median(cpu_ms),
        f"{key}_bare_ms_p50": 1e3 * statistics.median(floor),
        f"{key}_over_bare": statistics.median(ratios),
        **_weights(plan, weighed),
    }


def _weights(plan: Plan, weighed: Mapping[str, Weighed]) -> Figures:
    """Bytes of a directed link and decision, as the bus counted them; it must have counted what was written."""
    written = letters_of(plan)
    for topic, found in weighed.items():
        if found != written[topic]:
            raise RuntimeError(f"{topic}: the bus counted {found} for a decision, written were {written[topic]}")
    key, heaviest = key_of(plan.spec), max(weighed.values(), key=lambda found: found.wire_bytes)
    return {f"{key}_payload_bytes": heaviest.payload_bytes, f"{key}_wire_bytes": heaviest.wire_bytes}


def _by_servers(seed: int) -> Figures:
    """Payload and wire bytes of the heaviest directed link and decision, by orchestrator and number of servers."""
    found: Figures = {}
    for name in TIMED:
        for side in SIDES:
            heaviest = max(letters_of(Plan(name, side, seed)).values(), key=lambda weighed: weighed.wire_bytes)
            found[f"{key_of(name)}_{side**2}"] = [heaviest.payload_bytes, heaviest.wire_bytes]
    return found


def _headroom(options: Options, step: Progress) -> Figures:
    """Shares of the headroom: on trained networks, and pooled over drawn networks and economies of all sizes."""
    trained = trained_networks()
    yardstick = Yardstick(trained.tables, trained.slopes)
    figures = _shares("", [yardstick], options)
    figures["headroom_by_round"] = {spec: yardstick.by_round(recipe(spec), rounds) for spec, rounds in CURVES.items()}
    step("headroom on trained networks")
    yardsticks: list[Yardstick] = []
    for side in SIDES:
        drawn = drawn_networks(square(side), options.states[side], options.seed)
        yardsticks += [Yardstick(drawn.tables), Yardstick(economy(drawn.graph, options.states[side], options.seed))]
        step(f"the exact maximum on grids of {side**2}")
    figures |= _shares("drawn_", yardsticks, options)
    step("headroom on what is drawn")
    return figures


def _shares(prefix: str, yardsticks: list[Yardstick], options: Options) -> Figures:
    """What MA-DQL has of the maximum, and what of the rest is recovered, with and without loss."""
    owner, max_sum = recipe("owner"), recipe("max-sum")
    figures: Figures = {
        f"{prefix}own_share": pooled(yardsticks, lambda each: each.floor_share),
        f"{prefix}headroom_owner": pooled(yardsticks, lambda each: each.by_round(owner, owner.rounds)[-1]),
        f"{prefix}headroom_max_sum": pooled(yardsticks, lambda each: each.by_round(max_sum, max_sum.rounds)[-1]),
    }
    for share in LOSSES:
        for name, first_comes in (("", False), ("_after_first", True)):
            lossy = partial(_lossy, owner, share, options.seed, first_comes=first_comes)
            figures[f"{prefix}headroom_owner_loss_{100 * share:.0f}{name}"] = pooled(yardsticks, lossy)
    return figures


def _lossy(made: Recipe, share: float, seed: int, yardstick: Yardstick, *, first_comes: bool) -> float:
    return yardstick.lossy(made, share, seed, first_comes=first_comes)
