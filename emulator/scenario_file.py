"""Reading a scenario: every error at once, each with its place, and overrides by dotted key."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import msgspec
import tomli_w

from emulator.errors import ScenarioError
from emulator.scenario import Scenario, Table
from emulator.scenario_checks import contradictions

SHIPPED = resources.files("emulator.scenarios")


def shipped_names() -> list[str]:
    """Names of the scenarios that come with edgerig."""
    return sorted(entry.name.removesuffix(".toml") for entry in SHIPPED.iterdir() if entry.name.endswith(".toml"))


def load(source: str, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario by name or path and check it whole.

    Args:
        source: The name of a shipped scenario, or a TOML file's path.
        overrides: ``key=value`` with dotted keys, e.g. ``edges.count=9``; values are TOML.
    Raises: ScenarioError: with every problem found.
    """
    path = _locate(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ScenarioError(f"{source}: cannot be read ({reason}); check the path and its rights") from error
    return parse(text, origin=source, overrides=overrides, folder=path.parent)


def _locate(source: str) -> Path:
    names = shipped_names()
    if source in names:
        return Path(str(SHIPPED / f"{source}.toml"))
    path = Path(source)
    if path.is_dir() and (path / "scenario.toml").is_file():
        return path / "scenario.toml"
    if path.exists() or source.endswith(".toml") or "/" in source:
        return path
    near = difflib.get_close_matches(source, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"shipped: {', '.join(names)}; or give a .toml file"
    raise ScenarioError(f"{source}: no such scenario; {hint}")


def parse(
    text: str, *, origin: str = "scenario", overrides: Sequence[str] = (), folder: Path | None = None
) -> Scenario:
    """Check a scenario's text; ``folder`` is what relative paths in it start from.

    Raises: ScenarioError: with every problem found.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{origin}: not TOML: {error}") from error
    places = _lines_of_keys(text)
    problems: list[str] = []
    for override in overrides:
        _apply(raw, override, places, problems)
    values = _fields(Scenario, raw, "", problems)
    if not problems:
        scenario = _build(Scenario, values)
        if folder is not None and scenario.demand.path:
            scenario = _with_absolute_path(scenario, folder)
        problems = contradictions(scenario)
        if not problems:
            return scenario
    raise ScenarioError(*(_at(problem, origin, places) for problem in problems))


def dump(scenario: Scenario) -> str:
    """The scenario as TOML, every key written out."""
    return tomli_w.dumps(_without_none(msgspec.to_builtins(scenario)))


def _with_absolute_path(scenario: Scenario, folder: Path) -> Scenario:
    path = str((folder / scenario.demand.path).resolve())
    return msgspec.structs.replace(scenario, demand=msgspec.structs.replace(scenario.demand, path=path))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def _build(table: type[Any], values: dict[str, Any]) -> Any:
    return table(**values)


def _fields(table: type[Table], raw: Mapping[str, Any], place: str, problems: list[str]) -> dict[str, Any]:
    """Convert a table field by field, so that one wrong value does not hide the next."""
    known = {field.name: field for field in msgspec.structs.fields(table)}
    for key in raw.keys() - known.keys():
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        problems.append(f"{place}{key}: unknown key; {hint}")
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name not in raw:
            if field.required:
                problems.append(f"{place}{name}: missing; it must be given")
            continue
        values[name] = _value(field.type, raw[name], place + name, problems)
    return values


def _value(wanted: Any, value: Any, place: str, problems: list[str]) -> Any:
    before = len(problems)
    if isinstance(wanted, type) and issubclass(wanted, Table):
        if not isinstance(value, Mapping):
            problems.append(f"{place}: must be a table, not {_kind(value)}; write [{place}]")
            return None
        values = _fields(wanted, value, f"{place}.", problems)
        return _build(wanted, values) if len(problems) == before else None
    rows = [arg for arg in get_args(wanted) if isinstance(arg, type) and issubclass(arg, Table)]
    if rows:
        if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
            problems.append(f"{place}: must be a list of tables; write [[{place}]]")
            return None
        built = [_fields(rows[0], row, f"{place}[{k}].", problems) for k, row in enumerate(value)]
        return tuple(_build(rows[0], row) for row in built) if len(problems) == before else None
    try:
        converted = msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        text = str(error).replace("`", "").replace(" - at $", " at ")
        problems.append(f"{place}: {text[0].lower()}{text[1:]}, is {_shown(value)}")
        return None
    if isinstance(converted, float) and math.isnan(converted):
        problems.append(f"{place}: is not a number (nan)")
    return converted


def _kind(value: Any) -> str:
    return {str: "a string", bool: "true or false", int: "a number", float: "a number"}.get(type(value), "a list")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _apply(raw: dict[str, Any], override: str, places: dict[str, int], problems: list[str]) -> None:
    """Put ``a.b=value`` or ``edge[2].b=value`` into the parsed tables."""
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key):
        problems.append(f"--set {override}: must be key=value with a dotted key, e.g. edges.count=9")
        return
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text
    table = raw
    *path, last = key.split(".")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            problems.append(f"--set {override}: {part} is not a table")
            return
    table[last] = value
    places.pop(key, None)


def _lines_of_keys(text: str) -> dict[str, int]:
    """Line number of each key of a TOML text, by its dotted place; good enough to point at."""
    places: dict[str, int] = {}
    prefix = ""
    rows: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if match := re.match(r"\[\[\s*([\w.]+)\s*\]\]", stripped):
            index = rows[match[1]] = rows.get(match[1], -1) + 1
            prefix = f"{match[1]}[{index}]."
            places[match[1]] = places[prefix[:-1]] = number
        elif match := re.match(r"\[\s*([\w.]+)\s*\]", stripped):
            prefix = f"{match[1]}."
            places[match[1]] = number
        elif match := re.match(r"([\w.]+)\s*=", stripped):
            places[prefix + match[1]] = number
    return places


def _at(problem: str, origin: str, places: dict[str, int]) -> str:
    """Put the file and the line of the innermost key that has one before a problem."""
    place = problem.split(": ", 1)[0]
    while place:
        if place in places:
            return f"{origin}:{places[place]}: {problem}"
        place = place.rpartition("[" if place.endswith("]") else ".")[0]
    return f"{origin}: {problem}"
