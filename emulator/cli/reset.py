"""`edgerig reset`: a live run starts its scenario again with another seed, in the same processes."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import click

from bus.client import Client
from bus.credentials import LAUNCHER
from bus.errors import CallFailed
from bus.messages import Query, Reset, ResetStatus
from emulator.cli.finding import asking, find, hub_options

AGAIN_S = 0.02
"""How often the hub is asked whether it is done."""


@click.command("reset")
@click.option("--seed", type=click.IntRange(0), help="Of the new episode.  [default: the present one plus 1]")
@click.option("--wait", "wait_s", type=click.FloatRange(0), default=60.0, show_default=True, help="Seconds at most.")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def reset_command(seed: int | None, wait_s: float, hub: str | None, folder: Path | None, as_json: bool) -> int:
    """Start the scenario again at slot 0 with another seed: same processes, same links, nothing remembered.

    It begins when the present slot is committed. Exit code 3 if it is not done within --wait.
    """
    run = find(hub, folder)
    with asking(run, role=LAUNCHER) as client:
        try:
            asked = client.call("reset", Reset(-1 if seed is None else seed), ResetStatus)
        except CallFailed as error:
            raise click.ClickException(why(error, run.address)) from None
        status = _await(client, asked.asked, wait_s)
    if status.problem:
        raise click.ClickException(status.problem)
    done = status.done >= asked.asked
    if as_json:
        fields = {name: getattr(status, name) for name in status.__struct_fields__}
        click.echo(json.dumps({"hub": run.address, **fields}, indent=2))
    elif done:
        click.echo(
            f"reset {status.done}: seed {status.seed} from slot 0 on, after {status.slots} slots;"
            f" it took {status.took_s * 1e3:.0f} ms"
        )
    else:
        waiting = "; ".join(status.waiting) or "the present slot is not committed yet (edgerig clock status)"
        click.echo(f"reset {asked.asked} is not done within {wait_s:g} s: {waiting}", err=True)
    return 0 if done else 3


def why(error: CallFailed, address: str) -> str:
    """What a refusal means to people."""
    return f"the hub at {address} conducts no run" if error.kind == "unknown_method" else error.text


def _await(client: Client, number: int, wait_s: float) -> ResetStatus:
    end_s, pause = time.monotonic() + wait_s, threading.Event()
    while True:
        status = client.call("reset_status", Query(), ResetStatus)
        if status.done >= number or status.problem or time.monotonic() >= end_s:
            return status
        pause.wait(AGAIN_S)


COMMANDS = [reset_command]
