"""`edgerig export n2o`, `edgerig distill n2o` and `edgerig evaluate n2o`: what comes after a training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import click

from agents.extras import require_onnx, require_torch
from agents.n2o.judge import JUDGES, deciders, exported, judged
from agents.n2o.online_folder import folder_of
from agents.n2o.presets import Distilling
from agents.n2o.teach import teach
from agents.n2o.worlds import copies_to_judge
from emulator.cli.progress import tell

PLAIN = Distilling()
RUN = click.argument("run", type=click.Path(path_type=Path))


@click.command("n2o")
@RUN
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The folder; RUN/onnx if left out.")
def export_command(run: Path, out: Path | None) -> None:
    """Write the local Q-networks of RUN as ONNX files, and compare with PyTorch.

    RUN is a folder of `edgerig train n2o`, or of a run whose agents learned (`--agent madql-online`).
    """
    require_torch()
    require_onnx()
    folder = folder_of(run)
    layout = copies_to_judge(folder.scenario(), 1).layout
    into, compared = exported(folder, layout, out)
    click.echo(f"{into}: {compared or 'was exported before; remove it to export again'}")


@click.command("n2o")
@RUN
@click.option("--teacher", default="maxsum", show_default=True, help="maxsum, owner, n2o, exact, madql, or a spec.")
@click.option(
    "--actor",
    type=click.Choice(["classification", "regression"]),
    default="classification",
    show_default=True,
    help="A number for each rental, or one that is rounded.",
)
@click.option("--slots", type=click.IntRange(1), default=PLAIN.slots, show_default=True, help="The teacher labels.")
@click.option(
    "--labels",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A run, on the bus or not, whose agents' rentals are the first labels; can be repeated.",
)
@click.option("--rounds", type=click.IntRange(0), default=PLAIN.rounds, show_default=True, help="Of DAgger.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The folder; RUN/actors-TEACHER if left out.")
def distill_command(
    run: Path,
    teacher: str,
    actor: Literal["classification", "regression"],
    slots: int,
    labels: tuple[Path, ...],
    rounds: int,
    out: Path | None,
) -> None:
    """Teach actors what the networks of RUN decide together; they need no messages, and no PyTorch."""
    distilling = dataclasses.replace(PLAIN, actor=actor, slots=slots, rounds=rounds)
    end = teach(folder_of(run), teacher, distilling, out, lambda text: tell(f"{run}: {text}"), labels)
    click.echo(
        f"{end.folder}: actors {end.actors.mean:.2f} +- {end.actors.error:.2f}, teacher {end.teacher.mean:.2f}, "
        f"ratio {end.actors.mean / end.teacher.mean:.3f}; {end.compared}"
    )


@click.command("n2o")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--by", multiple=True, metavar="SPEC", help="How to decide; all ways if left out. Can be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One document on stdout.")
def evaluate_command(runs: tuple[Path, ...], by: tuple[str, ...], as_json: bool) -> None:
    """What the networks of RUNS are worth, however they decide, all on the same worlds; ratios are to the first."""
    found: list[dict[str, Any]] = []
    for run in runs:
        folder = folder_of(run)
        world = copies_to_judge(folder.scenario(), JUDGES)
        for name, decide in deciders(folder, world, by):
            tell(f"{run}: {name}")
            reward = judged(world, decide)
            found.append({"run": str(run), "by": name, "reward": reward.mean, "error": reward.error})
    for row in found:
        row["ratio"] = row["reward"] / found[0]["reward"]
    if as_json:
        click.echo(json.dumps(found))
        return
    width = max(len(row["run"]) for row in found)
    for row in found:
        worth = f"{row['reward']:9.2f} +- {row['error']:.2f}"
        click.echo(f"{row['run']:<{width}}  {row['by']:<24} {worth}  {row['ratio']:.3f}")
