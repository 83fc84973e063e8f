"""`edgerig demo`: schemes side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from emulator import run as runs
from emulator.cli.progress import Progress, tell
from emulator.errors import ScenarioError
from emulator.layout import groups
from emulator.scenario_file import load

SCHEMES = ("cloud-only", "popularity", "onnx", "marginal-greedy")


@click.command("demo")
@click.argument("scenario", default="quickstart")
@click.option("--frames", type=click.IntRange(1), help="How long each scheme runs.")
@click.option("--agents", "agents", default=",".join(SCHEMES), show_default=True, help="Schemes, comma-separated.")
def demo_command(scenario: str, frames: int | None, agents: str) -> int:
    """The main job: run SCENARIO on the bus with several schemes, and put them side by side."""
    found = load(scenario)
    if frames is not None:
        found = msgspec.structs.replace(found, frames=frames)
    if found.world != "offloading":
        raise ScenarioError(
            f"{scenario}: is of the {found.world} world, which the demo does not show; use `edgerig sim`"
        )
    processes = len(groups(found)) + 1
    click.echo(
        f"{found.name}: {found.edges.count} cells, {found.services.count} services, {found.frames} frames of "
        f"{found.slots_per_frame} slots; {processes} processes talk over ZeroMQ"
    )
    schemes = [
        runs.prepare(
            msgspec.structs.replace(found, agent=msgspec.structs.replace(found.agent, policy=name)),
            on_bus=True,
            tell=tell,
        )
        for name in agents.split(",")
    ]
    folders = []
    for number, scheme in enumerate(schemes, start=1):
        title = f"[{number}/{len(schemes)}] {scheme.agent.policy}"
        with Progress(title) as progress:
            result = runs.on_bus(scheme, None, progress.show, lambda launcher: None)
        if result.code:
            click.echo(f"{title} ended with code {result.code}; see {result.folder}/logs", err=True)
            return result.code
        wall_s, first_s = result.summary["wall_s"], result.summary["first_slot_s"]
        click.echo(f"{title}: {result.summary['slots']} slots in {wall_s:.1f} s (first after {first_s:.1f} s)")
        folders.append(result.folder)
    side_by_side(folders, folders[-1] / "compare.png")
    click.echo(f"\nnext: edgerig sim {found.name} --agent ils:30     edgerig run {found.name} --rate 60")
    return 0


def reports_of(folders: list[Path]) -> Any:
    """The module that compares runs of these runs' world."""
    from monitoring import rental_report, report

    return rental_report if rental_report.fits(folders) else report


def side_by_side(folders: list[Path], png: Path | None) -> None:
    """Print runs side by side, and draw them where a place for a picture is given."""
    import shutil

    from monitoring.report import ReportError

    try:
        reports = reports_of(folders)
        comparison = reports.compare(folders)
        click.echo("\n" + reports.table(comparison, min(100, shutil.get_terminal_size().columns)))
        if png is not None:
            reports.plot(comparison, png)
            click.echo(f"\nplot  {png}")
    except ReportError as error:
        raise click.ClickException(str(error)) from None


COMMANDS = [demo_command]
