"""`edgerig interface`: message types, those of a live run or those that we ship."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bus import codec, schemas, topics
from bus.messages import TypeQuery, TypeRecord, Types
from emulator.cli.columns import columns, hint, width
from emulator.cli.finding import asking, find, hub_options
from emulator.cli.wording import fields_of, records_of


@click.group("interface")
def interface_group() -> None:
    """Message types: of a live run, or those that we ship when none is live."""


@interface_group.command("list")
@click.argument("prefix", default="")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_command(prefix: str, hub: str | None, folder: Path | None, as_json: bool) -> None:
    """List message types, with the topics that carry them."""
    where, types = _types(hub, folder)
    chosen = [record for record in types if record.name.lower().startswith(prefix.lower())]
    if prefix and not chosen:
        raise click.ClickException(f"no type begins with {prefix}; {_hint(prefix, types)}")
    if as_json:
        click.echo(json.dumps({"source": where, "types": [_document(record) for record in chosen]}, indent=2))
        return
    click.echo(f"types of {where}", err=True)
    rows = []
    for record in chosen:
        schema = json.loads(record.schema)
        names = ", ".join(name for name, _, _ in fields_of(schema))
        rows.append([record.name, f"{record.type_id:08x}", names, ", ".join(_patterns(record)) or "-"])
    click.echo("\n".join(columns(("TYPE", "ID", "FIELDS", "TOPICS"), rows, width(), ("TOPICS", "ID"))))


@interface_group.command("show")
@click.argument("name")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def show_command(name: str, hub: str | None, folder: Path | None, as_json: bool) -> None:
    """Show the fields of NAME: a type (Tick), a type id (1a2b3c4d) or a topic (/hub/tick)."""
    _, types = _types(hub, folder)
    wanted = _type_of(name) if name.startswith("/") else name
    found = [record for record in types if wanted in (record.name, f"{record.type_id:08x}")]
    if not found:
        raise click.ClickException(f"no type {name}; {_hint(name, types)}")
    if as_json:
        documents = [_document(record) for record in found]
        click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
        return
    click.echo("\n\n".join("\n".join(_lines(record)) for record in found))


def _types(hub: str | None, folder: Path | None) -> tuple[str, list[TypeRecord]]:
    """Where types are from, and the types: of the run that is asked for, of the newest, or shipped."""
    try:
        run = find(hub, folder)
    except click.ClickException:
        if hub is not None or folder is not None:
            raise
        shipped = {row.message for row in topics.TABLE.rows}
        return "this version (no live run)", sorted(map(schemas.describe_type, shipped), key=lambda r: r.name)
    with asking(run) as client:
        return f"the run at {run.address}", list(client.call("types", TypeQuery(), Types).types)


def _patterns(record: TypeRecord) -> list[str]:
    return [row.pattern for row in topics.TABLE.rows if codec.type_id(row.message) == record.type_id]


def _type_of(topic: str) -> str:
    """The type id of what a topic carries, or that of a pattern."""
    for row in topics.TABLE.rows:
        if topic == row.pattern or topics.TopicTable([row]).has(topic):
            return f"{codec.type_id(row.message):08x}"
    return topic


def _hint(name: str, types: list[TypeRecord]) -> str:
    return hint(name, [record.name for record in types], "`edgerig interface list` has them all")


def _document(record: TypeRecord) -> dict[str, Any]:
    schema = json.loads(record.schema)
    return {
        "name": record.name,
        "type_id": f"{record.type_id:08x}",
        "fields": [{"name": name, "type": kind, "optional": optional} for name, kind, optional in fields_of(schema)],
        "topics": _patterns(record),
        "schema": schema,
    }


def _lines(record: TypeRecord) -> list[str]:
    schema = json.loads(record.schema)
    lines = [f"{record.name}  (type id {record.type_id:08x})"]
    for name, part in records_of(schema):
        if name != record.name:
            lines += ["", f"{name}:"]
        lines += [f"  {line.strip()}" for line in part.get("description", "").splitlines() if line.strip()]
        rows = [[f"    {field}", kind, "optional" if free else ""] for field, kind, free in fields_of(schema, name)]
        lines += columns(("    FIELD", "TYPE", ""), rows, width())
    patterns = _patterns(record)
    return [*lines, "", f"topics: {', '.join(patterns)}"] if patterns else lines


COMMANDS = [interface_group]
