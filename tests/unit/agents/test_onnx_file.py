"""What an ONNX file may not have in it, written byte by byte: no library would make most of these."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.errors import AgentError
from agents.onnx_file import MOST_BYTES, MOST_DEPTH, MOST_NODES, contents_of, inspect

SHIPPED = sorted((Path(__file__).parents[3] / "agents").glob("shipped_*/**/*.onnx"))


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def node(*more: bytes) -> bytes:
    return field(1, field(4, "Relu") + b"".join(more))


def model(graph: bytes = b"", *more: bytes) -> bytes:
    return field(1, 8) + field(8, field(1, "") + field(2, 17)) + field(7, node() + graph) + b"".join(more)


def attribute(number: int, value: bytes) -> bytes:
    return field(5, field(1, "a") + field(number, value))


OUTSIDE = field(8, "weights") + field(13, field(1, "location") + field(2, "../../etc/passwd")) + field(14, 1)
INSIDE = field(1, 2) + field(2, 1) + field(8, "weights") + field(9, bytes(8)) + field(14, 0)


def nested(depth: int) -> bytes:
    graph = node()
    for _ in range(depth):
        graph = node(attribute(6, graph))
    return graph


def test_a_model_of_standard_operators_is_counted() -> None:
    found = contents_of(model(node(field(7, "ai.onnx")) + field(5, INSIDE) + nested(MOST_DEPTH - 1)))
    assert (found.nodes, found.operators) == (2 + MOST_DEPTH, {"Relu"})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (model(field(5, OUTSIDE)), "keeps the data of weights in another file"),
        (model(field(5, field(14, 1))), "keeps the data of a tensor in another file"),
        (model(node(attribute(5, OUTSIDE))), "in another file"),
        (model(node(attribute(10, OUTSIDE))), "in another file"),
        (model(field(15, field(1, OUTSIDE))), "in another file"),
        (model(node(attribute(22, field(2, OUTSIDE)))), "in another file"),
        (model(node(attribute(6, field(5, OUTSIDE)))), "in another file"),
        (model(node(field(7, "com.evil"))), "operators of the domain 'com.evil'"),
        (model(node(attribute(11, node(field(7, "com.microsoft"))))), "domain 'com.microsoft'"),
        (model(b"", field(8, field(1, "com.evil"))), "operators of the domain 'com.evil'"),
        (model(b"", field(25, field(1, "mine"))), "functions of its own"),
        (model(b"", field(20, b"")), "training information"),
        (model(node() * MOST_NODES), "more than 10,000 nodes"),
        (model(nested(MOST_DEPTH)), "graphs within graphs"),
        (model(b"", field(7, node())), "no ONNX model with one graph"),
        (field(1, 8), "no ONNX model"),
        (b"", "no ONNX model"),
        (b"PK\x03\x04 a zip", "is no ONNX file"),
        (model()[:-1], "not a whole one"),
        (field(7, 3), "is no ONNX file"),
        (b"\xff" * 40, "is no ONNX file"),
    ],
)
def test_what_a_model_must_not_have_is_named(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        contents_of(data)


def test_a_file_is_named_with_what_is_wrong_with_it(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"gone\.onnx: No such file"):
        inspect(tmp_path / "gone.onnx")
    (tmp_path / "bad.onnx").write_bytes(model(field(5, OUTSIDE)))
    with pytest.raises(AgentError, match=r"bad\.onnx: keeps the data of weights"):
        inspect(tmp_path / "bad.onnx")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(AgentError, match=r"huge\.onnx: larger than 67,108,864 bytes"):
        inspect(tmp_path / "huge.onnx")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_all_that_is_shipped_may_be_loaded(path: Path) -> None:
    assert 0 < inspect(path).nodes < 300


def test_every_cut_of_a_file_is_refused_and_none_hangs() -> None:
    data = SHIPPED[0].read_bytes()
    for at in range(0, len(data) - 1, 37):
        with pytest.raises(ValueError, match="ONNX"):
            contents_of(data[:at])
