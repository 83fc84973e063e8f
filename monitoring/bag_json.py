"""A message as JSON and back to the same bytes, and its schema, in the part of JSON Schema that Foxglove reads.

Foxglove takes no ``$ref``, no list of types, no list of lists; so an array is an object with its dtype, shape and a
flat list of numbers, and a tuple of unlike parts is an object with the keys _0, _1 and so on.
"""

from __future__ import annotations

import math
import types
import typing
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cache
from typing import Any, Final, Union, get_args, get_origin

import msgspec
import numpy as np

from bus.codec import decoder_of, encode_payload
from bus.messages import Array, Message

Show = Callable[[Any], Any]
Read = Callable[[Any], Any]

CASTS: Final[dict[str, Any]] = {
    "<f8": "d",
    "<i8": "q",
    "<u8": "Q",
    "<f4": "f",
    "<i4": "i",
    "<u4": "I",
    "<u2": "H",
    "|u1": "B",
}
"""NumPy type to what a memoryview calls it; a quarter of the time that NumPy takes for a short array."""


class Unshown(Exception):
    """JSON has no number for a value (not a number, infinity); it stands there as text."""


class Form(typing.NamedTuple):
    """How values of one type cross JSON; show and read are None where JSON has the value itself."""

    schema: dict[str, Any]
    show: Show | None
    read: Read | None


@cache
def form_of(message_type: type[Message]) -> Form:
    """The form of a message.

    Raises: TypeError: a field's type has none.
    """
    if message_type is Array:
        return Form(_ARRAY_SCHEMA, _show_array, _read_array)
    hints = typing.get_type_hints(message_type)
    fields = [(name, _form(hints[name])) for name in message_type.__struct_fields__]
    defaults = msgspec.structs.fields(message_type)
    required = [field.name for field in defaults if field.required]
    schema = {
        "title": message_type.__name__,
        "type": "object",
        "properties": {name: form.schema for name, form in fields},
        "required": required,
    }

    def show(message: Any) -> dict[str, Any]:
        shown = {}
        for name, form in fields:
            value = getattr(message, name)
            if value is not None:
                shown[name] = value if form.show is None else form.show(value)
        return shown

    def read(shown: dict[str, Any]) -> Message:
        found = {
            name: shown[name] if form.read is None else form.read(shown[name]) for name, form in fields if name in shown
        }
        return message_type(**found)

    return Form(schema, show, read)


def _form(kind: Any) -> Form:
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Message):
        return form_of(kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if origin in (Union, types.UnionType):
        some = [arm for arm in inner if arm is not types.NoneType]
        return _form(some[0]) if len(some) == 1 else _any_form(kind)
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return _list_form(_form(inner[0]))
    if origin is tuple:
        return _tuple_form([_form(part) for part in inner])
    if origin is dict and inner[0] is str:
        return _dict_form(_form(inner[1]))
    raise TypeError(f"{kind} has no form in JSON; add one to monitoring.bag_json")


def _list_form(item: Form) -> Form:
    schema = {"type": "array", "items": item.schema}
    show, read = item.show, item.read
    return Form(
        schema,
        list if show is None else lambda values: [show(value) for value in values],
        tuple if read is None else lambda values: tuple([read(value) for value in values]),
    )


def _tuple_form(parts: list[Form]) -> Form:
    names = [f"_{k}" for k in range(len(parts))]
    schema = {
        "type": "object",
        "properties": {name: part.schema for name, part in zip(names, parts, strict=True)},
        "required": names,
    }

    def show(values: tuple[Any, ...]) -> dict[str, Any]:
        return {n: v if p.show is None else p.show(v) for n, p, v in zip(names, parts, values, strict=True)}

    def read(shown: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(shown[n] if p.read is None else p.read(shown[n]) for n, p in zip(names, parts, strict=True))

    return Form(schema, show, read)


def _dict_form(item: Form) -> Form:
    schema = {"type": "object", "properties": {}, "additionalProperties": item.schema}
    show, read = item.show, item.read
    return Form(
        schema,
        None if show is None else lambda values: {key: show(value) for key, value in values.items()},
        None if read is None else lambda values: {key: read(value) for key, value in values.items()},
    )


def _any_form(kind: Any) -> Form:
    """One of several plain types: Foxglove wants one, so it is JSON in a text, which tells 1 from 1.0 and "1"."""
    read = msgspec.json.Decoder(kind).decode

    def show(value: Any) -> str:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, float):
                _show_float(part)
        return _encode_json(value).decode()

    return Form({"type": "string", "contentMediaType": "application/json"}, show, read)


# -- values ------------------------------------------------------------------------------------------------------------


def _show_float(value: float) -> float:
    if not math.isfinite(value):
        raise Unshown
    return value


def _show_array(array: Array) -> dict[str, Any]:
    cast = CASTS.get(array.dtype)
    flat: list[Any] = memoryview(array.data).cast(cast).tolist() if cast else array.numpy().ravel().tolist()
    # One sum instead of a look at each: only infinity, or something too large to be a delay, can make it not finite.
    if array.dtype[1] == "f" and not math.isfinite(sum(flat)) and not all(map(math.isfinite, flat)):
        raise Unshown
    return {"dtype": array.dtype, "shape": array.shape, "data": flat}


def _read_array(shown: dict[str, Any]) -> Array:
    return Array(shown["dtype"], tuple(shown["shape"]), np.array(shown["data"], dtype=shown["dtype"]).tobytes())


_ARRAY_SCHEMA: Final = {
    "title": "Array",
    "description": "an n-dimensional array in C order; dtype as NumPy writes it",
    "type": "object",
    "properties": {
        "dtype": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array", "items": {"type": "number"}},
    },
    "required": ["dtype", "shape", "data"],
}
_PLAIN: Final[dict[Any, Form]] = {
    int: Form({"type": "integer"}, None, None),
    float: Form({"type": "number"}, _show_float, float),
    str: Form({"type": "string"}, None, None),
    bool: Form({"type": "boolean"}, None, None),
    bytes: Form(
        {"type": "string", "contentEncoding": "base64"}, lambda value: b64encode(value).decode(), lambda t: b64decode(t)
    ),
}


# -- whole documents ---------------------------------------------------------------------------------------------------

_HEADER_SCHEMA: Final = {
    "type": "object",
    "description": "where in the run; t_sim_ns where it is not 0; payload, base64, where the fields do not give it",
    "properties": {
        "slot": {"type": "integer"},
        "attempt": {"type": "integer"},
        "round": {"type": "integer"},
        "t_sim_ns": {"type": "integer"},
        "payload": {"type": "string"},
    },
    "required": ["slot", "attempt", "round"],
}


def schema_of(message_type: type[Message]) -> dict[str, Any]:
    """The JSON schema of a message's documents.

    Raises: TypeError: a field's type has no form in JSON.
    """
    schema = form_of(message_type).schema
    return {**schema, "properties": {"header": _HEADER_SCHEMA, **schema["properties"]}}


def fields_of(message_type: type[Message], payload: bytes) -> tuple[dict[str, Any], bool]:
    """A payload's fields as JSON can hold them, and whether ``payload_of`` gives the same bytes back.

    Values that JSON has no number for are text; a payload that is no such message has no fields.
    """
    form = form_of(message_type)
    assert form.show is not None  # noqa: S101 -- a record always has one
    try:
        message = decoder_of(message_type).decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}, False
    try:
        return form.show(message), encode_payload(message) == payload
    except Unshown:
        shown: dict[str, Any] = _texted(message)
        return shown, False
    except (TypeError, ValueError, LookupError):
        return {}, False  # an array whose bytes do not fit its type


def document_of(message_type: type[Message], header: dict[str, Any], payload: bytes) -> bytes:
    """A message's document: the header, then its fields."""
    fields, exact = fields_of(message_type, payload)
    if not exact:
        header["payload"] = b64encode(payload).decode()
    return _encode_json({"header": header, **fields})


def payload_of(message_type: type[Message], document: dict[str, Any]) -> bytes:
    """The payload that a document was made of, byte for byte.

    Raises: ValueError, LookupError, TypeError: the document is not one of that message.
    """
    given = document["header"].get("payload")
    if given is not None:
        return b64decode(given)
    form = form_of(message_type)
    assert form.read is not None  # noqa: S101 -- a record always has one
    return encode_payload(form.read(document))


def _texted(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0.0 else "-Infinity")
    if isinstance(value, Array):
        return {"dtype": value.dtype, "shape": value.shape, "data": _texted(value.numpy().ravel().tolist())}
    if isinstance(value, Message):
        return {n: _texted(getattr(value, n)) for n in value.__struct_fields__ if getattr(value, n) is not None}
    if isinstance(value, dict):
        return {key: _texted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_texted(item) for item in value]
    return value


_encode_json = msgspec.json.Encoder().encode
decode_json = msgspec.json.Decoder().decode
