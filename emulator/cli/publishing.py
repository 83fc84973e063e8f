"""`edgerig topic pub`: say something on a topic, as a person would."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bus.errors import CallTimeout
from bus.messages import Message
from bus.names import OBSERVER
from bus.topics import TABLE, TopicTable
from emulator.cli.completion import complete_topic
from emulator.cli.composed import compose
from emulator.cli.finding import ANSWER_S, HubSilent, Run, find, hub_options, look, run_status
from emulator.cli.finding import asking as client_of
from emulator.cli.observing import table_for
from emulator.cli.picture import topics_of
from emulator.cli.topics import unknown

if TYPE_CHECKING:
    from bus.process import Process
    from bus.publisher import Publisher

MATCH_S = 5.0
LAST_S = 0.2
LOST = 3
INTERRUPTED = 130


@click.command("pub")
@click.argument("topic", shell_complete=complete_topic)
@click.argument("message", default="")
@hub_options
@click.option("--once", is_flag=True, help="Publish one message (the default without --rate).")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="HZ", help="Publish so often, until Ctrl-C.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Stop after N messages.")
@click.option("--slot", type=click.IntRange(0), metavar="T", help="The slot it speaks of.  [default: the run's]")
@click.option("--wait", "wanted", type=click.IntRange(0), default=1, show_default=True, help="Subscribers to wait for.")
def pub_command(
    topic: str,
    message: str,
    hub: str | None,
    folder: Path | None,
    once: bool,
    rate: float | None,
    count: int | None,
    slot: int | None,
    wanted: int,
) -> int:
    """Publish MESSAGE, JSON by field names, on TOPIC.

    Whoever subscribes TOPIC takes it for real: in a run this changes the world, and its digest.
    """
    if once and (rate is not None or count is not None):
        raise click.ClickException("--once: goes with neither --rate nor --count")
    run = find(hub, folder)
    table = _table(run, topic)
    said = compose(message, table.match(topic).message)
    most = count if count is not None else (None if rate is not None else 1)
    if slot is None:
        with client_of(run) as client:
            status = run_status(client)
        slot = max(0, status.slot) if status is not None else 0
    from bus.process import Process, stop_on_signals  # here, because who only lists topics is no process on the bus

    process = Process(f"pub-{os.getpid()}", table=table, keys=run.keys(run.role()))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop_on_signals(process)
    try:
        node = process.node(process.join(run.address, OBSERVER, deadline_s=ANSWER_S)[0])
        publisher = node.publisher(topic)
        process.register()
        if wanted and not process.spin(lambda: len(publisher.matched) >= wanted, MATCH_S) and not process.stopping:
            heard = sorted(process.membership.known.get(uid, uid) for uid in publisher.matched)
            there = f"only {', '.join(heard)}" if heard else "nobody"
            click.echo(f"{topic}: {there} subscribed within {MATCH_S:g} s; wanted {wanted} (--wait)", err=True)
            return LOST
        return _publish(process, publisher, said, slot, most, rate)
    except CallTimeout as error:
        raise HubSilent(run.address, f"call 'lease' got no reply within {error.deadline_s:g} s") from None
    finally:
        process.close("(pub ended)")
        for number, handler in before.items():
            signal.signal(number, handler)


def _table(run: Run, topic: str) -> TopicTable:
    """A table that has the topic: ours, or with what its ends told the registry.

    Raises: click.ClickException: there is no such topic.
    """
    if TABLE.has(topic):
        return TABLE
    found = topics_of(look(run).peers)
    ends = [end for known in found if known.name == topic for end in (*known.subscribers, *known.publishers)]
    if not ends:
        raise click.ClickException(unknown(topic, found))
    return table_for(run, ends[0].record)


def _publish(
    process: Process, publisher: Publisher, said: Message, slot: int, most: int | None, rate: float | None
) -> int:
    sent = 0
    while not process.stopping and (most is None or sent < most):
        publisher.publish(said, slot=slot)
        sent += 1
        if most is None or sent < most:
            process.spin(None, 1.0 / rate if rate is not None else 0.0)
    with contextlib.suppress(KeyboardInterrupt):
        process.spin(None, LAST_S)  # whoever missed one has a moment to ask for it again
    click.echo(f"published {sent} on {publisher.topic} to {len(publisher.matched)} subscribing processes", err=True)
    return INTERRUPTED if process.stopping and most is None else 0


COMMANDS = [pub_command]
