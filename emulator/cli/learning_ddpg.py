"""`edgerig train ddpg` and `edgerig export ddpg`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import msgspec

from agents.ddpg.folder import Folder
from agents.ddpg.presets import DEFAULT
from agents.ddpg.train import Trained, train
from agents.errors import AgentError
from agents.extras import require_onnx, require_torch
from agents.training import refuse_untrainable
from emulator.assembly import resolve
from emulator.cli.training_words import from_the_start, stopped_early, telling
from emulator.cli.trainings import asked_to_stop, run_trainings
from emulator.scenario_file import load

INTERRUPTED = 130


@click.command("ddpg")
@click.argument("scenario", required=False)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key, e.g. edges.count=9.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Draws everything but the worlds.")
@click.option(
    "--worlds",
    type=click.IntRange(1),
    default=DEFAULT.worlds,
    show_default=True,
    help="Worlds that frames are played in, in turn; seeds follow the scenario's.",
)
@click.option("--slots", type=click.IntRange(1), default=6000, show_default=True, help="Slots to learn from, in all.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The folder; must not exist.")
@click.option("--resume", is_flag=True, help="Go on with the folder of --out; scenario and worlds are those in it.")
def train_command(
    scenario: str | None, changes: tuple[str, ...], seed: int, worlds: int, slots: int, out: Path, resume: bool
) -> int:
    """Train the DDPG scheduler on SCENARIO in this process; Ctrl-C leaves a folder that --resume goes on with."""
    require_torch()
    start = from_the_start(scenario, changes, resume=resume)
    if start is None:
        folder = Folder(out)
        frames = _frames(slots, folder.scenario().slots_per_frame)
    else:
        read = msgspec.structs.replace(load(start, changes), seed=seed)
        refuse_untrainable(read)
        frames = _frames(slots, read.slots_per_frame)
        folder = Folder.create(out, resolve(read), replace(DEFAULT, worlds=worlds))
    (end,) = run_trainings(partial(_one, frames), [folder.path], jobs=1)
    _say(end)
    return 0 if end.frames == end.wanted else INTERRUPTED


def _frames(slots: int, slots_per_frame: int) -> int:
    if slots % slots_per_frame:
        raise AgentError(f"--slots {slots}: must be a multiple of slots_per_frame ({slots_per_frame})")
    return slots // slots_per_frame


def _one(frames: int, path: Path) -> Trained:
    return train(Folder(path), frames, stopped=asked_to_stop, tell=telling(path))


def _say(end: Trained) -> None:
    if end.frames < end.wanted:
        click.echo(stopped_early(end.folder, end.frames, end.wanted))
        return
    click.echo(
        f"{end.folder}: delay {end.over_exact:.4f} x exact in the last {end.counted} frames; "
        f"nearest {end.nearest_over_exact:.4f} x on the same slots"
    )


@click.command("ddpg")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The file; RUN/ddpg.onnx if left out.")
def export_command(run: Path, out: Path | None) -> None:
    """Write the scheduler of RUN, a folder of `edgerig train ddpg`, as an ONNX file."""
    require_torch()
    require_onnx()
    from agents.ddpg.export import export

    into = out or run / "ddpg.onnx"
    worst = export(Folder(run), into)
    click.echo(f"{into}: as PyTorch within {worst:.0e}; use it with --scheduler ddpg:{into}")
