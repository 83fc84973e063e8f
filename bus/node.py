"""A named participant on the bus: what programs are written against."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from bus.calls import Handler, reply_or_raise
from bus.errors import BadName, UnknownTopic
from bus.events import Listener
from bus.gather import Collector, Gather
from bus.lifecycle import Lifecycle
from bus.messages import Failure, Message, Value
from bus.names import is_subtree, resolve
from bus.parameters import Parameter, ParameterSet
from bus.publisher import Publisher
from bus.qos import Qos
from bus.subscription import AnyCallback, Subscription
from bus.subtree import Subtree, TreeCallback
from bus.timers import Timer
from bus.topics import TopicSpec

if TYPE_CHECKING:
    from bus.process import Process

R = TypeVar("R", bound=Message)


class Node:
    """One name (``/edge/3``) in a process. Made by ``Process.node``."""

    def __init__(self, process: Process, name: str, namespace: str = "/") -> None:
        self.process = process
        self.name = name
        self.namespace = namespace
        self.published: list[Publisher] = []
        self.subscribed: list[Subscription] = []
        self.trees: list[Subtree] = []
        self.parameters = ParameterSet(self)
        self.lifecycle: Lifecycle | None = None
        self.collector = Collector(process.later, process.timers.after)
        self._behind: dict[tuple[str, AnyCallback], AnyCallback] = {}
        if process.links is not None:
            self.collector.linkable = True
            self.collector.link_to(process.links.end_of(name))

    # -- names ---------------------------------------------------------------------------------------------------------

    def resolve(self, name: str) -> str:
        """The absolute name under which a name of ours travels, after remapping.

        Raises: BadName: it is none.
        """
        return self._remapped(resolve(name, self.namespace, self.name))

    def _remapped(self, name: str) -> str:
        remap = self.process.remap
        return remap.apply(name, self.namespace, self.name) if remap else name

    def _topic(self, name: str) -> tuple[str, TopicSpec]:
        """The name on the bus, and the row: that of what the program calls it, wherever it was sent."""
        meant = resolve(name, self.namespace, self.name)
        if is_subtree(meant):
            raise BadName(name, len(name) - 1, "this is many topics; subscribe_tree hears them all")
        topic = self._remapped(meant)
        try:
            return topic, self.process.table.match(meant)
        except UnknownTopic:
            if topic == meant:
                raise
            return topic, self.process.table.match(topic)

    # -- topics --------------------------------------------------------------------------------------------------------

    def publisher(self, topic: str, qos: Qos | None = None) -> Publisher:
        """The sending end of a topic; qos only to promise other than the topic table says.

        The name may be relative (``counts``) or private (``~/counts``).
        Raises: UnknownTopic: no row of the table fits. BadName: it is no name. ValueError: this process publishes it
            already.
        """
        publisher = self.process.pubsub.publisher(*self._topic(topic), qos)
        self.published.append(publisher)
        if self.lifecycle is not None:
            self.lifecycle.hold(publisher)
        return publisher

    def subscribe(self, topic: str, callback: AnyCallback, qos: Qos | None = None) -> Subscription:
        """Call ``callback(message, header)`` from the loop with each message of a topic, in sequence per publisher.

        A callback that takes the message alone is called so; without a header to make, that is faster.

        Raises: UnknownTopic: no row of the table fits. BadName: it is no name. ValueError: two of our names, with
            different messages, are remapped to one topic.
        """
        name, spec = self._topic(topic)
        if self.process.links is not None and spec.plane == "data":
            self._behind[name, callback] = callback = self.process.links.behind(self.name, name, callback)
        return self._subscribe(name, spec, callback, qos)

    def _subscribe(self, topic: str, spec: TopicSpec, callback: AnyCallback, qos: Qos | None) -> Subscription:
        subscription = self.process.pubsub.subscribe(topic, spec, callback, qos)
        if subscription not in self.subscribed:
            self.subscribed.append(subscription)
        return subscription

    def subscribe_tree(self, name: str, callback: TreeCallback, *, reliable: bool = False) -> Subtree:
        """Call ``callback(topic, payload, header)`` with every message below a name: ``/edge/**``, or all, ``/**``.

        Payloads are bytes as they came (``process.types.read`` decodes them); each topic is in sequence per publisher,
        and what is latched comes first.

        Args:
            reliable: Ask for repairs where the publisher offers them; otherwise loss is only counted.
        Raises: BadName: it is no name of a subtree.
        """
        full = self.resolve(f"{name}**" if name.endswith("/") else name)
        if not is_subtree(full):
            raise BadName(name, len(name), "a subtree ends in /**")
        tree = self.process.pubsub.subscribe_tree(full, callback, reliable)
        if tree not in self.trees:
            self.trees.append(tree)
        return tree

    def unsubscribe_tree(self, name: str, callback: TreeCallback) -> None:
        """Stop calling that callback with what is below that name."""
        self.process.pubsub.unsubscribe_tree(self.resolve(f"{name}**" if name.endswith("/") else name), callback)

    def unsubscribe(self, topic: str, callback: AnyCallback) -> None:
        """Stop calling that callback with that topic's messages."""
        name = self.resolve(topic)
        self.process.pubsub.unsubscribe(name, self._behind.pop((name, callback), callback))

    def on_event(self, listener: Listener, topic: str = "") -> None:
        """Call with each event (bus/events.py: losses, deadlines, age, liveliness, refusals) of a topic, or of all."""
        self.process.pubsub.events.listen(self.resolve(topic) if topic else "", listener)

    # -- settings ------------------------------------------------------------------------------------------------------

    def parameter(
        self,
        name: str,
        default: Value,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        choices: tuple[Value, ...] = (),
        description: str = "",
        on_change: Callable[[Any], None] | None = None,
        read_only: str = "",
    ) -> Parameter:
        """Declare a setting that tools can read and change; read its ``value`` where it is used.

        Args:
            on_change: Called from the loop with each new value; a ValueError from it refuses the change.
            read_only: Why it cannot be set, if it cannot.
        Raises: ValueError: it is declared already, or the default breaks its own bounds.
        """
        made = Parameter(name, default, minimum, maximum, choices, description, on_change, read_only)
        return self.parameters.declare(made)

    def manage(
        self,
        *,
        on_configure: Callable[[], None] | None = None,
        on_activate: Callable[[], None] | None = None,
        on_deactivate: Callable[[], None] | None = None,
        on_cleanup: Callable[[], None] | None = None,
    ) -> Lifecycle:
        """Make this a managed node: unconfigured now, led on by ``edgerig node set`` or ``lifecycle.change``.

        While it is not active, what it publishes on data topics stays unsent and is counted. Call it before anyone
        binds ``publish`` of its publishers to a name, and before ``register``.
        Raises: ValueError: it is managed already.
        """
        if self.lifecycle is not None:
            raise ValueError(f"{self.name} is managed already")
        called = {"configure": on_configure, "activate": on_activate}
        called |= {"deactivate": on_deactivate, "cleanup": on_cleanup}
        self.lifecycle = Lifecycle(self, called)
        self.process.membership.beat()  # before we register: no one shall take us for a node that is active by itself
        return self.lifecycle

    # -- gather --------------------------------------------------------------------------------------------------------

    def collect(self, kind: Hashable, topic: str, source: Hashable) -> Subscription:
        """Subscribe a topic for gathers: its messages are ``source``'s share of ``kind``."""
        name, spec = self._topic(topic)
        subscription = self.process.pubsub.collect(name, spec, self.collector.filing(kind, name, source))
        if subscription not in self.subscribed:
            self.subscribed.append(subscription)
        return subscription

    def gather(
        self,
        kind: Hashable,
        sources: Sequence[Hashable],
        slot: int,
        attempt: int,
        then: Callable[[list[Any]], None],
        *,
        round: int = 0,  # noqa: A002 -- the header's word
        deadline_s: float | None = None,
    ) -> Gather:
        """Call ``then`` once with one message of this kind from each source, in the order of ``sources``.

        Without a deadline only messages (or ``begin``) end it; after ``deadline_s`` what has not come is ``Absent``.
        Raises: ValueError: a source that nothing was collected for, or a slot that is over.
        """
        return self.collector.gather(kind, sources, slot, attempt, then, round, deadline_s)

    def begin(self, slot: int, attempt: int) -> None:
        """Drop what is held or open for anything older than (slot, attempt); all, when time goes back (a reset)."""
        self.collector.begin(slot, attempt)

    def reached_ns(self, *kinds: Hashable) -> int:
        """Simulated nanoseconds into the slot at which the last message of these gathers came over emulated links."""
        closed = self.collector.closed_ns
        return max([closed.get(kind, 0) for kind in kinds]) if closed else 0

    def waiting(self) -> list[str]:
        """Whom the open gathers wait for, as sentences."""
        return self.collector.waiting()

    # -- time and calls ------------------------------------------------------------------------------------------------

    def timer(self, period_s: float, callback: Callable[[], None]) -> Timer:
        """Call from the loop each ``period_s``."""
        return self.process.timers.every(period_s, callback)

    def serve(
        self,
        method: str,
        request_type: type[Message],
        handler: Handler,
        reply_type: type[Message] | None = None,
        *,
        reads: bool | None = None,
    ) -> None:
        """Answer ``method``: the handler gets the request and returns the reply.

        With ``reply_type`` tools (``edgerig call``) print the names of the reply's fields, too. reads: It changes
        nothing, so that with keys any tool may ask; by default when its request is a query. What changes something
        takes the hub or the launcher's key.

        BusError, ValueError and LookupError of a handler travel as a Failure; anything else is our bug and rises.
        """
        self.process.answering.serve(self.name, method, request_type, handler, reply_type, reads=reads)
        self.process.membership.topics_changed()

    def call(self, node: str, method: str, request: Message, reply_type: type[R], deadline_s: float) -> R:
        """Ask and wait, spinning the loop; for tools, tests and start-up, never inside a slot.

        Raises: CallTimeout: no answer in time. CallFailed: the callee refused. PeerLost: nobody hosts the node.
        """
        answers: list[R | Failure] = []
        self.call_later(node, method, request, reply_type, deadline_s, answers.append)
        self.process.spin(lambda: bool(answers), deadline_s + 1.0)
        answer = answers[0] if answers else Failure(0, "timeout", "stopped")
        return reply_or_raise(answer, node, method, deadline_s)

    def call_later(
        self,
        node: str,
        method: str,
        request: Message,
        reply_type: type[R],
        deadline_s: float,
        then: Callable[[R | Failure], None],
    ) -> None:
        """Ask; ``then`` gets the reply or a Failure (kind "timeout" after ``deadline_s``) from the loop.

        Raises: PeerLost: nobody hosts the node.
        """
        node = self.resolve(node)
        peer = self.process.find(node)
        self.process.asking(peer.call_endpoint, node, peer.public_key).ask(
            node, method, request, reply_type, deadline_s, then
        )
