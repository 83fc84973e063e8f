"""Where foreign agents meet an edge server: their frames in and out, their decisions on the bus.

Everything else goes its way as with an agent of ours: the edge server publishes an observation and gathers a decision,
and does not know that both ends of that are in its own process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bus import agent_wire as wire
from bus.agent_rates import Rates
from bus.codec import Header
from bus.entries import SAID_GOODBYE
from bus.errors import DecodeError
from bus.messages import BeatAck, Message, Roster, Seated, SeatQuery, Shutdown
from bus.messages import Seat as Granted
from bus.node import Node
from bus.process import Process
from bus.publisher import Publisher
from bus.slots import SlotDriver
from bus.swap_messages import BESIDE, Shadowed
from emulator.nodes.agent_link import AgentLink
from emulator.nodes.handing import Handing
from emulator.nodes.handover import Party
from emulator.nodes.seat import ASKED, Face, Role, Seat
from emulator.nodes.seat_keys import SeatKeys
from emulator.nodes.takeover import Takeover, Turn

SLOTS_OVERHEARD: Final = 4
STATES: Final = (wire.NUMBERS[wire.StatePiece], wire.NUMBERS[wire.StateResult])
"""Kinds with which an agent gives or takes a state."""


@dataclass(slots=True)
class Sitter:
    """A foreign agent at this edge server: where it is, and how far."""

    identity: bytes
    instance: int
    seat: Seat
    said: int = 0
    state_format: str = ""
    needs_state: bool = False


class Gateway:
    """The foreign agents of one edge server, of which one at most is bound.

    Args:
        node: The edge server's.
        edge: Its number.
        face: What it asks of an agent.
        driver: Its process's place in time.
        latest: What it observed last; None before the first.
    """

    def __init__(
        self, node: Node, edge: int, face: Face, driver: SlotDriver, latest: Callable[[], Any] = lambda: None
    ) -> None:
        self.edge = edge
        self._driver = driver
        self._latest = latest
        self._takeover = Takeover(node, edge, driver, face.nothing, self._publish)
        self._handing = Handing(node, edge, driver, self._takeover, self._party, self._ask)
        self._node = node
        self._face = face
        self._link = AgentLink(node, edge, face, self._on_observation)
        self._name = f"/agent/{edge}"
        self._sitters: dict[int, Sitter] = {}
        self._bound = (0, 0)  # instance and epoch
        self._outcome: tuple[int, Any] | None = None  # of a slot that may still be computed again
        self._overheard: dict[int, dict[str, Any]] = {}  # what neighbours did, by slot and topic; some are ahead
        self._decision: Publisher | None = None
        self._refused = node.process.measurements.counter

    # -- who comes and goes --------------------------------------------------------------------------------------------

    def join(self, identity: bytes, header: wire.Header) -> None:
        """Somebody wants the seat that the hub has given him, he says: ask the hub."""
        self._open()
        query = SeatQuery(self.edge, header.instance)
        self._node.process.membership.ask("seat", query, Granted, partial(self._granted, identity, header))

    def _granted(self, identity: bytes, header: wire.Header, answer: Any) -> None:
        if not isinstance(answer, Granted):
            self._say(identity, header.instance, wire.Refused("unknown_instance", str(answer.text), header.sequence))
            return
        state = answer.state_format, answer.needs_state
        sitter = Sitter(identity, header.instance, None, 0, *state)  # type: ignore[arg-type]
        sitter.seat = Seat(
            self._face,
            lambda said, epoch, frame: self._tell(sitter, said, epoch, frame),
            lambda *decided: self._answered(sitter, *decided),
            lambda reason: self._warm(sitter, reason),
            self._node.process.after,
        )
        self._forget_those_gone()
        self._sitters[header.instance] = sitter
        sitter.seat.begin(self._latest)

    def _forget_those_gone(self) -> None:
        """Of those who only stood by the roster does not tell; the graph does."""
        there = self._node.process.membership.peers
        for instance, sitter in list(self._sitters.items()):
            if sitter.seat.state != "warm-up" and instance not in there and instance != self._bound[0]:
                del self._sitters[instance]

    def _warm(self, sitter: Sitter, reason: str) -> None:
        if reason:
            self._sitters.pop(sitter.instance, None)

        def told(answer: Any) -> None:
            if not (isinstance(answer, BeatAck) and answer.known):
                self._end(sitter, "its lease is lost", again=True)

        self._node.process.membership.ask("seated", Seated(self.edge, sitter.instance, reason), BeatAck, told)

    def _end(self, sitter: Sitter, reason: str, *, again: bool) -> None:
        sitter.seat.end(reason, again=again)
        self._sitters.pop(sitter.instance, None)

    def _open(self) -> None:
        """Only now, so that runs without foreign agents are as they were."""
        if self._decision is not None:
            return
        face, node = self._face, self._node
        self._decision = node.publisher(face.decision)
        self._takeover.guard(face.decision)
        node.subscribe("/hub/roster", self._on_roster)
        node.subscribe(face.observation, self._link)
        node.subscribe(face.in_force, self._on_in_force)
        node.subscribe(face.reward, self._on_reward)
        node.subscribe("/hub/shutdown", self._on_shutdown)
        for topic in face.overheard:
            node.subscribe(topic, partial(self._on_overheard, topic))

    def lost(self, instance: int) -> None:
        """The hub knows of no such lease any more."""
        sitter = self._sitters.get(instance)
        if sitter is not None:
            self._end(sitter, "its lease is lost", again=True)

    def begin_again(self, seed: int) -> None:
        """Time begins again at frame 0."""
        self._outcome = None
        self._overheard = {}
        self._takeover.begin_again()
        self._link.begin_again()
        self._handing.begin_again()
        for sitter in self._sitters.values():
            sitter.seat.begin_again(seed)

    # -- what the agent says -------------------------------------------------------------------------------------------

    def receive(self, identity: bytes, header: wire.Header, said: wire.Said | None, problem: str) -> None:
        """Take a frame that was meant for this edge server; said None: it is none that can be read, and why."""
        if isinstance(said, wire.Join):
            self.join(identity, header)
            return
        sitter = self._sitters.get(header.instance)
        if sitter is None or sitter.identity != identity:
            text = f"instance {header.instance} has no seat here; say Hello again"
            self._say(identity, header.instance, wire.Refused("stale_epoch", text, header.sequence))
        elif isinstance(said, wire.Goodbye):
            sitter.seat.state = "gone"
            self._sitters.pop(sitter.instance)
            self._handing.gone(sitter.instance)
            request = Seated(self.edge, sitter.instance, f"{SAID_GOODBYE} {said.reason}".strip())
            self._node.process.membership.ask("seated", request, BeatAck, lambda _: None)
        elif header.kind in STATES:
            if not self._handing.hear(sitter.instance, header, said, problem):
                refused = wire.Refused("unasked", "no state is wanted (any more)", header.sequence)
                self._tell(sitter, refused, header.epoch, header.frame)
        elif said is None or isinstance(said, self._face.decides):
            sitter.seat.hear(header, said, problem)
        else:
            refused = wire.Refused("unasked", f"{type(said).__name__} is not for an edge server", header.sequence)
            self._tell(sitter, refused, header.epoch, header.frame)

    # -- what the bus says ---------------------------------------------------------------------------------------------

    def _on_roster(self, roster: Roster, _header: Header) -> None:
        own = [binding for binding in roster.bindings if binding.edge == self.edge]
        before = {instance for instance, sitter in self._sitters.items() if sitter.seat.state in ASKED}
        self._bound = next(((b.instance, b.epoch) for b in own if b.role not in BESIDE), (0, 0))
        for instance in before - {binding.instance for binding in own}:
            self._handing.gone(instance)
            if self._bound[0]:  # the hub says goodbye: it knows whether there is anything to come back for
                self._sitters.pop(instance).seat.drain()
            else:
                self._end(self._sitters[instance], "it was given up", again=True)

    def _on_observation(self, message: Any, header: Header) -> None:
        turn = self._takeover.begin(header)
        if turn is None:
            return
        if self._outcome is not None and self._outcome[0] < turn.frame:
            (slot, outcome), self._outcome = self._outcome, None
            heard = self._overheard.get(slot, {})
            self._overheard = {ahead: heard for ahead, heard in self._overheard.items() if ahead > slot}
            others = tuple(heard.get(topic) for topic in self._face.overheard)
            for told in self._sitters.values():
                told.seat.rewarded(outcome, slot, others)
        for instance in self._takeover.shadows():
            self._ask(message, turn, instance)
        self._handing.ask(message, turn)

    def _ask(self, message: Any, turn: Turn, instance: int) -> None:
        sitter = self._sitters.get(instance)
        if sitter is not None:
            role: Role = {turn.bound: "active", turn.held: "standby"}.get(instance, "shadow")  # type: ignore[assignment]
            sitter.seat.ask(message, turn.frame, turn.epoch, turn.slot, turn.attempt, role)

    def _party(self, instance: int) -> Party | None:
        """One of those at this gateway, as a hand-over of states knows it."""
        sitter = self._sitters.get(instance)
        if sitter is None:
            return None
        say, seat = partial(self._tell, sitter), sitter.seat
        return Party(instance, sitter.state_format, sitter.needs_state, say, seat.awaits_reward)

    def _on_in_force(self, message: Any, header: Header) -> None:
        sitter = self._sitters.get(self._bound[0])
        if sitter is not None and header.slot % self._face.setup.slots_per_frame == 0:
            sitter.seat.judged(header.slot // self._face.setup.slots_per_frame, message.refused)

    def _on_reward(self, message: Any, header: Header) -> None:
        frame = getattr(message, "frame", None)
        if frame is None:
            self._outcome = header.slot, message
            return
        for sitter in self._sitters.values():
            sitter.seat.rewarded(message, frame)
        self._handing.look()

    def _on_overheard(self, topic: str, message: Any, header: Header) -> None:
        self._overheard.setdefault(header.slot, {})[topic] = message
        if len(self._overheard) > SLOTS_OVERHEARD:  # nobody was there to be told
            del self._overheard[min(self._overheard)]

    def _on_shutdown(self, shutdown: Shutdown, _header: Header) -> None:
        for sitter in list(self._sitters.values()):
            self._end(sitter, shutdown.reason, again=False)

    # -- out -----------------------------------------------------------------------------------------------------------

    def _answered(self, sitter: Sitter, message: Message, slot: int, attempt: int, reason: str) -> None:
        if sitter.seat.state != "shadow":
            self._takeover.answered(sitter.instance, message, slot, attempt, reason)
            return
        frame = slot // self._face.setup.slots_per_frame
        told = Shadowed(self.edge, sitter.instance, frame, () if reason else self._face.numbers(message), reason)
        self._node.process.membership.ask("shadowed", told, BeatAck, lambda _: None)

    def called(self, instance: int) -> str:
        """The name under which an agent's traffic is counted; of a shadow apart."""
        sitter = self._sitters.get(instance)
        return f"/shadow/{self.edge}" if sitter is not None and sitter.seat.state == "shadow" else self._name

    def _publish(self, message: Message, slot: int, attempt: int) -> None:
        assert self._decision is not None  # noqa: S101 -- nobody sits before it is open
        self._decision.publish(message, slot=slot, attempt=attempt, t_sim_ns=self._link.leaves_ns(slot))

    def _tell(self, sitter: Sitter, said: wire.Said, epoch: int, frame: int) -> None:
        sitter.said += 1
        if isinstance(said, wire.Refused):
            self._refused("foreign_refused", reason=said.reason).value += 1.0
        self._say(sitter.identity, sitter.instance, said, epoch, frame, sitter.said)

    def _say(
        self, identity: bytes, instance: int, said: wire.Said, epoch: int = 0, frame: int = 0, sequence: int = 0
    ) -> None:
        made = wire.encode(said, edge=self.edge, instance=instance, epoch=epoch, frame=frame, sequence=sequence)
        self._node.process.answering.tell(identity, made, self._node.name, type(said).__name__, self.called(instance))


class Door:
    """Takes the frames of foreign agents for all edge servers of a process."""

    def __init__(self, process: Process, gateways: Iterable[Gateway]) -> None:
        self._process = process
        self._gateways = {gateway.edge: gateway for gateway in gateways}
        self._rates = Rates(process.clock)
        self._dropped = process.measurements.counter
        self._keys = SeatKeys(process, self._gateways, lambda edge, instance: self._gateways[edge].lost(instance))
        process.answering.foreign = self.receive

    def begin_again(self, seed: int) -> None:
        """Time begins again at frame 0."""
        for gateway in self._gateways.values():
            gateway.begin_again(seed)

    def receive(self, identity: bytes, frame: bytes, key: str) -> None:
        """Take one frame; what cannot be answered is dropped and counted."""
        try:
            header = wire.header_of(frame)
        except DecodeError:
            self._dropped("foreign_refused", reason="malformed").value += 1.0
            return
        gateway = self._gateways.get(header.edge)
        known = "/agent" if gateway is None else gateway.called(header.instance)
        self._process.answering.heard(frame, known, wire.name_of(header.kind), self._process.name)
        if self._rates.is_flood(identity):
            self._dropped("foreign_refused", reason="flood").value += 1.0
            return
        reason, said, problem = read(frame, header)
        if gateway is None:
            reason, problem = "unknown_edge", f"no edge server {header.edge} here"
        elif not self._keys.may_speak(key, header.instance):
            reason, problem = "unknown_instance", f"instance {header.instance} has another key"
        if reason:
            refused = wire.Refused(reason, problem, header.sequence)
            made = wire.encode(refused, edge=header.edge, instance=header.instance)
            self._process.answering.tell(identity, made, f"/process/{self._process.name}", "Refused", known)
        elif gateway is not None:
            gateway.receive(identity, header, said, problem)


def read(frame: bytes, header: wire.Header) -> tuple[str, wire.Said | None, str]:
    """Why a frame is refused whoever said it (empty: it is not), its payload if it can be read, and if not, why."""
    if header.version != wire.PROTOCOL:
        return "version", None, f"version {header.version}, not {wire.PROTOCOL}"
    if len(frame) > wire.MOST_BYTES:
        return "too_large", None, f"{len(frame)} bytes"
    try:
        return "", wire.said_in(frame, header), ""
    except DecodeError as error:
        return "", None, str(error)
