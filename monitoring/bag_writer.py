"""Writes a bag: an MCAP file whose messages give back the exact payloads, and which a crash costs a second at most."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final, Literal

import msgspec
from mcap.writer import CompressionType, Writer

from bus.codec import Header, type_id
from bus.qos import Qos
from bus.topics import TopicSpec
from monitoring import bag_json

Encoding = Literal["json", "msgpack"]
ENCODINGS: Final[tuple[Encoding, ...]] = ("json", "msgpack")
PROFILE: Final = "edgerig"
RUN: Final = "run"
RECORDING: Final = "recording"
"""Names of the metadata that a bag begins and ends with."""

CHUNK_BYTES: Final = 1 << 20
FLUSH_S: Final = 0.5
"""How often the chunk at hand is closed and handed to the system: what a crash costs, and a half for safety."""

SEQUENCES: Final = 1 << 32  # MCAP's sequence has 32 bits, ours 64
_TWO: Final = b"\x92"
_pack: Final = msgspec.msgpack.Encoder().encode


class BagError(Exception):
    """A bag cannot be written or read: what, where, remedy, in one line."""


class BagWriter:
    """One bag being written. Channels are (topic, publisher instance): their sequences have no gap unless one is lost.

    Args:
        path: Where; it must not exist.
        encoding: "json" is read by Foxglove; "msgpack" holds the payload as it was on the wire.
        slot_s: Simulated seconds of a slot, for messages without a stamp of their own; 0 if not known.
    Raises: BagError: the file cannot be made.
    """

    def __init__(self, path: Path, encoding: Encoding = "json", slot_s: float = 0.0) -> None:
        self.path = path
        self.encoding = encoding
        self.messages = 0
        self._slot_ns = round(slot_s * 1e9)
        self._schemas: dict[str, int] = {}
        self._channels: dict[tuple[str, int], int] = {}
        self._types: dict[int, Any] = {}
        self._write = self._write_json if encoding == "json" else self._write_msgpack
        try:
            self._file: IO[bytes] = path.open("xb")
            self._writer: Any = Writer(self._file, CHUNK_BYTES, CompressionType.ZSTD)
            self._writer.start(PROFILE, "edgerig")
        except OSError as error:
            raise _trouble(path, error) from None

    def note(self, name: str, facts: Mapping[str, object]) -> None:
        """Add a metadata record: text by name.

        Raises: BagError: it cannot be written.
        """
        try:
            self._writer.add_metadata(name, {key: str(value) for key, value in facts.items()})
        except OSError as error:
            raise _trouble(self.path, error) from None

    def attach(self, name: str, media_type: str, data: bytes) -> None:
        """Add a file.

        Raises: BagError: it cannot be written.
        """
        try:
            self._writer.add_attachment(0, 0, name, media_type, data)
        except OSError as error:
            raise _trouble(self.path, error) from None

    def has_channel(self, topic: str, instance: int) -> bool:
        """Whether that publisher's messages can be added."""
        return (topic, instance) in self._channels

    def add_channel(
        self, topic: str, instance: int, spec: TopicSpec, qos: Qos, publisher: str, process: str = ""
    ) -> None:
        """Make room for what one process instance publishes on a topic.

        Args:
            topic, instance: Which.
            spec: The topic's row.
            qos: What the publisher promises.
            publisher, process: Names of its node and of its process.
        """
        name = spec.message.__name__
        if name not in self._schemas:
            schema = _encode(bag_json.schema_of(spec.message) if self.encoding == "json" else _wire_schema(spec))
            self._schemas[name] = self._writer.register_schema(f"{PROFILE}.{name}", "jsonschema", schema)
        facts = {
            "type": name,
            "type_id": f"{type_id(spec.message):08x}",
            "publisher": publisher,
            "process": process,
            "instance": f"{instance:08x}",
            "plane": spec.plane,
            "pattern": spec.pattern,
            "digest": "true" if spec.digest else "false",
            "reliability": qos.reliability,
            "durability": qos.durability,
            "depth": str(qos.depth),
            "history": str(qos.history),
        }
        channel = self._writer.register_channel(topic, self.encoding, self._schemas[name], facts)
        self._channels[topic, instance] = channel
        self._types[channel] = spec.message

    def write(self, topic: str, header: Header, payload: bytes) -> None:
        """Add a message; its channel is known.

        Raises: BagError: it cannot be written.
        """
        channel = self._channels[topic, header.instance]
        publish_ns = header.t_sim_ns or header.slot * self._slot_ns
        try:
            data = self._write(channel, header, payload)
            self._writer.add_message(channel, header.t_wall_ns, data, publish_ns, header.sequence % SEQUENCES)
        except OSError as error:
            raise _trouble(self.path, error) from None
        self.messages += 1

    def _write_json(self, channel: int, header: Header, payload: bytes) -> bytes:
        facts: dict[str, Any] = {"slot": header.slot, "attempt": header.attempt, "round": header.round}
        if header.t_sim_ns:
            facts["t_sim_ns"] = header.t_sim_ns
        return bag_json.document_of(self._types[channel], facts, payload)

    def _write_msgpack(self, _channel: int, header: Header, payload: bytes) -> bytes:
        return _TWO + _pack((header.slot, header.attempt, header.round, header.t_sim_ns)) + payload

    def flush(self) -> None:
        """Close the chunk at hand and give it to the system: it survives this process.

        Raises: BagError: it cannot be written.
        """
        try:
            self._writer.flush()
        except OSError as error:
            raise _trouble(self.path, error) from None

    def close(self) -> None:
        """Write the summary; idempotent.

        Raises: BagError: it cannot be written.
        """
        if self._file.closed:
            return
        try:
            self._writer.finish()
            self._file.close()
        except OSError as error:
            raise _trouble(self.path, error) from None


def _wire_schema(spec: TopicSpec) -> dict[str, Any]:
    """What [[slot, attempt, round, t_sim_ns], record] is: fields by position, as they are on the wire."""
    return {
        "title": spec.message.__name__,
        "type": "array",
        "prefixItems": [
            {"type": "array", "description": "slot, attempt, round, t_sim_ns"},
            {"type": "array", "description": "fields in wire order", "fields": list(spec.message.__struct_fields__)},
        ],
    }


def _encode(schema: dict[str, Any]) -> bytes:
    return msgspec.json.encode(schema)


def _trouble(path: Path, error: OSError) -> BagError:
    if isinstance(error, FileExistsError):
        return BagError(f"{path}: exists already; choose another -o or remove it")
    return BagError(f"{path}: {error.strerror or error}; make room or choose another -o")
