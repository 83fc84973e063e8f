"""The shortest way of a message: frames as they were published, of one topic, one after the other, in one loop."""

from __future__ import annotations

import inspect
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import zmq

from bus.codec import HEADER, HEADER_BYTES, VERSION, Header
from bus.framing import Framing
from bus.reception import Link

Callback = Callable[[Any, Header], None]
MessageCallback = Callable[[Any], None]
"""Gets the message without its header: none is made then."""
Receive = Callable[[int], bytes]
"""A socket's ``recv`` with its flags."""
Take = Callable[[bytes, Receive, int, int], tuple[int, bytes]]
"""Takes a frame and reads more, up to so many in all, while they are of the same topic.

Arguments: the first frame, ``recv``, its flags, how many frames to take. Returns: how many are left to take, and the
first frame of another topic; ``NO_FRAME`` if there is none.
"""

NO_FRAME: Final = b""
LIVE: Final = bytes((VERSION, 0))
"""How the header of a message begins that is neither sent again nor a mark."""
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
WHOSE: Final = struct.Struct("<8xI4xQ16x").unpack_from
"""Only instance and sequence, which decide whether a message is due: to unpack all ten fields costs twice as much."""

POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

_unpack = HEADER.unpack_from
_make = tuple.__new__  # what Header._make does, without its own call and check


def takes_header(callback: Callable[..., None]) -> bool:
    """Whether a callback is to be called with message and header: unless it asks for one argument and no more."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except ValueError:  # compiled code that does not say
        return True
    asked = [p for p in parameters if p.kind in POSITIONAL and p.default is p.empty]
    return len(asked) != 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters)


def with_header(callback: Callable[..., None]) -> Callback:
    """The same callback for whoever calls all alike."""
    return callback if takes_header(callback) else lambda message, _header: callback(message)


class Live:
    """Reads what comes in order, counts it, and hands it over.

    What is counted holds when ``take`` has returned: a callback may find it up to a batch behind.
    """

    __slots__ = (
        "_advance",
        "_at",
        "_bad",
        "_hand",
        "_links",
        "_longest_short",
        "_otherwise",
        "_prefix",
        "after",
        "alone",
        "bare",
        "decode",
        "frame_bytes",
        "long_frames",
        "messages",
    )

    def __init__(
        self,
        topic: str,
        links: Mapping[int, Link],
        decode: Callable[[bytes], Any],
        framing: Framing,
        hand: Callable[[Any, tuple[int, ...]], None],
        otherwise: Callable[[bytes, int], None],
        advance: Callable[[Link], None],
        bad: Callable[[str], None],
    ) -> None:
        name = topic.encode() + b"\0"
        self.messages = 0
        self.frame_bytes = 0
        self.long_frames = 0
        self.decode = decode
        self.bare: MessageCallback | None = None
        """The one callback, if it is the only one and takes the message alone."""
        self.alone: Callback | None = None
        """The one callback, if it is the only one and takes the header, too."""
        self.after: Callable[[], None] | None = None
        """Called when a frame has been handed over."""
        self._at = len(name)
        self._prefix = name + LIVE
        self._links = links
        self._longest_short = framing.longest_short
        self._hand = hand
        self._otherwise = otherwise
        self._advance = advance
        self._bad = bad

    def take(self, frame: bytes, recv: Receive, flags: int, left: int) -> tuple[int, bytes]:
        """See ``Take``."""
        at, prefix, links, longest_short = self._at, self._prefix, self._links, self._longest_short
        payload_at = at + HEADER_BYTES
        messages = frame_bytes = long_frames = 0
        try:
            while True:
                try:
                    instance, sequence = WHOSE(frame, at)
                except struct.error:
                    self._bad("too short")
                    link = None
                else:
                    link = links.get(instance)
                    if link is None or sequence != link.expected:
                        link = None
                        self._otherwise(frame, at)
                if link is not None:
                    link.expected = sequence + 1
                    try:
                        message = self.decode(frame[payload_at:])
                    except UNREADABLE as error:
                        self._bad(str(error))
                    else:
                        size = len(frame)
                        messages += 1
                        frame_bytes += size
                        if size > longest_short:
                            long_frames += 1
                        if self.bare is not None:
                            self.bare(message)
                        elif self.alone is not None:
                            self.alone(message, _make(Header, _unpack(frame, at)))
                        else:
                            self._hand(message, _unpack(frame, at))
                        if link.early:
                            self._advance(link)
                if self.after is not None:
                    self.after()
                left -= 1
                if not left:
                    return 0, NO_FRAME
                try:
                    frame = recv(flags)
                except zmq.Again:
                    return left, NO_FRAME
                if not frame.startswith(prefix):
                    return left, frame
        finally:
            self.messages += messages
            self.frame_bytes += frame_bytes
            self.long_frames += long_frames
