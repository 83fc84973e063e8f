"""A whole run in one thread: the hub and its members as processes that take turns, killed at exact stages.

``Process.spin_once`` of whoever blocks (the hub that runs, a member that joins) gives everyone else a turn first, so
the product's own code drives the run. A kill closes the victim's sockets in the middle of whatever it was doing; some
turns later the hub is told, as the launcher would.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bus.accounting import link_report
from bus.messages import LinkReport, Message, Roster
from bus.process import Process
from bus.publisher import Publisher
from bus.testing import Cluster
from emulator import scenario_file, start
from emulator.assembly import resolve
from emulator.folder import read_table
from emulator.layout import count_of
from emulator.linking import faults_of
from emulator.scenario import Scenario

DEADLINE_S = 60.0
TICK = "tick"
SMALL = """
name = "small"
frames = 4
slots_per_frame = 2
[edges]
count = 3
storage_bytes = 1e9
[services]
count = 6
[scheduler]
backend = "numpy"
[deadlines]
stop_s = 0.05
liveliness_s = 60.0
hub_s = 60.0
"""


def small(**changes: Any) -> Scenario:
    """Three cells, six services, four frames of two slots; tables are given as dicts, ``agent={"policy": ...}``."""
    found = scenario_file.parse(SMALL, origin="small")
    for key, value in changes.items():
        table = getattr(found, key)
        if isinstance(value, dict):
            value = msgspec.structs.replace(table, **value)
        found = msgspec.structs.replace(found, **{key: value})
    return resolve(found)


class Killed(BaseException):
    """Not an Exception: nothing in the product may catch its own death."""


@dataclass
class Kill:
    """A death: after the victim's ``count``-th publication of ``topic`` (a pattern) in a slot, or of the slot's tick.

    Attributes:
        victim: Name of the process.
        slot, attempt: When.
        topic: What it still publishes; ``TICK``: it dies as the hub says the tick, which it does not see.
        before: It dies just before that publication instead.
        turns: Turns of all others until the hub hears of it.
        restart: Whether a replacement is started then.
    """

    victim: str
    slot: int
    topic: str
    count: int = 1
    attempt: int = 0
    before: bool = False
    turns: int = 5
    restart: bool = True
    seen: int = 0
    done: bool = False


class Turning(Process):
    """A process that lets the others turn before it waits."""

    def __init__(self, name: str, run: ThreadRun, **options: Any) -> None:
        self._run = run
        options.setdefault("drop", faults_of(run.scenario, name))
        super().__init__(name, context=run.bus.context, **options)

    def spin_once(self, timeout_s: float = 0.0) -> None:
        self._run.turn(self)
        super().spin_once(0.0)


@dataclass
class Sent:
    """One publication, as it happened."""

    process: str
    topic: str
    slot: int
    attempt: int
    message: Message


@dataclass
class Attempt:
    """Who took part from a (slot, attempt) on."""

    slot: int
    attempt: int
    members: frozenset[str]


@dataclass
class ThreadRun:
    """One run; ``play`` plays it to its end and returns the hub's exit code."""

    scenario: Scenario
    folder: Path
    kills: list[Kill] = field(default_factory=list)
    layout: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Kind to (first, count) groups; by default the cells share a process and all others have their own."""
    bus: Cluster = field(default_factory=Cluster)
    processes: dict[str, Turning] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    rosters: list[Attempt] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    reports: dict[str, LinkReport] = field(default_factory=dict)
    """What each process that was there at the end had sent to whom."""
    paused: set[str] = field(default_factory=set)
    on_turn: Callable[[ThreadRun], None] | None = None
    turns: int = 0

    def play(self) -> int:
        """Start everyone, run to the end, close everything."""
        self._ends_s = time.monotonic() + DEADLINE_S
        self._owners: dict[int, Turning] = {}
        self._starts: dict[str, tuple[str, int, int]] = {}
        self._due: list[tuple[int, Callable[[], None]]] = []
        self._starting = False
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "scenario.toml").write_text(scenario_file.dump(self.scenario))
        real = Publisher.publish
        run = self

        def publish(self: Publisher, message: Message, *, slot: int, attempt: int = 0, **more: Any) -> bytes:
            run._about_to_publish(self, slot, attempt)
            payload = real(self, message, slot=slot, attempt=attempt, **more)
            run._published(self, message, slot, attempt)
            return payload

        Publisher.publish = publish  # type: ignore[method-assign]
        try:
            return self._play()
        finally:
            Publisher.publish = real  # type: ignore[method-assign]
            everyone = [p for p in [*self.processes.values(), self.hub_process] if not p.closed]
            self.reports = {process.name: link_report(process) for process in everyone}
            for process in [*self.processes.values(), self.hub_process]:
                process.membership.vanish()
                process.close()
            self.bus.close()

    def _play(self) -> int:
        self.hub_process = Turning("hub", self)
        self.hub, self.registry = start.make_hub(self.hub_process, self.folder, self.scenario)
        self.hub_process.register()
        alone = [(m, 1) for m in range(self.scenario.edges.count)]
        if self.scenario.rental is None:
            self.start("cloud", "cloud", 0, 1)
        for kind, default in (("cell", [(0, count_of(self.scenario, "cell"))]), ("edge", alone), ("agent", alone)):
            for first, size in self.layout.get(kind, default):
                self.start(f"{kind}-{first}", kind, first, size)
        return self.hub.run()

    def start(self, name: str, kind: str, first: int, count: int) -> None:
        """Start one process of the run."""
        process = self.processes[name] = Turning(name, self)
        self._starts[name] = (kind, first, count)
        options = argparse.Namespace(hub=self.registry.address, index=first, count=count, wait=5.0, run=self.folder)
        wall_s = self.scenario.slot_s / self.scenario.rate if self.scenario.clock == "wall" else None
        start.makers_of(self.scenario)[kind](options, process, self.scenario, wall_s)
        self._owners[process.instance] = process
        process.register()

    def turn(self, blocked: Process) -> None:
        """Everyone else gets a turn."""
        assert time.monotonic() < self._ends_s, f"stalled: {self.hub.phase}, {self.hub.waiting()}"
        self.turns += 1
        everyone = [self.hub_process, *self.processes.values()]
        for process in everyone:
            if process is blocked or process.closed or process.name in self.paused:
                continue
            try:
                Process.spin_once(process, 0.0)
            except Killed:
                self.die(process.name)
        if self.on_turn is not None:
            self.on_turn(self)
        if not self._starting:
            due = [action for at, action in self._due if at <= self.turns]
            self._due = [(at, action) for at, action in self._due if at > self.turns]
            self._starting = True
            for action in due:
                action()
            self._starting = False

    def later(self, turns: int, action: Callable[[], None]) -> None:
        """Do something some turns from now."""
        self._due.append((self.turns + turns, action))

    def die(self, name: str, turns: int = 5, restart: bool = False) -> None:
        """End a process without a word."""
        process = self.processes[name]
        process.membership.vanish()
        process.close()
        kill = next((kill for kill in self.kills if kill.done and kill.victim == name), None)
        if kill is not None:
            turns, restart = kill.turns, kill.restart
            self.kills.remove(kill)
            kill.done = False
        self.lost.append(name)

        def report() -> None:
            self.registry.drop(process.instance, "its process ended with code -9")
            if restart:
                self.start(name, *self._starts[name])

        self.later(turns, report)

    def _kill_at(self, publisher: Publisher, slot: int, attempt: int, before: bool) -> Kill | None:
        owner = self._owners.get(publisher._instance)
        for kill in self.kills:
            fits = owner is not None and owner.name == kill.victim and (kill.slot, kill.attempt) == (slot, attempt)
            if not kill.done and fits and kill.before == before and re.fullmatch(kill.topic, publisher.topic):
                kill.seen += 1
                if kill.seen == kill.count:
                    kill.done = True
                    return kill
        return None

    def _about_to_publish(self, publisher: Publisher, slot: int, attempt: int) -> None:
        if publisher.topic == "/hub/tick":
            for kill in [kill for kill in self.kills if kill.topic == TICK and kill.slot == slot]:
                kill.done = True
                self.die(kill.victim)
        if self._kill_at(publisher, slot, attempt, before=True) is not None:
            raise Killed

    def _published(self, publisher: Publisher, message: Message, slot: int, attempt: int) -> None:
        owner = self._owners.get(publisher._instance)
        self.sent.append(Sent("hub" if owner is None else owner.name, publisher.topic, slot, attempt, message))
        if isinstance(message, Roster):
            self.rosters.append(Attempt(slot, attempt, frozenset(member.node for member in message.members)))
        if self._kill_at(publisher, slot, attempt, before=False) is not None:
            raise Killed

    # -- what came of it -----------------------------------------------------------------------------------------------

    def members(self, slot: int) -> frozenset[str]:
        """Who took part in a slot as it was committed."""
        return [found for found in self.rosters if found.slot <= slot][-1].members

    def attempts(self, slot: int) -> int:
        """How often a slot was computed."""
        return 1 + max((found.attempt for found in self.rosters if found.slot == slot), default=0)

    def slots(self) -> dict[str, list[float]]:
        """slots.csv by column."""
        return read_table(self.folder / "slots.csv")

    def ledger(self) -> dict[str, Any]:
        """What the hub writes at the end."""
        return json.loads((self.folder / "ledger.json").read_text())

    def told(self, topic: str) -> dict[int, Message]:
        """The last message of a topic in each slot."""
        return {sent.slot: sent.message for sent in self.sent if sent.topic == topic}
