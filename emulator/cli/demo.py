"""`edgerig demo` and `edgerig compare`: schemes side by side."""

from __future__ import annotations

import dataclasses
import json
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
    _side_by_side(folders, folders[-1] / "compare.png")
    click.echo(f"\nnext: edgerig sim {found.name} --agent ils:30     edgerig run {found.name} --rate 60")
    return 0


@click.command("compare")
@click.argument("folders", nargs=-1, required=True, metavar="RUN...", type=click.Path(exists=True, file_okay=False))
@click.option("--plot", "png", type=click.Path(), help="Where the picture goes; beside the last run if left out.")
@click.option("--no-plot", is_flag=True, help="Only the table.")
@click.option("--json", "as_json", is_flag=True, help="One document on stdout.")
def compare_command(folders: tuple[str, ...], png: str | None, no_plot: bool, as_json: bool) -> None:
    """Put RUN folders side by side: table and delay plot."""
    paths = [Path(folder) for folder in folders]
    if as_json:
        from monitoring.report import ReportError

        try:
            comparison = _reports(paths).compare(paths)
        except ReportError as error:
            raise click.ClickException(str(error)) from None
        click.echo(json.dumps(_document(comparison), indent=2))
        return
    _side_by_side(paths, None if no_plot else Path(png) if png else paths[-1] / "compare.png")


def _document(comparison: Any) -> dict[str, Any]:
    """A comparison as JSON: of a run its folder, not all its tables."""
    rows = [
        {each.name: getattr(row, each.name) for each in dataclasses.fields(row)} | {"run": str(row.run.folder)}
        for row in comparison.rows
    ]
    document: dict[str, Any] = msgspec.to_builtins({"rows": rows, "notes": comparison.notes})
    return document


def _reports(folders: list[Path]) -> Any:
    """The module that compares runs of these runs' world."""
    from monitoring import rental_report, report

    return rental_report if rental_report.fits(folders) else report


def _side_by_side(folders: list[Path], png: Path | None) -> None:
    import shutil

    from monitoring.report import ReportError

    try:
        reports = _reports(folders)
        comparison = reports.compare(folders)
        click.echo("\n" + reports.table(comparison, min(100, shutil.get_terminal_size().columns)))
        if png is not None:
            reports.plot(comparison, png)
            click.echo(f"\nplot  {png}")
    except ReportError as error:
        raise click.ClickException(str(error)) from None


COMMANDS = [demo_command, compare_command]
