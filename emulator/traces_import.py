"""`edgerig import`: find the traces among files and folders, convert them, write canonical demand with its manifest."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.introduced import own_version
from emulator.traces import FORMAT
from emulator.traces_convert import OTHER, Expected, Options, expected_tasks
from emulator.traces_kind import Reading, header_of, looks_like_trace, recognise
from emulator.traces_read import Trace, read_trace
from emulator.traces_round import round_nearest, round_poisson
from emulator.traces_space import place_events
from emulator.traces_table import POSITION, PROFILE, Entities, TraceError, read_bytes, read_entities
from emulator.traces_write import refuse_existing, write_demand

CONSERVED = 1e-9  # relative
UNKNOWN = "unknown"
_SECTION = re.compile(r"^(?:#+\s*|\*\*)(?P<title>[A-Z].*)")
_TABLE_KEYS = {"cell": {"lat", "lon", "row", "col"}, "service": {"service"}}


@dataclass(frozen=True, slots=True)
class Request:
    """What `edgerig import` was asked for.

    Attributes:
        paths: Traces, tables and folders with them.
        out: Folder to write.
        options: How to convert.
        kinds: File or folder name -> forced kind; "" stands for every trace.
        ignored: Columns to pass over.
        cells: Table of cells (or sites), over one found in a folder.
        services: Table of services with their figures.
        source: Where the data come from, for what no README tells.
        licence: Its terms, for what no README tells.
        command: The command line, for the manifest; file names without their folders.
    """

    paths: tuple[Path, ...]
    out: Path
    options: Options = field(default_factory=Options)
    kinds: dict[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    cells: Path | None = None
    services: Path | None = None
    source: str = ""
    licence: str = ""
    command: str = ""


@dataclass(slots=True)
class _Found:
    """What lies in the named files and folders."""

    traces: list[tuple[str, Path]] = field(default_factory=list)
    cells: list[Path] = field(default_factory=list)
    services: list[Path] = field(default_factory=list)
    beside: dict[Path, str] = field(default_factory=dict)
    origins: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def import_traces(request: Request, progress: Callable[[Path, int], None] = lambda path, rows: None) -> dict[str, Any]:
    """Turn real traces into canonical demand.

    Args:
        request: What to read, how, and where to.
        progress: Told (file, rows read) now and then.
    Returns: What the manifest says.

    Raises:
        TraceError: An input is wrong, the output exists or cannot be written; nothing was written.
    """
    refuse_existing(request.out)
    found = _find(request)
    cells = _cells(request, found)
    reading = Reading(
        ignored=request.ignored,
        cells=cells.names if cells else (),
        services=tuple(name for path in found.services for name in read_entities(path, "service", ()).names),
        progress=progress,
    )
    traces = [
        place_events(
            read_trace(path, name, replace(reading, kind=_forced(request, name, path))),
            cells,
            request.options.max_distance_m,
        )
        for name, path in found.traces
    ]
    expected = expected_tasks(traces, request.options)
    services = _profile(request, expected)
    tasks = _rounded(expected, request.options)
    manifest = _manifest(request, found, traces, expected, tasks)
    places = cells.figures if cells and cells.names == expected.cells else {}
    write_demand(request.out, manifest, tasks, Entities(expected.cells, places), services)
    return manifest


def _find(request: Request) -> _Found:
    found = _Found()
    for path in request.paths:
        if path.is_dir():
            _find_in_folder(path, request, found)
        else:
            role = _role(path, request, path.name)
            if role is None:
                recognise(path, header_of(path), Reading(ignored=request.ignored))  # raises: says why it is no trace
            name = path.name.split(".")[0]
            _file(found, role, path, name)
            found.origins.append({"name": name, "source": UNKNOWN, "licence": UNKNOWN})
    if not found.traces:
        raise TraceError("no trace in it (a CSV file with a time column)", request.paths[0])
    given = {"source": request.source, "licence": request.licence}
    blank = [(origin, key) for origin in found.origins for key in given if origin[key] == UNKNOWN]
    for origin, key in blank:
        origin[key] = given[key] or UNKNOWN
    unused = {key: text for key, text in given.items() if text and key not in {taken for _, taken in blank}}
    if unused:  # every README tells its own; what the user says stands beside it
        found.origins.append({"name": "command line", "source": UNKNOWN, "licence": UNKNOWN, **unused})
    found.notes += [
        f"{origin['name']}: licence unknown; say --licence TEXT"
        for origin in found.origins
        if origin["licence"] == UNKNOWN and origin["name"] != "command line"
    ]
    return found


def _find_in_folder(folder: Path, request: Request, found: _Found) -> None:
    name = folder.resolve().name
    tables = sorted(path for path in folder.iterdir() if path.name.endswith((".csv", ".csv.gz")))
    if not tables:
        raise TraceError("no .csv or .csv.gz in this folder", folder)
    for path in tables:
        role = _role(path, request, name)
        if role is None:
            found.notes.append(f"{name}/{path.name}: neither a trace nor a table of cells or services; passed over")
        else:
            _file(found, role, path, name)
    origin = {"name": name, "source": UNKNOWN, "licence": UNKNOWN}
    for path in sorted(folder.iterdir()):
        if re.match(r"readme(\.md|\.txt)?\Z|licen[cs]e", path.name.lower()) and path.is_file():
            found.beside[path] = name
            origin |= _told_origin(path)
    found.origins.append(origin)


def _role(path: Path, request: Request, name: str) -> str | None:
    header = [column for column in header_of(path) if column not in request.ignored]
    if looks_like_trace(header) or _forced(request, name, path) is not None:
        return "trace"
    for role, columns in _TABLE_KEYS.items():
        if role in header and columns & set(header):
            return role
    return None


def _file(found: _Found, role: str | None, path: Path, name: str) -> None:
    if role == "trace":
        found.traces.append((name, path))
    else:
        (found.cells if role == "cell" else found.services).append(path)
        found.beside[path] = name


def _forced(request: Request, name: str, path: Path) -> str | None:
    kinds = request.kinds
    return kinds.get(path.name, kinds.get(path.name.split(".")[0], kinds.get(name, kinds.get(""))))


def _told_origin(path: Path) -> dict[str, str]:
    """What a README says under Origin (or Source) and Licence, or all of a licence file."""
    text = read_bytes(path).decode(errors="replace").strip()
    if re.match(r"licen[cs]e", path.name.lower()):
        return {"licence": text}
    told: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        section = _SECTION.match(line)
        if section:
            title = section["title"].lower()
            key = "licence" if re.match(r"licen[cs]e", title) else "source" if re.match(r"origin|source", title) else ""
            lines = told.setdefault(key, [])
        lines.append(line)
    return {key: "\n".join(lines).strip() for key, lines in told.items() if key}


def _cells(request: Request, found: _Found) -> Entities | None:
    paths = [request.cells] if request.cells is not None else found.cells
    if len(paths) > 1:
        raise TraceError(f"a second table of cells beside {paths[0].name}; choose one with --cells", paths[1])
    return read_entities(paths[0], "cell", POSITION) if paths else None


def _profile(request: Request, expected: Expected) -> Entities:
    """The services that are kept with what the user's table says of each."""
    if request.services is None:
        return Entities(expected.services, {})
    header = header_of(request.services)
    unknown = [column for column in header if column not in ("service", *PROFILE) and column not in request.ignored]
    if unknown or not set(header) & set(PROFILE):
        text = f"unknown column {unknown[0]!r}" if unknown else "nothing is told of the services"
        raise TraceError(f"{text} (known: service, {', '.join(PROFILE)})", request.services, 1)
    table = read_entities(request.services, "service", PROFILE)
    place = {name: index for index, name in enumerate(table.names)}
    for name in expected.services:
        if name not in place and name != OTHER:
            raise TraceError(f"no row for service {name!r}, which the demand has", request.services)
    at = [place.get(name, -1) for name in expected.services]
    figures = {column: np.append(values, math.nan)[at] for column, values in table.figures.items()}
    return Entities(expected.services, figures)


def _rounded(expected: Expected, options: Options) -> NDArray[np.uint32]:
    if not expected.mass.any():
        raise TraceError("no demand is left; look at --slots, --from, --to, --max-distance and --scale")
    if options.rounding == "poisson":
        return round_poisson(expected.mass, expected.first_slot, options.seed)
    return round_nearest(expected.mass)


def _manifest(
    request: Request, found: _Found, traces: Sequence[Trace], expected: Expected, tasks: NDArray[np.uint32]
) -> dict[str, Any]:
    options, account = request.options, expected.account
    chosen: dict[str, Any] = {"scale": options.scale, "round": options.rounding, "seed": options.seed}
    if options.top is not None:
        chosen |= {"top": options.top, "rest": options.rest}
    return {
        "format": FORMAT,
        "edgerig": own_version() or UNKNOWN,
        "command": request.command,
        "slot_s": expected.slot_s,
        "slots": tasks.shape[0],
        "first_slot": expected.first_slot,
        "cells": len(expected.cells),
        "services": len(expected.services),
        **chosen,
        "notes": [*found.notes, *account.notes],
        "mass": _mass(expected, options.scale, tasks),
        "sources": found.origins,
        "inputs": [_input(path, name, trace) for (name, path), trace in zip(found.traces, traces, strict=True)]
        + [_input(path, name, None) for path, name in _beside(request, found).items()],
    }


def _beside(request: Request, found: _Found) -> dict[Path, str]:
    """What was read beside the traces; a table that the user's own replaces was not."""
    named = {path: path.name.split(".")[0] for path in (request.cells, request.services) if path is not None}
    unused = set() if request.cells is None else set(found.cells) - {request.cells}
    return {path: name for path, name in (found.beside | named).items() if path not in unused}


def _mass(expected: Expected, scale: float, tasks: NDArray[np.uint32]) -> dict[str, Any]:
    account = expected.account
    scaled, out = account.mass_in * scale, float(np.sum(expected.mass))
    dropped = {reason: mass * scale for reason, mass in account.dropped.items()}
    missing = scaled - out - sum(dropped.values())
    if abs(missing) > CONSERVED * scaled:
        raise RuntimeError(f"mass is not conserved: {scaled!r} in, {out!r} out, {dropped!r} dropped")
    drawn = int(tasks.sum(dtype=np.int64))
    return {
        "in": account.mass_in,
        "scaled": scaled,
        "out": out,
        "dropped_sum": sum(dropped.values(), 0.0),
        "tasks": drawn,
        "tasks_off_by_sqrt_mass": (drawn - out) / math.sqrt(out),
        "dropped": dropped,
    }


def _input(path: Path, name: str, trace: Trace | None) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "file": path.name}
    if trace is not None:
        told |= {"kind": trace.kind, "rows": trace.rows_at.size, "mass": float(np.sum(trace.mass))}
    return told | {"sha256": hashlib.sha256(read_bytes(path)).hexdigest()}
