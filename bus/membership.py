"""A process's side of the registry: its names, its links as the graph wants them, its beats, its readiness."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bus.calls import REVOKED, reply_or_raise
from bus.codec import Header
from bus.description import describe, methods_of, types_of
from bus.errors import CallFailed, LeaseRefused, NotRegistered, PeerLost
from bus.messages import (
    BeatAck,
    Failure,
    Graph,
    Lease,
    Leased,
    Leave,
    Message,
    MethodRecord,
    Peer,
    Ready,
    Register,
    Registered,
)
from bus.names import GUEST, HUB
from bus.outputs import uid_of
from bus.peers import rights_of
from bus.timers import Timer
from bus.vitals import vital_signs
from bus.wiring import Wiring

if TYPE_CHECKING:
    from bus.process import Process

_log = logging.getLogger(__name__)

ASK_AGAIN_S: Final = 0.2
HEAR_OUT_S: Final = 1.0  # of the two seconds within which a node stops
HELD_UP_BEATS: Final = 3.0
Ask = Callable[[str, Message, type[Message], Callable[[Any], None]], None]


class Membership:
    """What a process is to the registry, and what the registry's graph makes of its links."""

    def __init__(self, process: Process) -> None:
        self.names: tuple[str, ...] = ()
        self.peers: dict[int, Peer] = {}
        self.known: dict[str, str] = {}  # process names by uid, of all that ever were in the graph
        self.wiring = Wiring(process)
        self.version = 0
        self.liveliness_s = 5.0
        self.hub_deadline_s = 10.0
        self.on_lease_lost: Callable[[], None] = self._raise_lease_lost
        self.on_hub_lost: Callable[[str], None] = _raise_hub_lost
        self.working: list[Callable[[], float]] = []
        """How long each thread of ours may work yet: what is slow for that reason is not dead."""
        self._process = process
        self._ask: Ask | None = None
        self._record: Peer | None = None  # as last sent, like the methods; and the type ids that were sent
        self._methods: tuple[MethodRecord, ...] = ()
        self._told: set[int] = set()
        self._metrics_url = ""
        self._guest = False
        self._registering = False
        self._checking = False
        self._ready_version = 0
        self._settled = False  # nothing has changed since all was found matched
        self._shown = False
        self._shown_version = -1
        self._cursor = 0  # where the last look found a link not matched
        self._beats: Timer | None = None
        self._beat_s = process.clock()
        self._woke_s = -math.inf  # when this process last went on after it had stood still
        self._subscribed = False

    # -- names ---------------------------------------------------------------------------------------------------------

    def join(
        self,
        address: str,
        role: str,
        index: int | None,
        count: int,
        wait_s: float,
        deadline_s: float,
        names: tuple[str, ...] = (),
    ) -> tuple[str, ...]:
        """See ``Process.join`` and ``Process.join_as``."""
        process = self._process
        # With keys, who enrols shows its role's, and speaks as itself only afterwards.
        asking = process.asking(address, HUB, role=role)
        give_up = process.clock() + wait_s
        while True:
            answers: list[Leased | Failure] = []
            request = Lease(process.name, role, index, count, process.instance, names, process.public_key)
            asking.ask(HUB, "lease", request, Leased, deadline_s, answers.append)
            process.spin(lambda got=answers: bool(got), deadline_s + 1.0)  # type: ignore[misc]
            if process.stopping:
                self._hear_out(answers)
            answer = answers[0] if answers else Failure(0, "timeout", "stopped")
            if isinstance(answer, Failure) and answer.kind in ("held", "surplus"):
                waits = process.clock() < give_up
                if waits:
                    process.spin(None, ASK_AGAIN_S)
                # Who is told to stop asks no more: a name that came free just then would be given to the dead.
                if not waits or process.stopping:
                    raise LeaseRefused(answer.kind, answer.text)
                continue
            if process.keys is not None:
                process.sockets.drop_asking(address, "enrolled", process.keys.credential(role).own.public)
            taken = self._take(answer, deadline_s, role == GUEST)
            self._ask = self._asking_at(address)
            return taken

    def _hear_out(self, answers: list[Leased | Failure]) -> None:
        """Wait for what is on its way: names that we get although we stop are to be given back."""
        end_s = self._process.clock() + HEAR_OUT_S
        while not answers and (left_s := end_s - self._process.clock()) > 0.0:
            self._process.spin_once(left_s)

    def _asking_at(self, address: str) -> Ask:
        asking = self._process.asking(address, HUB)

        def ask(method: str, request: Message, reply_type: type[Message], then: Callable[[Any], None]) -> None:
            asking.ask(HUB, method, request, reply_type, self.hub_deadline_s, then)

        return ask

    def _take(self, answer: Leased | Failure, deadline_s: float, guest: bool) -> tuple[str, ...]:
        try:
            leased = reply_or_raise(answer, HUB, "lease", deadline_s)
        except CallFailed as error:
            raise LeaseRefused(error.kind, error.text) from None
        self.names += leased.names
        self._guest = self._guest or guest
        self.liveliness_s = leased.liveliness_s
        self._process.pubsub.instance = leased.instance
        self._start_beats()
        return leased.names

    def attach(self, names: tuple[str, ...], ask: Ask) -> None:
        """The hub's own process: its registry is next door, so nothing crosses a socket and no beats are due."""
        self.names = names
        self._ask = ask

    def register(self, metrics_url: str) -> None:
        """See ``Process.register``."""
        if self._ask is None:
            raise RuntimeError(f"process {self._process.name} has no lease; join() before register()")
        self._metrics_url = metrics_url
        if not self._subscribed:
            self._subscribed = True
            self._process.subscribe("/hub/graph", self._on_graph)
        self._send_registration()

    def ask(self, method: str, request: Message, reply_type: type[Message], then: Callable[[Any], None]) -> None:
        """Ask the registry; ``then`` gets the reply or a Failure. Without a registry nothing is asked."""
        if self._ask is not None:
            self._ask(method, request, reply_type, then)

    def leave(self, reason: str) -> None:
        """Tell the registry, without waiting for an answer."""
        if self._ask is not None and self._process.instance:
            self._ask("leave", Leave(self._process.instance, reason), BeatAck, _ignore)
        if self._beats is not None:
            self._beats.cancel()
        self._ask = None

    def vanish(self) -> None:
        """Say nothing more to the registry, not even that we leave (tests of sudden death)."""
        self._stop()

    def topics_changed(self) -> None:
        """A node publishes or subscribes more or less than before."""
        if self._record is not None and not self._registering:
            self._registering = True
            self._process.later(self._send_registration)

    def _send_registration(self) -> None:
        self._registering = False
        process = self._process
        record = describe(process, self._metrics_url, self._guest)
        methods = methods_of(process.answering, process.call_endpoint)
        if (record == self._record and methods == self._methods) or self._ask is None:
            return
        if record != self._record:
            self._record = record
            self._shown_version = -1
            self._link()
        self._methods = methods
        request = Register(record, types_of(process, self._told), methods)
        self._ask("register", request, Registered, self._on_registered)

    def _on_registered(self, answer: Registered | Failure) -> None:
        if isinstance(answer, Failure):
            if answer.kind in ("unknown_instance", REVOKED):
                self._lose_lease()
            elif answer.kind == "timeout":
                self._lose_hub(answer.text)
            else:
                raise NotRegistered(self._process.name, answer.kind, answer.text)
        elif answer.hub.instance != self._process.instance:
            hub, security = answer.hub, self._process.security
            # Not the key that the record has: the keystore's is the one that we trust.
            key = security.meet_hub(hub.instance) if security is not None else ""
            self._process.pubsub.connect(hub.instance, hub.endpoint, key, rights_of(hub))

    # -- links ---------------------------------------------------------------------------------------------------------

    def _on_graph(self, graph: Graph, header: Header) -> None:
        if graph.version <= self.version:
            return
        self.version = graph.version
        before, self.peers = self.peers, {peer.instance: peer for peer in graph.peers}
        self.known.update((uid_of(peer.instance), peer.process) for peer in graph.peers)
        if self._process.security is not None:
            self._process.security.follow(graph.peers)
        for instance, peer in before.items():
            if instance not in self.peers:
                self._forget(peer, header.instance)
        if self._process.instance in before and self._process.instance not in self.peers:
            self._lose_lease()
            return
        self._link()

    def _forget(self, peer: Peer, hub: int) -> None:
        if peer.instance == self._process.instance or peer.instance == hub:
            return
        self._process.pubsub.disconnect(peer.instance)
        self._process.sockets.drop_asking(peer.call_endpoint, f"{peer.process} left the graph")

    def _link(self) -> None:
        self.wiring.link(self.peers.values())
        self.links_changed()

    def links_changed(self) -> None:
        """Something matched or came apart: look once, after what is going on now."""
        self._settled = False
        if not self._checking and self.version:
            self._checking = True
            self._process.later(self._check_ready)

    def unmatched(self) -> list[str]:
        """What is not matched yet, as sentences; empty when this process is ready for the graph it has."""
        if not self._is_shown():
            return [f"the graph that shows {self._process.name} from {HUB}"]
        return self.wiring.unmatched()

    def unmatched_now(self) -> list[str]:
        """The same, of a process that has registered; one that has not wants no links yet."""
        return self.unmatched() if self._record is not None and not self.ready else []

    @property
    def observers(self) -> set[str]:
        """Uids of all observers, guests and recorders that ever were in the graph: their traffic is not the run's."""
        return self.wiring.observers

    @property
    def recorded(self) -> bool:
        """Whether a recorder is or was there, and must get all that is published."""
        return self.wiring.recorded

    @property
    def ready(self) -> bool:
        """Whether all links are as the last graph wants them, and the registry was told."""
        return self._settled and self._ready_version == self.version > 0

    def _check_ready(self) -> None:
        self._checking = False
        if self._ask is None or not self._all_matched():
            return
        self._settled = True
        if self._ready_version != self.version:
            self._ready_version = self.version
            self._ask("ready", Ready(self._process.instance, self.version), BeatAck, _ignore)

    def _is_shown(self) -> bool:
        """Whether the graph shows us as we are now."""
        if self._shown_version != self.version:
            self._shown_version = self.version
            self._shown = self.peers.get(self._process.instance) == self._record is not None
        return self._shown

    def _all_matched(self) -> bool:
        return self._is_shown() and self.wiring.all_matched()

    # -- signs of life -------------------------------------------------------------------------------------------------

    def beat(self, busy_s: float = 0.0) -> None:
        """Tell the registry that the main loop runs, where it is, and whom it waits for."""
        if self._ask is None:
            return
        now_s = self._process.clock()
        if now_s - self._beat_s > HELD_UP_BEATS * self._beat_period_s:
            self._woke_s = now_s
        self._beat_s = now_s
        collectors = [node.collector for node in self._process.nodes.values()]
        slot, attempt = max(((c.slot, c.attempt) for c in collectors), default=(0, 0))
        waiting = [sentence for c in collectors for sentence in c.waiting()]
        waiting += self.unmatched_now()
        busy_s = max([busy_s, *(left_s() for left_s in self.working)])
        self._ask("beat", vital_signs(self._process, slot, attempt, waiting, busy_s), BeatAck, self._on_beat_ack)

    def _start_beats(self) -> None:
        if self._beats is None:
            self._beat_s = self._process.clock()
            self._beats = self._process.timers.every(self._beat_period_s, self.beat)

    @property
    def _beat_period_s(self) -> float:
        return self.liveliness_s / 5.0

    def _on_beat_ack(self, answer: BeatAck | Failure) -> None:
        if isinstance(answer, Failure):
            # Who stood still itself cannot tell whether the hub was silent; the next beats will.
            if answer.kind == "timeout" and self._process.clock() - self._woke_s > self._beat_period_s:
                self._lose_hub(answer.text)
            elif answer.kind == REVOKED:
                self._lose_lease()
        elif not answer.known:
            self._lose_lease()

    def _lose_lease(self) -> None:
        if self._ask is not None:
            self._stop()
            self.on_lease_lost()

    def _lose_hub(self, reason: str) -> None:
        if self._ask is not None:
            self._stop()
            self.on_hub_lost(reason)

    def _stop(self) -> None:
        self._ask = None
        if self._beats is not None:
            self._beats.cancel()

    def _raise_lease_lost(self) -> None:
        raise PeerLost(
            self._process.name, f"the hub gave {', '.join(self.names)} away; its beats did not arrive in time"
        )


def _raise_hub_lost(reason: str) -> None:
    raise PeerLost(HUB, reason)


def _ignore(_answer: Any) -> None:
    """A call whose answer changes nothing."""
