"""A process's place in the hub's time: ticks and rosters in, one Done a slot out.

A slot is a transaction. Actors compute it when told to start; told again, with a higher attempt, they go back to their
last committed state and compute it again with the new roster. The next tick commits.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Protocol

import msgspec

from bus.codec import Header
from bus.messages import Binding, Done, Message, Roster, Shutdown, Tick
from bus.node import Node
from bus.publisher import Publisher


class Now(msgspec.Struct, frozen=True, gc=False):
    """A slot to compute: where in time, which attempt, and who takes part.

    Attributes:
        slot, frame, attempt: Where we are.
        first: Whether it is its frame's first slot.
        members: Names of the nodes that take part.
        bindings: Who decides for each edge server.
        changed: Whether the roster is new, so that what is only said now and then must be said again.
        linked: Whether emulated links may withhold what nodes tell each other, so that nobody's silence says anything.
    """

    slot: int
    frame: int
    attempt: int
    first: bool
    members: frozenset[str]
    bindings: tuple[Binding, ...] = ()
    changed: bool = False
    linked: bool = False


class Actor(Protocol):
    """A node that takes part in every slot."""

    name: str

    def start(self, now: Now) -> None:
        """Compute a slot from the last committed state; call ``SlotDriver.finish`` when done."""
        ...

    def commit(self) -> None:
        """The slot computed last counts."""
        ...


class _Part:
    """What a process did in the current slot."""

    __slots__ = ("digests", "timings", "unfinished")

    def __init__(self, actors: set[str]) -> None:
        self.unfinished = actors
        self.digests: list[tuple[str, int, bytes]] = []
        self.timings: dict[str, float] = {}


class SlotDriver:
    """Runs the actors of one process by the hub's ticks and acknowledges each slot once.

    They act while the roster has them, under their own instance: a process that has joined but not been admitted yet,
    or that was given up, computes nothing. On the wall clock a process may be behind the hub: ticks wait in line until
    the slot before is done, whose deadlines are over by then.
    """

    def __init__(self, node: Node, slots_per_frame: int, slot_wall_s: float | None) -> None:
        """Follow the hub.

        Args:
            node: One of the process's nodes; it speaks for the process.
            slots_per_frame: K.
            slot_wall_s: Wall seconds of a slot on the wall clock; None in lockstep.
        """
        self.process = process = node.process
        self.now: Now | None = None
        self.shutdown: Shutdown | None = None
        self._slots_per_frame = slots_per_frame
        self._slot_ns = 0 if process.links is None else process.links.clock.slot_ns
        self._slot_wall_s = slot_wall_s
        self._actors: list[Actor] = []
        self._used = Roster(0, ())
        self._rosters: dict[int, Roster] = {}
        self._newest = -1
        self._ticks: deque[tuple[int, int, float]] = deque()  # slot, number of its roster, when the tick came
        self._ticked = -1
        self._again: tuple[int, int, Roster] | None = None
        self._members: frozenset[str] = frozenset()
        self._takes_part = False
        self._linked = False
        self._settled = False
        self._part = _Part(set())
        self._names: frozenset[str] = frozenset()
        self._started_s = 0.0
        self._line: deque[tuple[int, Roster, float]] = deque()  # slots to begin: number, roster, when the tick came
        self._done = node.publisher(f"/process/{process.name}/done")
        node.subscribe("/hub/roster", self._on_roster)
        node.subscribe("/hub/tick", self._on_tick)
        node.subscribe("/hub/shutdown", self._on_shutdown)

    def add(self, actor: Actor) -> None:
        """Let an actor take part."""
        self._actors.append(actor)
        self._names |= {actor.name}

    @property
    def paced(self) -> bool:
        """Whether the wall clock closes slots, and so a gather may end with a part of its messages."""
        return self._slot_wall_s is not None

    def left_s(self, share: float) -> float | None:
        """Wall seconds until a share of the slot has passed; None in lockstep, where only messages close a gather."""
        if self._slot_wall_s is None:
            return None
        return max(0.0, self._started_s + share * self._slot_wall_s - self.process.clock())

    def publish(
        self, publisher: Publisher, message: Message, now: Now, *, digest: bool = True, into_ns: int = 0
    ) -> None:
        """Publish a message of this slot, and note its digest if its topic is one that the run's digest covers.

        Args:
            into_ns: Simulated nanoseconds into the slot at which it is sent, where links delay what it follows.
        """
        t_sim_ns = now.slot * self._slot_ns + into_ns if into_ns else 0
        payload = publisher.publish(message, slot=now.slot, attempt=now.attempt, t_sim_ns=t_sim_ns)
        if digest and publisher.spec.digest:
            self._part.digests.append((publisher.topic, 0, hashlib.sha256(payload).digest()))

    def note(self, stage: str, seconds: float) -> None:
        """Note wall seconds of work of this slot."""
        self._part.timings[stage] = seconds

    def finish(self, actor: Actor, now: Now) -> None:
        """An actor has done all it has to do in a slot."""
        if now is not self.now:
            return  # an attempt that was given up meanwhile
        part = self._part
        part.unfinished.discard(actor.name)
        if not part.unfinished:
            done = Done(self.process.name, now.slot, tuple(part.digests), part.timings)
            self._done.publish(done, slot=now.slot, attempt=now.attempt)
            if self._line:
                self.process.later(self._advance)

    def begin_again(self) -> None:
        """The run starts again at slot 0. Rosters stay: their numbers go on, and a new one comes with it."""
        self.now = self._again = None
        self._line.clear()
        self._ticks.clear()
        self._ticked = -1
        self._part = _Part(set())

    def _is_done(self) -> bool:
        return self.now is None or not self._part.unfinished

    def _on_roster(self, roster: Roster, header: Header) -> None:
        self._rosters[roster.number] = roster
        self._newest = roster.number
        if header.attempt > 0:
            self._again = (header.slot, header.attempt, roster)
        self._in_order()

    def _on_tick(self, tick: Tick, header: Header) -> None:
        self._ticks.append((header.slot, tick.roster, self.process.clock()))
        self._in_order()

    def _in_order(self) -> None:
        """Ticks and rosters are two topics, and either may have been lost and repaired: take them as the hub said."""
        while self._ticks and self._ticks[0][1] <= self._newest:
            slot, number, came_s = self._ticks.popleft()
            self._ticked = slot
            # Whoever does not know a roster that is over joined after it, and was no part of it.
            self._line.append((slot, self._rosters.get(number, Roster(number, ())), came_s))
            for old in [known for known in self._rosters if known < number]:
                del self._rosters[old]
            self._advance()
        if self._again is not None and self._again[0] == self._ticked:
            again, self._again = self._again, None
            self.process.give_up(again[0], again[1])
            self._start(*again)

    def _advance(self) -> None:
        while self._line and self._is_done():
            slot, roster, self._started_s = self._line.popleft()
            if self.now is not None:
                for actor in self._actors:
                    actor.commit()
            elif not self._settled:
                self._settled = True
                self.process.settle()
            self._start(slot, 0, roster)

    def _start(self, slot: int, attempt: int, roster: Roster) -> None:
        changed = roster is not self._used
        if changed:
            self._used = roster
            self._members = frozenset(member.node for member in roster.members)
            self._takes_part = any(
                m.node in self._names and m.instance == self.process.instance for m in roster.members
            )
            if self.process.links is not None:
                self.process.links.follow(roster.links)
                self._linked = self.process.links.shaped
        self._part = _Part(set(self._names))
        if not self._takes_part:
            self.now = None
            return
        frame, within = divmod(slot, self._slots_per_frame)
        now = Now(slot, frame, attempt, within == 0, self._members, roster.bindings, changed, self._linked)
        self.now = now
        for actor in self._actors:
            actor.start(now)

    def _on_shutdown(self, shutdown: Shutdown, _header: Header) -> None:
        self.shutdown = shutdown
        self.process.stop()
