"""The emulated links that end in one process. They act at the subscriber, above QoS, after the bytes came.

Messages of a slot are shaped where gathers file them: what is lost or late stands in its place as ``Absent``, and a
delay shifts message time, which slots carry along. On the wall clock a delay is waited for. Plain subscriptions have no
time of their own in lockstep, so there a link only loses and doubles. Control topics pass no link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bus import link_channel
from bus.codec import Header, encode_payload
from bus.gather import LATE, Absent
from bus.link_channel import LOST, NS, Channel, Fate, latency_moments
from bus.link_figures import Figures
from bus.link_table import LinkTable, source_of
from bus.live import Callback, with_header
from bus.messages import LinkFigures, LinkRule, LinksFigures
from bus.subscription import AnyCallback

if TYPE_CHECKING:
    from bus.process import Process

WALL_RESOLUTION_S: Final = 0.02
"""How late a timer of a busy loop may hand a message over, wall seconds, before a link is said to be off."""

MEASURED: Final = (
    "link_messages",
    "link_lost",
    "link_late",
    "link_delay_seconds",
    "link_set_delay_seconds",
    "link_set_loss_share",
    "link_outside",
)

SHOWN: Final = 8
"""Links of a process that have metrics of their own; the others are counted together."""


@dataclass(frozen=True, slots=True)
class LinkClock:
    """How simulated time goes: the length of a slot, and simulated seconds per wall second (None: lockstep)."""

    slot_s: float = 0.0
    rate: float | None = 1.0

    @property
    def slot_ns(self) -> int:
        """The length of a slot."""
        return round(self.slot_s * NS)


FileAt = Callable[[Any, int], None]
"""Takes a message, or ``Absent``, and the simulated nanoseconds into its slot at which it came."""


class End:
    """The end of all links that lead to one node."""

    def __init__(self, links: Links, node: str) -> None:
        self._links = links
        self._node = node

    def receive(self, topic: str, message: Any, header: Header, file: FileAt) -> None:
        """A message of a slot came; ``file`` is called once, now or when it is due."""
        links = self._links
        channel, figures = links.channel(self._node, topic)
        if channel is None or figures is None:
            file(message, _into_slot(header, links.clock.slot_ns))
            return
        size = link_channel.frame_bytes(topic, len(encode_payload(message)))
        fate, new = links.fate(channel, figures, header, size)
        if fate.lost:
            file(Absent(LOST, message), 0)
        elif links.clock.rate is None:
            self._in_simulated_time(figures, fate, header, size, message, file, new=new)
        else:
            wait_s = (fate.due_ns[0] - links.now_ns()) / NS / links.clock.rate
            links.after(max(0.0, wait_s), lambda: self._hand_over(figures, fate, size, message, file, new=new))

    def _in_simulated_time(
        self, figures: Figures, fate: Fate, header: Header, size: int, message: Any, file: FileAt, *, new: bool
    ) -> None:
        slot_ns = self._links.clock.slot_ns
        came_ns = min(fate.due_ns) - header.slot * slot_ns
        if new:
            figures.handed_over(fate, fate.due_ns[0], size)
        if came_ns > slot_ns:
            figures.late += new
            file(Absent(LATE, message), 0)
        else:
            file(message, came_ns)

    def _hand_over(self, figures: Figures, fate: Fate, size: int, message: Any, file: FileAt, *, new: bool) -> None:
        if new:
            figures.handed_over(fate, self._links.now_ns(), size)
        file(message, 0)


class Plain:
    """A subscription's callback behind the links that lead to its node."""

    def __init__(self, links: Links, node: str, topic: str, callback: AnyCallback) -> None:
        self._links = links
        self._node = node
        self._topic = topic
        self._callback = with_header(callback)

    def __call__(self, message: Any, header: Header) -> None:
        """A message came; it is handed over as often, and when, the link says."""
        links = self._links
        if not links.shaped:
            self._callback(message, header)
            return
        channel, figures = links.channel(self._node, self._topic, header.instance)
        if channel is None or figures is None:
            self._callback(message, header)
            return
        size = link_channel.frame_bytes(self._topic, len(encode_payload(message)))
        fate, new = links.fate(channel, figures, header, size)
        for due_ns in fate.due_ns:
            counts = new and due_ns is fate.due_ns[0]
            if links.clock.rate is None:
                if counts:
                    figures.handed_over(fate, due_ns, size)
                self._callback(message, header)
            else:
                wait_s = (due_ns - links.now_ns()) / NS / links.clock.rate
                links.after(max(0.0, wait_s), self._handing(figures, fate, size, message, header, counts=counts))

    def _handing(
        self, figures: Figures, fate: Fate, size: int, message: Any, header: Header, *, counts: bool
    ) -> Callable[[], None]:
        def hand_over() -> None:
            if counts:
                figures.handed_over(fate, self._links.now_ns(), size)
            self._callback(message, header)

        return hand_over


class Links:
    """All links into one process; ``Process.links``. It costs nothing while no rule shapes any."""

    def __init__(self, process: Process, table: LinkTable, seed: int, clock: LinkClock) -> None:
        """Shape what comes to a process's nodes.

        Args:
            process: Whose nodes the links lead to; its nodes are made afterwards.
            table: The scenario's rules.
            seed: Of the run.
            clock: How time goes.
        """
        self.clock = clock
        self.after = process.after
        self.table = table
        self.shaped = bool(table.rules)
        self._process = process
        self._seed = seed
        self._given = table
        self._by_hand: tuple[LinkRule, ...] = ()
        self._channels: dict[tuple[str, str, int], tuple[Channel | None, Figures | None]] = {}
        self._figures: dict[tuple[str, str], Figures] = {}
        self._shown: set[str] = set()
        process.measurements.before_snapshot(self._measure)

    def end_of(self, node: str) -> End | None:
        """What the gathers of a node file through; None while no link is shaped."""
        return End(self, node) if self.shaped else None

    def behind(self, node: str, topic: str, callback: AnyCallback) -> Callback:
        """A callback behind the links to a node."""
        return Plain(self, node, topic, callback)

    def follow(self, by_hand: Sequence[LinkRule]) -> None:
        """From this slot on these rules hold besides the scenario's; equal ones change nothing."""
        if tuple(by_hand) == self._by_hand:
            return
        self._by_hand = tuple(by_hand)
        self.table = LinkTable((*self._given.rules, *by_hand), self._given.tags)
        self.shaped = bool(self.table.rules)
        for key in [key for key in self._channels if not self._holds(*key)]:
            del self._channels[key]
        for pair, figures in list(self._figures.items()):
            if self.table.find(*pair) != (figures.shape, figures.down):
                del self._figures[pair]
        for node in self._process.nodes.values():
            node.collector.link_to(self.end_of(node.name))

    def begin_again(self, seed: int) -> None:
        """The run starts again with another seed: channels are new, and so is what is measured of them."""
        self._seed = seed
        self._channels.clear()
        self._figures.clear()

    def _holds(self, node: str, topic: str, instance: int) -> bool:
        """Whether a channel is still what the table says."""
        channel = self._channels[node, topic, instance][0]
        found = self.table.find(self._source(topic, instance), node)
        if channel is None or found is None:
            return channel is None and found is None
        return channel.shape == found.shape and channel.down == found.down

    # -- one message ---------------------------------------------------------------------------------------------------

    def channel(self, node: str, topic: str, instance: int = 0) -> tuple[Channel | None, Figures | None]:
        """The channel of a topic to a node, and where it is counted; Nones where the link does nothing."""
        key = (node, topic, instance)
        found = self._channels.get(key)
        if found is None:
            found = self._channels[key] = self._open(node, topic, instance)
        return found

    def _open(self, node: str, topic: str, instance: int) -> tuple[Channel | None, Figures | None]:
        source = self._source(topic, instance)
        shaped = self.table.find(source, node)
        if shaped is None:
            return None, None
        figures = self._figures.get((source, node))
        if figures is None or (figures.shape, figures.down) != shaped:
            resolution_s = 0.0 if self.clock.rate is None else WALL_RESOLUTION_S * self.clock.rate
            figures = self._figures[source, node] = Figures(source, node, *shaped, resolution_s)
        draw = link_channel.draw_of(self._seed, source, node, topic)
        return Channel(shaped.shape, draw, down=shaped.down), figures

    def _source(self, topic: str, instance: int) -> str:
        """The publishing node: as the graph has it, else by the topic's name."""
        peer = self._process.membership.peers.get(instance) if instance else None
        for node in peer.nodes if peer is not None else ():
            if any(record.topic == topic for record in node.publishes):
                return node.name
        return source_of(topic)

    def fate(self, channel: Channel, figures: Figures, header: Header, size: int) -> tuple[Fate, bool]:
        """What becomes of a message, and whether it is the first time that somebody asks."""
        slot_ns = self.clock.slot_ns
        time_ns = header.slot * slot_ns + _into_slot(header, slot_ns)
        sent_ns = time_ns if self.clock.rate is None else self.now_ns()
        name = (header.instance, header.sequence)
        new = not channel.knows(header.slot, header.attempt, name)
        if not slot_ns:
            time_ns = sent_ns
        fate = channel.carry(header.slot, header.attempt, header.round, name, time_ns, sent_ns, size)
        if new:
            figures.count(fate)
        return fate, new

    def now_ns(self) -> int:
        """The clock that delays are waited for by, in simulated nanoseconds."""
        return round(self._process.clock() * (self.clock.rate or 1.0) * NS)

    # -- what is told --------------------------------------------------------------------------------------------------

    def figures(self) -> LinksFigures:
        """Every shaped link that carried something, or that is down."""
        return LinksFigures(
            self._process.name, tuple(figures.message() for _, figures in sorted(self._figures.items()))
        )

    def _measure(self) -> None:
        """Bring the counts into the metrics; links beyond the first few are counted as one."""
        totals: dict[str, list[LinkFigures]] = {}
        for k, (key, figures) in enumerate(sorted(self._figures.items())):
            label = f"{key[0]}>{key[1]}" if k < SHOWN else "others"
            totals.setdefault(label, []).append(figures.message())
        measured = self._process.measurements
        for label in self._shown - totals.keys():  # healed since
            for name in MEASURED:
                measured.gauge(name, link=label).value = 0.0
        self._shown |= totals.keys()
        for label, found in totals.items():
            count = sum(each.messages for each in found)
            lost = sum(each.lost + each.blocked for each in found)
            delay_s = sum(each.delay_s * each.messages for each in found) / count if count else 0.0
            measured.gauge("link_messages", link=label).value = float(count)
            measured.gauge("link_lost", link=label).value = float(lost)
            measured.gauge("link_late", link=label).value = float(sum(each.late for each in found))
            measured.gauge("link_delay_seconds", link=label).value = delay_s
            set_s = sum(latency_moments(each.shape)[0] * each.messages for each in found) / count if count else 0.0
            measured.gauge("link_set_delay_seconds", link=label).value = set_s
            set_loss = sum((1.0 if each.down else each.shape.loss) * each.messages for each in found)
            measured.gauge("link_set_loss_share", link=label).value = set_loss / count if count else 0.0
            measured.gauge("link_outside", link=label).value = float(sum(len(each.outside) for each in found))


def _into_slot(header: Header, slot_ns: int) -> int:
    """Simulated nanoseconds into its slot at which a message was sent; 0 where nobody said."""
    return max(0, header.t_sim_ns - header.slot * slot_ns) if header.t_sim_ns else 0
