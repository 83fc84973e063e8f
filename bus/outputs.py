"""What a process publishes goes out through one XPUB; subscriptions, and what subscribers say, come in through it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final, Protocol

import zmq

from bus.errors import BusError, QosIncompatible, TypeMismatch
from bus.notices import Notices
from bus.publisher import Publisher
from bus.sockets import Sockets
from bus.tails import Tails
from bus.timers import Timers
from bus.upstream import ACK, REFUSE, Word, read

_log = logging.getLogger(__name__)

UID_BYTES: Final = 8
UID: Final = re.compile(rb"[0-9a-f]{8}")
SUBSCRIPTIONS: Final = (b"\x00", b"\x01")
LOOK_MS: Final = 10  # how often who waits for acknowledgements tells the last sequence
QUEUE_FRAMES: Final = 20_000
"""For one subscriber. A full queue drops without a word: the sequence shows it, repair or the loss count follows."""


def uid_of(instance: int) -> str:
    """A process instance as it stands in the names of private channels."""
    return f"{instance:08x}"


class Ends(Protocol):
    """The publishers of a process, as its output sees them."""

    instance: int
    publishers: dict[str, Publisher]
    tails: Tails
    name_of: Callable[[int], str]

    def report_refused(self, error: BusError) -> None:
        """One end does not fit the other."""


class Output:
    """The XPUB of a process."""

    def __init__(self, sockets: Sockets, timers: Timers, ends: Ends) -> None:
        self.notices = Notices()
        self.malformed = 0
        self._ends = ends
        self._timers = timers
        self._security = sockets.security
        self._xpub = sockets.make(zmq.XPUB, self.drain)
        # Every notice, not only the first of each name: a subscriber that comes back must be matched again.
        self._xpub.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._xpub.sndhwm = QUEUE_FRAMES  # a subscriber that has stopped must not fill our memory
        # An XPUB never waits for anybody; without a wrapper or flags the call costs a third less.
        self.send: Callable[[bytes], object] = self._xpub.send
        self.endpoint = sockets.listen_for_subscribers(self._xpub)

    def drop(self, uid: str) -> None:
        """That subscriber is gone, whatever its link still says."""
        for name in self.notices.drop(uid):
            for publisher in self._publishers_of(name):
                publisher.unmatch(uid)

    def drain(self) -> None:
        """Take in all that has come."""
        while True:
            try:
                if self._security is None:
                    notice = self._xpub.recv(zmq.NOBLOCK)
                else:
                    frame = self._xpub.recv(zmq.NOBLOCK, copy=False)
                    notice = frame.bytes
                    if not self._is_by_its_sender(notice, frame):
                        continue
            except zmq.Again:
                return
            word = read(notice)
            if word is not None:
                self._hear(word)
            elif notice[:1] not in SUBSCRIPTIONS:
                self._bad("neither a subscription nor a word that we know")
            elif notice[1:2] == b"~":
                uid, name = notice[2 : 2 + UID_BYTES], notice[2 + UID_BYTES :].removesuffix(b"\0")
                if UID.fullmatch(uid) is None or not name.startswith(b"/"):
                    self._bad("a private channel of nobody")
                    continue
                self._notice(notice[0] == 1, uid.decode(), name.decode(errors="replace"))

    def _bad(self, reason: str) -> None:
        self.malformed += 1
        if self.malformed.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            _log.warning("dropped what a subscriber said (%d so far): %s", self.malformed, reason)

    def _is_by_its_sender(self, notice: bytes, frame: zmq.Frame) -> bool:
        """Whether who speaks for a subscriber, on the private channel or to ask for repair, is that subscriber."""
        assert self._security is not None  # noqa: S101 -- asked only with keys
        instance = self._security.note(frame)
        if instance == 0:
            return True
        speaks = instance is not None
        word = read(notice)
        if speaks and word is not None:
            speaks = word.asker == instance
        elif speaks and notice[1:2] == b"~":
            speaks = notice[2 : 2 + UID_BYTES] == uid_of(instance or 0).encode()
        if not speaks:
            self._security.refused("subscriber", f"instance {instance} speaks for another subscriber")
        return speaks

    def _notice(self, joined: bool, uid: str, name: str) -> None:
        if joined:
            self.notices.add(uid, name)
        else:
            self.notices.remove(uid, name)
        for publisher in self._publishers_of(name):
            if joined:
                publisher.match(uid)
            elif not self.notices.is_wanted(uid, publisher.topic):
                publisher.unmatch(uid)

    def _publishers_of(self, name: str) -> list[Publisher]:
        """Our publisher of a topic, or all below a name that ends in a slash."""
        if name.endswith("/"):
            return [publisher for topic, publisher in self._ends.publishers.items() if topic.startswith(name)]
        return [self._ends.publishers[name]] if name in self._ends.publishers else []

    # -- what subscribers say ------------------------------------------------------------------------------------------

    def _hear(self, word: Word) -> None:
        if word.instance != self._ends.instance:
            return  # an XSUB speaks to all its publishers at once; this is for another one
        publisher = self._ends.publishers.get(word.topic)
        if publisher is None:
            self._bad(f"about {word.topic!r:.80}, which we do not publish")
            return
        uid = uid_of(word.asker)
        if word.mark == ACK:
            if publisher.credits is not None:
                publisher.credits.acknowledge(uid, word.first)
        elif word.mark == REFUSE:
            self._take_refusal(publisher, uid, word)
        elif publisher.is_matched(uid):
            self._ends.tails.hurry()
            if word.first:
                publisher.repair(uid, word.first, word.last)
            else:
                publisher.match(uid)

    def _take_refusal(self, publisher: Publisher, uid: str, word: Word) -> None:
        if uid in publisher.refused:
            return
        peer = self._ends.name_of(word.asker)
        asked, _, offered = word.text.partition("\0")
        error: BusError = QosIncompatible(publisher.topic, asked, offered, peer)
        if not word.text:
            error = TypeMismatch(publisher.topic, publisher.type_id, word.first & 0xFFFF_FFFF, peer)
        publisher.refuse(uid, str(error))
        self._ends.report_refused(error)

    def await_room(self, publisher: Publisher, condition: Callable[[], bool], wait_s: float) -> bool:
        """Take in what subscribers say, and nothing else, until a condition holds: no callback runs meanwhile."""
        end_s = self._timers.now_s() + wait_s
        self.drain()
        while not condition():
            left_s = end_s - self._timers.now_s()
            if left_s <= 0.0:
                return False
            if not self._xpub.poll(max(1, min(LOOK_MS, round(1000 * left_s)))):
                publisher.show_life()  # the last message may be what they miss
            self.drain()
        return True
