"""`edgerig bench`: each bench compares two things in one run on one machine."""

from __future__ import annotations

import json
from typing import Any

import click

QUICK_SCHEDULER: dict[str, Any] = {"rounds": 60, "instances": 300, "general_instances": 150}
QUICK_EMULATION: dict[str, Any] = {"rounds": 2, "frames": 60, "starts": 1}

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
    if as_json:
        click.echo(json.dumps({"bench": name, **result}, indent=2))
        return 0
    width = max(map(len, result))
    click.echo(f"bench {name}")
    for key, value in result.items():
        click.echo(f"  {key:<{width}}  {_shown(value)}")
    return 0


def _shown(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


COMMANDS = [bench]
