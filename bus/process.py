"""One OS process on the bus: its sockets, its loop, its timers. Everything runs in the thread that spins.

Sockets: one XPUB for all that its nodes publish, one XSUB for all that they subscribe (see
docs/decisions/0002-one-xsub-per-process.md), one ROUTER that answers calls, DEALERs that ask. Subscribers talk back on
the XSUB: notices (match), and requests for repair.
"""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import struct
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Final

import zmq

from bus import membership, topics
from bus.calls import MAX_BODY_BYTES, Answering, Asking
from bus.errors import BusError, PeerLost
from bus.measure import Measurements
from bus.messages import Peer
from bus.node import Node
from bus.publisher import Publisher
from bus.qos import Qos
from bus.subscription import Callback, Hooks, Subscription
from bus.timers import Timer, Timers
from bus.topics import TopicTable
from bus.traffic import Accounts

_log = logging.getLogger(__name__)

NACK: Final = struct.Struct("<BIIQQ")  # mark, publisher instance, uid of who asks, first, last; then the topic
NACK_MARK: Final = 2  # XPUB takes 0 and 1 as its own
LONGEST_POLL_S: Final = 0.1  # so that stop() from a signal handler is seen soon
TAIL_NS: Final = 10_000_000
LEAVE_MS: Final = 200  # how long the word that we leave may take to get out


class Process:
    """The sockets and the loop of one OS process.

    Args:
        name: Process name, as in logs and in ``/process/{name}/done``.
        host: The name others reach us by. bind: The address that the sockets listen on.
        instance: Only for a process without a registry; otherwise ``join`` brings it.
        drop: ``drop(topic, sequence)`` loses that live message on arrival, below QoS. For tests of repair.
    """

    def __init__(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        bind: str = "127.0.0.1",
        instance: int = 0,
        table: TopicTable = topics.TABLE,
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
        drop: Callable[[str, int], bool] | None = None,
        measurements: Measurements | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.instance = instance
        self.table = table
        self.clock = clock
        self.timers = Timers(clock)
        self.measurements = measurements or Measurements()
        self.nodes: dict[str, Node] = {}
        self.publishers: dict[str, Publisher] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.stopping = False
        self.closed = False
        self.on_loss: Callable[[str, int, int], None] = _log_loss
        self.on_refused: Callable[[BusError], None] = _log_refusal
        self._wall_ns = wall_ns
        self._own_context = context is None
        self._context = context or zmq.Context(1)
        self._handlers: dict[Any, Callable[[], None]] = {}
        self._polled: list[tuple[Any, int]] = []
        self._queue: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._routes: dict[bytes, Callable[[bytes, int], None]] = {}
        self._notices: dict[str, set[str]] = {}
        self._connected: dict[int, str] = {}
        self._asking: dict[str, Asking] = {}

        self._xpub = self.socket(zmq.XPUB, self._drain_xpub)
        self._xpub.setsockopt(zmq.XPUB_VERBOSE, 1)
        self.endpoint = self.listen(self._xpub, f"tcp://{bind}:*")
        self._xsub = self.socket(zmq.XSUB, self._drain_xsub)
        router = self.socket(zmq.ROUTER, lambda: self.answering.drain())
        router.setsockopt(zmq.MAXMSGSIZE, 4 * MAX_BODY_BYTES)
        self.call_endpoint = self.listen(router, f"tcp://{bind}:*")
        self.answering = Answering(router)
        self.membership = membership.Membership(self)
        self._hooks = Hooks(self._admits, self._nack, self.timers.after, self._changed, self._lost, self._refused, drop)
        self._xpub_send = partial(self._xpub.send, flags=zmq.NOBLOCK)
        self._tail = self.timers.every(TAIL_NS / 1e9, self._tell_tails)
        self._tails = 0
        self.accounts = Accounts(self)

    # -- sockets -------------------------------------------------------------------------------------------------------

    def socket(self, kind: int, handler: Callable[[], None]) -> zmq.Socket[bytes]:
        """A socket of this process's loop; only for modules of the bus."""
        made = self._context.socket(kind)
        made.linger = 0
        # A full queue would make libzmq drop without a word. Both ends count: 0 is "no limit", and lockstep keeps
        # queues short; a reliable publisher is bounded by its history, not by its sockets.
        made.sndhwm = made.rcvhwm = 0
        made.setsockopt(zmq.RECONNECT_IVL, 50)
        made.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        made.setsockopt(zmq.TCP_KEEPALIVE, 1)
        made.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 60)
        self._handlers[made] = handler
        self._polled = [(known, zmq.POLLIN) for known in self._handlers]
        return made

    def listen(self, socket: zmq.Socket[bytes], address: str) -> str:
        """Bind, and return the endpoint as others reach it."""
        socket.bind(address)
        bound = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        return f"tcp://{self.host}:{bound.rsplit(':', 1)[1]}"

    def asking(self, endpoint: str, callee: str) -> Asking:
        """The DEALER to an endpoint, made when first needed."""
        found = self._asking.get(endpoint)
        if found is None:
            dealer = self.socket(zmq.DEALER, lambda: found.drain() if found else None)
            dealer.connect(endpoint)
            found = self._asking[endpoint] = Asking(dealer, callee, self.timers)
        return found

    # -- membership ----------------------------------------------------------------------------------------------------

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

    # -- nodes and topics ----------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        """Host a node.

        Raises: ValueError: it is hosted already.
        """
        if name in self.nodes:
            raise ValueError(f"process {self.name} hosts {name} already")
        node = self.nodes[name] = Node(self, name)
        return node

    def publisher(self, topic: str, qos: Qos | None = None) -> Publisher:
        """See ``Node.publisher``."""
        if not self.instance:
            raise RuntimeError(f"process {self.name} has no instance yet; join() before publishing {topic}")
        if topic in self.publishers:
            raise ValueError(f"process {self.name} publishes {topic} already; a topic has one publisher per process")
        spec = self.table.match(topic)
        publisher = Publisher(
            topic, spec, qos or spec.qos, self.instance, self._xpub_send, self._wall_ns, self._changed
        )
        self.publishers[topic] = publisher
        for uid in sorted(self._notices.get(topic, ())):
            publisher.match(uid)
        if topic in self.subscriptions:
            self._join_locally(publisher, self.subscriptions[topic])
        self.membership.topics_changed()
        return publisher

    def subscribe(self, topic: str, callback: Callback, qos: Qos | None = None) -> Subscription:
        """See ``Node.subscribe``."""
        if not self.instance:
            raise RuntimeError(f"process {self.name} has no instance yet; join() before subscribing {topic}")
        found = self.subscriptions.get(topic)
        if found is not None:
            for message, header in found.latest:
                self.later(callback, message, header)
            found.callbacks = (*found.callbacks, callback)
            return found
        spec = self.table.match(topic)
        made = self.subscriptions[topic] = Subscription(topic, spec, qos or spec.qos, self._hooks)
        made.callbacks = (callback,)
        live, private = self._names_of(topic)
        self._routes[live[:-1]] = self._routes[private[:-1]] = made.receive
        # In this order: when the publisher sees the second, live messages flow already.
        self._xsub.send(b"\x01" + live)
        self._xsub.send(b"\x01" + private)
        if topic in self.publishers:
            self._join_locally(self.publishers[topic], made)
        self.membership.topics_changed()
        return made

    def unsubscribe(self, topic: str, callback: Callback) -> None:
        """Stop calling that callback; the last one takes the subscription along."""
        found = self.subscriptions[topic]
        found.callbacks = tuple(known for known in found.callbacks if known != callback)
        if found.callbacks:
            return
        del self.subscriptions[topic]
        for instance in list(found.links):
            found.forget(instance)
        live, private = self._names_of(topic)
        for name in (private, live):
            self._routes.pop(name[:-1], None)
            self._xsub.send(b"\x00" + name)
        if topic in self.publishers:
            self.publishers[topic].local = None
        self.membership.topics_changed()

    def _names_of(self, topic: str) -> tuple[bytes, bytes]:
        # ZeroMQ matches prefixes: without the NUL, /edge/1 would also receive /edge/10.
        live = topic.encode() + b"\0"
        return live, b"~" + self.uid.encode() + live

    def _join_locally(self, publisher: Publisher, subscription: Subscription) -> None:
        publisher.local = lambda frame: self._queue.append((subscription.receive_local, (frame,)))
        if subscription.qos.latched:
            for frame in publisher.latched_frames()[1]:
                publisher.local(frame)

    @property
    def uid(self) -> str:
        """This process instance as it stands in private channels."""
        return f"{self.instance:08x}"

    # -- the loop ------------------------------------------------------------------------------------------------------

    def later(self, function: Callable[..., None], *arguments: Any) -> None:
        """Run from the loop, after what is going on now."""
        self._queue.append((function, arguments))

    def spin_once(self, timeout_s: float = LONGEST_POLL_S) -> None:
        """Handle all that has come, waiting for at most ``timeout_s`` if nothing has."""
        queue = self._queue
        for _ in range(len(queue)):
            function, arguments = queue.popleft()
            function(*arguments)
        if queue:
            timeout_s = 0.0
        elif timeout_s:
            timeout_s = max(0.0, min(timeout_s, self.timers.next_due_s() - self.clock()))
        for socket, _ in zmq.zmq_poll(self._polled, math.ceil(timeout_s * 1000)):
            self._handlers[socket]()
        # Timers last: a process that was held up first reads what came meanwhile, and only then declares deaths.
        if self.timers.next_due_s() <= self.clock():
            self.timers.run_due()

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

    def close(self, reason: str = "") -> None:
        """Leave the registry and close all sockets; idempotent."""
        if self.closed:
            return
        self.closed = True
        self.membership.leave(reason)
        for socket, _ in self._polled:
            socket.close(linger=LEAVE_MS if socket.type == zmq.DEALER else 0)
        if self._own_context:
            self._context.term()

    def open_sockets(self) -> list[str]:
        """The kinds of sockets not closed, for leak checks."""
        return [zmq.SocketType(socket.type).name for socket in self._handlers if not socket.closed]

    def _drain_xsub(self) -> None:
        recv, routes = self._xsub.recv, self._routes
        try:
            while True:
                frame = recv(zmq.NOBLOCK)
                at = frame.find(0)
                receive = routes.get(frame[:at])
                if receive is not None:
                    receive(frame, at + 1)
        except zmq.Again:
            return

    def _drain_xpub(self) -> None:
        while True:
            try:
                notice = self._xpub.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(notice) > NACK.size and notice[0] == NACK_MARK:
                self._repair(notice)
            elif notice[1:2] == b"~" and len(notice) > 11 and notice[0] < 2:
                self._notice(
                    notice[0] == 1, notice[2:10].decode(errors="replace"), notice[10:-1].decode(errors="replace")
                )

    def _notice(self, joined: bool, uid: str, topic: str) -> None:
        uids = self._notices.setdefault(topic, set())
        publisher = self.publishers.get(topic)
        if joined:
            uids.add(uid)
            if publisher is not None:
                publisher.match(uid)
        else:
            uids.discard(uid)
            if publisher is not None:
                publisher.unmatch(uid)

    # -- repair --------------------------------------------------------------------------------------------------------

    def _nack(self, instance: int, topic: str, first: int, last: int) -> None:
        self._xsub.send(NACK.pack(NACK_MARK, instance, self.instance, first, last) + topic.encode())

    def _repair(self, request: bytes) -> None:
        _, instance, asker, first, last = NACK.unpack_from(request)
        if instance != self.instance:
            return  # an XSUB speaks to all its publishers at once; this is for another one
        publisher = self.publishers.get(request[NACK.size :].decode(errors="replace"))
        if publisher is not None and f"{asker:08x}" in publisher.matched:
            publisher.repair(f"{asker:08x}", first, last)

    def _tell_tails(self) -> None:
        self._tails += 1
        repeat = self._tails % 100 == 0
        for publisher in self.publishers.values():
            publisher.heartbeat(TAIL_NS, repeat)

    def _lost(self, topic: str, instance: int, count: int) -> None:
        self.on_loss(topic, instance, count)

    def _refused(self, error: BusError) -> None:
        self._changed()
        self.on_refused(error)

    def _changed(self) -> None:
        self.membership.links_changed()

    # -- peers ---------------------------------------------------------------------------------------------------------

    def connect(self, instance: int, endpoint: str) -> None:
        """Listen to that process instance; the graph does this for members."""
        if self._connected.get(instance) != endpoint:
            self._connected[instance] = endpoint
            self._xsub.connect(endpoint)

    def disconnect(self, instance: int) -> None:
        """That instance is gone: close the link, forget its sequences and its subscriptions."""
        endpoint = self._connected.pop(instance, None)
        if endpoint is not None:
            with contextlib.suppress(zmq.ZMQError):
                self._xsub.disconnect(endpoint)
        for subscription in self.subscriptions.values():
            subscription.forget(instance)

    @property
    def connected(self) -> frozenset[int]:
        """Instances that we listen to."""
        return frozenset(self._connected)

    def forget_subscriber(self, uid: str) -> None:
        """That process is gone, whatever its TCP link still says."""
        for topic, uids in self._notices.items():
            if uid in uids:
                uids.discard(uid)
                if topic in self.publishers:
                    self.publishers[topic].unmatch(uid)

    def drop_asking(self, endpoint: str, reason: str) -> None:
        """Nobody answers there any more."""
        found = self._asking.pop(endpoint, None)
        if found is not None:
            self._handlers.pop(found.socket)
            self._polled = [(known, zmq.POLLIN) for known in self._handlers]
            found.socket.close(linger=0)
            found.fail_all("peer_lost", reason)

    def _admits(self, instance: int) -> bool:
        return instance in self._connected

    def find(self, node: str) -> Peer:
        """The process that hosts a node.

        Raises: PeerLost: nobody does.
        """
        for peer in self.membership.peers.values():
            if any(record.name == node for record in peer.nodes):
                return peer
        raise PeerLost(node, "no process in the graph hosts it")

    def after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run once from the loop, ``delay_s`` from now."""
        return self.timers.after(delay_s, callback)


def stop_on_signals(process: Process) -> None:
    """SIGTERM and SIGINT let the process's spin() return; only from the main thread."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        process.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _log_loss(topic: str, instance: int, count: int) -> None:
    _log.error("%s: %d messages of instance %d are lost for good", topic, count, instance)


def _log_refusal(error: BusError) -> None:
    _log.error("%s", error)
