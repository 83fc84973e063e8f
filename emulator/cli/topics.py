"""`edgerig topic`: what travels on a live bus, and how often."""

from __future__ import annotations

import json
import math
from collections import deque
from pathlib import Path
from typing import Any

import click

from bus import topics
from bus.codec import Header
from bus.errors import UnknownTopic
from bus.messages import TopicRecord
from emulator.cli.columns import columns, hint, width
from emulator.cli.completion import complete_topic
from emulator.cli.finding import Run, find, hub_options, look
from emulator.cli.observing import GRAPH, Observer, Outlet, observe, table_for
from emulator.cli.picture import End, Topic, span, topics_of
from emulator.cli.printers import printer_of

LOST = 3
SHORT_S = 0.1
REPORT_S = 1.0
WINDOW = 10_000


@click.group("topic")
def topic_group() -> None:
    """Topics of a live run: list them, print messages, measure rates."""


@topic_group.command("list")
@click.argument("prefix", default="", shell_complete=complete_topic)
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_command(prefix: str, hub: str | None, folder: Path | None, as_json: bool) -> None:
    """List the topics, or those that begin with PREFIX, with who is at both ends."""
    found = topics_of(look(find(hub, folder)).peers)
    chosen = [topic for topic in found if topic.name.startswith(prefix)]
    if prefix and not chosen:
        raise click.ClickException(f"no topic begins with {prefix}; {_hint(prefix, found)}")
    if as_json:
        click.echo(json.dumps([topic.document() for topic in chosen], indent=2))
        return
    head = ("TOPIC", "MESSAGE", "QOS", "PLANE", "FROM", "TO")
    rows = [[t.name, t.message, t.qos, t.plane, _names(t.publishers), _names(t.subscribers)] for t in chosen]
    click.echo("\n".join(columns(head, rows, width(), ("PLANE", "QOS", "MESSAGE"))))


def _names(ends: list[End]) -> str:
    return span({end.node for end in ends}) or "nobody"


def unknown(topic: str, found: list[Topic]) -> str:
    """What to tell somebody who asks for a topic that nobody is at."""
    return f"nobody publishes or subscribes {topic}; {_hint(topic, found)}"


def _hint(topic: str, found: list[Topic]) -> str:
    return hint(topic, [known.name for known in found], "`edgerig topic list` has them all")


# -- echo --------------------------------------------------------------------------------------------------------------


@topic_group.command("echo")
@click.argument("topic", shell_complete=complete_topic)
@hub_options
@click.option("--once", is_flag=True, help="Stop after one message.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Stop after N messages.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line, arrays whole.")
@click.option("--csv", "as_csv", is_flag=True, help="One line of values a message, after a line of names.")
@click.option("--field", metavar="PATH", help="Only that field, as in tasks, tasks[3] or members[0].node.")
@click.option("--full", is_flag=True, help="Print long arrays whole.")
@click.option(
    "--deadline",
    "deadline_s",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="Give up (exit 3) when nothing came for S seconds; a topic nobody publishes yet is waited for.",
)
def echo_command(
    topic: str,
    hub: str | None,
    folder: Path | None,
    once: bool,
    count: int | None,
    as_json: bool,
    as_csv: bool,
    field: str | None,
    full: bool,
    deadline_s: float | None,
) -> int:
    """Print the messages of TOPIC as they come, until Ctrl-C."""
    if once and count is not None:
        raise click.ClickException("--once and --count: give one of them")
    if as_json and as_csv:
        raise click.ClickException("--json and --csv: give one of them")
    most = 1 if once else count
    run = find(hub, folder)
    record = promised(run, topic)
    if record is None and deadline_s is None:
        raise click.ClickException(nobody(run, topic, "; --deadline S waits for a publisher"))
    asked = record or _asked(topic)
    printer = printer_of(as_json=as_json, as_csv=as_csv, field=field, full=full)
    outlet, seen = Outlet(), 0

    def show(message: Any, header: Header) -> None:
        nonlocal seen
        if most is not None and seen >= most:
            return
        seen += 1
        for line in printer(topic, message, header):
            outlet.say(line)
        if seen == most:
            observer.enough = True

    table = table_for(run, record)
    with observe(run, "echo", asked, show, published=record is not None, table=table) as observer:
        return _echo(observer, outlet, lambda: seen, deadline_s)


def _echo(observer: Observer, outlet: Outlet, seen: Any, deadline_s: float | None) -> int:
    """Turn the loop; every message starts the deadline again."""
    clock = observer.process.clock
    heard, heard_s = seen(), clock()
    while not observer.spin(SHORT_S):
        outlet.flush()
        if seen() != heard:
            heard, heard_s = seen(), clock()
        elif deadline_s is not None and clock() - heard_s > deadline_s:
            outlet.close()
            click.echo(f"{observer.topic}: no message within {deadline_s:g} s (--deadline)", err=True)
            return LOST
    outlet.close()
    _last_words(observer)
    return observer.code


def _last_words(observer: Observer) -> None:
    if observer.lost:
        click.echo(f"{observer.topic}: {observer.lost} messages lost on the way to this tool", err=True)
    if observer.shutdown is not None and not observer.enough:
        click.echo(f"the run ended: {observer.shutdown.reason or 'done'}", err=True)


def promised(run: Run, topic: str) -> TopicRecord | None:
    """What the topic's publisher promises; None when nobody publishes it.

    Raises: click.ClickException: there is no such topic.
    """
    published = _published(run)
    for known in published:
        if known.name == topic:
            return known.publishers[0].record
    try:
        spec = topics.match(topic)
    except UnknownTopic as error:
        names = [known.name for known in published]
        table = f"did you mean {error.suggestion}?" if error.suggestion else "`edgerig topic list` has them all"
        raise click.ClickException(f"no topic {topic}; {hint(topic, names, table)}") from None
    # The registry itself publishes the graph, not one of the hub's nodes.
    return TopicRecord(topic, 0, spec.qos.reliable, spec.qos.latched) if topic == GRAPH else None


def _asked(topic: str) -> TopicRecord:
    """What we ask of a topic that nobody publishes yet."""
    spec = topics.match(topic)
    return TopicRecord(topic, 0, spec.qos.reliable, spec.qos.latched)


def _published(run: Run) -> list[Topic]:
    return [known for known in topics_of(look(run).peers) if known.publishers]


def nobody(run: Run, topic: str, more: str = "") -> str:
    """What to tell somebody who wants to hear a topic that nobody publishes."""
    return f"nobody publishes {topic}; {_hint(topic, _published(run))}{more}"


# -- hz ----------------------------------------------------------------------------------------------------------------


class Gaps:
    """Time between messages, as their publishers stamped them: how late we read them bends nothing."""

    def __init__(self, window: int) -> None:
        self.messages = 0
        self._gaps_s: deque[float] = deque(maxlen=window)
        self._last_ns: dict[int, int] = {}

    def add(self, instance: int, stamp_ns: int) -> None:
        """A message of that publisher instance."""
        self.messages += 1
        last_ns = self._last_ns.get(instance)
        self._last_ns[instance] = stamp_ns
        if last_ns is not None:
            self._gaps_s.append((stamp_ns - last_ns) / 1e9)

    def facts(self) -> dict[str, Any]:
        """Rate (messages a second), gaps (seconds) and how many gaps they are from; None without a gap."""
        gaps = self._gaps_s
        if not gaps:
            return {"rate_hz": None, "gap_s": None, "window": 0}
        mean = math.fsum(gaps) / len(gaps)
        spread = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / len(gaps))
        gap_s = {"mean": mean, "min": min(gaps), "max": max(gaps), "std": spread}
        rate_hz = len(self._last_ns) / mean if mean > 0.0 else None
        return {"rate_hz": rate_hz, "gap_s": gap_s, "window": len(gaps)}


@topic_group.command("hz")
@click.argument("topic", shell_complete=complete_topic)
@hub_options
@click.option("--window", type=click.IntRange(1), default=WINDOW, show_default=True, help="Gaps to look at.")
@click.option("--count", type=click.IntRange(2), metavar="N", help="Stop after N messages.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document at the end, nothing else.")
def hz_command(topic: str, hub: str | None, folder: Path | None, window: int, count: int | None, as_json: bool) -> int:
    """Measure how often TOPIC is published, until Ctrl-C."""
    run = find(hub, folder)
    record = promised(run, topic)
    if record is None:
        raise click.ClickException(nobody(run, topic))
    gaps, outlet = Gaps(window), Outlet()

    def note(_message: Any, header: Header) -> None:
        if observer.enough:
            return
        gaps.add(header.instance, header.t_wall_ns)
        observer.enough = gaps.messages == count

    with observe(run, "hz", record, note, table=table_for(run, record)) as observer:
        told = 0
        while not observer.spin(REPORT_S):
            outlet.flush()
            if not as_json:
                outlet.say(_rate(observer, gaps) if gaps.messages > told else f"no message in {REPORT_S:g} s")
                told = gaps.messages
        facts = _facts(observer, gaps)
        outlet.say(json.dumps(facts, indent=2) if as_json else _rate(observer, gaps))
        outlet.close()
        if observer.shutdown is not None and not observer.enough:
            click.echo(f"the run ended: {observer.shutdown.reason or 'done'}", err=True)
        return observer.code


def _facts(observer: Observer, gaps: Gaps) -> dict[str, Any]:
    received = observer.process.subscriptions[observer.topic]
    each = received.payload_bytes / received.messages if received.messages else None
    return {
        "topic": observer.topic,
        "messages": gaps.messages,
        **gaps.facts(),
        "lost": observer.lost,
        "payload_bytes_mean": each,
    }


def _rate(observer: Observer, gaps: Gaps) -> str:
    facts = _facts(observer, gaps)
    gap_s = facts["gap_s"]
    if gap_s is None:
        return f"{facts['messages']} messages, too few for a rate"
    milli = {name: f"{1e3 * seconds:.3g} ms" for name, seconds in gap_s.items()}
    rate = "?" if facts["rate_hz"] is None else f"{facts['rate_hz']:.4g}"
    return (
        f"{rate} /s  gap {milli['min']} to {milli['max']}, std {milli['std']}, window {facts['window']}  "
        f"{facts['payload_bytes_mean']:.0f} B each  lost {facts['lost']}"
    )
