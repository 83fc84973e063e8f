"""One OS process on the bus: its nodes, its loop, its timers. Everything runs in the thread that spins.

Sockets: one XPUB for all that its nodes publish, one XSUB for all that they subscribe (see
docs/decisions/0002-one-xsub-per-process.md), one ROUTER that answers calls, DEALERs that ask.
"""

from __future__ import annotations

import gc
import logging
import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import zmq

from bus import logs, topics
from bus.admission import forbids_call
from bus.calls import MAX_BODY_BYTES, Answering, Asking
from bus.credentials import Keys
from bus.errors import BusError, NotMatched, PeerLost
from bus.inputs import FLOW_S
from bus.measure import Measurements
from bus.membership import Membership
from bus.messages import Peer, ProcessState, Query, TypeQuery, Types
from bus.names import GUEST, Remap, resolve
from bus.node import Node
from bus.outputs import uid_of
from bus.publisher import Publisher
from bus.pubsub import PubSub
from bus.qos import Qos
from bus.schemas import TypeBook
from bus.security import secure
from bus.sockets import Context, Sockets
from bus.subscription import AnyCallback, Subscription
from bus.timers import Timer, Timers
from bus.topics import TopicTable
from bus.traffic import Accounts

if TYPE_CHECKING:
    from bus.links import Links

LINKS_COUNTED_S: Final = 1.0
LONGEST_POLL_S: Final = 0.1  # so that stop() from a signal handler is seen soon
LOOK_S: Final = 0.01  # while messages follow each other, how often calls and notices get their turn
LOCAL_ROUNDS: Final = 4  # messages within the process go that many hops before the sockets have their turn


def own_node(process: str) -> str:
    """The name under which a process answers for itself, apart from the nodes that it hosts."""
    return f"/process/{process}"


class Process:
    """The sockets and the loop of one OS process.

    Args:
        name: Process name, as in logs and in ``/process/{name}/done``.
        host: The name others reach us by. bind: The address that the sockets listen on.
        topics_at: Host and address of what we publish, where that has a network of its own; None: as the rest.
        instance: Only for a process without a registry; otherwise ``join`` brings it.
        clock: Seconds, never going back. wall_ns: Nanoseconds of the day, for stamps.
        table: The topics there are; ``topics.TABLE.extended([...])`` adds one's own.
        namespace: Where relative names of its nodes belong. remap: Rules ``from:=to``, see bus/names.py.
        drop: ``drop(topic, sequence)`` loses that live message on arrival, below QoS. For tests of repair.
        keys: What we show and whom we trust; None: every link is plain. They take a ZeroMQ context of their own.
    """

    def __init__(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        bind: str = "127.0.0.1",
        topics_at: tuple[str, str] | None = None,
        instance: int = 0,
        table: TopicTable = topics.TABLE,
        namespace: str = "/",
        remap: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
        drop: Callable[[str, int], bool] | None = None,
        measurements: Measurements | None = None,
        context: Context | None = None,
        keys: Keys | None = None,
    ) -> None:
        self.name = name
        self.wall_ns = wall_ns
        self.host = host
        self.clock = clock
        self.table = table
        self.types = TypeBook(row.message for row in table.rows)
        self.remap = Remap(remap, namespace)
        self.timers = Timers(clock)
        self.measurements = measurements or Measurements()
        self.nodes: dict[str, Node] = {}
        self.stopping = False
        self.closed = False
        self.log: logs.BusLog | None = None
        self.links: Links | None = None
        """The emulated links that lead to our nodes; set before these are made."""
        self._queue: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._look_s = 0.0  # when calls and notices have their next turn
        self.keys = keys
        self.sockets = Sockets(host, bind, context, name, topics_at)
        self.security = secure(keys, self.sockets, self.timers, self.measurements)
        self.pubsub = PubSub(self.sockets, self.timers, self.later, wall_ns, drop)
        self.pubsub.instance = instance
        self.endpoint = self.pubsub.endpoint
        self.publishers = self.pubsub.publishers
        self.subscriptions = self.pubsub.subscriptions
        router = self.sockets.make(zmq.ROUTER, lambda: self.answering.drain())
        router.setsockopt(zmq.MAXMSGSIZE, 4 * MAX_BODY_BYTES)
        self.call_endpoint = self.sockets.listen(router)
        self.answering = Answering(router, tally=self.sockets.tally, foreign_tally=self.sockets.foreign_tally)
        self.membership = Membership(self)
        if self.security is not None:
            self.answering.forbids = forbids_call(lambda instance: self.membership.peers.get(instance), self.security)
        self.pubsub.on_topics = self.membership.topics_changed
        self.pubsub.on_links = self.membership.links_changed
        self.timers.every(LINKS_COUNTED_S, self.sockets.handshakes.count)
        self.pubsub.name_of = lambda instance: self.membership.known.get(uid_of(instance), uid_of(instance))
        self.pubsub.wait_matched = self._wait_matched
        self._accounts = Accounts(self)
        self.answering.serve(own_node(name), "state", Query, lambda _: self.state(), ProcessState)
        self.answering.serve(own_node(name), "repeat", Query, lambda _: self._repeat(), ProcessState, reads=False)

    @property
    def public_key(self) -> str:
        """The key by which others know this process; empty without keys."""
        return self.keys.own.public if self.keys is not None else ""

    # -- membership ----------------------------------------------------------------------------------------------------

    @property
    def instance(self) -> int:
        """This process's number in the run, new at each start; 0 before it is known."""
        return self.pubsub.instance

    @property
    def uid(self) -> str:
        """The instance as it stands in ``Publisher.matched``."""
        return uid_of(self.pubsub.instance)

    def join(
        self,
        address: str,
        role: str,
        index: int | None = None,
        count: int = 1,
        *,
        wait_s: float = 0.0,
        deadline_s: float = 10.0,
    ) -> tuple[str, ...]:
        """Lease names from the registry at an address; blocks. May be called once per role.

        Args:
            index: The first index wanted; None takes the next free ones.
            wait_s: Keep asking for so long when the names are held (a spare waits for its turn).
        Returns: The names to make nodes of.
        Raises: LeaseRefused: held, surplus or unknown. CallTimeout: no registry answers there.
        """
        return self.membership.join(address, role, index, count, wait_s, deadline_s)

    def join_as(self, address: str, *names: str, wait_s: float = 0.0, deadline_s: float = 10.0) -> tuple[str, ...]:
        """Join as a guest, with names of one's own (relative ones in the process's namespace); blocks.

        Nobody in a run waits for a guest, and what it hears is counted as observed.
        Returns: The absolute names, to make nodes of.
        Raises: LeaseRefused: a name is held, or is one of the run's. BadName: it is none. CallTimeout: no registry.
        """
        full = tuple(resolve(name, self.remap.namespace, "/") for name in names)
        return self.membership.join(address, GUEST, None, len(full), wait_s, deadline_s, full)

    def register(self, metrics_url: str = "") -> None:
        """Tell the registry what our nodes publish and subscribe; links then follow its graph. Does not block.

        Later publishers and subscriptions are told by themselves.
        """
        self.membership.register(metrics_url)

    @property
    def ready(self) -> bool:
        """Whether every link of the last graph is matched."""
        return self.membership.ready

    def busy(self, seconds: float) -> None:
        """Announce that the loop will not turn for that long, so that slow is told from dead; then do the work."""
        self.membership.beat(seconds)

    def learn_types(self) -> None:
        """Ask the registry for all message types that anyone in the graph has; ``types`` can read them soon after."""
        self.membership.ask("types", TypeQuery(), Types, lambda answer: self.types.learn(getattr(answer, "types", ())))

    def log_to_bus(self, slot_s: float = 0.0, root: logging.Logger | None = None) -> logs.BusLog:
        """Publish what is logged on ``/log``, and let each node's level be set (parameter ``log_level``).

        Call it when the nodes are made, before ``register``.

        Args:
            slot_s: Simulated seconds of a slot, for the simulated time of records.
            root: The logger whose records these are; by default all of this program's.
        Raises: RuntimeError: the process hosts no node.
        """
        if not self.nodes:
            raise RuntimeError(f"process {self.name} hosts no node that could log")
        publisher = next(iter(self.nodes.values())).publisher(logs.TOPIC)
        self.log = logs.BusLog(self, publisher, slot_s, root or logging.getLogger())
        return self.log

    def on_lease_lost(self, callback: Callable[[], None]) -> None:
        """Call when the hub gave our names away; by default spin() raises PeerLost(this process)."""
        self.membership.on_lease_lost = callback

    def on_hub_lost(self, callback: Callable[[str], None], deadline_s: float = 10.0) -> None:
        """Call with the reason when a beat stays unanswered for that long; by default PeerLost("/hub") after 10 s."""
        self.membership.on_hub_lost = callback
        self.membership.hub_deadline_s = deadline_s

    def on_loss(self, callback: Callable[[str, int, int], None]) -> None:
        """Call with (topic, publisher instance, count) when messages are lost for good; by default it is logged."""
        self.pubsub.on_loss = callback

    def on_refused(self, callback: Callable[[BusError], None]) -> None:
        """Call with the TypeMismatch or QosIncompatible of a link that is refused; by default it is logged."""
        self.pubsub.on_refused = callback

    def use_sim_time(self, now_ns: Callable[[], int]) -> None:
        """Tell ages and deadlines by the run's time (as in ``t_sim_ns``); call ``sim_advanced`` when it goes on."""
        self.pubsub.sim_ns = now_ns

    def sim_advanced(self) -> None:
        """The run's time has gone on: see at once who has missed a deadline."""
        self.pubsub.deadlines.look()

    def _wait_matched(self, end: Publisher | Subscription, count: int, deadline_s: float) -> None:
        if not self.spin(lambda: len(end.matched) >= count, deadline_s):
            missing = tuple(self.membership.wiring.unmatched_of(end))
            raise NotMatched(end.topic, count, len(end.matched), missing, deadline_s)

    # -- nodes and topics ----------------------------------------------------------------------------------------------

    def node(self, name: str, namespace: str | None = None) -> Node:
        """Host a node; a relative name is one in its namespace (by default the process's).

        Raises: ValueError: it is hosted already. BadName: it is no name.
        """
        namespace = self.remap.namespace if namespace is None else namespace
        name = resolve(name, namespace, "/")
        if name in self.nodes:
            raise ValueError(f"process {self.name} hosts {name} already")
        node = self.nodes[name] = Node(self, name, namespace)
        return node

    def publisher(self, topic: str, qos: Qos | None = None) -> Publisher:
        """See ``Node.publisher``."""
        return self.pubsub.publisher(topic, self.table.match(topic), qos)

    def subscribe(self, topic: str, callback: AnyCallback, qos: Qos | None = None) -> Subscription:
        """See ``Node.subscribe``."""
        return self.pubsub.subscribe(topic, self.table.match(topic), callback, qos)

    def connect(self, instance: int, endpoint: str, public_key: str = "") -> None:
        """Listen to that process instance; for processes without a registry (the graph does it for members).

        With keys, ``public_key`` is that of the process there, which must have admitted ours.
        """
        self.pubsub.connect(instance, endpoint, public_key)

    def admit(self, instance: int, public_key: str) -> None:
        """Let a process connect to us, with keys; for processes without a registry.

        Raises: RuntimeError: this process has no keys.
        """
        if self.security is None:
            raise RuntimeError(f"process {self.name} has no keys; make it with keys=Keys.fresh()")
        self.security.admit(public_key, instance)

    def find(self, node: str) -> Peer:
        """The process that hosts a node.

        Raises: PeerLost: nobody does.
        """
        for peer in self.membership.peers.values():
            if peer.call_endpoint and any(record.name == node for record in peer.nodes):
                return peer
        raise PeerLost(node, "no process in the graph hosts it")

    def asking(self, endpoint: str, callee: str, public_key: str = "", role: str = "") -> Asking:
        """The side that asks at an endpoint. With keys, it has ``public_key``; we show a role's key, or our own."""
        credential = self.keys.credential(role, public_key) if self.keys is not None else None
        return self.sockets.asking(endpoint, callee, self.timers, credential)

    # -- the loop ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """All is built: what the process consists of is no garbage, so the collector need not walk it ever again."""
        gc.freeze()

    def later(self, function: Callable[..., None], *arguments: Any) -> None:
        """Run from the loop, after what is going on now."""
        self._queue.append((function, arguments))

    def after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run once from the loop, ``delay_s`` from now."""
        return self.timers.after(delay_s, callback)

    def spin_once(self, timeout_s: float = LONGEST_POLL_S) -> None:
        """Handle what has come, waiting for at most ``timeout_s`` if nothing has."""
        queue, timers = self._queue, self.timers
        if queue:
            for _ in range(LOCAL_ROUNDS):
                for _ in range(len(queue)):
                    function, arguments = queue.popleft()
                    function(*arguments)
        if queue:
            timeout_s = 0.0
        elif timeout_s:
            now_s, due_s = self.clock(), timers.next_due_s()
            flow = self.pubsub.flow
            if flow is not None and flow.flows and timeout_s >= FLOW_S and now_s + FLOW_S <= due_s:
                # Messages follow each other, and nothing else is due: to wait on their socket alone costs a fraction.
                if now_s < self._look_s:
                    flow.receive_next()
                    return
                self._look_s = now_s + LOOK_S
                timeout_s = 0.0
            else:
                timeout_s = max(0.0, min(timeout_s, due_s - now_s))
        for handle in self.sockets.poll(timeout_s):
            handle()
        # Timers last: a process that was held up first reads what came meanwhile, and only then declares deaths.
        if timers.next_due_s() <= self.clock():
            timers.run_due()

    def spin(self, until: Callable[[], bool] | None = None, deadline_s: float | None = None) -> bool:
        """Spin until a condition holds, a deadline (seconds from now) passes, or stop().

        Returns: Whether the condition held at the end.
        """
        end = math.inf if deadline_s is None else self.clock() + deadline_s
        while not self.stopping:
            if until is not None and until():
                return True
            left = end - self.clock()
            if left <= 0.0:
                return False
            self.spin_once(left if left < LONGEST_POLL_S else LONGEST_POLL_S)
        return until is not None and until()

    def stop(self) -> None:
        """Let spin() return soon; safe in a signal handler."""
        self.stopping = True

    def state(self) -> ProcessState:
        """What this process does right now."""
        collectors = [node.collector for node in self.nodes.values()]
        slot, attempt = max(((c.slot, c.attempt) for c in collectors), default=(0, 0))
        topics = dict.fromkeys(topic for c in collectors for topic in c.missing_topics())
        return ProcessState(self.name, slot, attempt, tuple(topics), tuple(self.membership.unmatched_now()))

    def give_up(self, slot: int, attempt: int) -> None:
        """A slot is computed again from this attempt on: what we published of it before counts as repair."""
        for publisher in self.publishers.values():
            publisher.give_up(slot, attempt)

    def _repeat(self) -> ProcessState:
        self.pubsub.tails.repeat()
        return self.state()

    def close(self, reason: str = "", flush_s: float = 0.0) -> None:
        """Leave the registry and close all sockets; idempotent.

        Args:
            reason: Why, for the registry's log.
            flush_s: How long what was published may take to reach those who read slowly; blocks for as long.
        """
        if not self.closed:
            self.closed = True
            if self.log is not None:
                self.log.close()
            self.membership.leave(reason)
            self.sockets.close(flush_s)


def stop_on_signals(process: Process) -> None:
    """SIGTERM and SIGINT let the process's spin() return; only from the main thread."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        process.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
