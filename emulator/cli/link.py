"""`edgerig link`: the emulated links of a live run: how they are set, how they measure, and changing them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bus.credentials import LAUNCHER
from bus.errors import BusError, CallFailed
from bus.link_channel import latency_moments
from bus.link_table import PLAIN
from bus.messages import LinkChange, LinkChanged, LinkFigures, LinkRule, LinksFigures, LinkShape, Peer, Query
from emulator.cli.columns import columns, natural, width
from emulator.cli.finding import Run, asking, find, hub_options
from emulator.cli.reaching import Reach, reaching

HEAD = ("FROM", "TO", "MESSAGES", "LOSS", "SET", "DELAY", "SET", "RATE", "SET", "STATE")
ROLES = ("cell", "edge", "agent", "cloud", "scheduler")


@click.group("link")
def link_group() -> None:
    """Emulated links of a live run: list them with what they measure, set, cut and heal them."""


@link_group.command("list")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_command(hub: str | None, folder: Path | None, as_json: bool) -> int:
    """List every shaped link that has carried something: asked for and measured. Exit code 1 if one is off."""
    run = find(hub, folder)
    with asking(run) as client:
        peers = client.peers()
    figures, silent = _figures(run, peers)
    links = [_document(each) for each in figures]
    if as_json:
        click.echo(json.dumps({"hub": run.address, "links": links, "silent": silent}, indent=2))
    else:
        rows = [_row(each) for each in figures]
        head = columns(HEAD, rows, width(), ("RATE",)) if rows else ["no emulated link has carried anything"]
        click.echo("\n".join(head))
        for each in figures:
            for sentence in each.outside:
                click.echo(f"{each.source} > {each.target} is outside its tolerance: {sentence}")
    for process in silent:
        click.echo(f"{process} did not answer", err=True)
    return 1 if any(each.outside for each in figures) else 0


def _figures(run: Run, peers: tuple[Peer, ...]) -> tuple[list[LinkFigures], list[str]]:
    """What each process measured at its end of its links, and who did not say; all are asked at once."""
    found: list[LinkFigures] = []
    silent: list[str] = []
    with reaching(run, "link") as ask:
        ends = [(peer, names, _asked(ask, peer, names[0])) for peer in peers if (names := _world_nodes(peer))]
        for peer, names, answer in ends:
            figures = _answered(ask, peer, names, answer)
            found += figures or ()
            silent += [peer.process] if figures is None else []
    return sorted(found, key=lambda each: (natural(each.source), natural(each.target))), silent


def _world_nodes(peer: Peer) -> list[str]:
    return [node.name for node in peer.nodes if node.name.split("/")[1] in ROLES]


def _asked(ask: Reach, peer: Peer, name: str) -> Callable[[], LinksFigures]:
    return ask(peer.call_endpoint, name, "links", Query(), LinksFigures)


def _answered(
    ask: Reach, peer: Peer, names: list[str], answer: Callable[[], LinksFigures]
) -> tuple[LinkFigures, ...] | None:
    """One of a process's nodes answers for all of them; None where nobody does."""
    others = iter(names[1:])
    while True:
        try:
            return answer().links
        except CallFailed:  # not that node
            name = next(others, "")
        except BusError:
            return None
        if not name:
            return ()
        answer = _asked(ask, peer, name)


def _document(link: LinkFigures) -> dict[str, Any]:
    shape = {name: getattr(link.shape, name) for name in link.shape.__struct_fields__}
    fields = {name: getattr(link, name) for name in link.__struct_fields__ if name not in ("source", "target", "shape")}
    return {"from": link.source, "to": link.target, "set": shape, **fields, "within": not link.outside}


def _row(link: LinkFigures) -> list[str]:
    shape = link.shape
    tried = link.messages - link.blocked
    mean_s, variance, _ = latency_moments(shape)
    state = "down" if link.down else "OFF" if link.outside else "ok"
    if link.blocked and not link.down:
        state += f", {link.blocked} blocked"
    if link.late:
        state += f", {link.late} late"
    return [
        link.source,
        link.target,
        str(link.messages),
        f"{link.lost / tried:.2%}" if tried else "-",
        f"{shape.loss:.2%}",
        f"{_seconds(link.delay_s)} ±{_seconds(link.delay_sd_s)}" if tried > link.lost else "-",
        f"{_seconds(mean_s)} ±{_seconds(variance**0.5)}",
        _rate(link.rate_bps),
        _rate(shape.rate_bps),
        state,
    ]


def _seconds(value_s: float) -> str:
    return f"{value_s * 1e3:.3g} ms" if value_s < 1.0 else f"{value_s:.3g} s"


def _rate(rate_bps: float) -> str:
    return f"{rate_bps:.3g} bit/s" if rate_bps else "-"


# -- changing them -----------------------------------------------------------------------------------------------------


@link_group.command("set")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--latency", "latency_s", type=click.FloatRange(0), default=0.0, help="Seconds; or the mean.")
@click.option("--jitter", "jitter_s", type=click.FloatRange(0), default=0.0, help="Standard deviation, seconds.")
@click.option("--trace", type=click.Path(path_type=Path), help="CSV of delays in ms to draw from.")
@click.option("--rate", "rate_bps", type=click.FloatRange(0), default=0.0, help="Bit/s of a queue; 0: no limit.")
@click.option("--loss", type=click.FloatRange(0, 1), default=0.0, help="Probability.")
@click.option("--duplicate", type=click.FloatRange(0, 1), default=0.0, help="Probability.")
@click.option("--reorder", type=click.FloatRange(0, 1), default=0.0, help="Probability of taking no delay.")
@click.option("--both", is_flag=True, help="The other direction as well.")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def set_command(
    source: str,
    target: str,
    trace: Path | None,
    both: bool,
    hub: str | None,
    folder: Path | None,
    as_json: bool,
    **effects: Any,
) -> None:
    """Give links from FROM to TO (names, patterns like 'edge/*', tags) a new shape; without options, none."""
    samples: tuple[float, ...] = ()
    if trace is not None:
        from emulator.linking import read_ping_trace

        try:
            samples = tuple(sample / 1e3 for sample in read_ping_trace(trace))
        except ValueError as error:
            raise click.ClickException(f"--trace {error}") from None
        if effects["latency_s"] or effects["jitter_s"]:
            raise click.ClickException("--trace: gives the delay; leave --latency and --jitter out")
    shape = LinkShape(trace_s=samples, **effects)
    _change(find(hub, folder), _rules("set", source, target, both, shape), as_json)


@link_group.command("cut")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--both", is_flag=True, help="The other direction as well.")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def cut_command(source: str, target: str, both: bool, hub: str | None, folder: Path | None, as_json: bool) -> None:
    """Take links from FROM to TO down."""
    _change(find(hub, folder), _rules("cut", source, target, both), as_json)


@link_group.command("heal")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--both", is_flag=True, help="The other direction as well.")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def heal_command(source: str, target: str, both: bool, hub: str | None, folder: Path | None, as_json: bool) -> None:
    """Bring links from FROM to TO up again, also those that the scenario cuts; their shape stays."""
    _change(find(hub, folder), _rules("heal", source, target, both), as_json)


def _rules(action: str, source: str, target: str, both: bool, shape: LinkShape = PLAIN) -> tuple[LinkRule, ...]:
    there = LinkRule(action, source, target, shape)
    return (there, LinkRule(action, target, source, shape)) if both else (there,)


def _change(run: Run, rules: tuple[LinkRule, ...], as_json: bool) -> None:
    with asking(run, role=LAUNCHER) as client:
        try:
            changed = client.call("link_change", LinkChange(rules), LinkChanged)
        except CallFailed as error:
            raise click.ClickException(error.text) from None
    if as_json:
        click.echo(json.dumps({"hub": run.address, "slot": changed.slot, "links": changed.links}, indent=2))
    else:
        click.echo(f"{changed.links} links, from slot {changed.slot} on")


COMMANDS = [link_group]
