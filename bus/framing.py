"""What ZMTP adds to frames and to links: the bytes on a TCP connection, worked out from what was sent.

Exact against the kernel's own counters; see docs/overhead.md for the rule and where it is held to them. IP and TCP
headers, which depend on how the kernel packs segments, are left out.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SHORTEST_LONG: Final = 256  # from here on a frame's length takes eight bytes instead of one
SHORT_BYTES: Final = 2
LONG_BYTES: Final = 9
CURVE_FRAME_BYTES: Final = 33  # of each frame: command name, nonce, authenticator, flags

GREETING_BYTES: Final = 64
READY_BYTES: Final = 8  # of the command that tells the socket's type: its own frame and name
TYPE_BYTES: Final = 16  # property Socket-Type, without its value
IDENTITY_BYTES: Final = 13  # property Identity, without its value
CURVE_WELCOME_BYTES: Final = 170
CURVE_HELLO_BYTES: Final = 202
CURVE_READY_BYTES: Final = 24  # nonce and authenticator
CURVE_INITIATE_BYTES: Final = 257 + 9

SAYS_IDENTITY: Final = frozenset({"ROUTER", "DEALER", "REQ"})


class Framing(NamedTuple):
    """How one process's frames become bytes; make them with ``framing``.

    Attributes:
        curve: Whether its links are encrypted.
        longest_short: Up to this many bytes of a frame, the short rule holds.
        short_bytes, long_bytes: What a frame takes on top of itself.
    """

    curve: bool
    longest_short: int
    short_bytes: int
    long_bytes: int

    def wire_bytes(self, frame_bytes: int) -> int:
        """Bytes of a frame on a TCP link."""
        return frame_bytes + (self.short_bytes if frame_bytes <= self.longest_short else self.long_bytes)

    def wire_bytes_of(self, frames: int, frame_bytes: int, long_frames: int) -> int:
        """Bytes of many frames, of which so many are longer than ``longest_short``."""
        return frame_bytes + frames * self.short_bytes + long_frames * (self.long_bytes - self.short_bytes)

    def link_bytes(self, socket: str, *, binds: bool, identity_bytes: int = 0) -> int:
        """Bytes that one end sends to set a link up, before the first frame.

        Args:
            socket: The socket's kind, as ZeroMQ names it (``XPUB``).
            binds: Whether it is the end that was connected to; with CURVE that one says less.
            identity_bytes: Length of its routing id, if it was given one.
        """
        told = TYPE_BYTES + len(socket) + (IDENTITY_BYTES + identity_bytes if socket in SAYS_IDENTITY else 0)
        if not self.curve:
            return GREETING_BYTES + READY_BYTES + told
        if binds:
            return GREETING_BYTES + CURVE_WELCOME_BYTES + READY_BYTES + CURVE_READY_BYTES + told
        return GREETING_BYTES + CURVE_HELLO_BYTES + CURVE_INITIATE_BYTES + told


def _framing(curve: bool) -> Framing:
    added = CURVE_FRAME_BYTES if curve else 0
    return Framing(curve, SHORTEST_LONG - 1 - added, SHORT_BYTES + added, LONG_BYTES + added)


PLAIN: Final = _framing(curve=False)
CURVE: Final = _framing(curve=True)
