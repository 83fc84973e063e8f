"""`edgerig bag`: record what travels on the bus, look at it, compare it, play it again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import click

from bus.errors import CallFailed, CallTimeout
from bus.messages import Query, Setup
from bus.names import OBSERVER
from bus.process import Process, stop_on_signals
from emulator.cli.bag_convert import convert_command
from emulator.cli.bag_play import play_command
from emulator.cli.columns import columns, width
from emulator.cli.decoded import plain
from emulator.cli.finding import ANSWER_S, HubSilent, Run, asking, find, hub_options
from emulator.recording import Plan, everything, record
from emulator.scenario_file import parse
from monitoring.bag_commits import digest_of
from monitoring.bag_facts import Comparison, chosen, compare, info
from monitoring.bag_reader import Bag, Record
from monitoring.bag_writer import ENCODINGS, RECORDING, BagError

DIFFERENT = 1
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("bag")
def bag_group() -> None:
    """Record a live run into an MCAP file, look at it, compare it, play it again."""


# -- record ------------------------------------------------------------------------------------------------------------


@bag_group.command("record")
@click.argument("patterns", nargs=-1, metavar="[TOPIC]...")
@click.option("--all", "everything_", is_flag=True, help="Every topic that the topic table has recorded.")
@click.option("-o", "--out", "path", type=FILE, required=True, help="The file; must not exist.")
@hub_options
@click.option("--encoding", type=click.Choice(ENCODINGS), default="json", show_default=True, help="Of the messages.")
@click.option("--duration", "duration_s", type=click.FloatRange(0, min_open=True), metavar="S", help="Stop after that.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document at the end, nothing else.")
def record_command(
    patterns: tuple[str, ...],
    everything_: bool,
    path: Path,
    hub: str | None,
    folder: Path | None,
    encoding: Any,
    duration_s: float | None,
    as_json: bool,
) -> int:
    """Record the TOPICs of a live run (/edge/*/outcome, /cell/**) until it ends or Ctrl-C; nobody waits for us."""
    if everything_ == bool(patterns):
        raise click.ClickException("name topics to record, or give --all")
    run = find(hub, folder)
    process = Process(f"record-{os.getpid()}", keys=run.keys())
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop_on_signals(process)
    try:
        plan = _plan(run, path, encoding, patterns)
        try:
            (name,) = process.join(run.address, OBSERVER, deadline_s=ANSWER_S)
        except CallTimeout as error:
            raise HubSilent(run.address, f"call 'lease' got no reply within {error.deadline_s:g} s") from None
        end_s = process.clock() + (duration_s or float("inf"))
        done = record(process, process.node(name), run.address, plan, enough=lambda: process.clock() > end_s)
    except BagError as error:
        raise click.ClickException(str(error)) from None
    finally:
        process.close("(record ended)")
        for number, handler in before.items():
            signal.signal(number, handler)
    findings = done.findings
    if as_json:
        click.echo(json.dumps({"file": str(path), "reason": done.reason, **findings.facts()}, indent=2))
    else:
        click.echo(f"{path}: {findings.messages} messages, {findings.lost} lost ({done.reason})")
    for topic in findings.unknown:
        click.echo(f"not recorded: {topic} is in no topic table here", err=True)
    for gap in findings.gaps:
        click.echo(f"lost: {gap}", err=True)
    return done.code


def _plan(run: Run, path: Path, encoding: Any, patterns: tuple[str, ...]) -> Plan:
    named = chosen(patterns)
    wanted = everything if not patterns else named
    with asking(run) as client:
        try:
            text = client.call("setup", Query(), Setup).scenario
        except CallFailed:
            return Plan(path, encoding, wanted)  # a hub that conducts nothing
    return Plan(path, encoding, wanted, parse(text, origin="the hub's scenario"), text)


# -- info, digest ------------------------------------------------------------------------------------------------------


@bag_group.command("info")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def info_command(path: Path, as_json: bool) -> int:
    """Say what FILE holds, whole or as a crash left it."""
    facts = _guarded(lambda: info(Bag(path)))
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return 0
    run, recording = facts["run"], facts["recording"]
    click.echo(f"{path}: {facts['messages']} messages in {facts['duration_s']:.1f} s, {facts['file_bytes']} B")
    if run.get("name"):
        click.echo(f"run        {run['name']}, agent {run['agent']}, seed {run['seed']}, {run['clock']} clock")
    click.echo(f"slots      {facts['slots']} committed, {facts['attempts_again']} of them computed again")
    click.echo(f"worth      {_worth(facts, recording)}")
    if recording.get("digest"):
        click.echo(f"digest     {recording['digest'][:16]} (as the hub said; `edgerig bag digest` computes it)")
    head = ("TOPIC", "TYPE", "MESSAGES", "HZ", "BYTES", "SLOTS", "ENCODING", "QOS", "PLANE")
    rows = [_row(topic) for topic in facts["topics"]]
    click.echo("\n".join(columns(head, rows, width(), ("QOS", "ENCODING", "PLANE"))))
    return 0


def _row(topic: dict[str, Any]) -> list[str]:
    rate = "" if topic["rate_hz"] is None else f"{topic['rate_hz']:.4g}"
    slots = "-".join(str(slot) for slot in dict.fromkeys(topic["slots"]))
    counts = (str(topic["messages"]), rate, str(topic["bytes"]), slots)
    return [topic["topic"], topic["type"], *counts, topic["encoding"], topic["qos"], topic["plane"]]


def _worth(facts: dict[str, Any], recording: dict[str, str]) -> str:
    if not facts["whole"]:
        return f"{facts['damage']}; what is listed can be read, and `edgerig bag convert` makes a whole file of it"
    if facts["complete"]:
        proof = "compared with every publisher" if recording.get("proven") == "true" else "as far as can be told"
        return f"complete, {proof}; ended: {recording['reason']}"
    if not recording:
        return "the recorder wrote no end"
    return f"NOT complete: {recording['lost']} messages lost ({recording['gaps']})"


@bag_group.command("digest")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def digest_command(path: Path, as_json: bool) -> int:
    """Compute the run's digest from the messages in FILE; exit 1 where the hub said another."""
    bag = Bag(path)
    check = _guarded(lambda: digest_of(bag.records()))
    said = bag.notes.get(RECORDING, {}).get("digest", "")
    if as_json:
        facts = {"digest": check.digest, "said": said or None, "messages": check.messages, "missing": check.missing}
        click.echo(json.dumps(facts, indent=2))
    else:
        click.echo(check.digest)
        for line in check.missing[:8]:
            click.echo(f"missing: {line}", err=True)
        if said and said != check.digest:
            click.echo(f"the hub said {said}", err=True)
        if bag.notes.get("run", {}).get("clock") == "wall":
            click.echo("recorded on the wall clock, where what came too late is not in the hub's digest", err=True)
    return DIFFERENT if check.missing or (said and said != check.digest) else 0


# -- diff --------------------------------------------------------------------------------------------------------------


@bag_group.command("diff")
@click.argument("ours", metavar="A", type=FILE)
@click.argument("theirs", metavar="B", type=FILE)
@click.option("--topic", "patterns", multiple=True, metavar="TOPIC", help="Only these (repeat; * and ** as in record).")
@click.option("--control", is_flag=True, help="Also ticks, rosters and acknowledgements.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def diff_command(ours: Path, theirs: Path, patterns: tuple[str, ...], control: bool, as_json: bool) -> int:
    """Compare what counts in two bags, by slot and topic; exit 1 where they differ."""
    planes = ("data", "control") if control else ("data",)
    found = _guarded(lambda: compare(Bag(ours), Bag(theirs), chosen(patterns), planes))
    if as_json:
        click.echo(json.dumps(_difference(found), indent=2))
    else:
        _tell(found, ours, theirs)
    return 0 if found.same else DIFFERENT


def _difference(found: Comparison) -> dict[str, Any]:
    first = found.first
    return {
        "same": found.same,
        "first": first
        and {"slot": first.slot, "topic": first.topic, "a": _shown(first.ours), "b": _shown(first.theirs)},
        "equal": found.equal,
        "different": found.different,
        "only_a": found.only_ours,
        "only_b": found.only_theirs,
    }


def _tell(found: Comparison, ours: Path, theirs: Path) -> None:
    names = sorted({*found.equal, *found.different, *found.only_ours, *found.only_theirs})
    parts = (found.equal, found.different, found.only_ours, found.only_theirs)
    rows = [[name, *(str(part.get(name, 0)) for part in parts)] for name in names]
    differing = [row for row in rows if row[2:] != ["0", "0", "0"]]
    if found.first is None:
        click.echo(f"no difference: {sum(found.equal.values())} messages on {len(rows)} topics")
        return
    click.echo("\n".join(columns(("TOPIC", "EQUAL", "DIFFERENT", "ONLY A", "ONLY B"), differing, width(), ())))
    click.echo(f"{len(rows) - len(differing)} topics more are equal")
    first = found.first
    click.echo(f"first difference: slot {first.slot}, {first.topic}")
    for name, path, record_ in (("A", ours, first.ours), ("B", theirs, first.theirs)):
        shown = "nothing" if record_ is None else json.dumps(_shown(record_))
        click.echo(f"  {name} {path}: {shown[:400]}")


def _shown(found: Record | None) -> Any:
    if found is None:
        return None
    from bus.codec import decode

    return plain(decode(found.payload(), found.message_type()))


def _guarded(action: Any) -> Any:
    try:
        return action()
    except BagError as error:
        raise click.ClickException(str(error)) from None


bag_group.add_command(convert_command)
bag_group.add_command(play_command)

COMMANDS = [bag_group]
