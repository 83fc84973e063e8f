"""`edgerig log`: what the processes of a live run log, as they log it."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import click

from bus import topics
from bus.codec import Header
from bus.logs import LEVELS, TOPIC
from bus.messages import LogEntry, TopicRecord
from emulator.cli.finding import find, hub_options
from emulator.cli.observing import Outlet, observe

SHORT_S = 0.1


@click.command("log")
@hub_options
@click.option("--level", type=click.Choice(LEVELS, case_sensitive=False), default="DEBUG", help="At least that grave.")
@click.option("--node", default="", metavar="NODE", help="Only what that node logs.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Stop after N records.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
def log_command(hub: str | None, folder: Path | None, level: str, node: str, count: int | None, as_json: bool) -> int:
    """Print what is logged, until Ctrl-C; `edgerig param set NODE log_level DEBUG` makes a node say more."""
    lowest = logging.getLevelNamesMapping()[level.upper()]
    wanted = node if not node or node.startswith("/") else f"/{node}"
    outlet, seen = Outlet(), 0

    def show(entry: LogEntry, _header: Header) -> None:
        nonlocal seen
        if observer.enough or entry.level < lowest or (wanted and entry.node != wanted):
            return
        seen += 1
        outlet.say(json.dumps(_document(entry)) if as_json else line(entry))
        observer.enough = seen == count

    spec = topics.match(TOPIC)
    record = TopicRecord(TOPIC, 0, spec.qos.reliable, spec.qos.latched)
    with observe(find(hub, folder), "log", record, show) as observer:
        while not observer.spin(SHORT_S):
            outlet.flush()
        outlet.close()
        if observer.lost:
            click.echo(f"{observer.lost} records lost on the way to this tool", err=True)
        return observer.code


def line(entry: LogEntry) -> str:
    """A record as a line: clock, simulated time, level, node, text, place."""
    seconds, rest_ns = divmod(entry.wall_ns, 1_000_000_000)
    clock = f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest_ns // 1_000_000:03d}"
    word = logging.getLevelName(entry.level)
    return f"{clock}  sim {entry.sim_s:g} s  {word:<8} {entry.node}  {entry.text}  ({entry.file}:{entry.line})"


def _document(entry: LogEntry) -> dict[str, Any]:
    found = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return {**found, "level": logging.getLevelName(entry.level)}


COMMANDS = [log_command]
