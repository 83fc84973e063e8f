"""`edgerig reproduce n2o-real`: learn from some days of a trace, and be shown on others."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click
import msgspec

from emulator.cli.progress import tell
from emulator.cli.traces import slot_range
from emulator.cli.trainings import asked_to_stop, run_trainings
from emulator.scenario import Scenario
from emulator.scenario_file import load

INTERRUPTED = 130
STEPS = 3000


@click.command("n2o-real")
@click.argument("scenario")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key, e.g. rental.demand.path=DIR.")
@click.option(
    "--learned", type=slot_range, metavar="A:B", default="0:2880", show_default=True, help="Slots of the trace."
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="From 1 on.")
@click.option("--steps", type=click.IntRange(1), default=STEPS, show_default=True, help="Of a training, 16 slots each.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reproduction-n2o-real"),
    show_default=True,
    help="The folder; what is measured in it already is not measured again.",
)
@click.option("--as-is", is_flag=True, help="Measure nothing; write table and plot of what is measured so far.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")
def reproduce_real(
    scenario: str,
    changes: tuple[str, ...],
    learned: tuple[int, int | None],
    seeds: int,
    steps: int,
    out: Path,
    as_is: bool,
    as_json: bool,
) -> int:
    """Train on the --learned slots of SCENARIO's trace and show every way to decide on the slots the scenario plays.

    Ctrl-C keeps what is measured; the same command goes on.
    """
    from agents.extras import require_onnx, require_torch
    from agents.n2o import real_demand, real_report
    from emulator.rental_world import RentalWorld

    first, end = learned
    if end is None:
        raise click.UsageError("--learned: say where it ends, e.g. 0:2880")
    read = load(scenario, changes)
    _, shown = real_demand.parts_of(read, (first, end))
    folders = {seed: out / f"seed-{seed}" for seed in range(1, seeds + 1)}
    if not as_is:
        require_torch()
        require_onnx()
        one = partial(_one, scenario=read, learned=(first, end), steps=steps)
        if not all(run_trainings(one, list(folders.values()), jobs=1)):
            tell(f"stopped; the same command goes on with {out}, and --as-is shows what there is")
            return INTERRUPTED
    courses = real_report.courses_of(list(folders.values()))
    world = RentalWorld(shown)
    table = real_report.table(courses, world.graph, world.most_units + 1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.md").write_text(table + "\n", encoding="utf-8")
    (out / "schemes.csv").write_text(real_report.csv_of(courses, list(folders)), encoding="utf-8")
    title = f"{shown.name}: learned from slots {first} to {end - 1} of the trace, shown on others"
    real_report.draw(out / "reward.png", courses, world.plan.played.start, shown.slot_s, title)
    click.echo(json.dumps(real_report.document(courses), indent=2) if as_json else table)
    if not as_json:
        click.echo(f"{out}: table.md, schemes.csv, reward.png")
    return 0


def _one(folder: Path, scenario: Scenario, learned: tuple[int, int], steps: int) -> bool:
    from agents.n2o.real_demand import measure

    seed = int(folder.name.removeprefix("seed-"))
    seeded = msgspec.structs.replace(scenario, seed=seed)
    return not asked_to_stop() and measure(folder, seeded, learned, steps, stopped=asked_to_stop, tell=tell)
