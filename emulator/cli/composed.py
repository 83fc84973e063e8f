"""From what people write (JSON by field names, arrays as lists) to a message."""

from __future__ import annotations

import json
import types
import typing
from typing import Any, TypeVar

import click
import msgspec

from bus.messages import Array, Message
from emulator.cli.columns import hint

M = TypeVar("M", bound=Message)


def compose(text: str, message_type: type[M]) -> M:
    """A message from JSON: an object with its fields, a list with all of them in order, or nothing for none.

    Arrays are lists of numbers (float64), or ``{"dtype": "<i4", "values": [...]}``.
    Raises: click.ClickException: it is no such message; says which field, and what it must be.
    """
    try:
        document = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise click.ClickException(f"not JSON: {error.msg} at character {error.pos + 1} of {text!r}") from None
    return _record(document, message_type, message_type.__name__)


def _record(document: Any, message_type: type[M], where: str) -> M:
    fields = msgspec.structs.fields(message_type)
    names = [field.name for field in fields]
    if isinstance(document, list):
        document = dict(zip(names, document, strict=False)) if len(document) <= len(names) else document
    if not isinstance(document, dict):
        raise click.ClickException(f"{where}: must be an object with {', '.join(names) or 'no fields'}")
    for name in document:
        if name not in names:
            raise click.ClickException(f"{where}: no field {name}; {hint(name, names, f'it has {_list(names)}')}")
    missing = [field.name for field in fields if field.required and field.name not in document]
    if missing:
        raise click.ClickException(f"{where}: {_list(missing)} missing; it has {_list(names)}")
    given = {f.name: _value(document[f.name], f.type, f"{where}.{f.name}") for f in fields if f.name in document}
    return message_type(**given)


def _list(names: list[str]) -> str:
    return ", ".join(names) or "no fields"


def _value(value: Any, wanted: Any, where: str) -> Any:
    for choice in _choices(wanted):
        if isinstance(choice, type) and issubclass(choice, Array) and value is not None:
            return _array(value, where)
        if isinstance(choice, type) and issubclass(choice, Message) and value is not None:
            return _record(value, choice, where)
    item = _item(wanted)
    if item is not None and isinstance(value, list):
        return tuple(_value(one, item, f"{where}[{k}]") for k, one in enumerate(value))
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise click.ClickException(f"{where}: {error}") from None


def _choices(wanted: Any) -> tuple[Any, ...]:
    return typing.get_args(wanted) if typing.get_origin(wanted) in (types.UnionType, typing.Union) else (wanted,)


def _item(wanted: Any) -> Any:
    """The type of the members of ``tuple[X, ...]``; None for anything else."""
    arguments = typing.get_args(wanted)
    endless = typing.get_origin(wanted) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis
    return arguments[0] if endless else None


def _array(value: Any, where: str) -> Array:
    import numpy as np  # here: most messages hold none

    dtype, values = (value.get("dtype", "<f8"), value.get("values")) if isinstance(value, dict) else ("<f8", value)
    try:
        return Array.of(np.asarray(values, dtype=np.dtype(dtype).newbyteorder("<")))
    except (TypeError, ValueError) as error:
        raise click.ClickException(f"{where}: no array of {dtype}: {error}") from None
