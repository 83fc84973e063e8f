"""`edgerig run` and `edgerig sim`."""

from __future__ import annotations

import json
import math
import statistics
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import msgspec

from emulator import run as runs
from emulator import swaps_file
from emulator.cli.agents import require_signed_option
from emulator.cli.finding import keys_option
from emulator.cli.options import read, scenario_options
from emulator.cli.progress import Progress, tell
from emulator.errors import ScenarioError
from emulator.scenario import Scenario

ENCODINGS = ("json", "msgpack")


@click.command("run")
@scenario_options
@keys_option
@require_signed_option
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="On the wall clock: simulated seconds a second.")
@click.option("--lockstep", is_flag=True, help="As fast as it goes, equal to the in-process world (default).")
@click.option(
    "--swaps",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="swaps.csv of another run: let agents change in the same frames.",
)
@click.option("--record", is_flag=True, help="Record every message into run.mcap in the run folder.")
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS),
    default="json",
    show_default=True,
    help="Of the bag: json is read by Foxglove, msgpack is as it was on the wire.",
)
def run_command(
    scenario: str,
    changes: tuple[str, ...],
    seed: int | None,
    slots: int | None,
    frames: int | None,
    agent: str | None,
    scheduler: str | None,
    out: str | None,
    as_json: bool,
    rate: float | None,
    lockstep: bool,
    swaps: Path | None,
    record: bool,
    encoding: str,
) -> int:
    """Run SCENARIO as processes on the bus."""
    if rate is not None and lockstep:
        raise ScenarioError("--rate and --lockstep: give one of them")
    found = read(scenario, changes, seed, slots, frames, agent, scheduler)
    if rate is not None:
        found = msgspec.structs.replace(found, clock="wall", rate=rate)
    elif lockstep:
        found = msgspec.structs.replace(found, clock="lockstep")
    asked = [] if swaps is None else swaps_file.read(swaps)
    prepared = runs.prepare(found, on_bus=True, tell=tell)
    with _progress(prepared, as_json) as progress:
        result = runs.on_bus(
            prepared, out, progress.show, lambda launcher: launcher.ask_for(asked), encoding if record else ""
        )
    _tell(result, as_json)
    return result.code


@click.command("sim")
@scenario_options
@click.option("--seeds", metavar="A-B", help="Several seeds, e.g. 0-9 or 1,5,7.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Seeds at a time.")
def sim_command(
    scenario: str,
    changes: tuple[str, ...],
    seed: int | None,
    slots: int | None,
    frames: int | None,
    agent: str | None,
    scheduler: str | None,
    out: str | None,
    as_json: bool,
    seeds: str | None,
    jobs: int,
) -> int:
    """Run SCENARIO in this process: the same numbers, much faster."""
    found = read(scenario, changes, seed, slots, frames, agent, scheduler)
    if found.clock == "wall":
        raise ScenarioError(f"{scenario}: clock is wall, which only `edgerig run` has; add --set clock=lockstep")
    prepared = runs.prepare(found, on_bus=False)
    if seeds is not None:
        return _several(prepared, _parse_seeds(seeds), out, jobs, as_json)
    with _progress(prepared, as_json) as progress:
        result = runs.in_process(prepared, out, progress.show)
    _tell(result, as_json)
    return result.code


def _parse_seeds(text: str) -> list[int]:
    seeds: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            seeds += range(int(first), int(last) + 1) if dash else [int(first)]
    except ValueError:
        raise ScenarioError(f"--seeds {text}: must be like 0-9 or 1,5,7") from None
    if not seeds or len(seeds) != len(set(seeds)):
        raise ScenarioError(f"--seeds {text}: names no seed, or one twice")
    return seeds


def _one(scenario: Scenario, out: str | None) -> dict[str, Any]:
    return runs.in_process(scenario, out, lambda status: None).summary


def _several(scenario: Scenario, seeds: list[int], out: str | None, jobs: int, as_json: bool) -> int:
    key, name, unit = ("reward", "reward a slot", "") if scenario.world == "rental" else ("delay_s", "delay", " s")
    each = [msgspec.structs.replace(scenario, seed=seed) for seed in seeds]
    outs = [None if out is None else f"{out}-{seed}" for seed in seeds]
    # Spawned, not forked: a child must not inherit sockets or compiled state half made.
    with ProcessPoolExecutor(min(jobs, len(seeds)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_one, one, folder) for one, folder in zip(each, outs, strict=True)]
        summaries = []
        for seed, future in zip(seeds, futures, strict=True):
            summaries.append(future.result())
            if not as_json:
                click.echo(f"seed {seed}: {name} {summaries[-1][key]['mean']:.4f}{unit}", err=True)
    if as_json:
        click.echo(json.dumps(summaries, indent=2))
        return 0
    found = [summary[key]["mean"] for summary in summaries]
    spread = statistics.stdev(found) / math.sqrt(len(found)) if len(found) > 1 else 0.0
    click.echo(f"{len(found)} seeds: {name} {statistics.mean(found):.4f}{unit}, standard error {spread:.4f}{unit}")
    return 0


def _progress(scenario: Scenario, quiet: bool) -> Progress:
    unit = "" if scenario.world == "rental" else " s"
    return Progress(f"{scenario.name} ({scenario.agent.policy})", quiet=quiet, unit=unit)


def _tell(result: runs.Result, as_json: bool) -> None:
    summary = result.summary
    if result.code not in (0, 130):
        click.echo(f"the run ended with code {result.code}: {_why(summary, result)}", err=True)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    if summary.get("world") == "rental":
        _tell_rental(result)
        return
    delay, tasks = summary["delay_s"], summary["tasks"]
    total = max(sum(tasks[name] for name in ("local", "peer", "cloud", "dropped")), 1e-300)
    shares = ", ".join(f"{name} {100 * tasks[name] / total:.1f} %" for name in ("local", "peer", "cloud", "dropped"))
    click.echo(f"{summary['scenario']}, agent {summary['agent']}, seed {summary['seed']}, {summary['mode']}")
    click.echo(f"  slots    {summary['slots']} in {summary['wall_s']:.1f} s")
    click.echo(f"  delay    {delay['mean']:.4f} s a task; all-cloud {summary['all_cloud_delay_s']:.4f} s")
    click.echo(f"  reward   {summary['reward']['mean']:.3f} s a frame")
    click.echo(f"  tasks    {shares}")
    if summary["messages"]["total"]:
        sizes = summary["bytes"]
        click.echo(f"  bus      {summary['messages']['total']} messages, {sizes['wire'] / 1e6:.2f} MB on the wire")
        click.echo(f"           {_parts(sizes['by_class'])}")
        click.echo(f"           {_parts(sizes['by_phase'])}")
    for note in summary.get("notes", [])[-5:]:
        click.echo(f"  note     {note}")
    if summary["digest"]:
        click.echo(f"  digest   {summary['digest'][:16]}")
    recording = summary.get("recording")
    if recording:
        worth = "complete" if recording["complete"] else f"NOT COMPLETE, {recording['lost']} known to be lost"
        click.echo(f"  bag      {recording['file']}: {recording['messages']} messages, {worth}")
    click.echo(f"  folder   {result.folder}")


def _tell_rental(result: runs.Result) -> None:
    summary = result.summary
    tasks, delay_s = summary["tasks"], summary["delay_s"]["mean"]
    spec = summary["spec"] + (
        f", zero_delay_bug {summary['zero_delay_bug']}" if summary["zero_delay_bug"] != "off" else ""
    )
    click.echo(
        f"{summary['scenario']}, spec {spec}, agent {summary['agent']}, seed {summary['seed']}, {summary['mode']}"
    )
    click.echo(f"  slots    {summary['slots']} in {summary['wall_s']:.1f} s")
    click.echo(f"  reward   {summary['reward']['mean']:.3f} a slot, {summary['reward']['total']:.1f} in all")
    if "episodes" in summary:
        click.echo(f"           {summary['episodes']['reward']:.2f} an episode, mean of {summary['episodes']['count']}")
    click.echo(f"  rented   {summary['units']['mean']:.2f} units a slot for {summary['cost']['mean']:.1f}")
    away = 100.0 * tasks["cloud"] / max(tasks["edge"] + tasks["cloud"], 1e-300)
    click.echo(f"  tasks    {tasks['edge']:.0f} at the edge, {delay_s:.3f} s each; {away:.1f} % went to the cloud")
    learning = summary.get("learning")
    if learning:
        click.echo(
            f"  learned  from {learning['slots']} slots: {learning['reward_first']:.2f} a slot over the first "
            f"{learning['window_slots']}, {learning['reward_last']:.2f} in the last; epsilon {learning['epsilon']:.2f}"
        )
    click.echo(f"  folder   {result.folder}")


def _parts(sizes: dict[str, int]) -> str:
    """Shares of all bytes, the largest first."""
    total = max(sum(sizes.values()), 1)
    return ", ".join(f"{name} {100 * size / total:.1f} %" for name, size in sorted(sizes.items(), key=lambda x: -x[1]))


def _why(summary: dict[str, Any], result: runs.Result) -> str:
    reason = (summary.get("exit") or {}).get("reason")
    if reason:
        return str(reason)
    killed = [note for note in summary.get("notes", []) if "the hub was killed" in note]
    if killed:
        return str(killed[0])
    log = result.folder / "logs" / "hub.log"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return f"{lines[-1] if lines else 'the hub died'} (see {log})"


COMMANDS = [run_command, sim_command]
