"""`edgerig param`: settings of live nodes: list them, read, change, write down and load again."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bus.credentials import LAUNCHER
from bus.messages import MethodQuery, Methods, ParameterQuery, ParameterRecord, Parameters, SetParameters
from emulator.cli.columns import columns, hint, natural, width
from emulator.cli.finding import Run, asking, find, hub_options
from emulator.cli.reaching import reaching

YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
WORDS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}


@click.group("param")
def param_group() -> None:
    """Settings of live nodes: list, get, set, dump, load."""


@param_group.command("list")
@click.argument("node", default="")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_command(node: str, hub: str | None, folder: Path | None, as_json: bool) -> None:
    """List the settings of NODE, or of all nodes."""
    found = _ask(find(hub, folder), node)
    if as_json:
        click.echo(json.dumps({each.node: [_document(p) for p in each.parameters] for each in found}, indent=2))
        return
    rows = [
        [each.node, p.name, _text(p.value), p.type, _bounds(p), p.description]
        for each in found
        for p in each.parameters
    ]
    click.echo("\n".join(columns(("NODE", "NAME", "VALUE", "TYPE", "MAY BE", "WHAT"), rows, width(), ("WHAT", "TYPE"))))


@param_group.command("get")
@click.argument("node")
@click.argument("name")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="The whole record as one JSON document.")
def get_command(node: str, name: str, hub: str | None, folder: Path | None, as_json: bool) -> None:
    """Print one setting of NODE."""
    (found,) = _ask(find(hub, folder), node)
    record = _named(found, name)
    click.echo(json.dumps({"node": found.node, **_document(record)}, indent=2) if as_json else _text(record.value))


@param_group.command("set")
@click.argument("node")
@click.argument("words", nargs=-1, required=True, metavar="NAME VALUE | NAME=VALUE...")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="What they are now, as one JSON document.")
def set_command(node: str, words: tuple[str, ...], hub: str | None, folder: Path | None, as_json: bool) -> None:
    """Change settings of NODE: all that are given, or none."""
    if any("=" in word for word in words):
        pairs = [(name, value) for name, _, value in (word.partition("=") for word in words)]
    elif len(words) == 2:
        pairs = [(words[0], words[1])]
    else:
        raise click.ClickException(f"{' '.join(words)}: give NAME VALUE, or NAME=VALUE for several")
    run = find(hub, folder)
    (known,) = _ask(run, node)
    values = {name: _read(_named(known, name), text) for name, text in pairs}
    now = _set(run, known.node, values)
    if as_json:
        click.echo(json.dumps({"node": now.node, "values": {p.name: p.value for p in now.parameters}}))
    else:
        click.echo("\n".join(f"{now.node} {p.name} = {_text(p.value)}" for p in now.parameters))


@param_group.command("dump")
@click.argument("node", default="")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="JSON instead of TOML.")
def dump_command(node: str, hub: str | None, folder: Path | None, as_json: bool) -> None:
    """Write the settings of NODE, or of all, as TOML that `param load` reads."""
    found = _ask(find(hub, folder), node)
    if as_json:
        click.echo(json.dumps({each.node: {p.name: p.value for p in each.parameters} for each in found}, indent=2))
        return
    for each in found:
        click.echo(f"[{json.dumps(each.node)}]")
        for p in each.parameters:
            why = f"  # cannot be set: {p.read_only}" if p.read_only else ""
            click.echo(f"{'# ' if p.read_only else ''}{p.name} = {_toml(p.value)}{why}")


@param_group.command("load")
@click.argument("file", type=click.Path(path_type=Path))
@hub_options
def load_command(file: Path, hub: str | None, folder: Path | None) -> None:
    """Set what a dump says; of each node all or none."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: is no TOML ({error})") from None
    run = find(hub, folder)
    for node, values in document.items():
        if not isinstance(values, dict):
            raise click.ClickException(f"{file}: {node} must be a table of settings, as `param dump` writes them")
        now = _set(run, node, values)
        click.echo(f"{now.node}: {len(now.parameters)} set")


# -- asking ------------------------------------------------------------------------------------------------------------


def _ask(run: Run, node: str) -> list[Parameters]:
    """The parameters of a node, or of all that have any.

    Raises: click.ClickException: there is no such node, or it has none.
    """
    wanted = node if not node or node.startswith("/") else f"/{node}"
    with asking(run) as client:
        methods = client.call("methods", MethodQuery(wanted), Methods).methods
        served = [record for record in methods if record.method == "param_list"]
        if wanted and not served:
            known = {r.node for r in client.call("methods", MethodQuery(), Methods).methods if r.method == "param_list"}
            raise click.ClickException(
                f"{wanted} has no settings; {hint(wanted, known, '`edgerig param list` has all that have')}"
            )
    with reaching(run, "param") as ask:
        waiting = [ask(r.endpoint, r.node, "param_list", ParameterQuery(), Parameters) for r in served]
        return sorted((answer() for answer in waiting), key=lambda found: natural(found.node))


def _set(run: Run, node: str, values: dict[str, Any]) -> Parameters:
    with asking(run) as client:
        methods = client.call("methods", MethodQuery(node), Methods).methods
    record = next((record for record in methods if record.method == "param_set"), None)
    if record is None:
        raise click.ClickException(f"{node} has no settings; `edgerig param list` has all that have")
    with reaching(run, "param", LAUNCHER) as ask:
        return ask(record.endpoint, node, "param_set", SetParameters(values), Parameters)()


# -- text --------------------------------------------------------------------------------------------------------------


def _named(found: Parameters, name: str) -> ParameterRecord:
    record = next((record for record in found.parameters if record.name == name), None)
    if record is None:
        names = [known.name for known in found.parameters]
        raise click.ClickException(f"{found.node} has no {name}; {hint(name, names, 'it has ' + ', '.join(names))}")
    return record


def _read(record: ParameterRecord, text: str) -> Any:
    """A value as people type it."""
    if record.type == "bool" and text.lower() in (*YES, *NO):
        return text.lower() in YES
    try:
        return WORDS[record.type](text)
    except (KeyError, ValueError):
        raise click.ClickException(f"{record.name}: {text!r} is no {record.type}") from None


def _document(record: ParameterRecord) -> dict[str, Any]:
    found = {name: getattr(record, name) for name in record.__struct_fields__}
    return {**found, "choices": list(record.choices)}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _bounds(record: ParameterRecord) -> str:
    if record.read_only:
        return f"read only: {record.read_only}"
    if record.choices:
        return " | ".join(map(_text, record.choices))
    low = f"{record.minimum:g}" if record.minimum is not None else ""
    high = f"{record.maximum:g}" if record.maximum is not None else ""
    return f"{low} .. {high}" if low or high else ""


COMMANDS = [param_group]
