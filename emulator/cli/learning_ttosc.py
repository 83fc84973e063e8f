"""`edgerig train ttosc` and `edgerig export ttosc`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from agents.extras import require_onnx, require_torch
from agents.training import refuse_untrainable
from agents.ttosc.checkpoint import DistilledFolder, Folder, was_distilled
from agents.ttosc.presets import PRESETS, preset_of
from agents.ttosc.train import Trained, train
from emulator.assembly import resolve
from emulator.cli.training_words import from_the_start, stopped_early, telling
from emulator.cli.trainings import asked_to_stop, run_trainings
from emulator.scenario_file import load

INTERRUPTED = 130


@click.command("ttosc")
@click.argument("scenario", required=False)
@click.option("--preset", type=click.Choice(list(PRESETS)), default="marginal", show_default=True, help="How to learn.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key, e.g. edges.count=9.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Draws everything; the first of --seeds."
)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Trainings, one for each seed.")
@click.option("--worlds", is_flag=True, help="Each seed draws a world of its own, too (world_seed).")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Trainings at a time.")
@click.option("--frames", type=click.IntRange(1), default=1000, show_default=True, help="Frames to learn from, in all.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The folder; must not exist.")
@click.option("--resume", is_flag=True, help="Go on with the folder of --out; scenario and preset are those in it.")
def train_command(
    scenario: str | None,
    preset: str,
    changes: tuple[str, ...],
    seed: int,
    seeds: int,
    worlds: bool,
    jobs: int,
    frames: int,
    out: Path,
    resume: bool,
) -> int:
    """Train TTOSC's agents on SCENARIO in this process; Ctrl-C leaves a folder that --resume goes on with."""
    require_torch()
    start = from_the_start(scenario, changes, resume=resume)
    if start is None:
        folders = [Folder(path) for path in sorted(out.glob("seed-*")) or [out]]
    else:
        folders = _created(start, preset, changes, range(seed, seed + seeds), worlds, out)
    ends = run_trainings(partial(_one, frames), [folder.path for folder in folders], jobs)
    for end in ends:
        _say(end)
    return 0 if all(end.frames == end.wanted for end in ends) else INTERRUPTED


def _created(
    scenario: str, preset: str, changes: tuple[str, ...], seeds: range, worlds: bool, out: Path
) -> list[Folder]:
    read = load(scenario, changes)
    refuse_untrainable(read)
    folders = []
    for seed in seeds:
        own = msgspec.structs.replace(read, seed=seed, world_seed=seed if worlds else read.world_seed)
        path = out if len(seeds) == 1 else out / f"seed-{seed}"
        folders.append(Folder.create(path, resolve(own), preset_of(preset)))
    return folders


def _one(frames: int, path: Path) -> Trained:
    return train(Folder(path), frames, stopped=asked_to_stop, tell=telling(path))


def _say(end: Trained) -> None:
    if end.frames < end.wanted:
        click.echo(stopped_early(end.folder, end.frames, end.wanted))
        return
    ratio = end.delay_s / end.popularity_s
    click.echo(
        f"{end.folder}: delay {end.delay_s:.4f} s in the last {end.counted} frames; "
        f"Popularity {end.popularity_s:.4f} s, ratio {ratio:.3f}"
    )


@click.command("ttosc")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The folder; RUN/onnx if left out.")
def export_command(run: Path, out: Path | None) -> None:
    """Write the agents of RUN, a folder of `edgerig train ttosc` or `edgerig distill ttosc`, as ONNX."""
    require_torch()
    require_onnx()
    from agents.ttosc.export import export
    from agents.ttosc.student_export import export_student

    into = out or run / "onnx"
    worst = export_student(DistilledFolder(run), into) if was_distilled(run) else export(Folder(run), into)
    click.echo(f"{into}: as PyTorch within {worst:.0e}; use it with --agent onnx:{into}")
