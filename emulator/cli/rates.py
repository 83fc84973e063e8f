"""`edgerig topic bw` and `edgerig topic delay`: bytes a second on a topic, and how old its messages are."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import click

from bus.codec import Header
from emulator.cli.completion import complete_topic
from emulator.cli.finding import find, hub_options
from emulator.cli.observing import Observer, Outlet, observe
from emulator.cli.topics import WINDOW, nobody, promised

REPORT_S = 1.0


class Meter(Protocol):
    """Adds up messages, and says what they come to."""

    messages: int

    def add(self, header: Header, observer: Observer) -> None:
        """A message came."""
        ...

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        ...

    def line(self) -> str:
        """For people."""
        ...


class Bandwidth:
    """Bytes by the publishers' stamps, in a window of messages: reading late bends nothing."""

    def __init__(self, window: int) -> None:
        self.messages = 0
        self._sizes: deque[tuple[int, int, int]] = deque(maxlen=window)  # stamp, payload bytes, wire bytes
        self._payload = self._wire = 0

    def add(self, header: Header, observer: Observer) -> None:
        """A message came; its sizes are what the subscription's counters grew by."""
        received = observer.process.subscriptions[observer.topic]
        payload, wire = received.payload_bytes - self._payload, received.wire_bytes - self._wire
        self._payload, self._wire = received.payload_bytes, received.wire_bytes
        self.messages += 1
        self._sizes.append((header.t_wall_ns, payload, wire))

    def facts(self) -> dict[str, Any]:
        """Rates in bytes a second, sizes in bytes; None while there is too little to say."""
        sizes = [payload for _, payload, _ in self._sizes]
        stamps = [stamp for stamp, _, _ in self._sizes]
        span_s = (max(stamps) - min(stamps)) / 1e9 if len(stamps) > 1 else 0.0
        # The first message opens the window; what it weighs came before it.
        share = (len(sizes) - 1) / len(sizes) / span_s if span_s > 0.0 else None
        return {
            "payload_bytes_per_s": sum(sizes) * share if share is not None else None,
            "wire_bytes_per_s": sum(wire for _, _, wire in self._sizes) * share if share is not None else None,
            "payload_bytes": _spread([float(size) for size in sizes]),
            "window": len(sizes),
        }

    def line(self) -> str:
        """For people."""
        facts = self.facts()
        if facts["payload_bytes_per_s"] is None:
            return f"{self.messages} messages, too few for a rate"
        each = facts["payload_bytes"]
        rates = f"{_bytes(facts['payload_bytes_per_s'])}/s payload, {_bytes(facts['wire_bytes_per_s'])}/s on the wire"
        sizes = f"{each['min']:.0f} to {each['max']:.0f} B, mean {each['mean']:.0f}"
        return f"{rates}  each {sizes}, window {len(self._sizes)}"


class Delay:
    """Time from a publisher's stamp to this tool; between machines it holds the difference of their clocks, too."""

    def __init__(self, window: int) -> None:
        self.messages = 0
        self._delays_s: deque[float] = deque(maxlen=window)

    def add(self, header: Header, observer: Observer) -> None:
        """A message came."""
        self.messages += 1
        self._delays_s.append((observer.process.wall_ns() - header.t_wall_ns) / 1e9)

    def facts(self) -> dict[str, Any]:
        """Delays in seconds."""
        return {"delay_s": _spread(list(self._delays_s)), "window": len(self._delays_s)}

    def line(self) -> str:
        """For people."""
        spread = _spread(list(self._delays_s))
        if spread is None:
            return "no message yet"
        milli = {name: f"{1e3 * value:.3g} ms" for name, value in spread.items()}
        words = f"mean {milli['mean']}  {milli['min']} to {milli['max']}, std {milli['std']}"
        return f"{words}, window {len(self._delays_s)}"


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return {"mean": mean, "min": min(values), "max": max(values), "std": std}


def _bytes(amount: float) -> str:
    for unit in ("B", "kB", "MB"):
        if amount < 1000.0:
            return f"{amount:.4g} {unit}"
        amount /= 1000.0
    return f"{amount:.4g} GB"


def _measure(
    tool: str, topic: str, hub: str | None, folder: Path | None, count: int | None, as_json: bool, meter: Meter
) -> int:
    run = find(hub, folder)
    record = promised(run, topic)
    if record is None:
        raise click.ClickException(nobody(run, topic))
    outlet = Outlet()

    def note(_message: Any, header: Header) -> None:
        if not observer.enough:
            meter.add(header, observer)
            observer.enough = meter.messages == count

    with observe(run, tool, record, note) as observer:
        told = 0
        while not observer.spin(REPORT_S):
            outlet.flush()
            if not as_json:
                outlet.say(meter.line() if meter.messages > told else f"no message in {REPORT_S:g} s")
                told = meter.messages
        document = {"topic": topic, "messages": meter.messages, **meter.facts(), "lost": observer.lost}
        outlet.say(json.dumps(document, indent=2) if as_json else f"{meter.line()}  lost {observer.lost}")
        outlet.close()
        if observer.shutdown is not None and not observer.enough:
            click.echo(f"the run ended: {observer.shutdown.reason or 'done'}", err=True)
        return observer.code


def _options(command: Callable[..., int]) -> Callable[..., int]:
    command = click.option("--json", "as_json", is_flag=True, help="One JSON document at the end, nothing else.")(
        command
    )
    command = click.option("--count", type=click.IntRange(2), metavar="N", help="Stop after N messages.")(command)
    command = click.option("--window", type=click.IntRange(2), default=WINDOW, show_default=True, help="Messages.")(
        command
    )
    return click.argument("topic", shell_complete=complete_topic)(hub_options(command))


@click.command("bw")
@_options
def bw_command(topic: str, hub: str | None, folder: Path | None, window: int, count: int | None, as_json: bool) -> int:
    """Measure how many bytes a second travel on TOPIC (one copy of each message), until Ctrl-C."""
    return _measure("bw", topic, hub, folder, count, as_json, Bandwidth(window))


@click.command("delay")
@_options
def delay_command(
    topic: str, hub: str | None, folder: Path | None, window: int, count: int | None, as_json: bool
) -> int:
    """Measure how old the messages of TOPIC are when they come, until Ctrl-C."""
    return _measure("delay", topic, hub, folder, count, as_json, Delay(window))
