"""`edgerig check` and `edgerig schema`."""

from __future__ import annotations

import json

import click

from emulator.run import prepare
from emulator.scenario import Scenario, schema
from emulator.scenario_file import dump, load, shipped_names


@click.command("check")
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a key first.")
@click.option("--show", is_flag=True, help="Print the scenario with every key.")
def check_command(scenarios: tuple[str, ...], changes: tuple[str, ...], show: bool) -> None:
    """Say everything that is wrong with SCENARIOS, each with its place."""
    for name in scenarios:
        scenario = prepare(load(name, changes), on_bus=False)
        if show:
            click.echo(dump(scenario), nl=False)
        else:
            click.echo(f"{name}: fine; {_sizes(scenario)}")


def _sizes(scenario: Scenario) -> str:
    if scenario.rental is not None:
        users, spec = scenario.rental.users, scenario.rental.spec
        return (
            f"rental, spec {spec}, N={scenario.edges.count} K={scenario.rental.units}, "
            f"{users.mean:.1f} users of {users.pool}, {scenario.slots} slots"
        )
    edges, services = scenario.edges.count, scenario.services.count
    return f"M={edges} J={services} K={scenario.slots_per_frame}, {scenario.frames} frames"


@click.command("schema")
@click.option("--names", is_flag=True, help="List the shipped scenarios instead.")
def schema_command(names: bool) -> None:
    """Print the JSON schema of scenarios."""
    if names:
        for name in shipped_names():
            click.echo(f"{name:16} {load(name).description}")
    else:
        click.echo(json.dumps(schema(), indent=2))


COMMANDS = [check_command, schema_command]
