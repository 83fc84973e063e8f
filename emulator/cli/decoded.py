"""A message for people and for JSON: field names, arrays as numbers."""

from __future__ import annotations

import math
import time
from typing import Any

from bus.codec import Header
from bus.messages import Array, Message

SHORT = 12
SHORT_ROWS = 8


def document(topic: str, message: Message, header: Header) -> dict[str, Any]:
    """A message as JSON can hold it."""
    return {
        "topic": topic,
        "slot": header.slot,
        "attempt": header.attempt,
        "round": header.round,
        "sequence": header.sequence,
        "instance": f"{header.instance:08x}",
        "t_sim_ns": header.t_sim_ns,
        "t_wall_ns": header.t_wall_ns,
        "type": type(message).__name__,
        "message": plain(message),
    }


def plain(value: Any) -> Any:
    """Records as objects, arrays as lists, bytes as hex; what is no number of JSON as text."""
    if isinstance(value, Array):
        return plain(value.numpy().tolist())
    if isinstance(value, Message):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def lines(message: Message, header: Header, *, full: bool) -> list[str]:
    """A message as text.

    Args:
        full: Print long arrays and lists whole.
    """
    seconds, rest_ns = divmod(header.t_wall_ns, 1_000_000_000)
    clock = f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest_ns // 1000:06d}"
    head = f"slot: {header.slot}  attempt: {header.attempt}  sequence: {header.sequence}  time: {clock}"
    return [head, *_fields(message, "", full), "---"]


def _fields(message: Message, indent: str, full: bool) -> list[str]:
    found = []
    for name in message.__struct_fields__:
        found += _entry(name, getattr(message, name), indent, full)
    return found


def _entry(name: str, value: Any, indent: str, full: bool) -> list[str]:
    if isinstance(value, Array):
        return _array(name, value, indent, full)
    if isinstance(value, Message):
        return [f"{indent}{name}:", *_fields(value, indent + "  ", full)]
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {_number(plain(item))}" for key, item in value.items())
        return [f"{indent}{name}: {{{inner}}}"]
    if isinstance(value, list | tuple):
        return _list(name, list(value), indent, full)
    return [f"{indent}{name}: {_number(plain(value))}"]


def _array(name: str, value: Array, indent: str, full: bool) -> list[str]:
    items = value.numpy().tolist()
    if len(value.shape) < 2:
        return [f"{indent}{name}: {_row(items, full)}"]
    shape = " x ".join(map(str, value.shape))
    rows = items if full else items[:SHORT_ROWS]
    more = [f"{indent}  … {len(items)} rows"] if len(rows) < len(items) else []
    return [f"{indent}{name}: {shape}", *[f"{indent}  {_row(row, full)}" for row in rows], *more]


def _list(name: str, items: list[Any], indent: str, full: bool) -> list[str]:
    if not any(isinstance(item, Message) for item in items):
        return [f"{indent}{name}: {_row(items, full)}"]
    shown = items if full else items[:SHORT_ROWS]
    more = [f"{indent}  … {len(items)} in all"] if len(shown) < len(items) else []
    return [f"{indent}{name}:", *[f"{indent}- {_flat(item)}" for item in shown], *more]


def _flat(item: Any) -> str:
    """A record of a list, on one line."""
    if not isinstance(item, Message):
        return _number(plain(item))
    parts = []
    for name in item.__struct_fields__:
        value = getattr(item, name)
        nested = isinstance(value, list | tuple) and any(isinstance(one, Message) for one in value)
        parts.append(f"{name}: {f'{len(value)} of them' if nested else _number(plain(value))}")
    return ", ".join(parts)


def _row(items: Any, full: bool) -> str:
    if not isinstance(items, list):
        return _number(items)
    shown = items if full or len(items) <= SHORT + 2 else items[:SHORT]
    text = ", ".join(_number(plain(item)) for item in shown)
    return f"[{text}]" if len(shown) == len(items) else f"[{text}, … {len(items)} in all]"


def _number(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_number, value))}]"
    if isinstance(value, bool) or not isinstance(value, float):
        return f'"{value}"' if value == "" else str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
