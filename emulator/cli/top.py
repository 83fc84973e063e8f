"""`edgerig top`: the processes of a live run, over and over: how much they send, how far they are, what they use."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import click

from bus.messages import Beat, Query, RunStatus, Vital, Vitals
from emulator.cli.columns import columns, natural, width
from emulator.cli.finding import asking, find, hub_options, run_status
from emulator.cli.picture import span

INTERRUPTED = 130
LEAST_S = 0.05  # two beats closer than that are one
SORTS = ("name", "messages", "bytes", "lag", "memory", "cpu")
HEAD = ("PROCESS", "NODES", "STATE", "LIFECYCLE", "SLOT", "LAG", "MSG/S", "kB/S", "CPU %", "MB", "PID")
SPARE = ("PID", "NODES", "LIFECYCLE", "kB/S", "SLOT")


@click.command("top")
@hub_options
@click.option("--every", "every_s", type=click.FloatRange(0.2), default=2.0, show_default=True, metavar="S")
@click.option(
    "--count", type=click.IntRange(1), metavar="N", help="Stop after N tables.  [default: 1 without a terminal]"
)
@click.option("--sort", type=click.Choice(SORTS), default="name", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a table.")
def top_command(
    hub: str | None, folder: Path | None, every_s: float, count: int | None, sort: str, as_json: bool
) -> int:
    """Show the processes of a run, again and again until Ctrl-C.

    Rates are from one sign of life to the next, a second or so; LAG is the time since the last of them.
    """
    run = find(hub, folder)
    redraws = sys.stdout.isatty() and not as_json
    most = count if count is not None else (None if redraws else 1)
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda _number, _frame: stopped.set())
    shown = 0
    try:
        with asking(run) as client:
            rates = Rates()
            rates.look(client.call("vitals", Query(), Vitals))
            while most is None or shown < most:
                if stopped.wait(every_s):
                    return INTERRUPTED
                now, status = client.call("vitals", Query(), Vitals), run_status(client)
                rows = sorted(rates.look(now), key=lambda row: _key(row, sort))
                if as_json:
                    click.echo(json.dumps({"run": _run(status), "processes": rows}))
                else:
                    click.echo(("\033[H\033[2J" if redraws else "") + "\n".join(_lines(rows, status)))
                shown += 1
    finally:
        signal.signal(signal.SIGINT, before)
    return 0


class Rates:
    """What processes did from one beat to the next: beats come once in a while, looks at them more often."""

    def __init__(self) -> None:
        self._beats: dict[int, tuple[float, Beat]] = {}
        self._rates: dict[int, tuple[float, float, float]] = {}

    def look(self, vitals: Vitals) -> list[dict[str, Any]]:
        """A row for each process; rates are 0 before its second beat."""
        return [self._row(vital, vitals.clock_s - vital.quiet_s) for vital in vitals.processes]

    def _row(self, vital: Vital, beat_s: float) -> dict[str, Any]:
        beat = vital.beat
        old_s, old = self._beats.get(vital.instance, (beat_s, beat))
        passed_s = beat_s - old_s
        if passed_s > LEAST_S:
            gained = (
                beat.messages - old.messages,
                beat.wire_bytes - old.wire_bytes,
                beat.processor_s - old.processor_s,
            )
            self._rates[vital.instance] = tuple(gain / passed_s for gain in gained)  # type: ignore[assignment]
        if passed_s > LEAST_S or vital.instance not in self._beats:
            self._beats[vital.instance] = beat_s, beat
        messages, wire_bytes, processor = self._rates.get(vital.instance, (0.0, 0.0, 0.0))
        return {
            "process": vital.process,
            "nodes": list(vital.nodes),
            "state": vital.state,
            "lifecycle": list(vital.lifecycle),
            "slot": beat.slot,
            "lag_s": vital.quiet_s,
            "messages_per_s": messages,
            "wire_bytes_per_s": wire_bytes,
            "cpu_share": processor,
            "memory_bytes": beat.memory_bytes,
            "pid": vital.pid,
            "waiting": list(beat.waiting),
        }


def _key(row: dict[str, Any], sort: str) -> Any:
    names = {"messages": "messages_per_s", "bytes": "wire_bytes_per_s", "lag": "lag_s", "memory": "memory_bytes"}
    return natural(row["process"]) if sort == "name" else -row[names.get(sort, "cpu_share")]


def _run(status: RunStatus | None) -> dict[str, Any] | None:
    return None if status is None else {"phase": status.phase, "slot": status.slot, "slots": status.slots}


def counted(states: list[str]) -> str:
    """The lifecycle states of a process's nodes, in short."""
    numbers = Counter(states)
    return next(iter(numbers), "") if len(numbers) < 2 else ", ".join(f"{n} {state}" for state, n in numbers.items())


def _lines(rows: list[dict[str, Any]], status: RunStatus | None) -> list[str]:
    total = {key: sum(row[key] for row in rows) for key in ("messages_per_s", "wire_bytes_per_s", "cpu_share")}
    memory = sum(row["memory_bytes"] for row in rows)
    where = f"{status.phase}, slot {status.slot} of {status.slots}  " if status is not None else ""
    head = (
        f"{where}{len(rows)} processes  {total['messages_per_s']:.0f} messages/s  "
        f"{total['wire_bytes_per_s'] / 1e3:.0f} kB/s  {100 * total['cpu_share']:.0f} % CPU  {memory / 1e6:.0f} MB"
    )
    cells = [
        [
            row["process"],
            span(row["nodes"]),
            row["state"],
            counted(row["lifecycle"]),
            str(row["slot"]) if row["state"] != "hub" else "",
            f"{row['lag_s']:.1f} s" if row["state"] != "hub" else "",
            f"{row['messages_per_s']:.0f}",
            f"{row['wire_bytes_per_s'] / 1e3:.1f}",
            f"{100 * row['cpu_share']:.0f}",
            f"{row['memory_bytes'] / 1e6:.0f}",
            str(row["pid"]),
        ]
        for row in rows
    ]
    return [head[: width()], *columns(HEAD, cells, width(), SPARE)]


COMMANDS = [top_command]
