"""What an ONNX file is made of, found out before any library loads it: as much protobuf as that takes, and nothing run.

A model of somebody else's must not read other files (tensors may live outside it), call operators that came with some
library, or be larger than anything that decides in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agents.errors import AgentError

MOST_BYTES: Final = 2**26
MOST_NODES: Final = 10_000
MOST_DEPTH: Final = 8
"""Graphs within graphs (the branches of an If, say)."""
STANDARD: Final = ("", "ai.onnx")
"""Domains of ONNX's own operators."""

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
# Numbers of fields as in onnx.proto: of a model, a graph, a node, an attribute, a tensor, a sparse tensor, an opset.
MODEL_GRAPH, MODEL_OPSETS, MODEL_TRAINING, MODEL_FUNCTIONS = 7, 8, 20, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_TYPE, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES = 22, 23
TENSOR_NAME, TENSOR_EXTERNAL, TENSOR_LOCATION = 8, 13, 14
SPARSE_PARTS = (1, 2)
OPSET_DOMAIN = 1


@dataclass
class Contents:
    """What was found: how many nodes in all graphs, and the kinds of operators."""

    nodes: int = 0
    operators: set[str] = field(default_factory=set)


def inspect(path: Path) -> Contents:
    """Look through a file.

    Raises: AgentError: it is not there, is no ONNX file, or has what a model of somebody else's must not have.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise AgentError(f"{path}: larger than {MOST_BYTES:,} bytes; an actor that decides in time is smaller")
        data = path.read_bytes()
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}; name the ONNX file in the manifest's `file`") from None
    try:
        return contents_of(data)
    except ValueError as error:
        raise AgentError(f"{path}: {error}") from None


def contents_of(data: bytes) -> Contents:
    """The same of bytes.

    Raises: ValueError: says what is wrong.
    """
    found, graphs = Contents(), 0
    for number, value in fields(memoryview(data)):
        if number == MODEL_GRAPH:
            graphs += 1
            _graph(_bytes(value), found, 1)
        elif number == MODEL_OPSETS:
            _opset(_bytes(value))
        elif number == MODEL_FUNCTIONS:
            raise ValueError("has functions of its own; export it with standard operators only")
        elif number == MODEL_TRAINING:
            raise ValueError("has training information; export it for inference")
    if graphs != 1 or not found.nodes:
        raise ValueError("is no ONNX model with one graph")
    return found


def _opset(data: memoryview) -> None:
    for number, value in fields(data):
        if number == OPSET_DOMAIN:
            _check_domain(_text(value))


def _graph(data: memoryview, found: Contents, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise ValueError(f"has graphs within graphs, more than {MOST_DEPTH} deep")
    for number, value in fields(data):
        if number == GRAPH_NODE:
            found.nodes += 1
            if found.nodes > MOST_NODES:
                raise ValueError(f"has more than {MOST_NODES:,} nodes")
            _node(_bytes(value), found, depth)
        elif number == GRAPH_INITIALIZER:
            _tensor(_bytes(value))
        elif number == GRAPH_SPARSE:
            _sparse(_bytes(value))


def _node(data: memoryview, found: Contents, depth: int) -> None:
    for number, value in fields(data):
        if number == NODE_DOMAIN:
            _check_domain(_text(value))
        elif number == NODE_TYPE:
            found.operators.add(_text(value))
        elif number == NODE_ATTRIBUTE:
            _attribute(_bytes(value), found, depth)


def _attribute(data: memoryview, found: Contents, depth: int) -> None:
    for number, value in fields(data):
        if number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
            _graph(_bytes(value), found, depth + 1)
        elif number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
            _tensor(_bytes(value))
        elif number in (ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES):
            _sparse(_bytes(value))


def _sparse(data: memoryview) -> None:
    for number, value in fields(data):
        if number in SPARSE_PARTS:
            _tensor(_bytes(value))


def _tensor(data: memoryview) -> None:
    name, outside = "", False
    for number, value in fields(data):
        if number == TENSOR_NAME:
            name = _text(value)
        elif number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value != 0):
            outside = True
    if outside:
        raise ValueError(f"keeps the data of {name or 'a tensor'} in another file; export it as one file")


def _check_domain(domain: str) -> None:
    if domain not in STANDARD:
        raise ValueError(f"uses operators of the domain {domain!r}; only ONNX's own may be used")


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a protobuf message: number, and an integer or bytes.

    Raises: ValueError: these bytes are none.
    """
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == BYTES:
            size, at = _varint(data, at)
        elif kind in (EIGHT, FOUR):
            size = 8 if kind == EIGHT else 4
        else:
            raise ValueError("is no ONNX file")
        if size > end - at:
            raise ValueError("is no ONNX file, or not a whole one")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            raise ValueError("is no ONNX file, or not a whole one")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("is no ONNX file")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("is no ONNX file")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode("utf-8", errors="replace")
