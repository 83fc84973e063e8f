"""Reads a bag, whole or as a crash left it, message by message, each with its exact payload."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import msgspec
import zstandard
from mcap import records
from mcap.exceptions import InvalidMagic, McapError
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader, breakup_chunk

from bus.codec import VERSION, Header
from bus.errors import UnknownTopic
from bus.messages import Message
from bus.topics import TopicSpec, match
from monitoring.bag_json import decode_json, payload_of
from monitoring.bag_writer import PROFILE, RECORDING, BagError

DAMAGE: Final = (McapError, struct.error, ValueError, EOFError, RuntimeError, zstandard.ZstdError, MemoryError)


class Place(msgspec.Struct, gc=False):
    """Where in the run a message belongs."""

    slot: int
    attempt: int = 0
    round: int = 0
    t_sim_ns: int = 0


class _Document(msgspec.Struct, gc=False):
    header: Place


_place_of_json: Final = msgspec.json.Decoder(_Document).decode
_place_of_wire: Final = msgspec.msgpack.Decoder(tuple[tuple[int, int, int, int], msgspec.Raw]).decode


@dataclass(slots=True)
class Channel:
    """What one process instance published on one topic."""

    number: int
    topic: str
    encoding: str
    facts: dict[str, str]
    schema: str
    schema_encoding: str
    spec: TopicSpec | None

    @property
    def instance(self) -> int:
        """The publisher's process instance."""
        return int(self.facts.get("instance", "0"), 16)


class Record(NamedTuple):
    """A recorded message; ``data`` is as it stands in the file."""

    channel: Channel
    sequence: int
    wall_ns: int
    publish_ns: int
    data: bytes

    @property
    def topic(self) -> str:
        """Its topic."""
        return self.channel.topic

    def place(self) -> Place:
        """Where in the run it belongs, without its fields being decoded."""
        if self.channel.encoding == "json":
            return _place_of_json(self.data).header
        return Place(*_place_of_wire(self.data)[0])

    def header(self) -> Header:
        """The header as it was on the wire, without flags."""
        place = self.place()
        type_id = int(self.channel.facts.get("type_id", "0"), 16)
        where = (VERSION, 0, place.round, place.attempt, type_id, self.channel.instance)
        return Header(*where, place.slot, self.sequence, place.t_sim_ns, self.wall_ns)

    def payload(self) -> bytes:
        """The payload as it was on the wire.

        Raises: BagError: the topic is in no table that we have, or the data are damaged.
        """
        try:
            if self.channel.encoding == "msgpack":
                return bytes(_place_of_wire(self.data)[1])
            return payload_of(self.message_type(), decode_json(self.data))
        except (ValueError, LookupError, TypeError, msgspec.MsgspecError) as error:
            raise BagError(f"{self.topic}: message {self.sequence} is no document of ours ({error})") from None

    def message_type(self) -> type[Message]:
        """The record that its topic carries.

        Raises: BagError: the topic is in no table that we have.
        """
        if self.channel.spec is None:
            raise BagError(f"{self.topic}: not in our topic table; was the bag made by another version?")
        return self.channel.spec.message


@dataclass
class Bag:
    """A bag; what its messages do not say is known after ``records`` has come to its end.

    Attributes:
        notes: Metadata records by name. attachments: Files by name.
        whole: Whether the file ends as it should; otherwise ``damage`` says where reading ended.
    """

    path: Path
    notes: dict[str, dict[str, str]] = field(default_factory=dict)
    attachments: dict[str, bytes] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    whole: bool = False
    damage: str = ""
    read_bytes: int = 0

    def records(self) -> Iterator[Record]:
        """All messages, in the order in which they were recorded.

        Raises: BagError: this is no bag, or it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                yield from self._records(file)
        except OSError as error:
            raise BagError(f"{self.path}: {error.strerror}") from None

    def look(self) -> Bag:
        """Read all but the messages' contents; returns itself."""
        for _ in self.records():
            pass
        return self

    def _records(self, file: IO[bytes]) -> Iterator[Record]:
        self.whole, self.damage = False, ""
        schemas: dict[int, records.Schema] = {}
        stream = self._stream(file)
        for record in stream:
            if isinstance(record, records.Message):
                channel = self.channels.get(record.channel_id)
                if channel is not None:
                    yield Record(channel, record.sequence, record.log_time, record.publish_time, record.data)
            elif isinstance(record, records.Channel):
                if record.id not in self.channels:
                    self.channels[record.id] = _channel(record, schemas)
            elif isinstance(record, records.Schema):
                schemas[record.id] = record
            elif isinstance(record, records.Metadata):
                self.notes[record.name] = dict(record.metadata)
            elif isinstance(record, records.Attachment):
                self.attachments[record.name] = record.data
            elif isinstance(record, records.Header) and record.profile != PROFILE:
                raise BagError(f"{self.path}: an MCAP file, but none of edgerig (profile {record.profile!r})")

    def _stream(self, file: IO[bytes]) -> Iterator[Any]:
        """Records up to the end, or up to where the file is cut or damaged."""
        try:
            for record in StreamReader(file, emit_chunks=True).records:
                self.read_bytes = file.tell()
                if isinstance(record, records.Chunk):
                    yield from breakup_chunk(record, validate_crc=True)
                else:
                    yield record
            self.whole = True
        except InvalidMagic:
            if self.read_bytes == 0:
                raise BagError(f"{self.path}: no MCAP file") from None
            self.damage = "the end mark is damaged"
        except DAMAGE as error:
            if self.read_bytes == 0:
                raise BagError(f"{self.path}: no MCAP file, or nothing was written to it") from None
            what = str(error) or type(error).__name__
            self.damage = f"cut or damaged after byte {self.read_bytes} ({what})"


def _channel(record: records.Channel, schemas: dict[int, records.Schema]) -> Channel:
    schema = schemas.get(record.schema_id)
    spec: TopicSpec | None
    try:
        spec = match(record.topic)
    except UnknownTopic:
        spec = None
    name, encoding = ("", "") if schema is None else (schema.name, schema.encoding)
    return Channel(record.id, record.topic, record.message_encoding, dict(record.metadata), name, encoding, spec)


def closing_facts(path: Path) -> dict[str, str]:
    """What the recorder wrote at the end, found by the index; empty where it did not come so far.

    Raises: BagError: there is no such file, or it is no bag.
    """
    try:
        with path.open("rb") as file:
            found = [record.metadata for record in make_reader(file).iter_metadata() if record.name == RECORDING]
    except OSError as error:
        raise BagError(f"{path}: {error.strerror}") from None
    except DAMAGE:
        return {}
    return dict(found[-1]) if found else {}
