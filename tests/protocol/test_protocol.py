"""The golden byte vectors, and that docs/agent-protocol.md says what the code does."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

from bus import agent_wire as wire
from bus.errors import DecodeError
from emulator.conformance_checks import CHECKS
from emulator.nodes.gateway import read

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests" / "protocol" / "vectors.json").read_text())
PAGE = (ROOT / "docs" / "agent-protocol.md").read_text()
KINDS = {kind.__name__: kind for kind in wire.KINDS.values()}
TYPES = {
    str: "str",
    bool: "bool",
    int: "int",
    float: "float",
    bytes: "bin",
    tuple[str, ...]: "array of str",
    tuple[int, ...]: "array of int",
    tuple[float, ...]: "array of float",
}


def named(rows: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("vector", rows, ids=[row["name"] for row in rows])


def plain(value: Any) -> Any:
    """A value as the vectors write it."""
    if isinstance(value, bytes):
        return {"bin": value.hex()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def fields_of(said: wire.Said) -> dict[str, Any]:
    return {name: plain(getattr(said, name)) for name in said.__struct_fields__}


@named(VECTORS["messages"])
def test_our_encoder_and_decoder_agree_with_the_bytes(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    values = {k: bytes.fromhex(v["bin"]) if isinstance(v, dict) else v for k, v in vector["payload"].items()}
    said = msgspec.convert(values, KINDS[vector["kind"]])
    assert wire.encode(said, **vector["header"]) == frame
    header = wire.header_of(frame)
    assert {name: getattr(header, name) for name in vector["header"]} == vector["header"]
    assert fields_of(wire.said_in(frame, header)) == vector["payload"]


@named(VECTORS["messages"])
def test_the_bytes_are_what_the_page_says_without_our_code(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    number = next(int(row[0]) for row in table("kind") if row[1] == vector["kind"])
    header = vector["header"]
    places = [header[name] for name in ("edge", "instance", "epoch", "frame", "sequence")]
    assert struct.unpack("<BBHIIIII", frame[:24]) == (0xC1, 1, number, *places)
    payload = msgspec.msgpack.decode(frame[24:])
    assert {key: plain(value) for key, value in payload.items()} == vector["payload"]


@named(VECTORS["read_alike"])
def test_other_bytes_that_mean_the_same_are_read_alike(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    said = wire.said_in(frame, wire.header_of(frame))
    assert (type(said).__name__, fields_of(said)) == (vector["kind"], vector["payload"])


@named(VECTORS["refused"])
def test_what_is_no_message_is_refused_by_name(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    if not vector["reason"]:
        with pytest.raises(DecodeError):
            wire.header_of(frame)
        return
    reason, said, why = read(frame, wire.header_of(frame))
    assert (reason or "malformed", said) == (vector["reason"], None)
    assert why


def test_every_kind_has_a_vector() -> None:
    assert {vector["kind"] for vector in VECTORS["messages"]} == KINDS.keys()


# -- the page ----------------------------------------------------------------------------------------------------------


def table(first: str, text: str = PAGE) -> list[list[str]]:
    """The rows of the table whose first column has that heading."""
    lines = text[text.index(f"\n| {first} |") + 1 :].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2 : lines.index("")]]
    assert rows
    return rows


def test_the_page_has_all_kinds_with_their_numbers() -> None:
    assert {int(row[0]): row[1] for row in table("kind")} == {n: kind.__name__ for n, kind in wire.KINDS.items()}
    said_by_agents = {row[1] for row in table("kind") if row[2].startswith(("A", "both"))}
    assert said_by_agents == {kind.__name__ for kind in wire.OF_AGENTS}


def test_the_page_has_the_header_byte_by_byte() -> None:
    rows = table("offset")
    assert [row[2] for row in rows] == list(wire.Header._fields)
    widths = [int(row[1]) for row in rows]
    assert [int(row[0]) for row in rows] == [sum(widths[:k]) for k in range(len(widths))]
    assert (
        struct.Struct("<" + "".join({1: "B", 2: "H", 4: "I"}[width] for width in widths)).format == wire.HEADER.format
    )
    assert f"{wire.HEADER_BYTES} bytes of header" in PAGE


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_page_has_all_fields_with_types_and_defaults(kind: type[wire.Said]) -> None:
    text = re.split(rf"^\*\*{kind.__name__}\*\*", PAGE, flags=re.MULTILINE)[1]
    text = re.split(r"^(?:\*\*|## )", text, flags=re.MULTILINE)[0]
    hints = get_type_hints(kind)
    expected = []
    for field in msgspec.structs.fields(kind):
        default = "" if field.default is msgspec.NODEFAULT else json.dumps(plain(field.default))
        expected.append([field.name, TYPES[hints[field.name]], default])
    assert ([row[:3] for row in table("field", text)] if expected else []) == expected


def test_the_page_has_all_reasons_and_limits() -> None:
    reasons = table("reason", PAGE[PAGE.index("## Reasons") :])
    assert [row[0] for row in reasons] == list(wire.REASONS)
    assert f"{wire.MOST_BYTES:,} bytes" in PAGE
    assert f"{wire.MOST_FRAMES_PER_S:,} frames" in PAGE
    assert f"0x{wire.ANY_EDGE:X}" in PAGE
    assert f"0x{wire.MAGIC:X}" in PAGE


def test_the_page_has_all_checks_of_the_conformance_suite() -> None:
    assert [row[0] for row in table("check")] == list(CHECKS)
