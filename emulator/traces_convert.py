"""From traces to tasks per slot, cell and service: binning, combining, folding, scaling, rounding.

Mass is what a trace counts, in its own unit. ``mass_in x scale = mass_out + mass_dropped`` holds for real numbers; the
whole tasks drawn from ``mass_out`` are counted beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from emulator.traces import check_size
from emulator.traces_kind import ROW_S
from emulator.traces_merge import merge
from emulator.traces_read import Floats, Ints, Trace
from emulator.traces_table import TraceError

DAY_S = 86_400.0
ALL = "all"  # the one cell or service of a trace that has no such axis
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose.

    Attributes:
        slot_s: Length of a slot of the result, seconds; None takes the traces' own.
        row_s: Length of a row of traces whose time column is ``slot``, seconds; None takes ``slot_s``.
        scale: Tasks for a unit of mass.
        rounding: How mass becomes whole tasks.
        seed: Of the Poisson draws.
        top: How many services to keep, the most asked for; None keeps all.
        rest: What becomes of the others.
        max_distance_m: An event farther than this from every site is dropped, metres.
        start_s: Time in the trace of the first slot, seconds; None is 0.
        end_s: Time in the trace where the last slot ends, seconds; None is the trace's end.
        slots: First slot and the one after the last, instead of ``start_s`` and ``end_s``.
    """

    slot_s: float | None = None
    row_s: float | None = None
    scale: float = 1.0
    rounding: Literal["nearest", "poisson"] = "nearest"
    seed: int = 0
    top: int | None = None
    rest: Literal["other", "drop"] = "other"
    max_distance_m: float = math.inf
    start_s: float | None = None
    end_s: float | None = None
    slots: tuple[int, int | None] | None = None


@dataclass(slots=True, eq=False)
class Account:
    """Where mass went, in units of the trace, and what the user must be told.

    Attributes:
        mass_in: All there was.
        dropped: Reason -> mass.
        notes: One sentence each.
    """

    mass_in: float = 0.0
    dropped: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, mass: float) -> None:
        """Count mass that does not come out; none leaves no trace in the account."""
        if mass > 0.0:
            self.dropped[reason] = self.dropped.get(reason, 0.0) + mass


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Expected tasks.

    Attributes:
        mass: Expected tasks, scaled, shape (slot, cell, service).
        slot_s: Length of a slot, seconds.
        first_slot: Slot of the trace that became slot 0.
        cells: Names.
        services: Names.
        account: Of the unscaled mass.
    """

    mass: Floats
    slot_s: float
    first_slot: int
    cells: tuple[str, ...]
    services: tuple[str, ...]
    account: Account


@dataclass(frozen=True, slots=True, eq=False)
class _Binned:
    """A trace on the slots of the result; entries beyond ``slots`` are of a last slot that is not complete."""

    trace: Trace
    slot: Ints
    slots: int

    def grid(self, axis: Ints | None, size: int) -> Floats:
        """Mass of the complete slots by slot and one axis, shape (slot, size)."""
        inside = self.slot < self.slots
        if axis is not None:
            inside &= axis >= 0
        place = self.slot[inside] * size + (0 if axis is None else axis[inside])
        return _sums(place, self.trace.mass[inside], self.slots * size).reshape(self.slots, size)


def choose_slot_s(traces: Sequence[Trace], options: Options) -> float:
    """Length of a slot of the result, seconds.

    Raises:
        TraceError: Nothing says how long a slot is.
    """
    if options.slot_s is not None:
        return options.slot_s
    lengths = [length for trace in traces if (length := row_length(trace, options, None)) is not None]
    if not lengths:
        raise TraceError("how long is a slot? Say --slot 10min", traces[0].path)
    return max(lengths)


def row_length(trace: Trace, options: Options, slot_s: float | None) -> float | None:
    """Length of one row of counts, seconds; None for events and where nothing says it.

    Args:
        trace: The trace.
        options: Its ``row_s`` is for traces that only count slots.
        slot_s: What to take when nothing says it.
    """
    if trace.kind == "events":
        return None
    named = ROW_S[trace.time]
    return named if named is not None else options.row_s if options.row_s is not None else slot_s


def _bin(trace: Trace, slot_s: float, options: Options) -> _Binned:
    row_s = row_length(trace, options, slot_s)
    if row_s is None:
        slot = np.floor(trace.at / slot_s).astype(np.int64)
        return _Binned(trace, slot, int(slot.max()) + 1)
    ratio = round(slot_s / row_s)
    if ratio < 1 or abs(ratio * row_s - slot_s) > 1e-9 * slot_s:
        text = f"a slot of {slot_s:g} s is not a whole multiple of the trace's rows of {row_s:g} s; change --slot"
        raise TraceError(text, trace.path)
    if trace.is_wide:
        _refuse_holes(trace)
    rows = int(trace.rows_at.max()) + 1
    slots = rows // ratio if trace.is_wide else -(-rows // ratio)
    if slots == 0:
        raise TraceError(f"{rows} rows of {row_s:g} s do not fill one slot of {slot_s:g} s; shorten --slot", trace.path)
    return _Binned(trace, trace.at.astype(np.int64) // ratio, slots)


def _refuse_holes(trace: Trace) -> None:
    order = np.argsort(trace.rows_at, kind="stable")
    steps = np.diff(trace.rows_at[order])
    if (steps > 1.0).any():
        after = int(order[int(np.argmax(steps > 1.0)) + 1])
        missing = int(trace.rows_at[after]) - 1
        text = f"no row for {trace.time} {missing}, just before; a slot without demand needs a row of zeros"
        raise TraceError(text, trace.path, int(trace.rows_line[after]) or None)


def _window(binned: _Binned, length: int, slot_s: float, options: Options) -> tuple[int, int]:
    """First slot of the result and the one after the last, in slots of the trace."""
    trace = binned.trace
    low, high = 0, length
    if options.slots is not None:
        low, high = options.slots[0], length if options.slots[1] is None else options.slots[1]
    else:
        low = 0 if options.start_s is None else _whole(options.start_s, slot_s, "--from")
        high = length if options.end_s is None else _whole(options.end_s, slot_s, "--to")
    if high > length or low >= high:
        text = f"slots {low}:{high} are not in the trace, which has {length} slots of {slot_s:g} s (0:{length})"
        raise TraceError(text, trace.path)
    given = options.slots is not None or options.start_s is not None
    first = int(binned.slot.min()) if binned.slot.size else 0
    if not given and not trace.is_wide and first > length - first:  # more silence than trace: no count from 0
        text = f"its first entry is in slot {first}, {first * slot_s:.0f} s; say --slots {first}: to begin there"
        raise TraceError(text, trace.path)
    if not given and trace.is_wide and trace.rows_at.min() > 0:
        text = f"its first row is {trace.time} {trace.rows_at.min():.0f}, not 0; say where to begin with --slots A:"
        raise TraceError(text, trace.path)
    return low, high


def _whole(time_s: float, slot_s: float, what: str) -> int:
    slots = round(time_s / slot_s)
    if abs(slots * slot_s - time_s) > 1e-9 * max(time_s, slot_s):
        raise TraceError(f"{what}: {time_s:g} s is not a whole number of slots of {slot_s:g} s")
    return slots


def expected_tasks(traces: Sequence[Trace], options: Options) -> Expected:
    """Expected tasks from one trace, from several of one kind, or from a cell trace and a service trace.

    With a cell trace a and a service trace f: mass(slot, cell, service) = a(slot, cell) f(slot, service) / sum f(slot).

    Raises:
        TraceError: The traces do not go together, or do not fit the slots.
    """
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        groups.setdefault(trace.axes, []).append(trace)
    merged = {axes: merge(group) for axes, group in groups.items()}
    slot_s = choose_slot_s(list(merged.values()), options)
    account = Account()
    for trace in merged.values():
        if trace.time == "slot" and options.row_s is None and options.slot_s is not None:
            account.notes.append(f"{trace.name}: its time column is 'slot'; a row is taken as {slot_s:g} s (--slot)")
    if len(merged) == 1:
        return _direct(_bin(next(iter(merged.values())), slot_s, options), slot_s, options, account)
    if set(merged) == {"cell", "service"}:
        cell, service = _bin(merged["cell"], slot_s, options), _bin(merged["service"], slot_s, options)
        return _product(cell, service, slot_s, options, account)
    found = ", ".join(f"{trace.name} ({axes.replace('+', ' and ') or 'time only'})" for axes, trace in merged.items())
    text = f"these traces do not go together: {found}; a trace by cell and one by service do, or several of one kind"
    raise TraceError(text)


def _direct(binned: _Binned, slot_s: float, options: Options, account: Account) -> Expected:
    trace, slot, mass = binned.trace, binned.slot, binned.trace.mass
    cells, services = trace.cells or (ALL,), trace.services or (ALL,)
    cell = np.zeros(slot.size, dtype=np.int64) if trace.cell is None else trace.cell
    service = np.zeros(slot.size, dtype=np.int64) if trace.service is None else trace.service
    low, high = _window(binned, binned.slots, slot_s, options)
    account.mass_in = float(np.sum(mass))
    far, late = cell < 0, slot >= binned.slots
    outside = (slot < low) | (slot >= high)
    account.drop("too_far", float(np.sum(mass[far])))
    account.drop("incomplete_slot", float(np.sum(mass[~far & late])))
    account.drop("outside_window", float(np.sum(mass[~far & ~late & outside])))
    inside = ~far & ~late & ~outside
    slot, cell, service, mass = slot[inside] - low, cell[inside], service[inside], mass[inside]
    names, place = _fold(services, _sums(service, mass, len(services)), options)
    account.drop("rest", float(np.sum(mass[place[service] < 0])))
    kept = place[service] >= 0
    shape = (high - low, len(cells), len(names))
    check_size(shape, trace.path)
    flat = (slot[kept] * shape[1] + cell[kept]) * shape[2] + place[service[kept]]
    grid = _sums(flat, mass[kept], math.prod(shape)).reshape(shape)
    return Expected(grid * options.scale, slot_s, low, cells, names, account)


def _product(cell: _Binned, service: _Binned, slot_s: float, options: Options, account: Account) -> Expected:
    length = max(cell.slots, service.slots)
    low, high = _window(cell if cell.slots >= service.slots else service, length, slot_s, options)
    cells, services = cell.trace.cells, service.trace.services
    for part, names in ((cell, cells), (service, services)):
        check_size((part.slots, len(names), 1), part.trace.path)
    activity, shares = cell.grid(cell.trace.cell, len(cells)), _shares(service, slot_s, account)
    _account_product(cell, activity.sum(axis=1), (low, high, length), account)
    for part in (cell, service):
        if part.slots < high:
            account.notes.append(f"{part.trace.name}: {_span(part.slots, slot_s)} tiled over {_span(high, slot_s)}")
    slots = np.arange(low, high)
    activity, shares = activity[slots % cell.slots], shares[slots % service.slots]
    asked = activity.sum(axis=1)[:, None] * shares
    names, place = _fold(services, asked.sum(axis=0), options)
    account.drop("rest", float(np.sum(asked[:, place < 0])))
    check_size((high - low, len(cells), len(names)), cell.trace.path)
    folded = np.stack([shares[:, place == index].sum(axis=1) for index in range(len(names))], axis=1)
    mass = activity[:, :, None] * folded[:, None, :] * options.scale
    return Expected(mass, slot_s, low, cells, names, account)


def _account_product(cell: _Binned, by_slot: Floats, window: tuple[int, int, int], account: Account) -> None:
    """Account for the cell trace: it alone has mass, the service trace only splits it."""
    low, high, length = window
    trace, span = cell.trace, cell.slots if high <= cell.slots else length
    far = np.zeros(trace.at.size, dtype=bool) if trace.cell is None else trace.cell < 0
    account.drop("too_far", float(np.sum(trace.mass[far])))
    account.drop("incomplete_slot", float(np.sum(trace.mass[~far & (cell.slot >= cell.slots)])))
    slots = np.arange(span)
    tiled = by_slot[slots % cell.slots]
    account.mass_in = sum(account.dropped.values()) + float(np.sum(tiled))
    account.drop("outside_window", float(np.sum(tiled[(slots < low) | (slots >= high)])))


def _shares(service: _Binned, slot_s: float, account: Account) -> Floats:
    """Share of every service in every slot; an empty slot takes its day's shares, an empty day the whole trace's."""
    counts = service.grid(service.trace.service, len(service.trace.services))
    whole = counts.sum(axis=0)
    if not whole.any():
        raise TraceError("all counts are 0, so it has no shares", service.trace.path)
    empty = np.flatnonzero(counts.sum(axis=1) == 0.0)
    day = np.floor(np.arange(service.slots) * slot_s / DAY_S).astype(np.int64)
    for index in empty.tolist():
        of_day = counts[day == day[index]].sum(axis=0)
        counts[index] = of_day if of_day.any() else whole
    if empty.size:
        text = (
            f"{service.trace.name}: nothing asked for in {empty.size} of {service.slots} slots; its day's shares taken"
        )
        account.notes.append(text)
    return counts / counts.sum(axis=1, keepdims=True)


def _fold(services: tuple[str, ...], totals: Floats, options: Options) -> tuple[tuple[str, ...], Ints]:
    """Names of the services that are kept, and for every service its place among them, -1 when dropped."""
    if options.top is None:
        return services, np.arange(len(services))
    kept = np.argsort(-totals, kind="stable")[: options.top]
    names = tuple(services[i] for i in kept)
    folds = options.rest == "other" and len(services) > len(names)
    if folds and OTHER in names:
        raise TraceError(f"a service is already named {OTHER!r}; say --rest drop or rename it")
    place = np.full(len(services), len(names) if folds else -1, dtype=np.int64)
    place[kept] = np.arange(len(names))
    return (*names, OTHER) if folds else names, place


def _sums(place: Ints, mass: Floats, size: int) -> Floats:
    return np.bincount(place, mass, size).astype(np.float64)


def _span(slots: int, slot_s: float) -> str:
    for unit, length in (("day", DAY_S), ("hour", 3600.0), ("minute", 60.0)):
        count = slots * slot_s / length
        if count >= 1.0 and count == int(count):
            return f"{count:.0f} {unit}{'' if count == 1.0 else 's'}"
    return f"{slots * slot_s:g} s"
