"""The sending end of a topic: sequence numbers, history for repairs and late joiners, and who is matched."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from bus import codec
from bus.codec import HEADER, VERSION, encode_payload
from bus.copies import Copies
from bus.credits import NO_LIMIT, Credits
from bus.errors import NotMatched
from bus.framing import PLAIN, Framing
from bus.messages import Message
from bus.qos import Offer, Qos
from bus.tally import Kind, Traffic
from bus.topics import TopicSpec

GAP_TO: Final = struct.Struct("<Q")
RELIABLE_OFFER: Final = 1
LATCHED_OFFER: Final = 2
KEEPS_ALL_OFFER: Final = 4
TIMED_OFFER: Final = 8  # deadline and lease follow
WHOSE: Final = struct.Struct("<II")
TIMES: Final = struct.Struct("<dd")


def pack_offer(qos: Qos) -> bytes:
    """What a publisher promises, as its END mark tells it."""
    flags = (RELIABLE_OFFER if qos.reliable else 0) | (LATCHED_OFFER if qos.latched else 0)
    flags |= KEEPS_ALL_OFFER if qos.keeps_all else 0
    if qos.deadline_s or qos.lease_s:
        return bytes((flags | TIMED_OFFER,)) + TIMES.pack(qos.deadline_s, qos.lease_s)
    return bytes((flags,))


def read_offer(packed: bytes) -> Offer:
    """The same at the subscriber; whatever cannot be read is not promised."""
    flags = packed[0] if packed else 0
    times = TIMES.unpack_from(packed, 1) if flags & TIMED_OFFER and len(packed) > TIMES.size else (0.0, 0.0)
    return Offer(bool(flags & RELIABLE_OFFER), bool(flags & LATCHED_OFFER), *times)


def never_match(end: Any, count: int, deadline_s: float) -> None:
    """What ``wait_matched`` does for an end that belongs to no process."""
    raise NotMatched(end.topic, count, 0, (), deadline_s)


class Publisher:
    """Publishes one topic for one process instance. Made by ``Node.publisher``."""

    def __init__(
        self,
        topic: str,
        spec: TopicSpec,
        qos: Qos,
        instance: int,
        send: Callable[[bytes], object],
        wall_ns: Callable[[], int],
        on_change: Callable[[], None],
        on_untold: Callable[[Publisher], None],
        framing: Framing = PLAIN,
    ) -> None:
        self.topic = topic
        self.spec = spec
        self.qos = qos
        self.type_id = codec.type_id(spec.message)
        self.sequence = 0
        self.local: Callable[[bytes], None] | None = None  # hands a frame to subscribers of this very process
        self.refused: dict[str, str] = {}
        self.last_wall_ns = 0
        self.limit = NO_LIMIT  # the sequence up to which nobody has to be waited for
        self.credits: Credits | None = None
        self.wait: Callable[[Publisher, int, float], None] = never_match
        self._untold = False  # published since the last heartbeat
        self._episode_from = 0  # the sequence after which the present episode begins
        self._keeps = qos.latched  # nobody can ask for what came before the first match, so nothing is kept for it
        self._message = spec.message
        self._instance = instance
        self._prefix = topic.encode() + b"\0"
        # What never changes is packed once: the topic with version and flags, and the type with the instance.
        self._begin = self._prefix + bytes((VERSION, 0))
        self._whose = WHOSE.pack(self.type_id, instance)
        self._head = struct.Struct(f"<{len(self._begin)}sBB{WHOSE.size}sIQqq").pack
        self._send = send
        self._wall_ns = wall_ns
        self._on_change = on_change
        self._on_untold = on_untold
        self._history: deque[bytes] = deque(maxlen=qos.history)
        self._books = Copies(len(self._prefix), framing)
        self._matched = self._books.matched
        self._longest_short = framing.longest_short
        self._frame_bytes = 0
        self._long_frames = 0

    # -- the hot path --------------------------------------------------------------------------------------------------

    def publish(self, message: Message, *, slot: int = 0, attempt: int = 0, round: int = 0, t_sim_ns: int = 0) -> bytes:  # noqa: A002 -- the header's word
        """Send to everyone matched; waits only where the QoS says so (``keep="all"``).

        Returns: The payload as it went out, for those who digest it.
        Raises: TypeError: not this topic's message. Backlog: a subscriber that keeps all is too far behind.
        """
        if type(message) is not self._message:
            raise TypeError(f"{self.topic} carries {self._message.__name__}, not {type(message).__name__}")
        payload = encode_payload(message)
        if self.sequence >= self.limit and self.credits is not None:
            self.credits.make_room()
        self.sequence = sequence = self.sequence + 1
        self.last_wall_ns = now = self._wall_ns()
        frame = self._head(self._begin, round, attempt, self._whose, slot, sequence, t_sim_ns, now) + payload
        if self._keeps:
            self._history.append(frame)
            if self._matched:
                self._send(frame)
                if not self._untold:
                    self._untold = True
                    self._on_untold(self)
        if self.local is not None:
            self.local(frame)
        # All else that is counted follows from these two and the sequence.
        size = len(frame)
        self._frame_bytes += size
        if size > self._longest_short:
            self._long_frames += 1
        return payload

    def try_publish(
        self,
        message: Message,
        *,
        slot: int,
        attempt: int = 0,
        round: int = 0,  # noqa: A002 -- the header's word
        t_sim_ns: int = 0,
    ) -> bool:
        """Publish if nobody has to be waited for; returns whether it was taken."""
        if self.credits is not None and not self.credits.has_room():
            return False
        self.publish(message, slot=slot, attempt=attempt, round=round, t_sim_ns=t_sim_ns)
        return True

    # -- who listens ---------------------------------------------------------------------------------------------------

    @property
    def matched(self) -> frozenset[str]:
        """Subscribing processes that have all they need to miss nothing from now on, by uid."""
        return frozenset(self._matched)

    @property
    def heard(self) -> bool:
        """Whether anybody listens, in this process or another."""
        return bool(self._matched) or self.local is not None

    def is_matched(self, uid: str) -> bool:
        """Whether that subscribing process is matched."""
        return uid in self._matched

    def wait_matched(self, count: int, deadline_s: float) -> None:
        """Spin until so many subscribing processes are matched: nothing published from then on is missed by them.

        Raises: NotMatched: they are not, within the deadline; it says who is missing.
        """
        self.wait(self, count, deadline_s)

    @property
    def traffic(self) -> Traffic:
        """What was published, once each, however many listened."""
        return self._books.traffic(self.sequence, self._frame_bytes, self._long_frames)

    def copies(self) -> dict[str, Traffic]:
        """What went to each subscribing process as it was published, by uid; local delivery is not a copy."""
        return self._books.all(self.traffic)

    def links(self) -> dict[tuple[str, Kind], Traffic]:
        """All that went to each subscribing process, by uid and what it was for: see ``Copies.links``."""
        return self._books.links(self.traffic)

    def give_up(self, slot: int, attempt: int) -> None:
        """A slot is computed again from this attempt on: what was published of it before was in vain."""
        newest_first = zip(range(self.sequence, 0, -1), reversed(self._history), strict=False)
        self._books.give_up(slot, attempt, newest_first)

    def listen_here(self, hand_over: Callable[[bytes], None] | None) -> None:
        """Our own process subscribes, and gets frames without a wire; None: no longer."""
        self.local = hand_over
        self._books.listen_here(hand_over is not None, self.traffic)

    def match(self, uid: str) -> None:
        """A subscriber's second notice came: give it the history it is promised, then the mark that ends it."""
        if uid in self.refused:
            return
        self._books.match(uid, self.traffic)
        self._keeps = True
        for frame in self.latched_frames():
            self._send_private(uid, frame, codec.LATCHED, "data")
        if self.credits is not None:
            self.credits.owe(uid)
        self._send_mark(uid, codec.END, self.sequence, pack_offer(self.qos))
        self._on_change()

    def unmatch(self, uid: str) -> None:
        """That subscriber is gone (or its link is)."""
        if self._books.unmatch(uid, self.traffic):
            self._on_change()
        if self.credits is not None:
            self.credits.lose_link(uid)

    def refuse(self, uid: str, reason: str) -> None:
        """Give that subscriber nothing."""
        self.refused[uid] = reason
        self.unmatch(uid)
        self.forget(uid)

    def forget(self, uid: str) -> None:
        """That subscriber does not come back: nothing is held for it."""
        if self.credits is not None:
            self.credits.forget(uid)

    def latched_frames(self) -> list[bytes]:
        """What a late joiner gets."""
        count = min(self.qos.depth, self.sequence - self._episode_from)
        return list(self._history)[-count:] if self.qos.latched and count else []

    def begin_again(self) -> None:
        """The run starts again: whoever joins gets nothing of what was, and no attempt was in vain yet."""
        self._books.close_attempts(self.sequence)
        if self.spec.plane == "data":
            self._episode_from = self.sequence

    # -- repair --------------------------------------------------------------------------------------------------------

    def repair(self, uid: str, first: int, last: int) -> None:
        """Send a range again; what the history no longer holds is admitted with a GAP mark."""
        last = min(last, self.sequence)
        held_from = self.sequence + 1 - len(self._history)
        if first < held_from:
            self._send_mark(uid, codec.GAP, first, GAP_TO.pack(min(last, held_from - 1)))
        for sequence in range(max(first, held_from), last + 1):
            self._send_private(uid, self._history[sequence - held_from], codec.REPAIR, "repair")

    def heartbeat(self, idle_since_ns: int) -> bool:
        """Tell the last sequence: the tail of a burst has no successor that would show its loss.

        Args:
            idle_since_ns: Wall time; whoever has published since shall wait.
        Returns: Whether it is told (or there is nobody to tell).
        """
        if self.last_wall_ns > idle_since_ns:
            return False
        self._untold = False
        if self._matched and self.sequence and self.qos.reliable:
            self.show_life()
        return True

    def show_life(self) -> None:
        """Send a heartbeat to all."""
        frame = self._prefix + self._mark(codec.HEARTBEAT, self.sequence)
        self._books.beat(len(frame))
        self._send(frame)

    def _mark(self, flag: int, sequence: int) -> bytes:
        return HEADER.pack(VERSION, flag, 0, 0, self.type_id, self._instance, 0, sequence, 0, self._wall_ns())

    def _send_mark(self, uid: str, flag: int, sequence: int, payload: bytes) -> None:
        frame = b"".join((b"~", uid.encode(), self._prefix, self._mark(flag, sequence), payload))
        self._books.mark(uid, len(frame))
        self._send(frame)

    def _send_private(self, uid: str, frame: bytes, flag: int, kind: Kind) -> None:
        self._books.private(uid, frame, kind)
        flags_at = len(self._prefix) + 1
        self._send(b"".join((b"~", uid.encode(), frame[:flags_at], bytes((flag,)), frame[flags_at + 1 :])))
