"""`edgerig bench`: each bench compares two things in one run on one machine."""

from __future__ import annotations

import json
from typing import Any

import click

QUICK_SCHEDULER: dict[str, Any] = {"rounds": 60, "instances": 300, "general_instances": 150}
QUICK_EMULATION: dict[str, Any] = {"rounds": 2, "frames": 60, "starts": 1}

BARS: dict[str, tuple[str, float]] = {
    "numpy_speedup": ("at least", 30.0),
    "numba_speedup": ("at least", 300.0),
    "worst_gap": ("at most", 1e-9),
    "worst_gap_general": ("at most", 1e-7),
    "ms_30_50": ("at most", 1.0),
    "inprocess_slots_per_s": ("at least", 5_000.0),
    "lockstep_over_bare": ("at least", 0.4),
    "first_slot_s": ("at most", 6.0),
    "agent_uss_mb": ("at most", 60.0),
}
"""What each figure is to reach; a figure that does not is said, not hidden."""

_quick = click.option("--quick", is_flag=True, help="Fewer rounds: half a minute, and wider errors.")
_seed = click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of what is drawn.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")


@click.group("bench")
def bench() -> None:
    """Measure: how fast, how exact, how large. Ratios travel between machines, absolute figures do not."""


@bench.command("scheduler")
@_quick
@_seed
@_json
def scheduler(quick: bool, seed: int, as_json: bool) -> int:
    """The exact scheduler against one stacked CVXPY problem, and its certificates."""
    from agents import bench_scheduler

    changes = QUICK_SCHEDULER if quick else {}
    return _tell("scheduler", bench_scheduler.run(seed=seed, **changes), as_json)


@bench.command("emulation")
@_quick
@_seed
@_json
def emulation(quick: bool, seed: int, as_json: bool) -> int:
    """Slots a second in one process and in lockstep, the latter against the same bytes without a bus."""
    from emulator import bench as bench_emulation

    changes = QUICK_EMULATION if quick else {}
    return _tell("emulation", bench_emulation.run(seed=seed, **changes), as_json)


def _tell(name: str, result: dict[str, Any], as_json: bool) -> int:
    missed = [key for key, value in result.items() if key in BARS and not _reached(key, value)]
    if as_json:
        click.echo(json.dumps({"bench": name, **result, "missed": missed}, indent=2))
        return 0
    width = max(map(len, result))
    click.echo(f"bench {name}")
    for key, value in result.items():
        bar = f"  {BARS[key][0]} {BARS[key][1]:g}{': MISSED' if key in missed else ''}" if key in BARS else ""
        click.echo(f"  {key:<{width}}  {_shown(value):>10}{bar}")
    return 0


def _reached(key: str, value: float) -> bool:
    side, bar = BARS[key]
    return value >= bar if side == "at least" else value <= bar


def _shown(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


COMMANDS = [bench]
