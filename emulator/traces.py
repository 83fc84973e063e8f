"""Canonical demand: the folder that `edgerig import` writes and a scenario names as its demand.

``manifest.toml`` says where the demand comes from and carries the SHA-256 of the three tables beside it:
``demand.csv.gz`` (slot,cell,service,tasks; only rows with tasks, sorted), ``cells.csv`` and ``services.csv``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.traces_table import (
    POSITION,
    PROFILE,
    Entities,
    TraceError,
    integer_of,
    open_table,
    read_bytes,
    read_entities,
    read_toml,
)

__all__ = ["CELLS", "DEMAND", "FORMAT", "MANIFEST", "SERVICES", "Demand", "TraceError", "load_demand"]

FORMAT = "edgerig-demand-1"
MANIFEST = "manifest.toml"
DEMAND = "demand.csv.gz"
CELLS = "cells.csv"
SERVICES = "services.csv"
COLUMNS = ("slot", "cell", "service", "tasks")
MOST_ENTRIES = 50_000_000  # of (slot, cell, service): 200 MB here, 400 MB while importing


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """Tasks asked for in every slot, cell and service.

    Attributes:
        tasks: Whole tasks, shape (slot, cell, service), read-only.
        slot_s: Length of a slot, seconds.
        cells: Names of the cells.
        services: Names of the services.
        positions: "row" and "col" in a grid (row 0 in the north) and "lat" and "lon" in WGS84 degrees, as far as
            known, each of shape (cell,), NaN where unknown.
        profile: "size_bytes", "task_bytes" and "task_cycles", as far as given, each of shape (service,), NaN where
            the scenario's own figure is to be taken.
        manifest: What ``manifest.toml`` says.
        digest: SHA-256 of ``manifest.toml``; it covers the tables through their hashes.
    """

    tasks: NDArray[np.uint32]
    slot_s: float
    cells: tuple[str, ...]
    services: tuple[str, ...]
    positions: dict[str, NDArray[np.float64]]
    profile: dict[str, NDArray[np.float64]]
    manifest: dict[str, Any]
    digest: str

    @property
    def slots(self) -> int:
        """Slots from the first to the last; ``counts`` knows no others."""
        return int(self.tasks.shape[0])

    def counts(self, slot: int, cell: int) -> NDArray[np.float64]:
        """Tasks for every service that a cell asks for in a slot, shape (service,).

        Raises:
            IndexError: The slot or the cell is not in the demand (a negative index is none either).
        """
        if not (0 <= slot < self.slots and 0 <= cell < len(self.cells)):
            raise IndexError(f"slot {slot}, cell {cell}: there are {self.slots} slots and {len(self.cells)} cells")
        return self.tasks[slot, cell].astype(np.float64)


def load_demand(path: Path | str) -> Demand:
    """Read a canonical demand folder and check it against its hashes.

    Args:
        path: The folder, or the ``manifest.toml`` in it.

    Raises:
        TraceError: Not such a folder, a file was changed, or its content is wrong.
    """
    folder = Path(path).parent if Path(path).name == MANIFEST else Path(path)
    if not folder.is_dir():
        raise TraceError("no such folder; `edgerig import` makes one", folder)
    raw = folder / MANIFEST
    if not raw.exists():
        raise TraceError(f"no {MANIFEST} in it; `edgerig import TRACE... -o DIR` makes a folder with one", folder)
    manifest = read_toml(raw)
    slots, slot_s = _checked_manifest(manifest, raw)
    for name in (DEMAND, CELLS, SERVICES):
        _check_hash(folder / name, manifest, raw)
    cells = read_entities(folder / CELLS, "cell", POSITION)
    services = read_entities(folder / SERVICES, "service", PROFILE)
    tasks = _read_tasks(folder / DEMAND, slots, cells, services)
    tasks.flags.writeable = False
    digest = hashlib.sha256(read_bytes(raw)).hexdigest()
    return Demand(tasks, slot_s, cells.names, services.names, cells.figures, services.figures, manifest, digest)


def _checked_manifest(manifest: dict[str, Any], path: Path) -> tuple[int, float]:
    if manifest.get("format") != FORMAT:
        found = manifest.get("format", "nothing")
        raise TraceError(f"format: expected {FORMAT!r}, found {found!r}; import the trace again", path)
    slots, slot_s, files = manifest.get("slots"), manifest.get("slot_s"), manifest.get("files")
    if not isinstance(slots, int) or isinstance(slots, bool) or slots < 1:
        raise TraceError(f"slots: a whole number of at least 1 is needed, found {slots!r}", path)
    if not isinstance(slot_s, int | float) or isinstance(slot_s, bool) or not 0 < slot_s < float("inf"):
        raise TraceError(f"slot_s: a positive number of seconds is needed, found {slot_s!r}", path)
    if not isinstance(files, dict):
        raise TraceError("files: a table of SHA-256 by file is needed", path)
    return slots, float(slot_s)


def _check_hash(path: Path, manifest: dict[str, Any], raw: Path) -> None:
    said = manifest["files"].get(path.name)
    if said is None:
        raise TraceError(f"files: no SHA-256 of {path.name}", raw)
    if hashlib.sha256(read_bytes(path)).hexdigest() != said:
        raise TraceError(f"changed since the import (its SHA-256 is not the one in {MANIFEST}); import it again", path)


def _read_tasks(path: Path, slots: int, cells: Entities, services: Entities) -> NDArray[np.uint32]:
    shape = (slots, len(cells.names), len(services.names))
    check_size(shape, path)
    tasks = np.zeros(shape, dtype=np.uint32)
    cell_index = {name: index for index, name in enumerate(cells.names)}
    service_index = {name: index for index, name in enumerate(services.names)}
    with open_table(path) as table:
        if table.header != COLUMNS:
            raise TraceError(f"columns {','.join(COLUMNS)} are needed, found {','.join(table.header[:8])}", path, 1)
        for line, (slot_text, cell, service, count) in table.rows:
            slot = integer_of(slot_text, "slot", path, line)
            number = integer_of(count, "tasks", path, line)
            if slot >= slots:
                raise TraceError(f"slot {slot}, but the manifest has {slots} slots", path, line)
            if cell not in cell_index or service not in service_index:
                name = cell if cell not in cell_index else service
                raise TraceError(f"{name!r} is not in {CELLS} or {SERVICES}", path, line)
            place = (slot, cell_index[cell], service_index[service])
            if tasks[place] or not 0 < number < 2**32:
                fault = "given twice" if tasks[place] else f"{number} tasks: 1 to {2**32 - 1} are possible"
                raise TraceError(f"slot {slot}, cell {cell}, service {service}: {fault}", path, line)
            tasks[place] = number
    return tasks


def check_size(shape: tuple[int, int, int], path: Path | str | None = None) -> None:
    """Refuse demand that memory would not hold.

    Args:
        shape: (slots, cells, services).
        path: What the error names.

    Raises:
        TraceError: Too many entries.
    """
    slots, cells, services = shape
    if slots * cells * services > MOST_ENTRIES:
        text = f"{slots} slots x {cells} cells x {services} services are more than {MOST_ENTRIES:,} entries; "
        raise TraceError(text + "take fewer with --top J, --slots A:B or a longer --slot", path)
