"""Several traces with the same axes as one, so that a week may come as seven files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from emulator.traces_read import Ints, Trace, natural_key
from emulator.traces_table import TraceError


def merge(traces: Sequence[Trace]) -> Trace:
    """Several traces with the same axes as one; counts must not give anything twice, events are put together.

    Raises:
        TraceError: Different time columns, or a count given twice.
    """
    first = traces[0]
    if len(traces) == 1:
        return first
    for trace in traces[1:]:
        if trace.time != first.time or trace.is_wide != first.is_wide:
            text = (
                f"{trace.kind} by {trace.time} cannot be joined with {first.kind} by {first.time} of {first.path.name}"
            )
            raise TraceError(text, trace.path, 1)
    cells = _union([trace.cells for trace in traces])
    services = _union([trace.services for trace in traces])
    _refuse_overlap(traces)
    rows_at = np.unique(np.concatenate([trace.rows_at for trace in traces]))
    return replace(
        first,
        name="+".join(dict.fromkeys(trace.name for trace in traces)),
        at=np.concatenate([trace.at for trace in traces]),
        mass=np.concatenate([trace.mass for trace in traces]),
        cell=_joined([(trace.cell, trace.cells) for trace in traces], cells),
        service=_joined([(trace.service, trace.services) for trace in traces], services),
        cells=cells,
        services=services,
        lat=None,
        lon=None,
        line=np.concatenate([trace.line for trace in traces]),
        rows_at=rows_at,
        rows_line=np.zeros(rows_at.size, dtype=np.int64),  # a row of several files has no one line
    )


def _refuse_overlap(traces: Sequence[Trace]) -> None:
    seen: dict[tuple[float, str, str], Trace] = {}
    for trace in traces:
        if trace.kind == "events":
            continue
        for key, line in _row_keys(trace):
            if key in seen:
                name = ", ".join(text for text in (f"{trace.time} {key[0]:.0f}", *key[1:]) if text)
                raise TraceError(f"{name} is also given in {seen[key].path.name}", trace.path, line)
        seen.update((key, trace) for key, _ in _row_keys(trace))


def _row_keys(trace: Trace) -> Iterator[tuple[tuple[float, str, str], int]]:
    """(time, cell, service) that a trace says something of, and in which line."""
    if trace.is_wide:
        names = [(name, "") for name in trace.cells] or [("", name) for name in trace.services]
        for at, line in zip(trace.rows_at.tolist(), trace.rows_line.tolist(), strict=True):
            yield from (((at, *name), line) for name in names)
        return
    for i in range(trace.at.size):
        cell = "" if trace.cell is None else trace.cells[trace.cell[i]]
        service = "" if trace.service is None else trace.services[trace.service[i]]
        yield (float(trace.at[i]), cell, service), int(trace.line[i])


def _union(names: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    if all(part == names[0] for part in names):
        return names[0]
    return tuple(sorted(set().union(*names), key=natural_key))


def _joined(parts: Sequence[tuple[Ints | None, tuple[str, ...]]], names: tuple[str, ...]) -> Ints | None:
    place = {name: index for index, name in enumerate(names)}
    taken = [
        np.array([*(place[name] for name in own), -1], dtype=np.int64)[entries]
        for entries, own in parts
        if entries is not None
    ]
    return np.concatenate(taken) if taken else None
