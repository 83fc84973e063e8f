"""Message types as data: what a process tells of its types, and classes made again from what others told.

A schema is msgspec's JSON schema of the type, in which every record (an array on the wire) also names its fields, in
order, under ``x-fields``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache, partial
from typing import Any, Final, NamedTuple, Union

import msgspec

from bus import codec
from bus.errors import DecodeError
from bus.messages import Array, Message, TypeRecord

FIELDS: Final = "x-fields"
_PLAIN: Final = {"integer": int, "number": float, "string": str, "boolean": bool, "null": None}


@cache
def describe_type(message_type: type[Message]) -> TypeRecord:
    """What the registry keeps of a type."""
    schema = msgspec.json.schema(message_type)
    for record in _records(message_type, {}).values():
        schema["$defs"][record.__name__][FIELDS] = list(record.__struct_fields__)
    text = json.dumps(schema, separators=(",", ":"), sort_keys=True)
    return TypeRecord(message_type.__name__, codec.type_id(message_type), text)


def _records(message_type: Any, found: dict[str, type[msgspec.Struct]]) -> dict[str, type[msgspec.Struct]]:
    """All records that a type consists of, by name."""
    waiting = [msgspec.inspect.type_info(message_type)]
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls.__name__ in found:
                continue
            found[info.cls.__name__] = info.cls
            waiting += [field.type for field in info.fields]
        for name in ("item_type", "key_type", "value_type"):
            waiting += [getattr(info, name)] if hasattr(info, name) else []
        for name in ("item_types", "types"):
            waiting += getattr(info, name, ())
    return found


def meaning(record: TypeRecord) -> str:
    """The schema without what is said for people: two versions of a type that differ in it alone are the same type."""
    return json.dumps(_bare(json.loads(record.schema)), sort_keys=True)


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if key != "description" or not isinstance(item, str)}
    return [_bare(item) for item in value] if isinstance(value, list) else value


# -- classes from schemas ----------------------------------------------------------------------------------------------


@cache
def message_class(record: TypeRecord) -> type[Message]:
    """A class that reads and writes a type which this program does not import; its fields have their names.

    Raises: DecodeError: the schema is none of ours.
    """
    return _Maker(record).made()


class _Maker:
    def __init__(self, record: TypeRecord) -> None:
        self._record = record
        self._open: set[str] = set()
        self._done: dict[str, Any] = {}
        try:
            self._schema: dict[str, Any] = json.loads(record.schema)
            self._defs: dict[str, Any] = self._schema["$defs"]
        except (ValueError, LookupError, TypeError) as error:
            raise DecodeError(record.name, f"its schema is none of ours ({error})") from None

    def made(self) -> Any:
        try:
            made = self._type(self._schema)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise DecodeError(self._record.name, f"its schema is none of ours ({error})") from None
        if not (isinstance(made, type) and issubclass(made, msgspec.Struct)):
            raise DecodeError(self._record.name, "its schema is no record")
        if made is not Array:
            made.WIRE_TYPE_ID = self._record.type_id  # type: ignore[attr-defined]
        return made

    def _type(self, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            return self._named(schema["$ref"].rsplit("/", 1)[1])
        if "anyOf" in schema:
            return self._union([self._type(option) for option in schema["anyOf"]])
        kind = schema.get("type")
        if kind == "string" and schema.get("contentEncoding") == "base64":
            return bytes
        if kind in _PLAIN:
            return _PLAIN[kind]
        if kind == "array":
            if "prefixItems" in schema:
                return tuple.__class_getitem__(tuple(self._type(item) for item in schema["prefixItems"]))
            items = schema.get("items")
            return tuple[self._type(items), ...] if isinstance(items, dict) else list  # type: ignore[misc]
        if kind == "object":
            values = schema.get("additionalProperties")
            return dict[str, self._type(values)] if isinstance(values, dict) else dict  # type: ignore[misc]
        return Any

    def _named(self, name: str) -> Any:
        if name == Array.__name__:
            return Array
        if name in self._open:
            return Any  # a record within itself: that deep, numbers are enough
        if name not in self._done:
            self._open.add(name)
            self._done[name] = self._struct(name, self._defs[name])
            self._open.remove(name)
        return self._done[name]

    def _struct(self, name: str, schema: dict[str, Any]) -> Any:
        fields: list[Any] = []
        parts, tag = schema["prefixItems"], None
        if len(parts) == len(schema[FIELDS]) + 1:  # a record that may stand beside others says first which it is
            tag, parts = parts[0]["enum"][0], parts[1:]
        for field, part in zip(schema[FIELDS], parts, strict=True):
            kind = self._type(part)
            if "default" in part:
                make = partial(msgspec.convert, part["default"], kind)
                fields.append((field, kind, msgspec.field(default_factory=make)))
            else:
                fields.append((field, kind))
        return msgspec.defstruct(name, fields, bases=(Message,), tag=tag, frozen=True, array_like=True)

    @staticmethod
    def _union(options: list[Any]) -> Any:
        records = [option for option in options if isinstance(option, type) and issubclass(option, msgspec.Struct)]
        return Any if len(records) > 1 else Union[tuple(options)]  # noqa: UP007 -- made at run time


# -- what a program can read -------------------------------------------------------------------------------------------


class Undecoded(NamedTuple):
    """A payload that this program cannot read, and why."""

    type_id: int
    payload: bytes
    reason: str


class TypeBook:
    """Types by id: those that a program imports, and those that it was told of."""

    def __init__(self, known: Iterable[type[Message]] = ()) -> None:
        self._classes = {codec.type_id(message_type): message_type for message_type in known}

    def learn(self, records: Iterable[TypeRecord]) -> None:
        """Types that others told; what the program imports stays as it is."""
        for record in records:
            if record.type_id not in self._classes:
                self._classes[record.type_id] = message_class(record)

    def find(self, type_id: int) -> type[Message] | None:
        """The class of a type id, if it is known."""
        return self._classes.get(type_id)

    def read(self, type_id: int, payload: bytes) -> Message | Undecoded:
        """What a payload says, or that it cannot be read."""
        found = self._classes.get(type_id)
        if found is None:
            return Undecoded(type_id, payload, f"type {type_id:08x} is unknown here")
        try:
            return codec.decode(payload, found)
        except DecodeError as error:
            return Undecoded(type_id, payload, str(error))
