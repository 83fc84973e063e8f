"""`edgerig import` and `edgerig inspect`: real traces to canonical demand, and a look at it."""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from emulator.traces import load_demand
from emulator.traces_convert import Options
from emulator.traces_import import Request, import_traces
from emulator.traces_inspect import draw, summarise
from emulator.traces_kind import KINDS

UNITS_S = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    "ms": 0.001,
    "": 1.0,
}


def seconds(text: str) -> float:
    """A time such as 10min, 90s, 1h or 2days; a bare number is seconds."""
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", text.lower())
    if match is None or match[2] not in UNITS_S:
        raise click.BadParameter(f"{text!r} is not a time such as 10min, 90s, 1h or 600 (seconds)")
    return float(match[1]) * UNITS_S[match[2]]


def positive_seconds(text: str) -> float:
    """A length of time."""
    length_s = seconds(text)
    if length_s == 0.0:
        raise click.BadParameter("must be more than 0 s")
    return length_s


def slot_range(text: str) -> tuple[int, int | None]:
    """A:B, the first slot and the one after the last; either may be left out."""
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if match is None or (match[2] and int(match[2]) <= int(match[1] or 0)):
        raise click.BadParameter(f"{text!r} is not a range of slots such as 0:144 (144 is not in it)")
    return int(match[1] or 0), int(match[2]) if match[2] else None


def named_kind(text: str) -> tuple[str, str]:
    """KIND for every trace, or NAME=KIND for the file or folder of that name."""
    name, _, kind = text.rpartition("=")
    if kind not in KINDS:
        raise click.BadParameter(f"{kind!r} is not one of {', '.join(KINDS)}")
    return name, kind


FILE = click.Path(path_type=Path)


@click.command("import")
@click.argument("paths", metavar="FILES_OR_DIRS...", nargs=-1, required=True, type=FILE)
@click.option("-o", "--out", required=True, type=FILE, help="Folder to write; an existing one is refused.")
@click.option(
    "--slot",
    "slot_s",
    type=positive_seconds,
    metavar="TIME",
    help="Length of a slot: 10min.  [default: the trace's]",
)
@click.option(
    "--row",
    "row_s",
    type=positive_seconds,
    metavar="TIME",
    help="Length of a row named by 'slot'.  [default: --slot]",
)
@click.option("--scale", type=click.FloatRange(0.0, min_open=True), default=1.0, help="Tasks for a unit of the trace.")
@click.option(
    "--round",
    "rounding",
    type=click.Choice(["nearest", "poisson"]),
    default="nearest",
    help="nearest: whole tasks, the error carried to the next slot; poisson: independent draws.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Of the poisson draws.")
@click.option("--top", type=click.IntRange(1), metavar="J", help="Keep the J services asked for most.")
@click.option("--rest", type=click.Choice(["other", "drop"]), default="other", help="What becomes of the others.")
@click.option("--cells", type=FILE, help="Table of cells: cell and row,col or lat,lon.")
@click.option("--sites", type=FILE, help="The same, for events with lat,lon: each goes to the nearest site.")
@click.option("--max-distance", type=click.FloatRange(0.0), metavar="METRES", help="Farther events are dropped.")
@click.option("--services", type=FILE, help="Table of services: service,size_bytes,task_bytes,task_cycles.")
@click.option("--from", "start_s", type=seconds, metavar="TIME", help="Time in the trace where slot 0 begins.")
@click.option("--to", "end_s", type=seconds, metavar="TIME", help="Time in the trace where the last slot ends.")
@click.option("--slots", type=slot_range, metavar="A:B", help="The same in slots, e.g. 0:144.")
@click.option(
    "--kind",
    "kinds",
    type=named_kind,
    multiple=True,
    metavar="[NAME=]KIND",
    help=f"One of {', '.join(KINDS)}.",
)
@click.option("--ignore-column", "ignored", multiple=True, metavar="NAME", help="Pass over a column.")
@click.option("--source", default="", metavar="TEXT", help="Where the data come from, where no README says it.")
@click.option("--licence", default="", metavar="TEXT", help="Terms of the data, where no README says them.")
def import_command(paths: tuple[Path, ...], out: Path, **given: Any) -> None:
    """Turn real traces into canonical demand.

    A trace is counts (wide or long) or events, told from its header; a folder stands for the traces and tables in it.
    A trace by cell and one by service multiply: every cell's demand is split by the services' shares in that slot.
    """
    if given["cells"] and given["sites"]:
        raise click.UsageError("--cells and --sites are the same table; give one of them")
    if given["slots"] and (given["start_s"] is not None or given["end_s"] is not None):
        raise click.UsageError("--slots and --from/--to say the same; give one of them")
    if not math.isfinite(given["scale"]):
        raise click.UsageError("--scale must be finite")
    far = given["max_distance"]
    chosen = ("slot_s", "row_s", "scale", "rounding", "seed", "top", "rest", "start_s", "end_s", "slots")
    request = Request(
        paths=paths,
        out=out,
        options=Options(**{key: given[key] for key in chosen}, max_distance_m=math.inf if far is None else far),
        kinds=dict(given["kinds"]),
        ignored=frozenset(given["ignored"]),
        cells=given["cells"] or given["sites"],
        services=given["services"],
        source=given["source"],
        licence=given["licence"],
        command=_command_line(click.get_current_context()),
    )
    manifest = import_traces(request, _progress if sys.stderr.isatty() else lambda path, rows: None)
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    for note in manifest["notes"]:
        click.echo(f"note: {note}", err=True)
    click.echo(_written(out, manifest))


def _progress(path: Path, rows: int) -> None:
    click.echo(f"\r\x1b[K{path.name}: {rows:,} rows", nl=False, err=True)


def _command_line(ctx: click.Context) -> str:
    """The command as it was given; of files only the names, so that no private path is published with the demand."""
    words = ["edgerig", "import"]
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if source is None or source.name != "COMMANDLINE":
            continue
        value = ctx.params[parameter.name or ""]
        for item in value if parameter.multiple or parameter.nargs == -1 else [value]:
            option = [parameter.opts[-1]] if isinstance(parameter, click.Option) else []
            words += [*option, _word(item)]
    return shlex.join(words)


def _word(value: Any) -> str:
    if isinstance(value, Path):
        return value.name or value.resolve().name
    if isinstance(value, tuple):
        first, second = value
        return (
            f"{first}={second}" if first and isinstance(first, str) else f"{first}:{'' if second is None else second}"
        )
    return f"{value:g}" if isinstance(value, float) else str(value)


def _written(out: Path, manifest: dict[str, Any]) -> str:
    mass, slots, cells = manifest["mass"], manifest["slots"], manifest["cells"]
    each, off = mass["tasks"] / (slots * cells), mass["tasks_off_by_sqrt_mass"]
    size = f"{slots} slots of {manifest['slot_s']:g} s, {cells} cells, {manifest['services']} services"
    drawn = f"{mass['tasks']:,} drawn ({manifest['round']}; {off:+.2f} sqrt(mass)), {each:.2f} per cell and slot"
    return "\n".join([f"{out}: {size}", *_mass_lines(mass, manifest["scale"]), f"  tasks    {drawn}"])


def _mass_lines(mass: dict[str, Any], scale: float) -> list[str]:
    reasons = ", ".join(f"{reason} {_amount(amount)}" for reason, amount in mass["dropped"].items()) or "nothing"
    return [
        f"  mass     {_amount(mass['in'])} in x {scale:g} = {_amount(mass['scaled'])}",
        f"         = {_amount(mass['out'])} out + {_amount(mass['dropped_sum'])} dropped ({reasons})",
    ]


def _amount(mass: float) -> str:
    return f"{mass:,.1f}" if mass >= 1000.0 else f"{mass:.4g}"


@click.command("inspect")
@click.argument("folder", metavar="DIR", type=FILE)
@click.option("--plot", type=FILE, metavar="FILE.png", help="Draw demand over time, cells and services.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def inspect_command(folder: Path, plot: Path | None, as_json: bool) -> None:
    """Show what canonical demand holds, where it comes from and on which terms."""
    demand = load_demand(folder)
    figures = summarise(demand)
    click.echo(json.dumps(figures, indent=2) if as_json else _summary(folder, figures, demand.manifest))
    if plot is not None:
        draw(demand, plot)
        click.echo(f"plot: {plot}", err=True)


def _summary(folder: Path, figures: dict[str, Any], manifest: dict[str, Any]) -> str:
    per_slot, slope = figures["tasks_per_slot"], figures["rank_slope"]
    each = figures["tasks_per_cell_and_slot_mean"]
    spread = f"{per_slot['mean']:,.1f} mean, {per_slot['least']:,} least, {per_slot['peak']:,} most"
    lines = [
        f"{folder}: canonical demand",
        f"  slots    {figures['slots']} of {figures['slot_s']:g} s ({figures['slots'] * figures['slot_s'] / 3600:g} h)",
        f"  cells    {figures['cells']}; busiest {_shares(figures['busiest_cells'])}",
        f"  services {figures['services']}; top {_shares(figures['top_services'])}",
        f"  slope    {'too few services' if slope is None else f'{slope:.2f}'} (log tasks over log rank)",
        f"  tasks    {figures['tasks']:,}; a slot {spread} (slot {figures['peak_slot']}); {each:.2f} per cell and slot",
        *(_mass_lines(figures["mass"], manifest["scale"]) if figures["mass"] else []),
        *(f"  note     {note}" for note in figures["notes"]),
        *(f"  licence  {origin['name']}: {_first_line(origin['licence'])}" for origin in figures["sources"]),
        f"  digest   {figures['digest']}",
    ]
    return "\n".join(lines)


def _shares(ranked: list[dict[str, Any]]) -> str:
    return ", ".join(f"{entry['name']} {100.0 * entry['share']:.1f} %" for entry in ranked)


def _first_line(text: str) -> str:
    """The first sentence's worth of a licence text; the manifest has all of it."""
    flat = re.sub(r"^licen[cs]e\. ", "", " ".join(text.replace("*", "").split()), flags=re.IGNORECASE)
    return flat if len(flat) <= 100 else flat[:97].rstrip() + "..."


COMMANDS = [import_command, inspect_command]
