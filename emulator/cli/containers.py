"""`edgerig compose`: a compose file of any size."""

from __future__ import annotations

import os
from pathlib import Path

import click

from emulator.containers import compose_document, yaml
from emulator.errors import ScenarioError
from emulator.run import prepare
from emulator.scenario_file import load, shipped_names

BASE = "compose.yaml"


@click.command("compose")
@click.argument("scenario")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key, e.g. processes.edge=5.")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="The file.  [default: stdout]")
@click.option("--base", type=click.Path(path_type=Path), default=BASE, show_default=True, help="The shipped file.")
def compose_command(scenario: str, changes: tuple[str, ...], out: Path | None, base: Path) -> None:
    """Write a compose file for SCENARIO: a container for each of its processes, as `[processes]` groups them."""
    found = prepare(load(scenario, changes), on_bus=True, elsewhere=True)
    if found.demand.kind == "trace":
        raise ScenarioError(f"{scenario}: reads a trace, which its containers would not have; mount it by hand")
    blank = [change for change in changes if change.split() != [change]]
    if blank:
        raise ScenarioError(f"--set {blank[0]}: has a blank, which cannot be handed on; write it into the scenario")
    if not base.is_file():
        raise click.ClickException(f"{base}: is not there; run this in the checkout, or name compose.yaml with --base")
    here = (out.parent if out is not None else Path()).resolve()
    is_file = scenario not in shipped_names()
    source = _seen_from(here, Path(scenario)) if is_file else scenario
    document = compose_document(found, source, changes, _seen_from(here, base), is_file=is_file)
    head = f"# Written by: edgerig compose {scenario}{''.join(f' --set {change}' for change in changes)}\n"
    text = head + yaml(document)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}; choose another -o") from None
    click.echo(f"{out}: {len(document['services'])} services; docker compose -f {out} up -d", err=True)


def _seen_from(folder: Path, path: Path) -> str:
    """A path relative to a folder, as compose wants it."""
    seen = os.path.relpath(path.resolve(), folder)
    return seen if seen.startswith(".") else f"./{seen}"


COMMANDS = [compose_command]
