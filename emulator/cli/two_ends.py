"""`edgerig topic info`: one topic, and everybody at its two ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bus import codec
from emulator.cli.columns import columns, width
from emulator.cli.completion import complete_topic
from emulator.cli.finding import find, hub_options, look
from emulator.cli.picture import End, Topic, qos, refusal, topics_of
from emulator.cli.topics import unknown


@click.command("info")
@click.argument("topic", shell_complete=complete_topic)
@hub_options
@click.option("-v", "--verbose", is_flag=True, help="Every end, with what it promises or asks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def info_command(topic: str, hub: str | None, folder: Path | None, verbose: bool, as_json: bool) -> None:
    """Show the type of TOPIC, what is promised on it, and who is at both ends."""
    found = topics_of(look(find(hub, folder)).peers)
    chosen = next((known for known in found if known.name == topic), None)
    if chosen is None:
        raise click.ClickException(unknown(topic, found))
    facts = _facts(chosen)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(_lines(facts, verbose)))


def _facts(topic: Topic) -> dict[str, Any]:
    spec = topic.spec
    return {
        "topic": topic.name,
        "message": topic.message,
        "schema": codec.schema_of(spec.message) if spec is not None else None,
        "pattern": topic.pattern,
        "plane": topic.plane,
        "qos": topic.qos,
        "recorded": spec.recorded if spec is not None else None,
        "digest": spec.digest if spec is not None else None,
        "publishers": [_end(end, topic.subscribers, publishes=True) for end in topic.publishers],
        "subscribers": [_end(end, topic.publishers, publishes=False) for end in topic.subscribers],
    }


def _end(end: End, others: list[End], *, publishes: bool) -> dict[str, Any]:
    pairs = [(end, other) if publishes else (other, end) for other in others]
    refused = {
        far.node: reason for far, reason in zip(others, (refusal(*pair) for pair in pairs), strict=True) if reason
    }
    return {
        "node": end.node,
        "process": end.peer.process,
        "pid": end.peer.pid,
        "host": end.peer.host,
        "instance": f"{end.peer.instance:08x}",
        "endpoint": end.peer.endpoint,
        "qos": qos(end.record),
        "type_id": f"{end.record.type_id:08x}",
        "refused": refused,
    }


def _lines(facts: dict[str, Any], verbose: bool) -> list[str]:
    marks = [word for word, holds in (("recorded", facts["recorded"]), ("in the digest", facts["digest"])) if holds]
    lines = [
        f"{facts['topic']}  {facts['message']}  {facts['qos']}  {facts['plane']} plane  {', '.join(marks)}".rstrip(),
        f"publishers: {len(facts['publishers'])}   subscribers: {len(facts['subscribers'])}",
    ]
    if facts["schema"]:
        lines.insert(1, facts["schema"])
    if verbose:
        for side in ("publishers", "subscribers"):
            head = (side[:-1].upper(), "PROCESS", "PID", "QOS", "INSTANCE", "ENDPOINT")
            rows = [
                [end["node"], end["process"], str(end["pid"]), end["qos"], end["instance"], end["endpoint"]]
                for end in facts[side]
            ]
            lines += ["", *columns(head, rows, width(), ("ENDPOINT", "INSTANCE", "PID"))]
    for side in ("publishers", "subscribers"):
        lines += [
            f"refused: {end['node']} and {far}: {why}" for end in facts[side] for far, why in end["refused"].items()
        ]
    return list(dict.fromkeys(lines)) if not verbose else lines


COMMANDS = [info_command]
