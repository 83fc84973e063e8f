"""`edgerig doctor`: what is wrong with this machine or a live run, and the remedy."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from bus.client import Client
from bus.messages import Query, RunStatus, Setup
from emulator.cli.finding import HubSilent, Run, State, asking, find, hub_options, look
from emulator.doctor import Finding, examine_machine

LOST = 3
USAGE = 2
STALL_S = 2.0
"""How long a slot in lockstep is watched before it is called stalled."""

MARKS = {"ok": "ok  ", "note": "note", "problem": "BAD "}


@click.command("doctor")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--health", is_flag=True, help="One line: does the hub answer? For container health checks.")
def doctor_command(hub: str | None, folder: Path | None, as_json: bool, health: bool) -> int:
    """Say what is wrong with this machine and with the live run, if there is one, and what to do.

    Exit code 0: nothing; 2: something needs a hand; 3: the hub does not answer.
    """
    if health:
        return _health(hub, folder)
    findings, silent = examine_machine(), False
    try:
        run = _run(hub, folder)
        findings += _examine_run(run) if run is not None else [Finding("run", "ok", "no live run here to look at")]
    except HubSilent as error:
        silent = True
        findings.append(Finding("run", "problem", str(error), "name another with --run DIR or --hub ADDRESS"))
    problems = [finding for finding in findings if finding.level == "problem"]
    if as_json:
        click.echo(json.dumps({"fine": not problems, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        _tell(findings, problems)
    if silent:
        return LOST
    return USAGE if problems else 0


def _run(hub: str | None, folder: Path | None) -> Run | None:
    """The run to look at; that there is none is no fault unless one was named."""
    try:
        return find(hub, folder)
    except click.ClickException:
        if hub is not None or folder is not None or os.environ.get("EDGERIG_HUB"):
            raise
        return None


def _tell(findings: list[Finding], problems: list[Finding]) -> None:
    size = max(len(finding.check) for finding in findings)
    for finding in findings:
        click.echo(f"{MARKS[finding.level]} {finding.check:{size}}  {finding.text}")
        if finding.remedy:
            click.echo(f"{'':{size + 5}}  -> {finding.remedy}")
    click.echo(f"{len(problems)} problems" if len(problems) != 1 else "1 problem")


# -- a live run --------------------------------------------------------------------------------------------------------


def _examine_run(run: Run) -> Iterator[Finding]:
    state = look(run)
    where = f"{run.folder} at {run.address}" if run.folder is not None else run.address
    if state.run is None:
        yield Finding("run", "ok", f"{where}: {len(state.peers)} processes")
    else:
        at = f"{state.run.phase}, slot {state.run.slot + 1}/{state.run.slots}"
        yield Finding("run", "ok", f"{where}: {at}, {len(state.peers)} processes")
    yield from _missing(state)
    yield from _stalled(run, state)
    if state.run is not None and state.run.phase == "running":
        for note in state.run.notes:
            yield Finding("run notes", "note", note)


def _missing(state: State) -> Iterator[Finding]:
    for sentence in state.status.missing:
        remedy = "`edgerig node start KIND --hub ADDRESS` brings a node back" if sentence.startswith("nobody") else ""
        yield Finding("nodes", "problem", sentence, remedy)
    if not state.status.missing:
        yield Finding("nodes", "ok", "every name is held, every link is matched")


def _stalled(run: Run, state: State) -> Iterator[Finding]:
    """A slot in lockstep that does not end while we watch."""
    if state.run is None or state.run.phase != "running":
        return
    with asking(run) as client:
        if client.call("setup", Query(), Setup).slot_wall_s:
            return
        if _moves(client, state.run.slot):
            yield Finding("slots", "ok", "slots are being computed")
            return
        waiting = client.status().waiting
    text = f"slot {state.run.slot} has not ended for {STALL_S:g} s; {'; '.join(waiting[:8]) or 'nobody says why'}"
    yield Finding("slots", "problem", text, "look into the run folder's logs/ of who is waited for")


def _moves(client: Client, slot: int) -> bool:
    end_s = time.monotonic() + STALL_S
    while time.monotonic() < end_s:
        now = client.call("run_status", Query(), RunStatus)
        if now.slot != slot or now.phase != "running":
            return True
    return False


def _health(hub: str | None, folder: Path | None) -> int:
    """Healthy is: the hub answers and is not ending. Who is missing meanwhile is said, and is no ill health."""
    try:
        state = look(find(hub, folder))
    except HubSilent as error:
        click.echo(f"unhealthy: {error}")
        return LOST
    except click.ClickException as error:
        click.echo(f"unhealthy: {error.message}")
        return USAGE
    missing = f", {len(state.status.missing)} missing" if state.status.missing else ""
    if state.run is None:
        click.echo(f"healthy: {len(state.peers)} processes{missing}")
        return 0
    slot = f"slot {state.run.slot + 1}/{state.run.slots}"
    fine = state.run.phase != "ending"
    word = "healthy" if fine else "unhealthy"
    click.echo(f"{word}: {state.run.phase}, {slot}, {len(state.peers)} processes{missing}")
    return 0 if fine else LOST


COMMANDS = [doctor_command]
