"""`edgerig bench`: each bench compares two things in one run on one machine."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import click

QUICK_SCHEDULER: dict[str, Any] = {"rounds": 60, "instances": 300, "general_instances": 150}
QUICK_LEARNING: dict[str, Any] = {"rounds": 60, "frames": 15}
QUICK_CONTAINERS: dict[str, Any] = {"rounds": 1, "frames": 60}
QUICK_EMULATION: dict[str, Any] = {"rounds": 2, "frames": 60, "starts": 1}

BARS: dict[str, tuple[str, float]] = {
    "numpy_speedup": ("at least", 30.0),
    "numba_speedup": ("at least", 300.0),
    "worst_gap": ("at most", 1e-9),
    "worst_gap_general": ("at most", 1e-7),
    "ms_30_50": ("at most", 1.0),
    "inprocess_slots_per_s": ("at least", 5_000.0),
    "lockstep_over_bare": ("at least", 0.4),
    "decision_onnx_ms": ("at most", 1.0),
    "decision_torch_ms": ("at most", 5.0),
    "frame_literal_ms": ("at most", 40.0),
    "first_slot_s": ("at most", 6.0),
    "agent_uss_mb": ("at most", 60.0),
    "typed_1to1_over_raw": ("at least", 0.75),
    "typed_1to1_over_zenoh": ("at least", 1.0),
    "typed_1to8_over_raw": ("at least", 0.8),
    "rtt_over_zenoh": ("at most", 0.9),
    "overload_lost": ("at most", 0.0),
    "overload_duplicated": ("at most", 0.0),
    "repair_share": ("at most", 0.05),
    "join_p99_ms": ("at most", 10.0),
    "join_first_lost": ("at most", 0.0),
    "curve_over_plain_1kb": ("at least", 0.7),
    "us_per_message_counters": ("at most", 0.3),
    "scrape_ms": ("at most", 5.0),
    "node_uss_mb": ("at most", 35.0),
    "tools_ms": ("at most", 250.0),
    "killed_shown_s": ("at most", 5.0),
    "n2o_ms_p50": ("at most", 150.0),
    "owner_ms_p50": ("at most", 50.0),
    "owner_payload_bytes": ("at most", 200.0),
    "max_sum_payload_bytes": ("at most", 150.0),
    "headroom_owner": ("at least", 0.95),
    "headroom_owner_loss_50": ("at least", 0.85),
    "headroom_owner_loss_80": ("at least", 0.75),
    "headroom_max_sum": ("at least", 0.95),
    "image_node_mb": ("at most", 330.0),
    "image_tools_mb": ("at most", 720.0),
    "image_learn_mb": ("at most", 1750.0),
    "compose_first_slot_s": ("at most", 25.0),
    "agent_anonymous_mb": ("at most", 90.0),
    "scrape_all_s": ("at most", 1.0),
    "containers_over_local": ("at least", 0.6),
    "sequential_rejects": ("at most", 0.06),
    "planted_found": ("at least", 0.8),
    "subtle_rolled_back": ("at least", 0.8),
    "fixed_sample_from_5": ("at most", 0.02),
    **{f"lockstep_over_bare_{nodes}": ("at least", 0.5) for nodes in (8, 32, 64)},
    **{f"lockstep_over_helics_{nodes}": ("at least", 2.5) for nodes in (8, 32, 64)},
}
"""What each figure is to reach; a figure that does not is said, not hidden."""

BUS_GROUPS = ("1to1", "1to8", "rtt", "overload", "joins", "lockstep", "counters", "scrape", "curve", "memory")
BUS_PEERS = ("raw", "zenoh", "multipart", "asyncio", "bare", "helics")

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


@bench.command("learning")
@_quick
@_seed
@_json
def learning(quick: bool, seed: int, as_json: bool) -> int:
    """Learned decisions by ONNX and PyTorch, and frames of a training, beside stock modules."""
    from agents import bench_learning

    changes = QUICK_LEARNING if quick else {}
    return _tell("learning", bench_learning.run(seed=seed, **changes), as_json)


@bench.command("emulation")
@_quick
@_seed
@_json
def emulation(quick: bool, seed: int, as_json: bool) -> int:
    """Slots a second in one process and in lockstep, the latter against the same bytes without a bus."""
    from emulator import bench as bench_emulation

    changes = QUICK_EMULATION if quick else {}
    return _tell("emulation", bench_emulation.run(seed=seed, **changes), as_json)


@bench.command("bus")
@_quick
@click.option("--rounds", type=click.IntRange(1), help="Turns of each contestant.")
@click.option("--only", type=click.Choice(BUS_GROUPS), multiple=True, help="This group of rows; may be repeated.")
@click.option("--against", type=click.Choice(BUS_PEERS), multiple=True, help="Compare with this one; may be repeated.")
@click.option("--nodes", type=click.IntRange(2, 256), help="Lockstep of so many nodes only, a process each.")
@click.option("--joins", type=click.IntRange(1), help="Late joiners.  [default: 10000]")
@click.option("-o", "--output", "picture", type=click.Path(dir_okay=False), help="Draw the figures into this PNG.")
@_seed
@_json
def bus(
    quick: bool,
    rounds: int | None,
    only: tuple[str, ...],
    against: tuple[str, ...],
    nodes: int | None,
    joins: int | None,
    picture: str | None,
    seed: int,
    as_json: bool,
) -> int:
    """The bus against bare sockets, zenoh, multipart and zmq.asyncio; each row in turns within one run."""
    from bus.bench_lockstep import Shape
    from emulator import bench_bus

    options = bench_bus.QUICK if quick else bench_bus.Options()
    options = replace(options, seed=seed, rounds=rounds or options.rounds, joins=joins or options.joins)
    if nodes is not None:
        options = replace(options, shapes=(Shape(nodes, nodes),))
    try:
        result = bench_bus.run(options, only, against)
    except bench_bus.ExtraMissing as error:
        raise click.UsageError(str(error)) from None
    code = _tell("bus", result, as_json)
    if picture is not None:
        _draw("bus", result, picture)
    return code


def _draw(name: str, result: dict[str, Any], picture: str) -> None:
    try:
        drawing = import_module(f"emulator.bench_{name}_picture")
    except ImportError as error:
        raise click.UsageError(f"no picture: {error.name} is missing; pip install 'edgerig[report]'") from None
    try:
        drawing.draw(result, BARS, Path(picture))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{picture}: {error}") from None


@bench.command("orchestration")
@_quick
@click.option("-o", "--output", "picture", type=click.Path(dir_okay=False), help="Draw the figures into this PNG.")
@_seed
@_json
def orchestration(quick: bool, picture: str | None, seed: int, as_json: bool) -> int:
    """Agents that talk to neighbours: time and bytes of a decision of nine processes, and what talking recovers."""
    from emulator import bench_orchestration

    options = bench_orchestration.QUICK if quick else bench_orchestration.Options()
    result = bench_orchestration.run(replace(options, seed=seed))
    code = _tell("orchestration", result, as_json)
    if picture is not None:
        _draw("orchestration", result, picture)
    return code


@bench.command("trials")
@_quick
@_seed
@_json
def trials(quick: bool, seed: int, as_json: bool) -> int:
    """How often trials are wrong: equal arms on disjoint seeds, a planted difference of about 5 %, an example."""
    from emulator import bench_trials

    options = bench_trials.QUICK if quick else bench_trials.Options()
    return _tell("trials", bench_trials.run(replace(options, seed=seed), _tell_progress), as_json)


def _tell_progress(text: str) -> None:
    click.echo(text, err=True)


@bench.command("tools")
@_quick
@_seed
@_json
def tools(quick: bool, seed: int, as_json: bool) -> int:
    """Each command of the tools on a running system of 60 nodes, against a bare Python; and after a kill -9."""
    from emulator import bench_tools

    return _tell("tools", bench_tools.run(seed=seed, rounds=2 if quick else 7), as_json)


@bench.command("containers")
@_quick
@click.option("--tag", default="local", show_default=True, help="Of the images, which must be built.")
@click.option(
    "-f",
    "--file",
    "files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A compose file; several are merged.  [default: compose.yaml]",
)
@_seed
@_json
def containers(quick: bool, tag: str, files: tuple[Path, ...], seed: int, as_json: bool) -> int:
    """The emulation in containers: images, first slot, memory, scrapes; lockstep against local processes."""
    from emulator import bench_containers
    from emulator.container_run import EngineFailed

    options = bench_containers.Options(seed=seed, tag=tag, **QUICK_CONTAINERS if quick else {})
    if files:
        options = replace(options, files=files)
    elif not options.files[0].is_file():
        raise click.UsageError("compose.yaml: is not here; run this in the checkout, or name it with --file")
    try:
        return _tell("containers", bench_containers.run(options), as_json)
    except EngineFailed as error:
        raise click.ClickException(str(error)) from None


def _tell(name: str, result: dict[str, Any], as_json: bool) -> int:
    missed = [key for key, value in result.items() if key in BARS and not _reached(key, value)]
    if as_json:
        click.echo(json.dumps({"bench": name, **result, "missed": missed}, indent=2))
        return 0
    width = max(map(len, result))
    click.echo(f"bench {name}")
    for key, value in result.items():
        bar = f"  {BARS[key][0]} {BARS[key][1]:g}{': MISSED' if key in missed else ''}" if key in BARS else ""
        if key == "headroom_by_round":
            continue  # for the picture
        if isinstance(value, dict):
            _tell_all(key, value)
        else:
            click.echo(f"  {key:<{width}}  {_shown(value):>10}{bar}")
    return 0


def _tell_all(key: str, facts: dict[str, Any]) -> None:
    """Facts that are no figures: one line; what was not measured gets a line each."""
    if key == "not_measured":
        for name, reason in facts.items():
            click.echo(f"  not measured: {name} ({reason})")
    else:
        click.echo(f"  {key}: {', '.join(f'{name} {_shown(value)}' for name, value in facts.items())}")


def _reached(key: str, value: float) -> bool:
    side, bar = BARS[key]
    return value >= bar if side == "at least" else value <= bar


def _shown(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


COMMANDS = [bench]
