"""`edgerig call`: ask a node for anything that it serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import click

from bus import codec, schemas
from bus.messages import Message, MethodQuery, MethodRecord, Methods
from emulator.cli.columns import columns, hint, width
from emulator.cli.composed import compose
from emulator.cli.decoded import plain
from emulator.cli.finding import Run, asking, find, hub_options
from emulator.cli.reaching import reaching
from emulator.cli.wording import signature


class Anything(Message, frozen=True):
    """A reply that the method's node told no type of: its fields have no names."""


@click.command("call")
@click.argument("node", default="")
@click.argument("method", default="")
@click.argument("request", default="{}")
@hub_options
@click.option("--list", "listing", is_flag=True, help="List what NODE serves (what all serve, without NODE).")
@click.option("--deadline", "deadline_s", type=click.FloatRange(0, min_open=True), default=2.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on one line.")
def call_command(
    node: str,
    method: str,
    request: str,
    hub: str | None,
    folder: Path | None,
    listing: bool,
    deadline_s: float,
    as_json: bool,
) -> None:
    """Call METHOD of NODE with REQUEST, a JSON object: `edgerig call /hub stop '{"reason": "enough"}'`."""
    run = find(hub, folder)
    if listing:
        _list(run, node, as_json)
        return
    if not node or not method:
        raise click.ClickException("give NODE and METHOD; `edgerig call --list` has them all")
    reply = call(run, _named(node), method, request, deadline_s)
    click.echo(json.dumps(reply) if as_json else json.dumps(reply, indent=2))


def call(run: Run, node: str, method: str, request: str, deadline_s: float) -> Any:
    """Call a method with a request in JSON; returns the reply as plain data.

    Raises: click.ClickException: no such method, or the request does not fit. BusError: no answer, or refused.
    """
    found = _methods(run, node)
    types = {record.type_id: record for record in found.types}
    record = next((record for record in found.methods if record.method == method), None)
    if record is None:
        _refuse(run, node, method, found.methods)
    kind = types.get(record.request)
    if kind is None:
        raise click.ClickException(f"{node} {method}: nobody told the type of its request ({record.request:08x})")
    try:
        body = compose(request, schemas.message_class(kind))
    except click.ClickException as error:
        raise click.ClickException(f"{method} takes {signature(types, record.request)}: {error.message}") from None
    reply = types.get(record.reply)
    with reaching(run, "call", run.role()) as ask:
        if reply is not None:
            return plain(ask(record.endpoint, node, method, body, schemas.message_class(reply), deadline_s)())
        return plain(codec.encode_payload(ask(record.endpoint, node, method, body, Anything, deadline_s)()))


def _named(node: str) -> str:
    return node if node.startswith("/") else f"/{node}"


def _methods(run: Run, node: str) -> Methods:
    with asking(run) as client:
        return client.call("methods", MethodQuery(node), Methods)


def _refuse(run: Run, node: str, method: str, served: tuple[MethodRecord, ...]) -> NoReturn:
    if not served:
        nodes = sorted({record.node for record in _methods(run, "").methods})
        raise click.ClickException(f"{node} serves nothing; {hint(node, nodes, '`edgerig call --list` has all')}")
    names = [record.method for record in served]
    raise click.ClickException(f"{node} has no method {method}; {hint(method, names, 'it has ' + ', '.join(names))}")


def _list(run: Run, node: str, as_json: bool) -> None:
    found = _methods(run, _named(node) if node else "")
    if node and not found.methods:
        _refuse(run, _named(node), "", ())
    types = {record.type_id: record for record in found.types}
    rows = [
        [r.node, r.method, signature(types, r.request), signature(types, r.reply), r.endpoint] for r in found.methods
    ]
    keys = ("node", "method", "request", "reply", "endpoint")
    if as_json:
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
        return
    click.echo("\n".join(columns([key.upper() for key in keys], rows, width(), ("ENDPOINT", "REPLY"))))


COMMANDS = [call_command]
