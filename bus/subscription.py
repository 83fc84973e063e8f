"""The receiving end of a topic: per publisher instance, in sequence, each message once, what is lost is said."""

from __future__ import annotations

import logging
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from bus import codec
from bus.codec import HEADER, HEADER_BYTES, VERSION, Header
from bus.errors import BusError, QosIncompatible, TypeMismatch
from bus.framing import Framing
from bus.publisher import GAP_TO, LATCHED_OFFER, RELIABLE_OFFER
from bus.qos import Qos
from bus.timers import Timer
from bus.topics import TopicSpec

_log = logging.getLogger(__name__)

Callback = Callable[[Any, Header], None]
Filing = Callable[[Any, tuple[int, ...]], None]
"""Gets a message and its header's fields by position: most messages go to a gather, which reads three of them."""
FIRST_RETRY_S: Final = 0.005
LAST_RETRY_S: Final = 0.2
RUNS_PER_RETRY: Final = 32

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_unpack = HEADER.unpack_from
_make = tuple.__new__  # what Header._make does, without its own call and check


class Link:
    """What a subscription knows of one publisher instance. expected is 0 until the end of history has come."""

    __slots__ = ("early", "expected", "gone", "highest", "instance", "retry", "retry_from", "retry_s", "retry_to")

    def __init__(self, instance: int) -> None:
        self.instance = instance
        self.expected = 0
        self.highest = 0  # the last sequence known to exist
        self.gone = 0  # up to here the publisher has said that it holds nothing
        self.early: dict[int, tuple[bytes, int, tuple[int, ...]]] = {}
        self.retry: Timer | None = None
        self.retry_s = FIRST_RETRY_S
        self.retry_from = 0  # expected and highest when the retry was set
        self.retry_to = 0


class Hooks:
    """What a subscription needs of its process."""

    def __init__(
        self,
        admits: Callable[[int], bool],
        nack: Callable[[int, str, int, int], None],
        after: Callable[[float, Callable[[], None]], Timer],
        on_change: Callable[[], None],
        on_loss: Callable[[str, int, int], None],
        on_refused: Callable[[BusError], None],
        drop: Callable[[str, int], bool] | None,
        framing: Framing,
    ) -> None:
        self.admits = admits
        self.nack = nack
        self.after = after
        self.on_change = on_change
        self.on_loss = on_loss
        self.on_refused = on_refused
        self.drop = drop
        self.framing = framing


class Subscription:
    """One topic of one process, however many of its nodes listen. Made by ``Node.subscribe``."""

    def __init__(self, topic: str, spec: TopicSpec, qos: Qos, hooks: Hooks) -> None:
        self.topic = topic
        self.spec = spec
        self.qos = qos
        self.type_id = codec.type_id(spec.message)
        self.callbacks: tuple[Callback, ...] = ()
        self.filings: tuple[Filing, ...] = ()
        self.links: dict[int, Link] = {}
        self.refused: dict[int, BusError] = {}
        self.lost = 0
        self.repaired = 0
        self.duplicates = 0
        self.malformed = 0
        self.strangers = 0
        self.injected = 0
        self.latest: deque[tuple[Any, tuple[int, ...]]] = deque(maxlen=qos.depth)
        self._framing = hooks.framing
        self._longest_short = hooks.framing.longest_short
        self._live = 0  # what came as it was published and in order: all else about it follows from these three
        self._live_bytes = 0
        self._live_long = 0
        self._other_messages = 0
        self._other_payload_bytes = 0
        self._other_wire_bytes = 0
        self._latched = qos.latched
        self._at = len(topic.encode()) + 1
        self._decode = codec.decoder_of(spec.message).decode
        self._hooks = hooks
        self._drop = hooks.drop

    def leave_undecoded(self) -> None:
        """Hand over payloads as they came, as bytes."""
        self._decode = bytes  # type: ignore[assignment]

    @property
    def matched(self) -> frozenset[int]:
        """Publisher instances from which nothing more can be missed unseen."""
        return frozenset(link.instance for link in self.links.values() if link.expected)

    def is_matched(self, instance: int) -> bool:
        """Whether that publisher instance is in ``matched``."""
        link = self.links.get(instance)
        return link is not None and link.expected > 0

    @property
    def takes_latched(self) -> bool:
        """Whether samples from before the subscription are wanted."""
        return self._latched

    @property
    def messages(self) -> int:
        """Messages delivered."""
        return self._live + self._other_messages

    @property
    def payload_bytes(self) -> int:
        """Their payload."""
        return self._live_bytes - self._live * (self._at + HEADER_BYTES) + self._other_payload_bytes

    @property
    def wire_bytes(self) -> int:
        """Bytes of all that came over the network, marks and duplicates too."""
        live_bytes = self._framing.wire_bytes_of(self._live, self._live_bytes, self._live_long)
        return live_bytes + self._other_wire_bytes

    # -- the hot path --------------------------------------------------------------------------------------------------

    def receive_live(self, frame: bytes, at: int) -> None:
        """A frame came that is a message as it was published; its header starts at that byte."""
        try:
            fields = _unpack(frame, at)
        except struct.error:
            self._bad("too short")
            return
        link = self.links.get(fields[5])
        if link is None or fields[7] != link.expected or self._drop is not None:
            self.receive(frame, at)
            return
        link.expected += 1
        try:
            message = self._decode(frame[at + HEADER_BYTES :])
        except UNREADABLE as error:
            self._bad(str(error))
            return
        size = len(frame)
        self._live += 1
        self._live_bytes += size
        if size > self._longest_short:
            self._live_long += 1
        if self._latched:
            self.latest.append((message, fields))
        for file in self.filings:
            file(message, fields)
        if self.callbacks:
            header = _make(Header, fields)
            for callback in self.callbacks:
                callback(message, header)
        if link.early:
            self._advance(link)

    def receive(self, frame: bytes, at: int) -> None:
        """Any frame came from the network; its header starts at that byte."""
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
        payload = frame[at + HEADER_BYTES :]
        try:
            message = self._decode(payload)
        except UNREADABLE as error:
            self._bad(str(error))
            return
        self._other_messages += 1
        self._other_payload_bytes += len(payload)
        if self._latched:
            self.latest.append((message, fields))
        for file in self.filings:
            file(message, fields)
        if self.callbacks:
            header = _make(Header, fields)
            for callback in self.callbacks:
                callback(message, header)

    # -- everything else -----------------------------------------------------------------------------------------------

    def _irregular(self, frame: bytes, at: int, fields: tuple[int, ...]) -> None:
        version, flags, instance, sequence = fields[0], fields[1], fields[5], fields[7]
        if version != VERSION:
            self._bad(f"version {version}")
            return
        if instance in self.refused:
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
                self._note(link, sequence)
        elif flags & codec.END:
            self._end(link, sequence, frame[at + HEADER_BYTES :])
        elif flags & codec.GAP:
            if len(frame) == at + HEADER_BYTES + GAP_TO.size:
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
        promised = offer[0] if offer else 0
        lacking = self.qos.missing_in(bool(promised & RELIABLE_OFFER), bool(promised & LATCHED_OFFER))
        if lacking is not None:
            self.refuse(link.instance, QosIncompatible(self.topic, *lacking, f"instance {link.instance}"))
            return
        if link.expected:
            self._note(link, last)
            return
        link.expected = min(link.early, default=last + 1)
        link.highest = link.expected - 1
        held = max(link.early, default=0)
        self._advance(link)
        self._note(link, max(last, held))
        self._hooks.on_change()

    def _note(self, link: Link, last: int) -> None:
        """The publisher has published up to ``last``: ask for what has not come."""
        if last < link.expected or last <= link.highest:
            return
        if not self.qos.reliable:
            return
        first = max(link.highest + 1, link.expected)
        link.highest = last
        missing = (
            [s for s in range(first, last + 1) if s not in link.early] if last - first < 100_000 else [first, last]
        )
        if missing:
            self._hooks.nack(link.instance, self.topic, missing[0], missing[-1])
            if link.retry is None:
                self._retry_later(link, FIRST_RETRY_S)

    def _retry(self, link: Link) -> None:
        link.retry = None
        if link.expected > link.highest or self.links.get(link.instance) is not link:
            return
        first, runs = link.expected, 0
        # Not what was asked for since the retry was set: its answer is still on its way.
        for sequence in [*sorted(s for s in link.early if s <= link.retry_to), link.retry_to + 1]:
            if sequence > first:
                self._hooks.nack(link.instance, self.topic, first, sequence - 1)
                runs += 1
            first = sequence + 1
            if runs == RUNS_PER_RETRY:
                break
        moves = link.expected > link.retry_from
        self._retry_later(link, FIRST_RETRY_S if moves else min(2 * link.retry_s, LAST_RETRY_S))

    def _retry_later(self, link: Link, delay_s: float) -> None:
        link.retry_s, link.retry_from, link.retry_to = delay_s, link.expected, link.highest
        link.retry = self._hooks.after(delay_s, partial(self._retry, link))

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

    def refuse(self, instance: int, error: BusError) -> None:
        """Take nothing from that publisher, and say so once."""
        if instance not in self.refused:
            self.refused[instance] = error
            self.forget(instance)
            self._hooks.on_refused(error)

    def forget(self, instance: int) -> None:
        """That publisher is gone; a successor starts from nothing."""
        link = self.links.pop(instance, None)
        if link is not None and link.retry is not None:
            link.retry.cancel()

    def _bad(self, reason: str) -> None:
        self.malformed += 1
        if self.malformed.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...: a broken peer must not fill the log
            _log.warning("%s: dropped a malformed message (%d so far): %s", self.topic, self.malformed, reason)
