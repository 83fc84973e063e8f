"""Reading a scenario: every error at once, each with its place, and overrides by dotted key."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
import tomli_w

from emulator.errors import ScenarioError
from emulator.scenario import Scenario
from emulator.scenario_checks import contradictions
from emulator.scenario_rental import with_defaults
from emulator.scenario_tables import Table

T = TypeVar("T", bound=Table)
SHIPPED = resources.files("emulator.scenarios")
BARE_KEY = r"[\w-]+"
STEP = r"\w+(\[\d{1,9}\])?"
MAY_BE_INFINITE = ("uplink_bps",)
PATHS = ("path", "trace")
"""Keys, of whatever table, that name a file or a folder."""

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "date": "a date",
    "time": "a time",
    "datetime": "a date and time",
}
"""What msgspec calls a value, in words that a reader of TOML knows."""


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
    try:
        path = _locate(source)
        # Editors on Windows put a byte order mark first.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ScenarioError(f"{_one_line(source)}: cannot be read ({reason}); check the path and its rights") from error
    return parse(text, origin=source, overrides=overrides, folder=path.parent)


def _locate(source: str) -> Path:
    names = shipped_names()
    if source in names:
        return Path(str(SHIPPED / f"{source}.toml"))
    path = Path(source)
    if source and path.is_dir():
        if (path / "scenario.toml").is_file():
            return path / "scenario.toml"
        raise ScenarioError(f"{source}: is a folder without a scenario.toml; give a .toml file or the folder of a run")
    if source and path.exists():
        return path
    near = difflib.get_close_matches(source.removesuffix(".toml"), names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"shipped: {', '.join(names)}; or give a .toml file"
    raise ScenarioError(f"{_one_line(source) or 'nothing'}: no such scenario; {hint}")


def parse(
    text: str, *, origin: str = "scenario", overrides: Sequence[str] = (), folder: Path | None = None
) -> Scenario:
    """Check a scenario's text; ``folder`` is what relative paths in it start from.

    Raises: ScenarioError: with every problem found.
    """
    raw, places = _read(text, origin)
    problems: list[str] = []
    for override in overrides:
        _apply(raw, override, places, problems)
    values = _fields(Scenario, with_defaults(raw), "", problems)
    if not problems:
        scenario = _build(Scenario, values)
        if folder is not None:
            scenario = _with_absolute_paths(scenario, folder)
        problems = contradictions(scenario)
        if not problems:
            return scenario
    raise ScenarioError(*(_at(problem, origin, places) for problem in problems))


def parse_table(
    table: type[T], text: str, origin: str, contradictions_in: Callable[[T], Iterable[str]] = lambda _table: ()
) -> T:
    """Check the text of another kind of file by the rules of scenarios.

    Args:
        table: What the file is.
        text: Its text.
        origin: Its path.
        contradictions_in: Problems that no key has alone, each beginning with a key and a colon.
    Raises: ScenarioError: with every problem found.
    """
    raw, places = _read(text, origin)
    problems: list[str] = []
    values = _fields(table, raw, "", problems)
    if not problems:
        built: T = _build(table, values)
        problems = list(contradictions_in(built))
        if not problems:
            return built
    raise ScenarioError(*(_at(problem, origin, places) for problem in problems))


def _read(text: str, origin: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The tables of a TOML text, and where each key is."""
    try:
        raw = tomllib.loads(text)
    except RecursionError as error:
        raise ScenarioError(f"{origin}: not TOML that can be read: nested too deeply; use plain tables") from error
    except ValueError as error:
        reason = error if isinstance(error, tomllib.TOMLDecodeError) else "a number has thousands of digits"
        raise ScenarioError(f"{origin}: not TOML: {reason}; see toml.io") from error
    return raw, {key: f"{origin}:{line}" for key, line in _lines_of_keys(text).items()}


def dump(scenario: Scenario) -> str:
    """The scenario as TOML, every key written out."""
    return tomli_w.dumps(_without_none(msgspec.to_builtins(scenario)))


def _with_absolute_paths(scenario: Scenario, folder: Path) -> Scenario:
    def absolute(path: str) -> str:
        return str((folder / path).resolve()) if path else ""

    demand = msgspec.structs.replace(scenario.demand, path=absolute(scenario.demand.path))
    links = tuple(msgspec.structs.replace(link, trace=absolute(link.trace)) for link in scenario.link)
    rental = scenario.rental
    if rental is not None:
        sites = msgspec.structs.replace(rental.sites, path=absolute(rental.sites.path))
        asked = msgspec.structs.replace(rental.demand, path=absolute(rental.demand.path))
        rental = msgspec.structs.replace(rental, sites=sites, demand=asked)
    return msgspec.structs.replace(scenario, demand=demand, link=links, rental=rental)


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def _build(table: type[Any], values: dict[str, Any]) -> Any:
    return table(**values)


def _fields(table: type[Table], raw: Mapping[str, Any], place: str, problems: list[str]) -> dict[str, Any]:
    """Convert a table field by field, so that one wrong value does not hide the next."""
    known = {field.encode_name: field for field in msgspec.structs.fields(table)}
    for key in (key for key in raw if key not in known):
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        problems.append(f"{place}{key if re.fullmatch(BARE_KEY, key) else repr(key)}: unknown key; {hint}")
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name not in raw:
            if field.required:
                problems.append(f"{place}{name}: missing; it must be given")
            continue
        values[field.name] = _value(field.type, raw[name], place + name, problems)
    return values


def _value(wanted: Any, value: Any, place: str, problems: list[str]) -> Any:
    before = len(problems)
    wanted = _if_given(wanted)
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
        problems.append(f"{place}: {_in_words(str(error), wanted)}, is {_shown(value)}")
        return None
    if place.rpartition(".")[2] not in MAY_BE_INFINITE and not _finite(converted):
        problems.append(f"{place}: must be finite, is {_shown(value)}; give a number")
    return converted


def _if_given(wanted: Any) -> Any:
    """The table that may be left out, where a field is one."""
    tables = [arg for arg in get_args(wanted) if isinstance(arg, type) and issubclass(arg, Table)]
    return tables[0] if tables and type(None) in get_args(wanted) else wanted


def _finite(value: Any) -> bool:
    """Whether a number, or every number in rows of rows, is finite."""
    if isinstance(value, tuple):
        return all(_finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)


def _in_words(error: str, wanted: Any) -> str:
    """What msgspec found wrong, without the words of a programmer."""
    text = error.replace("`", "").replace(" - at $", " at ")
    if text.startswith("Invalid enum value"):
        choices = wanted.__origin__ if hasattr(wanted, "__metadata__") else wanted  # Annotated[Literal[...], ...]
        return f"must be one of {', '.join(get_args(choices))}"
    text = re.sub(r"\b(null \| )?(int|float|str|bool|array|object|datetime|date|time)\b( \| null)?", _kind_found, text)
    text = re.sub(r"matching regex .*", "of lower case letters, digits, '.', '_' and '-'", text)
    text = text.replace("Expected", "must be", 1).replace(", got", ", not", 1)
    return text.replace("a whole number, not a number", "a whole number, without a decimal point")


def _kind_found(found: re.Match[str]) -> str:
    return KINDS[found[2]]


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a table"
    return KINDS.get({list: "array"}.get(type(value), type(value).__name__), "something else")


def _shown(value: Any) -> str:
    """A value as TOML writes it, or nearly so, cut short."""
    if isinstance(value, bool):
        return str(value).lower()
    text = value.isoformat() if isinstance(value, date | time) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _apply(raw: dict[str, Any], override: str, places: dict[str, str], problems: list[str]) -> None:
    """Put ``a.b=value`` or ``edge[2].b=value`` into the parsed tables; one more row than there are is a new one.

    A relative path starts from where the command is given, not from the scenario's folder.
    """
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not re.fullmatch(rf"{STEP}(\.{STEP})*", key):
        problems.append(f"--set {override}: must be key=value with a dotted key, e.g. edges.count=9")
        return
    *path, last = key.split(".")
    table: Any = raw
    for step in path:
        table = _step_into(table, step)
        if not isinstance(table, dict):
            problems.append(f"--set {override}: {step} is not a table, or comes after a row that is missing")
            return
    if last.endswith("]"):
        problems.append(f"--set {override}: a row is a table; name a key of it, e.g. {last}.index=3")
        return
    value = _toml_value(text)
    table[last] = str(Path(value).resolve()) if last in PATHS and value and isinstance(value, str) else value
    for inner in [place for place in places if re.match(rf"{re.escape(key)}(?!\w)", place)]:
        del places[inner]
    places[key] = f"--set {override}"
    for k in range(1, len(path) + 1):
        places.setdefault(".".join(path[:k]), places[key])


def _step_into(table: dict[str, Any], step: str) -> Any:
    """The table a step of a dotted key leads to, made if it is missing; None where there is none."""
    name, bracket, index = step.rstrip("]").partition("[")
    if not bracket:
        return table.setdefault(name, {})
    rows = table.setdefault(name, [])
    if not isinstance(rows, list) or int(index) > len(rows):
        return None
    if int(index) == len(rows):
        rows.append({})
    return rows[int(index)]


def _toml_value(text: str) -> Any:
    """A TOML value, or the text itself where it is none, so that strings need no quotes."""
    try:
        parsed = tomllib.loads(f"v = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["v"] if len(parsed) == 1 else text


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


def _at(problem: str, origin: str, places: Mapping[str, str]) -> str:
    """Put where the innermost key that is known was given, a line or an override, before a problem."""
    place = problem.split(": ", 1)[0]
    while place:
        if place in places:
            return _one_line(f"{places[place]}: {problem}")
        place = place.rpartition("[" if place.endswith("]") else ".")[0]
    return _one_line(f"{origin}: {problem}" if not problem.startswith("--set") else problem)


def _one_line(text: str) -> str:
    return " ".join(text.split())
