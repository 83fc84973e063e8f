"""`edgerig distill ttosc`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from agents.errors import AgentError
from agents.extras import require_torch
from agents.training import refuse_untrainable
from agents.ttosc.checkpoint import DistilledFolder
from agents.ttosc.distill import Distilled, distill, known_planner
from agents.ttosc.presets import Distillation, distillation_of, frames_of
from emulator.assembly import resolve
from emulator.cli.learning_ttosc import INTERRUPTED
from emulator.cli.progress import tell
from emulator.cli.trainings import asked_to_stop, run_trainings
from emulator.scenario import Scenario
from emulator.scenario_file import load

ANY = "One actor for any world: learns from N others that are drawn."


@click.command("ttosc")
@click.argument("scenario", required=False)
@click.option("--teacher", default="ils", show_default=True, metavar="SPEC", help="Planner that the actors start from.")
@click.option("--any-world", type=click.IntRange(0), default=0, metavar="N", help=ANY)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key, e.g. edges.count=9.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Draws all; the first of --seeds.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Distillations, one a seed.")
@click.option("--worlds", is_flag=True, help="Each seed draws a world of its own, too (world_seed).")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Distillations at a time.")
@click.option("--frames", type=click.IntRange(1), help="Frames of each world; 1000, or 100 with --any-world.")
@click.option("--rounds", type=click.IntRange(1), help="Times that all is priced anew; 30, or 60 with --any-world.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The folder; must not exist.")
@click.option("--resume", is_flag=True, help="Go on with the folder of --out; everything else is in it.")
def distill_command(
    scenario: str | None,
    teacher: str,
    any_world: int,
    changes: tuple[str, ...],
    seed: int,
    seeds: int,
    worlds: bool,
    jobs: int,
    frames: int | None,
    rounds: int | None,
    out: Path,
    resume: bool,
) -> int:
    """Distil a planner of SCENARIO into actors that see their own cell; Ctrl-C leaves what --resume goes on with."""
    require_torch()
    how = distillation_of(teacher, any_world, rounds)
    if resume:
        if scenario is not None or changes:
            raise AgentError("--resume: the scenario is the one in the folder; leave out SCENARIO and --set")
        paths = sorted(out.glob("seed-*")) or [out]
    else:
        if scenario is None:
            raise AgentError("distill: name a SCENARIO, or go on with --resume; `edgerig schema --names` lists them")
        known_planner(teacher)
        read = msgspec.structs.replace(load(scenario, changes), frames=frames or frames_of(any_world))
        refuse_untrainable(read)
        paths = [
            _created(read, how, each, worlds, out if seeds == 1 else out / f"seed-{each}")
            for each in range(seed, seed + seeds)
        ]
    ends = run_trainings(_one, paths, jobs)
    for end in ends:
        _say(end)
    return 0 if all(end.rounds == end.wanted for end in ends) else INTERRUPTED


def _created(read: Scenario, how: Distillation, seed: int, world: bool, path: Path) -> Path:
    own = msgspec.structs.replace(read, seed=seed, world_seed=seed if world else read.world_seed)
    return DistilledFolder.create(path, resolve(own), how).path


def _one(path: Path) -> Distilled:
    return distill(DistilledFolder(path), stopped=asked_to_stop, tell=lambda text: tell(f"{path}: {text}"))


def _say(end: Distilled) -> None:
    if end.rounds < end.wanted:
        click.echo(
            f"{end.folder}: stopped after {end.rounds} of {end.wanted} rounds; --out {end.folder} --resume goes on"
        )
        return
    beside = ", ".join(f"{end.delay_s / delay_s:.3f} x {name}" for name, delay_s in end.beside_s.items())
    click.echo(f"{end.folder}: delay {end.delay_s:.4f} s in {end.counted} frames that were held out: {beside}")
