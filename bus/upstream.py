"""What subscribers say to publishers on the link that carries their subscriptions.

An XSUB speaks to all its publishers at once, so every word names the instance that it is for.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

NACK: Final = 2  # send first .. last again; 0 .. 0: begin again with history and its end. XPUB takes 0 and 1 as its own
ACK: Final = 3  # first: handed over up to here; see bus/credits.py
REFUSE: Final = 4  # we take nothing from you; text: why
MARKS: Final = frozenset((NACK, ACK, REFUSE))
_FIELDS: Final = struct.Struct("<BIIQQ")


class Word(NamedTuple):
    """One thing said.

    instance: The publishing process that is meant. asker: The subscribing process that says it.
    """

    mark: int
    instance: int
    asker: int
    first: int
    last: int
    topic: str
    text: str = ""

    def pack(self) -> bytes:
        """The frame."""
        said = f"{self.topic}\0{self.text}" if self.text else self.topic
        return _FIELDS.pack(self.mark, self.instance, self.asker, self.first, self.last) + said.encode()


def read(frame: bytes) -> Word | None:
    """The word in a frame; None when it is a subscription, or nothing of ours."""
    if len(frame) <= _FIELDS.size or frame[0] not in MARKS:
        return None
    topic, _, text = frame[_FIELDS.size :].decode(errors="replace").partition("\0")
    mark, instance, asker, first, last = _FIELDS.unpack_from(frame)
    return Word(mark, instance, asker, first, last, topic, text)
