"""The receiving end of a topic: per publisher instance, in sequence, each message once, what is lost is said."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from bus import codec
from bus.acknowledgements import Acknowledgements
from bus.codec import HEADER, HEADER_BYTES, VERSION, Header
from bus.errors import BusError, QosIncompatible, TypeMismatch
from bus.gaps import Gaps
from bus.live import UNREADABLE, Callback, Live, MessageCallback, Take, takes_header, with_header
from bus.newest import Newest
from bus.publisher import GAP_TO, KEEPS_ALL_OFFER, never_match, read_offer
from bus.qos import Qos
from bus.reception import Hooks, Link
from bus.topics import TopicSpec
from bus.upstream import ACK, NACK, REFUSE, Word

_log = logging.getLogger(__name__)

AnyCallback = Callback | MessageCallback
Filing = Callable[[Any, tuple[int, ...]], None]
"""Gets a message and its header's fields by position: most messages go to a gather, which reads three of them."""

_unpack = HEADER.unpack_from
_make = tuple.__new__  # what Header._make does, without its own call and check


class Subscription:
    """One topic of one process, however many of its nodes listen. Made by ``Node.subscribe``."""

    def __init__(self, topic: str, spec: TopicSpec, qos: Qos, hooks: Hooks) -> None:
        self.topic = topic
        self.spec = spec
        self.qos = qos
        self.type_id = codec.type_id(spec.message)
        self._callbacks: tuple[AnyCallback, ...] = ()
        self._called: tuple[Callback, ...] = ()
        self._filings: tuple[Filing, ...] = ()
        self.links: dict[int, Link] = {}
        self.refused: dict[int, BusError] = {}
        self.lost = 0
        self.repaired = 0
        self.duplicates = 0
        self.malformed = 0
        self.strangers = 0
        self.injected = 0
        self.superseded = 0  # left out for newer ones because we were too slow
        self.expired = 0  # too old when their turn came
        self.wait: Callable[[Subscription, int, float], None] = never_match
        self.latest: deque[tuple[Any, tuple[int, ...]]] = deque(maxlen=qos.depth)
        self._framing = hooks.framing
        self._other_messages = 0
        self._other_payload_bytes = 0
        self._other_wire_bytes = 0
        self._latched = qos.latched
        self._at = len(topic.encode()) + 1
        self._hooks = hooks
        self._drop = hooks.drop
        self._newest = None if qos.reliable else Newest(qos.depth, hooks.later, self._hand_over, self._supersede)
        self._gaps = Gaps(self.links, hooks, lambda instance, first, last: self._say(NACK, instance, first, last))
        self._acknowledgements = Acknowledgements(
            self.links, qos.history, hooks.after, lambda instance, up_to: self._say(ACK, instance, up_to)
        )
        decode = codec.decoder_of(spec.message).decode
        self._live = Live(topic, self.links, decode, hooks.framing, self._call, self._receive, self._advance, self._bad)
        if qos.keeps_all:
            self._live.after = self._acknowledgements.look

    @property
    def take(self) -> Take | None:
        """The shorter way for messages as they were published; None: they all go through ``receive``."""
        plain = self._drop is None and self._newest is None and not self.qos.lifespan_s
        return self._live.take if plain else None

    @property
    def drains(self) -> bool:
        """Whether the socket is to be read empty before messages are handed over."""
        return self._newest is not None

    def leave_undecoded(self) -> None:
        """Hand over payloads as they came, as bytes."""
        self._live.decode = bytes

    @property
    def matched(self) -> frozenset[int]:
        """Publisher instances from which nothing more can be missed unseen."""
        return frozenset(link.instance for link in self.links.values() if link.expected)

    def is_matched(self, instance: int) -> bool:
        """Whether that publisher instance is in ``matched``."""
        link = self.links.get(instance)
        return link is not None and link.expected > 0

    def come(self, instance: int, last: int, *, ask: bool) -> int:
        """The sequence up to which all of a publisher instance is here; ask: for what is missing up to ``last``."""
        link = self.links.get(instance)
        if link is None or not link.expected:
            return 0
        if ask:
            self._note(link, last)
        return link.expected - 1

    def wait_matched(self, count: int, deadline_s: float) -> None:
        """Spin until so many publishing processes are matched: nothing that they publish from then on is missed.

        Raises: NotMatched: they are not, within the deadline; it says who is missing.
        """
        self.wait(self, count, deadline_s)

    @property
    def takes_latched(self) -> bool:
        """Whether samples from before the subscription are wanted."""
        return self._latched

    @property
    def messages(self) -> int:
        """Messages delivered."""
        return self._live.messages + self._other_messages

    @property
    def payload_bytes(self) -> int:
        """Their payload."""
        live = self._live
        return live.frame_bytes - live.messages * (self._at + HEADER_BYTES) + self._other_payload_bytes

    @property
    def wire_bytes(self) -> int:
        """Bytes of all that came over the network, marks and duplicates too."""
        live = self._live
        live_bytes = self._framing.wire_bytes_of(live.messages, live.frame_bytes, live.long_frames)
        return live_bytes + self._other_wire_bytes

    # -- the hot path --------------------------------------------------------------------------------------------------

    def receive(self, frame: bytes, at: int) -> None:
        """Any frame came from the network; its header starts at that byte."""
        self._receive(frame, at)
        if self._live.after is not None:
            self._live.after()

    def _receive(self, frame: bytes, at: int) -> None:
        size = len(frame)
        if size < at + HEADER_BYTES:
            self._bad("too short")
            return
        self._other_wire_bytes += self._framing.wire_bytes(size)
        self._irregular(frame, at, _unpack(frame, at))

    def receive_local(self, frame: bytes) -> None:
        """A frame of a publisher in this process: same codec, no wire, no loss."""
        self._deliver(frame, self._at, _unpack(frame, self._at))

    def _deliver(self, frame: bytes, at: int, fields: tuple[int, ...]) -> None:
        if self._newest is not None:
            self._newest.put(frame, at, fields)
        else:
            self._hand_over(frame, at, fields)

    def _supersede(self, count: int) -> None:
        self.superseded += count
        self._hooks.events.tell("superseded", self.topic, 0, count)

    def _hand_over(self, frame: bytes, at: int, fields: tuple[int, ...]) -> None:
        if self.qos.lifespan_s and self._hooks.age_s(fields) > self.qos.lifespan_s:
            self.expired += 1
            self._hooks.events.tell("expired", self.topic, fields[5])
            return
        payload = frame[at + HEADER_BYTES :]
        try:
            message = self._live.decode(payload)
        except UNREADABLE as error:
            self._bad(str(error))
            return
        self._other_messages += 1
        self._other_payload_bytes += len(payload)
        self._call(message, fields)

    def _call(self, message: Any, fields: tuple[int, ...]) -> None:
        if self._latched:
            self.latest.append((message, fields))
        for file in self._filings:
            file(message, fields)
        if self._called:
            header = _make(Header, fields)
            for callback in self._called:
                callback(message, header)

    @property
    def callbacks(self) -> tuple[AnyCallback, ...]:
        """Who gets the message, with its header or without."""
        return self._callbacks

    @callbacks.setter
    def callbacks(self, callbacks: tuple[AnyCallback, ...]) -> None:
        self._callbacks = callbacks
        self._called = tuple(with_header(callback) for callback in callbacks)
        self._choose()

    @property
    def filings(self) -> tuple[Filing, ...]:
        """Who gets message and the header's fields."""
        return self._filings

    @filings.setter
    def filings(self, filings: tuple[Filing, ...]) -> None:
        self._filings = filings
        self._choose()

    def _choose(self) -> None:
        """One callback and nothing else is the common case, and gets the shortest way."""
        alone = len(self._callbacks) == 1 and not self._filings and not self._latched
        bare = alone and not takes_header(self._callbacks[0])
        self._live.alone = self._called[0] if alone and not bare else None
        self._live.bare = cast("MessageCallback", self._callbacks[0]) if bare else None

    # -- everything else -----------------------------------------------------------------------------------------------

    def _irregular(self, frame: bytes, at: int, fields: tuple[int, ...]) -> None:
        version, flags, instance, sequence = fields[0], fields[1], fields[5], fields[7]
        if version != VERSION:
            self._bad(f"version {version}")
            return
        if flags & ~codec.FLAGS:
            self._bad(f"flags {flags:#x}")
            return
        if instance in self.refused:
            self.strangers += 1
            return
        link = self.links.get(instance)
        if link is None:
            if not self._hooks.admits(instance):
                self.strangers += 1
                return
            link = self.links[instance] = Link(instance)
        if fields[4] != self.type_id:
            self.refuse(instance, TypeMismatch(self.topic, self.type_id, fields[4], f"instance {instance}"))
        elif flags & codec.HEARTBEAT:
            if link.expected:
                link.beats += 1
                self._note(link, sequence)
        elif flags & codec.END:
            self._end(link, sequence, frame[at + HEADER_BYTES :])
        elif flags & codec.GAP:
            if len(frame) != at + HEADER_BYTES + GAP_TO.size:
                self._bad("a mark of a gap without its end")
                return
            link.gone = max(link.gone, min(GAP_TO.unpack_from(frame, at + HEADER_BYTES)[0], link.highest))
            self._advance(link)
        elif not flags and self._drop is not None and self._drop(self.topic, sequence):
            self.injected += 1
        elif not flags & codec.LATCHED or self._latched:
            self._file(link, frame, at, fields)

    def _file(self, link: Link, frame: bytes, at: int, fields: tuple[int, ...]) -> None:
        sequence = fields[7]
        if sequence in link.early or (link.expected and sequence < link.expected):
            self.duplicates += 1
            return
        if fields[1] & codec.REPAIR:
            self.repaired += 1
            if link.asked_s:
                took_s = self._hooks.clock() - link.asked_s
                link.round_trip_s = max(took_s, 0.75 * link.round_trip_s + 0.25 * took_s)
                link.asked_s = 0.0
        if link.expected and not self.qos.reliable and sequence > link.expected:
            self._lose(link, sequence)
        if sequence == link.expected:
            link.expected += 1
            self._deliver(frame, at, fields)
            self._advance(link)
            return
        link.early[sequence] = (frame, at, fields)
        if link.expected:
            self._note(link, sequence - 1)
            link.highest = max(link.highest, sequence)

    def _end(self, link: Link, last: int, offer: bytes) -> None:
        """The end of history: from here on the link is matched. After a reconnect it only tells the last sequence."""
        lacking = self.qos.missing_in(read_offer(offer))
        if lacking is not None:
            self.refuse(link.instance, QosIncompatible(self.topic, *lacking, f"instance {link.instance}"))
            return
        if link.expected:
            self._note(link, last)
            self._begin_to_acknowledge(link, offer)
            return
        link.expected = min(link.early, default=last + 1)
        link.highest = link.expected - 1
        held = max(link.early, default=0)
        self._advance(link)
        self._note(link, max(last, held))
        self._begin_to_acknowledge(link, offer)
        self._hooks.events.tell("liveliness_back", self.topic, link.instance)
        self._hooks.on_change()

    def _begin_to_acknowledge(self, link: Link, offer: bytes) -> None:
        if offer and offer[0] & KEEPS_ALL_OFFER:
            self._acknowledgements.begin(link, self.qos.keeps_all)

    def resign(self) -> None:
        """Nobody here listens any more: let no publisher wait for us."""
        self._acknowledgements.end()

    # -- repair --------------------------------------------------------------------------------------------------------

    def _say(self, mark: int, instance: int, first: int, last: int = 0, text: str = "") -> None:
        self._hooks.say(Word(mark, instance, self._hooks.own_instance(), first, last, self.topic, text))

    def _note(self, link: Link, last: int) -> None:
        if self.qos.reliable:
            self._gaps.note(link, last)

    def _advance(self, link: Link) -> None:
        """Deliver what has become due, step over what the publisher no longer holds."""
        while link.expected:
            held = link.early.pop(link.expected, None)
            if held is not None:
                link.expected += 1
                self._deliver(*held)
            elif link.expected <= link.gone:
                self._lose(link, min(link.gone + 1, min(link.early, default=link.gone + 1)))
            else:
                return

    def _lose(self, link: Link, until: int) -> None:
        count = until - link.expected
        link.expected = until
        self.lost += count
        self._hooks.on_loss(self.topic, link.instance, count)
        self._hooks.events.tell("lost", self.topic, link.instance, count)

    def refuse(self, instance: int, error: BusError) -> None:
        """Take nothing from that publisher, and say so once."""
        if instance not in self.refused:
            self.refused[instance] = error
            self.forget(instance)
            if isinstance(error, QosIncompatible):
                self._say(REFUSE, instance, 0, 0, f"{error.asked}\0{error.offered}")
            elif isinstance(error, TypeMismatch):
                self._say(REFUSE, instance, error.ours)
            self._hooks.on_refused(error)

    def forget(self, instance: int) -> None:
        """That publisher is gone; a successor starts from nothing."""
        link = self.links.pop(instance, None)
        if link is None:
            return
        if link.retry is not None:
            link.retry.cancel()
        if link.expected and not link.silent:
            self._hooks.events.tell("liveliness_lost", self.topic, instance)

    def _bad(self, reason: str) -> None:
        self.malformed += 1
        if self.malformed.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...: a broken peer must not fill the log
            _log.warning("%s: dropped a malformed message (%d so far): %s", self.topic, self.malformed, reason)
