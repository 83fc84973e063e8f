"""The registry in the hub's process: who holds which name, where everyone is, who is alive, who is ready."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import zmq

from bus.admission import REFRESH_S, Admission
from bus.agent_desk import AgentDesk
from bus.calls import Answering
from bus.catalogue import Catalogue, TypeConflict
from bus.description import methods_of
from bus.entries import LEFT, Entry, condition
from bus.gate import REGISTRY
from bus.keystore import Enrolled
from bus.messages import (
    Beat,
    BeatAck,
    Failure,
    Graph,
    Lease,
    Leased,
    Leave,
    Message,
    MethodQuery,
    Methods,
    NodeRecord,
    NodeStates,
    Peer,
    Peers,
    Query,
    Ready,
    Register,
    Registered,
    ReportExit,
    Revoke,
    Status,
    TypeQuery,
    Types,
    Vital,
    Vitals,
)
from bus.names import GUEST, HUB, OBSERVER
from bus.pool import NamePool, Refusal
from bus.process import Process
from bus.schemas import describe_type
from bus.standbys import Standbys
from bus.state_book import StateBook
from bus.vitals import vital_signs

_log = logging.getLogger(__name__)

LOOKS_PER_LIFE: Final = 10.0  # how often silence is looked for
HELD_UP_LOOKS: Final = 3.0
SETTLE_S: Final = 0.002  # many joins in one moment make one graph
SETTLE_S_PER_PEER: Final = 0.001


class Registry:
    """Gives names, publishes the graph, declares the silent lost.

    Args:
        process: The hub's process; it becomes a member with ``names``, without beats, and still has to ``register()``
            once its nodes publish and subscribe.
        pool: How many nodes of each role there are: ``{"edge": 5}`` grants /edge/0 .. /edge/4; None is one without an
            index: ``{"cloud": None}`` grants /cloud.
        liveliness_s: Wall seconds of silence after which a registered process is lost.
        grace_s: The same for one that holds names but has not registered yet (it may be compiling).
        max_busy_s: The longest silence that is believed of who announces one.
        enrolled: Whose keys leases are granted to; needed if the process has keys.
        on_join, on_ready, on_lost: Called from the loop with the Peer; on_lost also with the reason. on_ready comes for
            each graph version that the peer has matched.
    """

    def __init__(
        self,
        process: Process,
        pool: Mapping[str, int | None],
        *,
        address: str = "tcp://127.0.0.1:*",
        names: tuple[str, ...] = (HUB,),
        liveliness_s: float = 5.0,
        grace_s: float = 30.0,
        max_busy_s: float = 30.0,
        enrolled: Enrolled | None = None,
        on_join: Callable[[Peer], None] | None = None,
        on_ready: Callable[[Peer], None] | None = None,
        on_lost: Callable[[Peer, str], None] | None = None,
    ) -> None:
        self.liveliness_s = liveliness_s
        self.version = 0
        self._process = process
        self._pool = NamePool(pool, names)
        self.states = StateBook(self._pool)
        self._grace_s, self._max_busy_s = grace_s, max_busy_s
        self._on_join = on_join or _ignore
        self._on_ready = on_ready or _ignore
        self._on_lost = on_lost or _ignore
        self._entries: dict[int, Entry] = {}
        # High bits differ from run to run, so that a stranger of an earlier run is not taken for a member.
        self._next_instance = (int.from_bytes(os.urandom(2)) | 1) << 16
        self._settling = False
        self.graph_closed = False  # the run ends, and who is still there need not be told of each that leaves
        self.desk: AgentDesk | None = None  # where foreign agents come, if they may
        self.standbys = Standbys(self, self._entries, self._admit)
        self._catalogue = Catalogue()
        self._methods: dict[str, tuple[type[Message], Callable[[Any], Message], type[Message]]] = {
            "lease": (Lease, self._lease, Leased),
            "register": (Register, self._register, Registered),
            "beat": (Beat, self.beat, BeatAck),
            "ready": (Ready, self._ready, BeatAck),
            "leave": (Leave, self._leave, BeatAck),
            "report_exit": (ReportExit, self._report_exit, BeatAck),
            "revoke": (Revoke, self._revoke, BeatAck),
            "peers": (Query, lambda _: Peers(tuple(self.peers())), Peers),
            "status": (Query, lambda _: self.status(), Status),
            "vitals": (Query, lambda _: self.vitals(), Vitals),
            "node_states": (Query, lambda _: self.node_states(), NodeStates),
            "types": (TypeQuery, self._catalogue.types, Types),
            "methods": (MethodQuery, self._catalogue.methods, Methods),
        }
        router = process.sockets.make(zmq.ROUTER, lambda: answering.drain())
        answering = Answering(router, tally=process.sockets.tally, foreign_tally=process.sockets.foreign_tally)
        for method, (request_type, handler, reply_type) in self._methods.items():
            answering.serve(HUB, method, request_type, handler, reply_type)
        self._answering = answering
        self._admission = self._guard(enrolled)
        self.address = process.sockets.listen(router, address, REGISTRY)
        own = self._admit(process.name)
        own.names, own.key = names, process.public_key
        process.pubsub.instance = own.instance
        self._own = own
        process.membership.attach(names, self._ask_directly)
        self._graph = process.publisher("/hub/graph")
        self._expired_s = process.clock()
        process.timers.every(liveliness_s / LOOKS_PER_LIFE, self._expire)

    def _guard(self, enrolled: Enrolled | None) -> Admission | None:
        security = self._process.security
        if security is None:
            return None
        if enrolled is None:
            raise ValueError("a hub with keys needs the enrolment keys that it grants leases to")
        admission = Admission(security, enrolled, self._entries)
        security.follows_graph = False
        security.gate.admits[REGISTRY] = admission.admits
        self._answering.forbids = admission.forbids
        self._process.timers.every(REFRESH_S, lambda: admission.refresh(self.drop))
        return admission

    def serve(
        self,
        method: str,
        request_type: type[Message],
        handler: Callable[[Any], Message],
        reply_type: type[Message] | None = None,
        *,
        reads: bool | None = None,
    ) -> None:
        """Answer one more method at the registry's address, where tools without a process on the bus can call.

        reads: As for ``Node.serve``.
        """
        self._answering.serve(HUB, method, request_type, handler, reply_type, reads=reads)

    # -- what the hub asks ---------------------------------------------------------------------------------------------

    def peers(self) -> list[Peer]:
        """All registered processes, by instance."""
        return [entry.peer for entry in self._entries.values() if entry.peer is not None]

    def receive_agents(self, world: str) -> None:
        """Let foreign agents in, for a run of that world; see docs/agent-protocol.md."""
        self.desk = AgentDesk(
            self, self._process, self._answering, self._entries, self._pool, self._lease, world, self._admission
        )

    def holder(self, name: str) -> Peer | None:
        """The registered process that holds a name."""
        return next((e.peer for e in self._entries.values() if name in e.names and e.peer is not None), None)

    def last_beat(self, instance: int) -> Beat | None:
        """What that process last said of itself."""
        entry = self._entries.get(instance)
        return entry.beat if entry is not None else None

    def heard(self, instance: int) -> tuple[float, float]:
        """Wall seconds since a process was last heard, and for how many more it announced to be busy."""
        entry, now_s = self._entries.get(instance), self._process.clock()
        if entry is None:
            return 0.0, 0.0
        return now_s - entry.heard_s, max(0.0, entry.busy_until_s - now_s)

    def ready(self, instance: int) -> bool:
        """Whether that process has matched all its links of the current graph."""
        entry = self._entries.get(instance)
        if entry is None or entry.peer is None:
            return False
        return entry.foreign or entry.ready_graph == self.version > 0

    def all_ready(self) -> bool:
        """Whether everyone who holds a name is ready for the current graph; who has not come is in ``missing()``."""
        return not self._settling and all(self.ready(e.instance) for e in self._entries.values() if not e.observer)

    def complete(self) -> bool:
        """Whether every name of the pool is held."""
        return not self._pool.free(self._held())

    def missing(self) -> list[str]:
        """Who must still come, register or match, as sentences; empty when the run can start."""
        sentences = [f"nobody holds {name}" for name in self._pool.free(self._held())]
        late = [e for e in self._entries.values() if not e.observer and (self._settling or not self.ready(e.instance))]
        return sentences + [entry.lacks(self.version) for entry in late]

    def status(self) -> Status:
        """What ``Client.status`` returns."""
        beats = [(e.process, e.beat) for e in self._entries.values() if e.beat is not None]
        waiting = tuple(f"{name} waits for {w}" for name, beat in beats for w in beat.waiting)
        ready = tuple(e.process for e in self._entries.values() if self.ready(e.instance))
        return Status(self.version, ready, tuple(self.missing()), waiting)

    def node_states(self) -> NodeStates:
        """The lifecycle state of each node that there is, or was, or should be."""
        return self.states.all(self._entries.values(), self._own)

    def vitals(self) -> Vitals:
        """What every process last said of itself."""
        found = []
        for entry in self._entries.values():
            own = entry is self._own
            beat = vital_signs(self._process) if own else entry.beat or Beat(entry.instance)
            quiet_s, busy_s = (0.0, 0.0) if own else self.heard(entry.instance)
            pid = entry.peer.pid if entry.peer is not None else 0
            ready = self.ready(entry.instance)
            state = "hub" if own else condition(quiet_s, busy_s, self.liveliness_s, ready=ready)
            states = tuple(self.states.of(entry, name, own=own).state for name in entry.names)
            found.append(Vital(entry.process, entry.names, pid, entry.instance, state, quiet_s, beat, states))
        return Vitals(self._process.clock(), tuple(found))

    def drop(self, instance: int, reason: str) -> bool:
        """Declare a process lost; its names are free at once, and it hears so at its next beat."""
        entry = self._entries.pop(instance, None)
        if entry is None:
            return False
        self._catalogue.drop(instance)
        self.states.end(entry, reason)
        _log.info("%s (instance %08x) is out: %s", entry.process, instance, reason)
        if entry.key and self._process.security is not None:
            self._process.security.expel(entry.key)
        if entry.peer is not None:
            self._publish_graph_soon()
            self._on_lost(entry.peer, reason)
        if self.desk is not None:
            self.desk.gone(instance, reason)
        return True

    # -- what processes ask --------------------------------------------------------------------------------------------

    def _lease(self, request: Lease) -> Leased | Failure:
        try:
            names = self._pool.choose(request, {**self.standbys.kept(), **self._held()})
        except Refusal as refusal:
            return Failure(0, refusal.kind, refusal.text)
        if self._admission is not None and any(
            entry.process == request.process != "" and entry.instance != request.instance
            for entry in self._entries.values()
        ):
            return Failure(0, "held", f"a process named {request.process} is there already")
        entry = self._entries.get(request.instance) if request.instance else self._admit(request.process)
        if entry is None:
            return Failure(0, "unknown_instance", f"{request.process} has lost its lease")
        if self._admission is not None and not entry.key:
            self._admission.enter(entry, request.public_key)
        entry.names += names
        entry.observer = entry.observer and request.role in (OBSERVER, GUEST)
        entry.heard_s = self._process.clock()
        return Leased(names, entry.instance, self.liveliness_s)

    def _held(self) -> dict[str, str]:
        return {name: entry.process for entry in self._entries.values() for name in entry.names}

    def _register(self, request: Register) -> Message:
        entry = self._entries.get(request.peer.instance)
        if entry is None:
            return Failure(0, "unknown_instance", f"{request.peer.process} holds no lease (any more)")
        strangers = [node.name for node in request.peer.nodes if node.name not in (*entry.names, *entry.stands_by)]
        if strangers:
            return Failure(0, "not_leased", f"{entry.process} does not hold {', '.join(strangers)}; lease them first")
        try:
            self._tell(entry, request)
        except TypeConflict as error:
            return Failure(0, "type_conflict", str(error))
        entry.heard_s = self._process.clock()
        self.enter(entry, request.peer)
        own = self._process
        nodes = tuple(NodeRecord(name) for name in self._own.names)
        hub = Peer(own.name, own.instance, os.getpid(), own.host, own.endpoint, own.call_endpoint, "", nodes)
        return Registered(hub)

    def enter(self, entry: Entry, peer: Peer) -> None:
        """Show a process in the graph, as it is now."""
        joins = entry.peer is None
        if entry.peer != peer:
            entry.peer = peer
            self._publish_graph_soon()
        if joins:
            self._on_join(peer)

    def _tell(self, entry: Entry, request: Register) -> None:
        types, methods = request.types, request.methods
        if entry is self._own:  # the registry's own methods are the hub's, at its address
            kinds = (kind for pair in self._answering.types.values() for kind in pair if kind is not None)
            types = (*types, *(describe_type(kind) for kind in kinds))
            methods = (*methods, *methods_of(self._answering, self.address))
        self._catalogue.add(entry.instance, entry.process, types, methods)

    def beat(self, beat: Beat) -> BeatAck:
        """Take a sign of life."""
        entry = self._entries.get(beat.instance)
        if entry is None:
            return BeatAck(False)
        entry.heard_s = self._process.clock()
        entry.busy_until_s = entry.heard_s + min(beat.busy_s, self._max_busy_s) if beat.busy_s > 0.0 else 0.0
        entry.beat = beat
        return BeatAck(True)

    def _ready(self, request: Ready) -> Message:
        entry = self._entries.get(request.instance)
        if entry is None or entry.peer is None:
            return BeatAck(False)
        entry.ready_graph = request.graph
        if request.graph == self.version:
            self._on_ready(entry.peer)
        return BeatAck(True)

    def _leave(self, request: Leave) -> Message:
        return BeatAck(self.drop(request.instance, f"{LEFT} {request.reason}".strip()))

    def _revoke(self, request: Revoke) -> Message:
        for entry in self._entries.values():
            if entry is not self._own and request.name in (entry.process, *entry.names):
                return BeatAck(self.drop(entry.instance, "it was revoked"))
        return BeatAck(False)

    def _report_exit(self, request: ReportExit) -> Message:
        for entry in list(self._entries.values()):
            if entry.process == request.process and (entry.peer is None or entry.peer.pid == request.pid):
                return BeatAck(self.drop(entry.instance, f"its process ended with code {request.code}"))
        return BeatAck(False)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _admit(self, process: str) -> Entry:
        self._next_instance += 1
        entry = self._entries[self._next_instance] = Entry(process, self._next_instance, self._process.clock())
        return entry

    def _ask_directly(
        self, method: str, request: Message, _reply_type: type[Message], then: Callable[[Any], None]
    ) -> None:
        self._process.later(lambda: then(self._methods[method][1](request)))

    def _expire(self) -> None:
        now = self._process.clock()
        gap_s, self._expired_s = now - self._expired_s, now
        if gap_s > HELD_UP_LOOKS * self.liveliness_s / LOOKS_PER_LIFE:
            # We stood still ourselves: what was said meanwhile may lie unread, so nobody is held to it.
            for entry in self._entries.values():
                entry.heard_s += gap_s
        for entry in list(self._entries.values()):
            patience_s = self.liveliness_s if entry.peer is not None else max(self._grace_s, self.liveliness_s)
            if entry is not self._own and now > max(entry.heard_s + patience_s, entry.busy_until_s + self.liveliness_s):
                self.drop(entry.instance, f"no beat for {now - entry.heard_s:.1f} s")

    def _publish_graph_soon(self) -> None:
        if not self._settling:
            self._settling = True
            # The graph grows with the peers and goes to each of them: the more there are, the more joins it waits for.
            self._process.timers.after(SETTLE_S + SETTLE_S_PER_PEER * len(self._entries), self._publish_graph)

    def _publish_graph(self) -> None:
        self._settling = False
        if self.graph_closed:
            return
        self.version += 1
        graph = Graph(self.version, tuple(self.peers()))
        # Who has just subscribed would get it live, in nobody's books, and once matched again. ZeroMQ takes no new
        # subscriptions in for a millisecond after they were read, so nothing that takes long may come between.
        self._process.pubsub.read_notices()
        self._graph.publish(graph, slot=0)


def _ignore(*_arguments: Any) -> None:
    """Nobody wants to know."""
