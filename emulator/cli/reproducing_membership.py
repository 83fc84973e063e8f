"""`edgerig reproduce n2o-membership`: what an edge server's coming or going costs, and how fast neighbours adapt."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from emulator.cli.progress import tell
from emulator.cli.trainings import asked_to_stop, run_trainings
from emulator.scenario import Scenario
from emulator.scenario_file import load

INTERRUPTED = 130


@click.command("n2o-membership")
@click.argument("scenario", default="quickstart-rental")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key, e.g. edges.count=16.")
@click.option("--edge", type=click.IntRange(0), default=4, show_default=True, help="Who joins and leaves.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="From 1 on.")
@click.option("--before", type=click.IntRange(1), default=3000, show_default=True, help="Steps before, 16 slots each.")
@click.option("--after", type=click.IntRange(1), default=1500, show_default=True, help="Steps after.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reproduction-n2o-membership"),
    show_default=True,
    help="The folder; what is measured in it already is not measured again.",
)
def reproduce_membership(
    scenario: str, changes: tuple[str, ...], edge: int, seeds: int, before: int, after: int, out: Path
) -> int:
    """Train in SCENARIO, let an edge server join or leave, and go on: neighbours adapt, nobody learns, all anew."""
    from agents.extras import require_torch

    require_torch()
    from agents.n2o import membership_report as report
    from agents.n2o.membership_study import Effort

    read = load(scenario, changes)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"{kind}-seed-{seed}.csv" for seed in range(1, seeds + 1) for kind in report.KINDS]
    one = partial(_one, scenario=read, edge=edge, effort=Effort(before, after))
    if not all(run_trainings(one, files, jobs=1)):
        tell(f"stopped; the same command goes on with {out}")
        return INTERRUPTED
    points = [point for file in files for point in report.read_points(file)]
    table = report.table(points)
    (out / "table.md").write_text(table + "\n", encoding="utf-8")
    report.draw(
        out / "membership.png", points, f"{read.name}: edge server {edge} joins or leaves; its neighbours adapt"
    )
    click.echo(table)
    click.echo(f"{out}: table.md, membership.png, and a file for each seed and change")
    return 0


def _one(file: Path, scenario: Scenario, edge: int, effort: tuple[int, int]) -> bool:
    from agents.n2o import membership_report as report
    from agents.n2o.membership_study import Change, Effort, study

    if file.exists():
        return True
    kind, _, seed = file.stem.partition("-seed-")
    seeded = msgspec.structs.replace(scenario, seed=int(seed))
    change = Change("join" if kind == "join" else "leave", edge)
    points = None if asked_to_stop() else study(seeded, change, Effort(*effort), stopped=asked_to_stop, tell=tell)
    if points is not None:
        report.write_points(file, points)
    return points is not None
