"""Message types in words, from their schemas."""

from __future__ import annotations

import json
from typing import Any

from bus.messages import TypeRecord
from bus.schemas import FIELDS

WORDS = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "null", "object": "map"}


def fields_of(schema: dict[str, Any], name: str = "") -> list[tuple[str, str, bool]]:
    """The fields of a record in a schema (by default its own): name, type in words, whether it may be left out."""
    part = schema["$defs"][name or schema["$ref"].rsplit("/", 1)[1]]
    parts = part["prefixItems"][-len(part[FIELDS]) :] if part[FIELDS] else []
    return [(field, kind(item), "default" in item) for field, item in zip(part[FIELDS], parts, strict=True)]


def records_of(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """All records of a schema, its own first."""
    own = schema["$ref"].rsplit("/", 1)[1]
    return [(own, schema["$defs"][own]), *((name, part) for name, part in schema["$defs"].items() if name != own)]


def kind(schema: dict[str, Any]) -> str:
    """A type in words: ``int``, ``list of Member``, ``map of float``, ``Array or null``."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " or ".join(kind(option) for option in schema["anyOf"])
    if schema.get("contentEncoding") == "base64":
        return "bytes"
    if "enum" in schema:
        return " or ".join(str(choice) for choice in schema["enum"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"({', '.join(kind(item) for item in schema['prefixItems'])})"
        return f"list of {kind(schema.get('items', {}))}" if isinstance(schema.get("items"), dict) else "list"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map of {kind(schema['additionalProperties'])}"
    return WORDS.get(schema.get("type", ""), "anything")


def signature(types: dict[int, TypeRecord], type_id: int) -> str:
    """A request or a reply in words: ``Stop(reason: str, code: int = ...)``."""
    record = types.get(type_id)
    if record is None:
        return "?" if type_id == 0 else f"type {type_id:08x}"
    parts = [f"{name}: {word}{' = ...' if free else ''}" for name, word, free in fields_of(json.loads(record.schema))]
    return f"{record.name}({', '.join(parts)})"
