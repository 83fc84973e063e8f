"""The hub's desk for foreign agents: Hello, beats and goodbyes of programs that are no processes on the bus.

What they get is a lease like any other. They join the run when their edge server says that their warm-up is over; from
then on they are in the graph, as processes that publish nothing and answer no calls.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from bus import agent_wire as wire
from bus import messages
from bus.agent_rates import Rates
from bus.agent_state import LONGEST_FORMAT, STATE
from bus.entries import SAID_GOODBYE
from bus.errors import DecodeError
from bus.keystore import is_key
from bus.messages import BeatAck, Failure, Lease, Leased, Leave, Message, NodeRecord, Peer, Seat, Seated, SeatQuery
from bus.names import HUB

if TYPE_CHECKING:
    from bus.admission import Admission
    from bus.calls import Answering
    from bus.entries import Entry
    from bus.pool import NamePool
    from bus.process import Process
    from bus.registry import Registry

_log = logging.getLogger(__name__)

AGENT: Final = "agent"
RETRY_S: Final = 0.5
BEATS_PER_LIFE: Final = 5.0
MOST_SAID: Final = 1024
"""Sockets whose frames are counted; of more than those, agents that are gone are forgotten."""
ROLES: Final = ("deployment", "rental")


class AgentDesk:
    """Answers foreign agents at the registry's address.

    Args:
        world: Of the run, and so the role that an agent must have.
        admission: With keys, who may ask for what.
    """

    def __init__(
        self,
        registry: Registry,
        process: Process,
        answering: Answering,
        entries: Mapping[int, Entry],
        pool: NamePool,
        lease: Callable[[Lease], Leased | Failure],
        world: str,
        admission: Admission | None,
    ) -> None:
        self._registry = registry
        self._entries = entries
        self._pool = pool
        self._lease = lease
        self._answering = answering
        self._world = world
        self._admission = admission
        self._identities: dict[int, bytes] = {}  # by instance: where to say goodbye to
        self._edges: dict[int, tuple[int, int]] = {}  # by instance: the edge server, and its process's instance
        self._hellos: dict[int, wire.Hello] = {}
        self._said: dict[bytes, int] = {}  # frames to each, for their sequence
        self._rates = Rates(process.clock)
        self._dropped = process.measurements.counter
        answering.foreign = self.receive
        registry.serve("seat", SeatQuery, self._seat, Seat)
        registry.serve("seated", Seated, self._seated, BeatAck)

    def receive(self, identity: bytes, frame: bytes, key: str) -> None:
        """Take one frame of an agent, that has shown a key if there are keys."""
        try:
            header = wire.header_of(frame)
        except DecodeError:
            return  # nobody who could be answered
        reply = self._reply(identity, header, frame, key)
        if reply is not None:
            self._say(identity, header.edge, header.instance, reply)

    def _reply(self, identity: bytes, header: wire.Header, frame: bytes, key: str) -> wire.Said | None:
        if self._rates.is_flood(identity):
            self._dropped("foreign_refused", reason="flood").value += 1.0
            return None
        self._answering.heard(frame, agent_of(header.edge), wire.name_of(header.kind), HUB)
        if header.version != wire.PROTOCOL:
            return refused("version", f"version {header.version}, not {wire.PROTOCOL}", header)
        if len(frame) > wire.MOST_BYTES:
            return refused("too_large", f"{len(frame)} bytes", header)
        try:
            said = wire.said_in(frame, header)
        except DecodeError as error:
            return refused("malformed", str(error), header)
        if self._registry.graph_closed:
            return wire.Goodbye("the run is over")
        if isinstance(said, wire.Hello):
            return self._hello(identity, header, said, key)
        if isinstance(said, wire.Beat):
            beat = messages.Beat(header.instance, busy_s=said.busy_s)
            return wire.BeatAck(self._speaks(identity, key, "beat", beat) and self._registry.beat(beat).known)
        if isinstance(said, wire.Goodbye):
            leave = Leave(header.instance, f"{SAID_GOODBYE} {said.reason}".strip())
            if self._speaks(identity, key, "leave", leave):
                self._registry.drop(leave.instance, leave.reason)
            return None
        return refused("unasked", f"{type(said).__name__} belongs to the edge server", header)

    def _speaks(self, identity: bytes, key: str, method: str, request: messages.Beat | Leave) -> bool:
        """Whether somebody may speak for a foreign agent: with keys, whoever shows the key of that very lease."""
        if request.instance not in self._identities:
            return False
        if self._admission is not None and self._admission.forbids(key, HUB, method, request, reads=False):
            return False
        self._identities[request.instance] = identity  # it may have come over another connection before
        return True

    def _hello(self, identity: bytes, header: wire.Header, hello: wire.Hello, key: str) -> wire.Said | None:
        if hello.world != self._world:
            return refused("world", f"this run is of the world {self._world}, not {hello.world}", header)
        role = "deployment" if self._world == "offloading" else "rental"
        if hello.role != role:
            return refused("role", f"the role here is {role}, not {hello.role}", header)
        again = [known for known, said in self._hellos.items() if said.public_key and said == hello]
        if again and self._identities[again[0]] == identity:
            self._accept(again[0])  # with keys, a Hello that is repeated means the same lease
            return None
        for before in [known for known, whose in self._identities.items() if whose == identity]:
            self._forget(before)
            self._registry.drop(before, "said Hello again")
        if hello.process in self._registry.standbys.unwanted:
            return refused("surplus", f"{hello.process} is not needed any more", header)
        standby = hello.standby or hello.process in self._registry.standbys.expected
        if standby and header.edge == wire.ANY_EDGE:
            return refused("unknown_edge", "a standby must say for which edge server", header)
        index = self._free() if header.edge == wire.ANY_EDGE else header.edge
        if index is not None and self._registry.holder(f"/edge/{index}") is None and index in self._agents():
            return refused("no_edge_server", f"/edge/{index} is not there yet", header, RETRY_S)
        request = Lease(self._called(hello), AGENT, index, public_key=hello.public_key if self._admission else "")
        if self._admission is not None:
            forbidden = self._forbidden(key, request)
            if forbidden:
                return refused("keys", forbidden, header)
        if standby and index in self._agents():
            leased = self._registry.standbys.lease(request, self._agents()[index])
            if self._admission is not None and not isinstance(leased, Failure):
                self._admission.enter(self._entries[leased.instance], request.public_key)
        else:
            leased = self._lease(request)
        if isinstance(leased, Failure):
            reason = "unknown_edge" if leased.kind == "unknown_index" else leased.kind
            retry_s = RETRY_S if reason in ("held", "surplus") else 0.0
            return refused(reason, leased.text, header, retry_s)
        self._entries[leased.instance].foreign = True
        edge = int(leased.names[0].rpartition("/")[2])
        host = self._registry.holder(f"/edge/{edge}")
        assert host is not None  # noqa: S101 -- it was there before there was a lease
        self._identities[leased.instance] = identity
        self._edges[leased.instance] = edge, host.instance
        self._hellos[leased.instance] = hello
        self._accept(leased.instance)
        return None

    def _accept(self, instance: int) -> None:
        edge = self._edges[instance][0]
        host, life_s = self._registry.holder(f"/edge/{edge}"), self._registry.liveliness_s
        if host is not None:
            name, beat_s = agent_of(edge), life_s / BEATS_PER_LIFE
            accepted = wire.Accepted(name, host.call_endpoint, beat_s, life_s, host.public_key)
            self._say(self._identities[instance], edge, instance, accepted)

    def _called(self, hello: wire.Hello) -> str:
        """The name of its process in this run: the launcher's, or one that nobody has."""
        name = f"foreign-{hello.name}"
        taken = {entry.process for entry in self._entries.values()}
        more = (f"{name}-{number}" for number in itertools.count(2))
        return hello.process or next(free for free in itertools.chain([name], more) if free not in taken)

    def _forbidden(self, key: str, request: Lease) -> str:
        """With keys, why the one who is shown gets no lease; empty if he does."""
        assert self._admission is not None  # noqa: S101 -- asked only then
        if not is_key(request.public_key):
            return "Hello has no public_key of 40 characters, made for this lease"
        why = self._admission.forbids(key, HUB, "lease", request, reads=False)
        return "" if why is None else why[1]

    def _agents(self) -> dict[int, str]:
        """The names of agents by edge server."""
        return {int(name.rpartition("/")[2]): name for name in self._pool.names(AGENT)}

    def _free(self) -> int | None:
        """An edge server without an agent; one that is there, if there is such a one; None: all have theirs."""
        held = {name for entry in self._entries.values() for name in entry.names}
        free = [edge for edge, name in self._agents().items() if name not in held]
        there = [edge for edge in free if self._registry.holder(f"/edge/{edge}") is not None]
        return next(iter(there or free), None)

    def _say(self, identity: bytes, edge: int, instance: int, said: wire.Said) -> None:
        if len(self._said) > MOST_SAID:
            there = {identity, *self._identities.values()}
            self._said = {known: count for known, count in self._said.items() if known in there}
        sequence = self._said[identity] = self._said.get(identity, 0) + 1
        frame = wire.encode(said, edge=edge, instance=instance, sequence=sequence)
        self._answering.tell(identity, frame, HUB, type(said).__name__, agent_of(edge))

    # -- what edge servers ask -----------------------------------------------------------------------------------------

    def _seat(self, query: SeatQuery) -> Message:
        if query.public_key:
            found = [known for known, hello in self._hellos.items() if hello.public_key == query.public_key]
            if not found:
                return Failure(0, "unknown_instance", "no agent has that key")
            query = SeatQuery(self._edges[found[0]][0], found[0])
        hello = self._hellos.get(query.instance)
        if hello is None or self._edges.get(query.instance, (-1, 0))[0] != query.edge:
            return Failure(0, "unknown_instance", f"no agent for edge {query.edge} has instance {query.instance}")
        state = self.state_of(query.instance)
        return Seat(query.edge, query.instance, hello.name, hello.version, hello.capabilities, *state)

    def _seated(self, told: Seated) -> Message:
        hello, place = self._hellos.get(told.instance), self._edges.get(told.instance)
        if hello is None or place is None or told.instance not in self._entries:
            return BeatAck(False)
        if told.reason:
            # It hears of it here and from its edge server, in either order, so both must say the same.
            identity = self._identities[told.instance]
            self._forget(told.instance)
            self._say(identity, place[0], told.instance, wire.Goodbye("warm_up"))
            self._registry.drop(told.instance, told.reason)
            return BeatAck(False)
        entry = self._entries[told.instance]
        nodes = tuple(NodeRecord(name) for name in entry.names)
        # Without its key: whoever reads the graph would let it in, but the hub and one edge server will do.
        self._registry.enter(entry, Peer(entry.process, told.instance, hello.pid, "-", "", "", "", nodes))
        if entry.stands_by:
            for tell in self._registry.standbys.on_ready:
                tell(told.instance)
        return BeatAck(True)

    # -- what a swap asks ----------------------------------------------------------------------------------------------

    def describe(self, instance: int) -> tuple[str, str]:
        """What a foreign agent calls itself, and its version."""
        hello = self._hellos.get(instance)
        return ("", "") if hello is None else (hello.name, hello.version)

    def state_of(self, instance: int) -> tuple[str, bool]:
        """The format of the state that a foreign agent gives and takes (empty: none), and whether it needs one."""
        hello = self._hellos.get(instance)
        speaks = hello is not None and STATE in hello.capabilities and 0 < len(hello.state_format) <= LONGEST_FORMAT
        return (hello.state_format, hello.needs_state) if hello is not None and speaks else ("", False)

    def knows(self, instance: int) -> bool:
        """Whether that is a foreign agent that is there."""
        return instance in self._identities

    def retire(self, instance: int, reason: str) -> None:
        """A foreign agent is needed no more: it says no Hello again, and its lease ends here."""
        if instance in self._identities:
            identity, edge = self._identities[instance], self._edges[instance][0]
            self._forget(instance)
            self._say(identity, edge, instance, wire.Goodbye(reason))
        self._registry.drop(instance, reason)

    # -- what the registry tells ---------------------------------------------------------------------------------------

    def gone(self, instance: int, reason: str) -> None:
        """A process or an agent is no more: an agent hears why, as do those that sat at an edge server that is gone."""
        if instance in self._identities:
            identity, edge = self._identities[instance], self._edges[instance][0]
            self._forget(instance)
            self._say(identity, edge, instance, wire.Goodbye(reason, again=True))
        for seated in [seated for seated, (_, host) in self._edges.items() if host == instance]:
            self._registry.drop(seated, "its edge server is gone")
        for tell in self._registry.standbys.on_gone:
            tell(instance, reason)

    def _forget(self, instance: int) -> None:
        for known in (self._identities, self._edges, self._hellos):
            known.pop(instance, None)


def agent_of(edge: int) -> str:
    """The name of an edge server's agent; without a number where it is not known yet."""
    return "/agent" if edge == wire.ANY_EDGE else f"/agent/{edge}"


def refused(reason: str, text: str, header: wire.Header, retry_s: float = 0.0) -> wire.Refused:
    """A refusal of the frame with that header."""
    return wire.Refused(reason, text, header.sequence, retry_s)
