"""`edgerig bag play`: what was recorded, published again, or given to one node or to fresh agents to answer again."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from bus.errors import BadName, CallTimeout, UnknownTopic
from bus.names import OBSERVER, Remap
from bus.node import Node
from bus.process import Process, stop_on_signals
from bus.registry import Registry
from emulator.bag_playback import CannotPlay, Choice, Part, Playback, parts_of
from emulator.cli.finding import ANSWER_S, HubSilent, Run, find, hub_options, look
from emulator.cli.picture import topics_of
from emulator.replay import ReplayStalled, Verdict
from monitoring.bag_facts import chosen
from monitoring.bag_reader import Bag
from monitoring.bag_writer import BagError

DIFFERENT, LOST, INTERRUPTED = 1, 3, 130
LAST_S = 0.3
"""How long what was published last may take to get out."""


@click.command("play")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@hub_options
@click.option("--rate", type=click.FloatRange(0), default=1.0, show_default=True, help="Times as fast; 0: at once.")
@click.option("--from", "first", type=click.IntRange(0), default=0, metavar="SLOT", help="From this slot on.")
@click.option("--until", "last", type=click.IntRange(0), metavar="SLOT", help="Up to this slot.")
@click.option("--loop", is_flag=True, help="Start again at the end, until Ctrl-C.")
@click.option("--topic", "patterns", multiple=True, metavar="TOPIC", help="Only these (repeat; * and ** as in record).")
@click.option("--remap", "rules", multiple=True, metavar="FROM:=TO", help="Publish a topic under another name.")
@click.option("--wait", "wait", is_flag=True, help="Start when somebody listens.")
@click.option("--agents", "agents", metavar="SPEC", help="Let fresh agents decide again: `recorded`, or as in --agent.")
@click.option("--node", "node", metavar="NAME", help="Play into one node (/edge/2) and compare what it says.")
@click.option("--json", "as_json", is_flag=True, help="With --agents or --node: one JSON document at the end.")
def play_command(
    path: Path,
    hub: str | None,
    folder: Path | None,
    rate: float,
    first: int,
    last: int | None,
    loop: bool,
    patterns: tuple[str, ...],
    rules: tuple[str, ...],
    wait: bool,
    agents: str | None,
    node: str | None,
    as_json: bool,
) -> int:
    """Publish FILE again: on a bus of its own, or with --hub or --run on a live one."""
    if agents is not None and node is not None:
        raise click.ClickException("--agents and --node: give one of them")
    bag = Bag(path)
    try:
        if agents is not None:
            return _agents(bag, agents, as_json=as_json)
        if node is not None:
            return _node(bag, node, as_json=as_json)
        choice = Choice(chosen(patterns), first, last, rate, loop, Remap(rules))
        parts = parts_of(bag, choice)
        if hub is None and folder is None:
            return _alone(bag, choice, parts, wait=wait)
        return _beside(find(hub, folder), bag, choice, parts, wait=wait)
    except (BagError, UnknownTopic, BadName, CannotPlay) as error:
        raise click.ClickException(str(error)) from None


# -- publishing --------------------------------------------------------------------------------------------------------


def _alone(bag: Bag, choice: Choice, parts: list[Part], *, wait: bool) -> int:
    """On a bus of our own, with nodes of the recorded names; tools find it by its address."""
    process = Process("player")
    stop_on_signals(process)
    try:
        names = dict.fromkeys(("/hub", *(part.publisher for part in parts)))
        registry = Registry(process, {}, names=tuple(names))
        nodes = {name: process.node(name) for name in names}
        playback = Playback(process, nodes.__getitem__, bag, choice, parts)
        process.register()
        click.echo(f"playing {bag.path} at {registry.address} (EDGERIG_HUB={registry.address})", err=True)
        return _play(process, playback, wait=wait)
    finally:
        process.close("(play ended)")


def _beside(run: Run, bag: Bag, choice: Choice, parts: list[Part], *, wait: bool) -> int:
    """On a live bus, as an observer that speaks; never where somebody else speaks."""
    spoken = {topic.name: topic.publishers[0].node for topic in topics_of(look(run).peers) if topic.publishers}
    taken = [part for part in parts if part.name in spoken]
    if taken:
        part = taken[0]
        raise click.ClickException(
            f"{part.name}: {spoken[part.name]} publishes it there ({len(taken)} such topics); "
            "choose others with --topic or --remap"
        )
    process = Process(f"play-{os.getpid()}", keys=run.keys())
    stop_on_signals(process)
    try:
        (name,) = process.join(run.address, OBSERVER, deadline_s=ANSWER_S)
        node = process.node(name)

        def ours(_publisher: str) -> Node:
            return node

        playback = Playback(process, ours, bag, choice, parts)
        process.register()
        return _play(process, playback, wait=wait)
    except CallTimeout as error:
        raise HubSilent(run.address, f"call 'lease' got no reply within {error.deadline_s:g} s") from None
    finally:
        process.close("(play ended)", LAST_S)


def _play(process: Process, playback: Playback, *, wait: bool) -> int:
    if wait:
        process.spin(lambda: any(made.matched for made in process.publishers.values() if made.topic != "/hub/graph"))
    playback.start()
    process.spin(lambda: playback.ended)
    if playback.ended:
        process.spin(None, LAST_S)
    click.echo(f"{playback.messages} messages played", err=True)
    return 0 if playback.ended else INTERRUPTED


# -- answering again ---------------------------------------------------------------------------------------------------


def _agents(bag: Bag, spec: str, *, as_json: bool) -> int:
    from emulator.replay_agents import AgentReplay
    from emulator.run import prepare

    with (
        tempfile.TemporaryDirectory(prefix="edgerig-replay-") as folder,
        AgentReplay(bag, spec, Path(folder)) as replay,
    ):
        prepare(replay.scenario, on_bus=True, tell=lambda text: click.echo(text, err=True))
        per_frame = replay.scenario.slots_per_frame
        return _compared(replay, "frame", lambda slot: slot // per_frame, as_json=as_json, each=True)


def _node(bag: Bag, name: str, *, as_json: bool) -> int:
    from emulator.replay_node import NodeReplay

    full = name if name.startswith("/") else f"/{name}"
    with NodeReplay(bag, full) as replay:
        return _compared(replay, "slot", lambda slot: slot, as_json=as_json, each=False)


def _compared(replay: Any, what: str, number: Any, *, as_json: bool, each: bool) -> int:
    verdicts: list[Verdict] = []
    stalled = ""
    start_s = time.monotonic()
    try:
        for verdict in replay.play():
            verdicts.append(verdict)
            if not as_json and (each or not verdict.same):
                click.echo(f"{what} {number(verdict.slot):<6d} {_line(verdict)}")
    except ReplayStalled as error:
        stalled = str(error)
    document = _document(verdicts, stalled, time.monotonic() - start_s)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        answers = "answers" if what == "slot" else "decisions"
        click.echo(
            f"{document['equal']} of {document['recorded']} {answers} as recorded, {document['different']} different, "
            f"{document['missing']} missing, {document['extra']} not recorded ({document['seconds']:.1f} s)"
        )
        if stalled:
            click.echo(stalled, err=True)
    if stalled:
        return LOST
    return 0 if document["same"] else DIFFERENT


def _document(verdicts: list[Verdict], stalled: str, seconds: float) -> dict[str, Any]:
    counts = {kind: _sum(verdicts, kind) for kind in ("equal", "different", "missing", "extra")}
    differing = [verdict for verdict in verdicts if not verdict.same]
    return {
        "same": not differing and not stalled,
        **counts,
        "recorded": counts["equal"] + counts["different"] + counts["missing"],
        "slots_differing": [verdict.slot for verdict in differing],
        "stalled": stalled or None,
        "seconds": seconds,
    }


def _sum(verdicts: Iterable[Verdict], kind: str) -> int:
    return sum(len(getattr(verdict, kind)) for verdict in verdicts)


def _line(verdict: Verdict) -> str:
    parts = [f"equal {len(verdict.equal)}"]
    for kind in ("different", "missing", "extra"):
        topics = getattr(verdict, kind)
        if topics:
            parts.append(f"{kind} {len(topics)} ({', '.join(topics[:4])})")
    return ", ".join(parts)
