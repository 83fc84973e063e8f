"""`edgerig node` and `edgerig graph`: who is there, and who talks to whom."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from bus.credentials import LAUNCHER
from bus.errors import CallFailed
from bus.lifecycle import ERROR, FINALIZED, SET, TRANSITIONS, UNCONFIGURED, possible
from bus.messages import NodeRecord, NodeState, Peer, SetState
from emulator.cli.columns import columns, hint, natural, width
from emulator.cli.completion import complete_node
from emulator.cli.finding import Run, State, find, hub_options, look
from emulator.cli.mermaid import draw
from emulator.cli.picture import End, Topic, refusal, span, topics_of
from emulator.cli.reaching import reaching


@click.group("node")
def node_group() -> None:
    """Nodes of a live run: list them, look at one, start one."""


@node_group.command("start", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def start_command(arguments: tuple[str, ...]) -> int:
    """Start one process of a run and join it to its hub."""
    from emulator.start import main

    return main(arguments)


@node_group.command("list")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_command(hub: str | None, folder: Path | None, as_json: bool) -> None:
    """List every node: where it runs, and whether it takes part."""
    run = find(hub, folder)
    state = look(run)
    nodes = [_node(state, peer, node) for peer, node in _nodes(state.peers)]
    if as_json:
        gone = [_document_of(record) for record in _ended(state)]
        missing = list(state.status.missing)
        document = {"hub": run.address, "run": _run(state), "nodes": nodes, "gone": gone, "missing": missing}
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(_headline(run, state))
    head = ("NODE", "STATE", "PART", "PROCESS", "PID", "HOST", "INSTANCE", "METRICS")
    keys = ("node", "state", "part", "process", "pid", "host", "instance", "metrics_url")
    rows = [[str(node[key]) for key in keys] for node in nodes]
    click.echo("\n".join(columns(head, rows, width(), ("INSTANCE", "METRICS", "HOST", "PID"))))
    for record in _ended(state):
        click.echo(f"gone: {record.node} {record.state} ({record.reason})")
    for sentence in state.status.missing:
        click.echo(f"missing: {sentence}")


def _ended(state: State) -> list[NodeState]:
    """Nodes that were there and have ended."""
    return sorted((r for r in state.nodes.values() if r.state == FINALIZED and r.reason), key=lambda r: natural(r.node))


def _document_of(record: NodeState) -> dict[str, Any]:
    return {"node": record.node, "state": record.state, "process": record.process, "reason": record.reason}


def _headline(run: Run, state: State) -> str:
    words = [str(run.folder)] if run.folder is not None else []
    words.append(run.address)
    if state.run is not None:
        words.append(f"{state.run.phase}, slot {max(state.run.slot + 1, 0)}/{state.run.slots}")
    words.append(f"{len(state.peers)} processes")
    return "  ".join(words)


def _run(state: State) -> dict[str, Any] | None:
    if state.run is None:
        return None
    return {"phase": state.run.phase, "slot": state.run.slot, "slots": state.run.slots, "frame": state.run.frame}


def _nodes(peers: Iterable[Peer]) -> list[tuple[Peer, NodeRecord]]:
    found = [(peer, node) for peer in peers for node in peer.nodes]
    return sorted(found, key=lambda pair: natural(pair[1].name))


def _node(state: State, peer: Peer, node: NodeRecord) -> dict[str, Any]:
    ready = peer.process in state.status.ready
    member = state.run is not None and node.name in state.run.members
    told = state.nodes.get(node.name, NodeState(node.name, UNCONFIGURED))
    return {
        "node": node.name,
        "state": told.state,
        "managed": told.managed,
        "reason": told.reason,
        "unsent": told.unsent,
        "part": _part(peer, node.name, member, ready),
        "process": peer.process,
        "pid": peer.pid,
        "host": peer.host,
        "instance": f"{peer.instance:08x}",
        "member": member,
        "ready": ready,
        "publishes": len(node.publishes),
        "subscribes": len(node.subscribes),
        "metrics_url": peer.metrics_url,
    }


def _part(peer: Peer, name: str, member: bool, ready: bool) -> str:
    """One word: hub, member, observer, or how far a node is that does not take part yet."""
    if peer.process == "hub":
        return "hub"
    if name.startswith("/observer/"):
        return "observer"
    if member:
        return "member"
    return "ready" if ready else "joining"


# -- one node ----------------------------------------------------------------------------------------------------------


@node_group.command("info")
@click.argument("name", shell_complete=complete_node)
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def info_command(name: str, hub: str | None, folder: Path | None, as_json: bool) -> None:
    """Show what NAME (such as /edge/3) publishes and subscribes, and with whom each topic is matched."""
    state = look(find(hub, folder))
    peer, node = _named(name, state)
    topics = topics_of(state.peers)
    facts = _node(state, peer, node)
    facts["publishes"] = [_far(topic, node.name, state, out=True) for topic in _of(topics, node.name, out=True)]
    facts["subscribes"] = [_far(topic, node.name, state, out=False) for topic in _of(topics, node.name, out=False)]
    facts["waiting"] = [text for text in state.status.waiting if text.startswith(f"{peer.process} ")]
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(_info_lines(facts)))


def _named(name: str, state: State) -> tuple[Peer, NodeRecord]:
    wanted = name if name.startswith("/") else f"/{name}"
    nodes = _nodes(state.peers)
    for peer, node in nodes:
        if node.name == wanted:
            return peer, node
    hosted = [node.name for peer, node in nodes if peer.process == name]
    if hosted:
        raise click.ClickException(f"{name} is a process; its nodes are {', '.join(hosted)}")
    if wanted in state.nodes:
        record = state.nodes[wanted]
        raise click.ClickException(f"{wanted} is not there: {record.state} ({record.reason})")
    known = [node.name for _, node in nodes]
    raise click.ClickException(f"no node {wanted}; {hint(wanted, known, '`edgerig node list` has them all')}")


def _of(topics: list[Topic], name: str, *, out: bool) -> list[Topic]:
    return [t for t in topics if any(end.node == name for end in (t.publishers if out else t.subscribers))]


def _far(topic: Topic, name: str, state: State, *, out: bool) -> dict[str, Any]:
    """A topic as one of its nodes sees it: the far ends, and with which of them it is matched."""
    ends = (topic.publishers, topic.subscribers)
    near = next(end for end in ends[0 if out else 1] if end.node == name)
    matched: list[str] = []
    open_: list[str] = []
    refused: list[str] = []
    for far in ends[1 if out else 0]:
        why = refusal(near, far) if out else refusal(far, near)
        if why is not None:
            refused.append(f"{far.node} ({why})")
        else:
            (matched if _is_matched(near, far, state) else open_).append(far.node)
    document = topic.document()
    keys = ("topic", "message", "qos", "plane")
    return {**{key: document[key] for key in keys}, "matched": matched, "unmatched": open_, "refused": refused}


def _is_matched(near: End, far: End, state: State) -> bool:
    """A process says that it is ready when all its links are matched, so one ready end is enough."""
    return near.peer is far.peer or bool({near.peer.process, far.peer.process} & set(state.status.ready))


def _info_lines(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"{facts['node']}: {_stands(facts)}",
        f"  process   {facts['process']}, pid {facts['pid']} on {facts['host']}, instance {facts['instance']}",
        f"  metrics   {facts['metrics_url'] or 'none'}",
    ]
    lines += [f"  waiting   {text}" for text in facts["waiting"]]
    for title in ("publishes", "subscribes"):
        lines.append(f"{title}:" if facts[title] else f"{title}: nothing")
        rows = [[f"  {t['topic']}", t["message"], t["qos"], _with(t)] for t in facts[title]]
        if rows:
            whom = "TO" if title == "publishes" else "FROM"
            lines += columns(("  TOPIC", "MESSAGE", "QOS", whom), rows, width(), ("QOS", "MESSAGE"))
    return lines


def _stands(facts: dict[str, Any]) -> str:
    """The state of a node, what it takes part in, and whether it can be led."""
    words = [facts["state"], facts["part"]]
    if facts["managed"]:
        words.append(f"managed (possible: {', '.join(possible(facts['state'])) or 'nothing'})")
    words += [f"{facts['unsent']} messages unsent"] if facts["unsent"] else []
    return ", ".join(words + ([facts["reason"]] if facts["reason"] else []))


def _with(topic: dict[str, Any]) -> str:
    parts = [span(topic["matched"])] if topic["matched"] else []
    parts += [f"not matched: {span(topic['unmatched'])}"] if topic["unmatched"] else []
    parts += [f"refused: {', '.join(topic['refused'])}"] if topic["refused"] else []
    return "; ".join(parts) or "nobody"


@node_group.command("set")
@click.argument("name", shell_complete=complete_node)
@click.argument("transition", type=click.Choice(list(TRANSITIONS)))
@hub_options
@click.option("--json", "as_json", is_flag=True, help="The node's state as one JSON document.")
def set_command(name: str, transition: str, hub: str | None, folder: Path | None, as_json: bool) -> int:
    """Lead the managed node NAME on: configure, activate, deactivate, cleanup, shutdown."""
    run = find(hub, folder)
    state = look(run)
    peer, node = _named(name, state)
    told = state.nodes.get(node.name)
    if told is None or not told.managed:
        where = told.state if told is not None else "unknown"
        raise click.ClickException(
            f"{node.name}: its state ({where}) follows what its process does and cannot be set; nodes that call "
            "manage() can be"
        )
    with reaching(run, "set", LAUNCHER) as ask:
        try:
            now = ask(peer.call_endpoint, node.name, SET, SetState(transition), NodeState)()
        except CallFailed as error:
            raise click.ClickException(error.text) from None
    click.echo(json.dumps(_document_of(now)) if as_json else f"{now.node} is {now.state}")
    if now.state == ERROR:
        click.echo(now.reason, err=True)
        return 1
    return 0


# -- everyone ----------------------------------------------------------------------------------------------------------


@click.command("graph")
@hub_options
@click.option("--mermaid", "as_mermaid", is_flag=True, help="A Mermaid flowchart (default).")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout: processes, nodes, links.")
@click.option("--all", "whole", is_flag=True, help="Draw every process and node by itself, and the control plane.")
def graph_command(hub: str | None, folder: Path | None, as_mermaid: bool, as_json: bool, whole: bool) -> None:
    """Draw who sends what to whom."""
    if as_mermaid and as_json:
        raise click.ClickException("--mermaid and --json: give one of them")
    state = look(find(hub, folder))
    if as_json:
        click.echo(json.dumps(_document(state), indent=2))
        return
    click.echo(draw(state.peers, whole=whole))
    if sys.stdout.isatty():
        click.echo("paste it into a Markdown file as a ```mermaid block; --all draws each node and control", err=True)


def _document(state: State) -> dict[str, Any]:
    links = [
        {
            "publisher": publisher.node,
            "subscriber": subscriber.node,
            "topic": topic.name,
            "pattern": topic.pattern,
            "message": topic.message,
            "plane": topic.plane,
            "refused": refusal(publisher, subscriber),
        }
        for topic in topics_of(state.peers)
        for publisher in topic.publishers
        for subscriber in topic.subscribers
    ]
    processes = [
        {"process": p.process, "pid": p.pid, "host": p.host, "nodes": [node.name for node in p.nodes]}
        for p in sorted(state.peers, key=lambda peer: natural(peer.process))
    ]
    return {"version": state.status.graph, "processes": processes, "links": links}


COMMANDS = [node_group, graph_command]
