"""Writing canonical demand: the same bytes for the same input, and all of it or nothing."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from numpy.typing import NDArray

from emulator.traces import CELLS, COLUMNS, DEMAND, MANIFEST, SERVICES
from emulator.traces_table import Entities, TraceError


def refuse_existing(out: Path) -> None:
    """Refuse a folder that is there.

    Raises:
        TraceError: It exists.
    """
    if os.path.lexists(out):
        raise TraceError("exists; name another folder with -o or remove it", out)


def write_demand(
    out: Path, manifest: dict[str, Any], tasks: NDArray[np.uint32], cells: Entities, services: Entities
) -> None:
    """Write a canonical demand folder; whatever goes wrong, no part of it stays behind.

    Args:
        out: The folder, which must not exist; folders above it are made.
        manifest: What ``manifest.toml`` says; the hashes of the tables are added.
        tasks: Whole tasks, shape (slot, cell, service).
        cells: Names and positions.
        services: Names and profile.

    Raises:
        TraceError: It exists or cannot be written.
    """
    totals = tasks.sum(axis=(0, 1), dtype=np.int64).tolist()
    with _complete_or_absent(out) as partial:
        files = {
            DEMAND: gzip.compress(_demand_csv(tasks, cells.names, services.names), 9, mtime=0),
            CELLS: _csv(["cell", *cells.figures], _rows(cells)),
            SERVICES: _csv(
                ["service", "total", *services.figures],
                ([row[0], total, *row[1:]] for row, total in zip(_rows(services), totals, strict=True)),
            ),
        }
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        files[MANIFEST] = tomli_w.dumps({**manifest, "files": hashes}, multiline_strings=True).encode()
        for name, content in files.items():
            (partial / name).write_bytes(content)


@contextlib.contextmanager
def _complete_or_absent(out: Path) -> Iterator[Path]:
    """A folder to fill that becomes ``out`` at the end and is gone when anything, Ctrl-C too, comes in between."""
    refuse_existing(out)
    made: list[Path] = []
    partial = out.parent / f".{out.name}.{os.getpid()}.partial"
    try:
        for folder in reversed([folder for folder in out.parents if not folder.exists()]):
            folder.mkdir()
            made.append(folder)
        partial.mkdir()
        yield partial
        refuse_existing(out)  # rename would silently take an empty folder's place
        partial.rename(out)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise TraceError(f"cannot be written: {error.strerror or error}", out) from error
        raise


def _demand_csv(tasks: NDArray[np.uint32], cells: Sequence[str], services: Sequence[str]) -> bytes:
    slot, cell, service = np.nonzero(tasks)
    counts = tasks[slot, cell, service].tolist()
    lines = [",".join(COLUMNS)]
    lines += [
        f"{t},{cells[m]},{services[j]},{count}"
        for t, m, j, count in zip(slot.tolist(), cell.tolist(), service.tolist(), counts, strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


def _rows(entities: Entities) -> Iterator[list[str]]:
    columns = [values.tolist() for values in entities.figures.values()]
    for index, name in enumerate(entities.names):
        yield [name, *(_figure(column[index]) for column in columns)]


def _figure(value: float) -> str:
    if np.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() else repr(value)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
