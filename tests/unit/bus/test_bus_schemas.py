from __future__ import annotations

import inspect
import json
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from bus_numbers import TABLE, Number

from bus import codec, messages, schemas
from bus.errors import CallFailed, DecodeError
from bus.messages import Array, Arrivals, Message, MethodQuery, Methods, Roster, TypeQuery, TypeRecord, Types
from bus.schemas import Undecoded
from bus.testing import cluster
from bus.topics import TopicSpec

ALL = [
    kind
    for _, kind in inspect.getmembers(messages, inspect.isclass)
    if issubclass(kind, Message) and kind not in (Message, Array)
]


class Point(Message, frozen=True):
    x: float
    y: float = 0.5


class Path(Message, frozen=True):
    name: str
    points: tuple[Point, ...] = ()
    note: str | None = None
    tags: dict[str, int] = {}  # noqa: RUF012 -- msgspec copies it
    raw: bytes = b"\x01"


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_a_class_made_from_its_schema_has_the_fields_and_the_type_id(kind: type[Message]) -> None:
    made = schemas.message_class(schemas.describe_type(kind))
    assert made is not kind
    assert made.__struct_fields__ == kind.__struct_fields__
    assert codec.type_id(made) == codec.type_id(kind)


def test_what_one_program_writes_another_reads_without_the_class() -> None:
    path = Path("p", (Point(1.0, 2.0), Point(3.0)), None, {"a": 1}, b"\x00\xff")
    record = schemas.describe_type(Path)
    read: Any = codec.decode(codec.encode_payload(path), schemas.message_class(record))
    assert (read.name, read.points[1].x, read.points[1].y, read.tags, read.raw) == (
        "p",
        3.0,
        0.5,
        {"a": 1},
        b"\x00\xff",
    )
    assert codec.encode_payload(read) == codec.encode_payload(path)
    array: Any = codec.decode(
        codec.encode_payload(Arrivals(Array.of(np.arange(3.0)))),
        schemas.message_class(schemas.describe_type(Arrivals)),
    )
    np.testing.assert_array_equal(array.tasks.numpy(), [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    "schema", ["", "{}", "[]", '{"$ref":"#/$defs/X","$defs":{"X":{"type":"array"}}}', '{"$defs":{}}']
)
def test_a_schema_that_is_none_of_ours_is_refused(schema: str) -> None:
    with pytest.raises(DecodeError, match=r"none of ours|no record"):
        schemas.message_class(TypeRecord("X", 7, schema))


def test_a_book_reads_what_it_imports_and_what_it_was_told() -> None:
    book = schemas.TypeBook([Number])
    payload = codec.encode_payload(Point(1.5))
    unread = book.read(codec.type_id(Point), payload)
    assert isinstance(unread, Undecoded)
    assert f"type {codec.type_id(Point):08x} is unknown here" in unread.reason
    book.learn([schemas.describe_type(Point)])
    assert str(book.read(codec.type_id(Point), payload)) == "Point(x=1.5, y=0.5)"
    assert isinstance(book.read(codec.type_id(Number), b"\x91\xa1x"), Undecoded)
    assert book.read(codec.type_id(Number), b"\x91\x03") == Number(3)


MINE = TABLE.extended([TopicSpec("/point", Point), TopicSpec("/path", Path)])


def test_the_registry_tells_types_and_methods_of_everyone() -> None:
    with cluster(MINE) as bus:
        bus.hub({"edge": 1})
        hub = bus.processes[0]
        hub.register()
        mine = bus.guest("mine", "/mine")
        node = mine.nodes["/mine"]
        node.publisher("/point")
        node.serve("extend", Path, lambda path: path, Path)
        mine.register()
        asker = bus.guest("asker", "/asker")
        asker.register()
        bus.until(lambda: bool(asker.membership.version) and asker.ready)
        node.serve("half", Number, lambda number: Number(number.value // 2))  # told although nothing else changes
        answers: list[Any] = []
        for method, query, reply in [
            ("types", TypeQuery(names=("Point", "Path", "Tick")), Types),
            ("types", TypeQuery(ids=(codec.type_id(Number),)), Types),
            ("methods", MethodQuery("/mine"), Methods),
        ]:
            answers.clear()

            def ask(method: str = method, query: Message = query, reply: type[Message] = reply) -> None:
                asker.membership.ask(method, query, reply, answers.append)
                bus.until(lambda: len(answers) == 1)

            ask()
            if reply is Types:
                wanted = ["Path", "Point"] if query.names else ["Number"]  # type: ignore[attr-defined]
                assert [record.name for record in answers[0].types] == wanted
        found = {record.method: record for record in answers[0].methods}
        assert found["extend"].request == found["extend"].reply == codec.type_id(Path)
        assert (found["half"].request, found["half"].reply) == (codec.type_id(Number), 0)
        assert found["extend"].endpoint == mine.call_endpoint
        asker.membership.ask("methods", MethodQuery("/hub"), Methods, answers.append)
        bus.until(lambda: len(answers) == 2)
        served = {record.method: record for record in answers[1].methods}
        assert served["status"].endpoint == bus.registry.address  # type: ignore[union-attr]
        asker.learn_types()
        bus.until(lambda: asker.types.find(codec.type_id(Path)) is not None)
        mine.close()
        bus.until(lambda: mine.instance not in asker.membership.peers)
        asker.membership.ask("methods", MethodQuery("/mine"), Methods, answers.append)
        bus.until(lambda: len(answers) == 3)
        assert answers[2].methods == ()


OTHER_VERSION = """
from __future__ import annotations
from bus.messages import Message

class Point(Message, frozen=True):
    x: int

class Line(Message, frozen=True):
    start: Point
"""


class Line(Message, frozen=True):
    start: Point


def test_one_type_id_with_two_schemas_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("other_version")
    monkeypatch.setitem(sys.modules, "other_version", module)
    exec(OTHER_VERSION, module.__dict__)  # the same record by name, with another record inside
    assert codec.type_id(module.Line) == codec.type_id(Line)
    with cluster(TABLE) as bus:
        bus.hub({"edge": 1})
        bus.processes[0].register()
        for name, kind in (("first", Line), ("second", module.Line)):
            process = bus.guest(name, f"/{name}", table=TABLE.extended([TopicSpec("/line", kind)]))
            process.nodes[f"/{name}"].publisher("/line")
            process.register()
            if name == "first":
                bus.until(lambda p=process: p.ready)
        with pytest.raises(CallFailed, match=r"Line .* of second has another schema than that of first"):
            bus.until(lambda: False, 5.0)


def test_other_words_in_a_docstring_are_the_same_type() -> None:
    record = schemas.describe_type(Roster)
    schema = json.loads(record.schema)
    schema["$defs"]["Roster"]["description"] = "Something else."
    assert schemas.meaning(TypeRecord("Roster", record.type_id, json.dumps(schema))) == schemas.meaning(record)
