"""`edgerig clock`: where the run's time stands, and who holds it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bus.diagnosis import document, sentence
from bus.errors import CallFailed
from bus.messages import ClockStatus, Query
from emulator.cli.finding import asking, find, hub_options


@click.group("clock")
def clock_group() -> None:
    """The time of a live run."""


@clock_group.command("status")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def status_command(hub: str | None, folder: Path | None, as_json: bool) -> int:
    """Say which slot the run is in, for how long, and who holds it back. Exit code 1 while it stands still."""
    run = find(hub, folder)
    with asking(run) as client:
        try:
            status = client.call("clock_status", Query(), ClockStatus)
        except CallFailed:
            raise click.ClickException(f"the hub at {run.address} conducts no run") from None
    click.echo(json.dumps(document(status), indent=2) if as_json else "\n".join(_lines(status)))
    return 1 if status.stage else 0


def _lines(status: ClockStatus) -> list[str]:
    if status.slot < 0:
        return [f"{status.phase}: no slot yet ({status.clock})"]
    where = f"slot {status.slot} of {status.slots}, frame {status.frame}, attempt {status.attempt}"
    lines = [f"{status.phase} ({status.clock}): {where}, for {status.age_s:.2f} s"]
    if status.clock == "wall":
        lines.append(f"slots closed before everyone was done: {status.late_slots}")
    if status.stage:
        lines.append(f"it stands still ({status.stage}); not done: {', '.join(status.unacknowledged) or 'nobody'}")
        lines += [f"{'held by ' if holder.cause else '  '}{sentence(holder)}" for holder in status.holders]
    return lines


COMMANDS = [clock_group]
