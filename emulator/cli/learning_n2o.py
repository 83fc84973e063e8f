"""`edgerig train n2o`, `edgerig export n2o`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from agents.errors import AgentError
from agents.extras import require_torch
from agents.n2o.checkpoint import Folder
from agents.n2o.presets import METHODS, Method, preset_of
from agents.n2o.train import Progress, Trained, train
from agents.n2o.worlds import rental_of
from emulator.cli.progress import tell
from emulator.cli.trainings import asked_to_stop, clock, run_trainings
from emulator.scenario_file import load

INTERRUPTED = 130
STEPS = 6000


@click.command("n2o")
@click.argument("scenario", required=False)
@click.option("--method", type=click.Choice(METHODS), help="One network for all, or one each.  [default: madql]")
@click.option("--double", is_flag=True, help="Double Q-learning.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key, e.g. edges.count=9.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Draws everything; the first of --seeds."
)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Trainings, one for each seed.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Trainings at a time.")
@click.option("--steps", type=click.IntRange(1), help=f"Steps in all, of 16 slots each.  [default: {STEPS}]")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The folder; must not exist.")
@click.option("--resume", is_flag=True, help="Go on with the folder of --out; what and how is in it.")
def train_command(
    scenario: str | None,
    method: Method | None,
    double: bool,
    changes: tuple[str, ...],
    seed: int,
    seeds: int,
    jobs: int,
    steps: int | None,
    out: Path,
    resume: bool,
) -> int:
    """Train a rental world's agents on SCENARIO in this process; Ctrl-C leaves a folder that --resume goes on with."""
    require_torch()
    if resume:
        if scenario is not None or changes or method is not None or double or steps is not None:
            raise AgentError("--resume: what is trained and how is in the folder; give --out and --jobs only")
        paths = sorted(out.glob("seed-*")) or [out]
    else:
        if scenario is None:
            raise AgentError("train: name a SCENARIO, or go on with --resume; `edgerig schema --names` lists them")
        read = load(scenario, changes)
        rental_of(read)
        preset = preset_of(method or "madql", read.edges.count, steps or STEPS, double=double)
        paths = []
        for each in range(seed, seed + seeds):
            path = out if seeds == 1 else out / f"seed-{each}"
            paths.append(Folder.create(path, msgspec.structs.replace(read, seed=each), preset).path)
    ends = run_trainings(_one, paths, jobs)
    for end in ends:
        _say(end)
    return 0 if all(end.reward is not None for end in ends) else INTERRUPTED


def _one(path: Path) -> Trained:
    def told(progress: Progress) -> None:
        done = f"step {progress.steps} of {progress.wanted}, reward {progress.reward:.1f} of late"
        tell(f"{path}: {done}, {clock(progress.left_s)} left")

    return train(Folder(path), stopped=asked_to_stop, tell=told)


def _say(end: Trained) -> None:
    if end.reward is None:
        click.echo(
            f"{end.folder}: stopped after {end.steps} of {end.wanted} steps; --out {end.folder} --resume goes on"
        )
        return
    click.echo(f"{end.folder}: reward of an episode {end.reward.mean:.2f} +- {end.reward.error:.2f}")
