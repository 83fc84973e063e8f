"""One record, one frame: ``topic NUL header payload``. No socket here.

The header is 40 bytes little-endian, the payload is the msgpack of the record as an array. Flags above 0 mark what the
bus says to itself: samples for a late joiner, repairs, and marks without a sample.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Final, NamedTuple, TypeVar

import msgspec

from bus.errors import DecodeError
from bus.framing import CURVE, PLAIN
from bus.messages import Message

VERSION: Final = 1
LATCHED: Final = 1  # a sample from before the subscription
REPAIR: Final = 2  # a sample sent again
END: Final = 4  # no sample: history ends here, the link is matched; payload: one byte, the offered QoS
GAP: Final = 8  # no sample: sequence .. payload (u64) are no longer held
HEARTBEAT: Final = 16  # no sample: the last sequence so far
FLAGS: Final = LATCHED | REPAIR | END | GAP | HEARTBEAT

HEADER: Final = struct.Struct("<BBBBIIIQqq")
HEADER_BYTES: Final = HEADER.size

M = TypeVar("M", bound=Message)

encode_payload: Final = msgspec.msgpack.Encoder().encode


class Header(NamedTuple):
    """What travels with each message; instance is the publisher's, sequence counts per instance and topic from 1."""

    version: int
    flags: int
    round: int
    attempt: int
    type_id: int
    instance: int
    slot: int
    sequence: int
    t_sim_ns: int
    t_wall_ns: int


@cache
def schema_of(message_type: type[Message]) -> str:
    """The text that a type id stands for: ``Name(field:type,...)`` in wire order."""
    fields = ",".join(f"{name}:{message_type.__annotations__[name]}" for name in message_type.__struct_fields__)
    return f"{message_type.__name__}({fields})"


@cache
def type_id(message_type: type[Message]) -> int:
    """Unsigned 32-bit CRC of the schema; a class made from another program's schema has that program's."""
    told: int | None = getattr(message_type, "WIRE_TYPE_ID", None)
    return told if told is not None else zlib.crc32(schema_of(message_type).encode())


@cache
def decoder_of(message_type: type[Message]) -> msgspec.msgpack.Decoder[Message]:
    """The one decoder of a type: making one costs far more than using it."""
    return msgspec.msgpack.Decoder(message_type)


def wire_bytes(frame_bytes: int, curve: bool = False) -> int:
    """Bytes of a frame on a TCP link: ZMTP adds 2 up to 255 bytes, 9 above, to what CURVE has made 33 bytes longer."""
    return (CURVE if curve else PLAIN).wire_bytes(frame_bytes)


def encode(topic: str, header: Header, message: Message) -> bytes:
    """A whole frame."""
    return b"".join((topic.encode(), b"\0", HEADER.pack(*header), encode_payload(message)))


def split(frame: bytes) -> tuple[str, Header, bytes]:
    """Topic, header and payload of a frame.

    Raises: DecodeError: no topic, no whole header, or another version.
    """
    end = frame.find(b"\0")
    if end < 1 or len(frame) < end + 1 + HEADER_BYTES:
        raise DecodeError("frame", f"{len(frame)} bytes hold no topic and header")
    try:
        topic = frame[:end].decode()
    except UnicodeDecodeError as error:
        raise DecodeError("frame", f"topic is not utf-8 ({error.reason})") from None
    header = Header._make(HEADER.unpack_from(frame, end + 1))
    if header.version != VERSION:
        raise DecodeError(topic, f"version {header.version}, not {VERSION}")
    return topic, header, frame[end + 1 + HEADER_BYTES :]


def decode(payload: bytes, message_type: type[M]) -> M:
    """The record in a payload.

    Raises: DecodeError: the payload is not one.
    """
    try:
        return decoder_of(message_type).decode(payload)  # type: ignore[return-value]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(message_type.__name__, str(error)) from None
