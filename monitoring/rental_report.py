"""Compares runs of the rental world by what their folders hold: reward, rent, delay, and slot by slot where it can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from monitoring import runs
from monitoring.report import DECIDERS, DESCRIPTIVE, differences, half_width, labels
from monitoring.runs import ReportError, Run
from monitoring.table import NOTHING, laid_out, number

RENTAL: Final = "rental"


@dataclass(frozen=True)
class Difference:
    """Mean difference in reward to the first run, over slots, and half its 95 % interval (None without SciPy)."""

    mean: float
    half_width: float | None


@dataclass(frozen=True)
class RentalRow:
    """One run; None where its folder does not say.

    Attributes:
        reward, units, cost: Of a slot, on average.
        delay_s: Of a task at the edge.
        cloud_share: Of the tasks.
        wire_bytes: A slot's messages on the wire; None for a run without a bus.
        difference: To the first run; None for the first, and where ``unpaired`` says why.
    """

    run: Run
    label: str
    slots: int
    reward: float | None
    units: float | None
    cost: float | None
    delay_s: float | None
    cloud_share: float | None
    wire_bytes: float | None
    decision_p50_s: float | None
    difference: Difference | None = None
    unpaired: str = ""


@dataclass(frozen=True)
class RentalComparison:
    """Runs beside each other, the first being what the others are compared with; notes are sentences."""

    rows: tuple[RentalRow, ...]
    notes: tuple[str, ...]


def fits(folders: Sequence[Path]) -> bool:
    """Whether all runs are of the rental world.

    Raises: ReportError: some are and some are not.
    """
    of_it = [folder for folder in folders if runs.read(folder).setting("world") == RENTAL]
    if of_it and len(of_it) < len(folders):
        raise ReportError(f"{of_it[0]}: is of the rental world, others are not; compare runs of one world")
    return bool(of_it)


def compare(folders: Sequence[Path]) -> RentalComparison:
    """Compare runs of the rental world.

    Raises: ReportError: one is not a run folder.
    """
    found = [runs.read(Path(folder)) for folder in folders]
    rows = tuple(_row(run, label, found[0]) for run, label in zip(found, labels(found), strict=True))
    return RentalComparison(rows, tuple(_notes(rows)))


def _row(run: Run, label: str, first: Run) -> RentalRow:
    why = "" if run is first else unpaired(run, first)
    slots = len(run.slots.get("slot", ()))
    tasks = {name: run.slots[name].sum() if name in run.slots else 0.0 for name in ("tasks", "cloud")}
    asked = tasks["tasks"] + tasks["cloud"]
    difference = None
    if run is not first and not why:
        gained = run.slots["reward"] - first.slots["reward"]
        difference = Difference(float(gained.mean()), half_width(gained))
    return RentalRow(
        run,
        label,
        slots,
        _mean_of(run, "reward"),
        _mean_of(run, "units"),
        _mean_of(run, "cost"),
        float((run.slots["delay_s"] * run.slots["tasks"]).sum() / tasks["tasks"]) if tasks["tasks"] else None,
        float(tasks["cloud"] / asked) if asked else None,
        run.wire_bytes / slots if run.wire_bytes is not None and slots else None,
        run.figure("decision_s.p50"),
        difference,
        why,
    )


def _mean_of(run: Run, column: str) -> float | None:
    values = run.slots.get(column)
    return float(values.mean()) if values is not None and len(values) else None


def unpaired(run: Run, first: Run) -> str:
    """Why two runs cannot be compared slot by slot; empty if they can: then users, channels and prices are the same."""
    if not len(run.slots.get("slot", ())) or not len(first.slots.get("slot", ())):
        return "no slots to pair"
    for key, mine, its in differences(run.scenario, first.scenario):
        if key not in DECIDERS and not key.startswith(("agent.", "processes.", "deadlines.", "restart.")):
            return f"{key} is {mine}, not {its}" if not isinstance(mine, list) else f"{key} differs"
    if not np.array_equal(run.slots["slot"], first.slots["slot"]):
        return f"{len(run.slots['slot'])} slots, not {len(first.slots['slot'])}"
    return ""


def _notes(rows: Sequence[RentalRow]) -> Iterator[str]:
    for row in rows:
        trouble = [each for each in row.run.trouble if not each.startswith("frames.csv")]
        if trouble:
            yield f"{row.run.folder}: {', '.join(trouble)}."
        if row.unpaired:
            yield f"{row.label}: not compared slot by slot ({row.unpaired})."
    if any(row.difference for row in rows):
        yield DESCRIPTIVE


def table(comparison: RentalComparison, width: int = 80) -> str:
    """The comparison as text, a column for each run."""
    rows = comparison.rows
    lines: list[tuple[str, list[str]]] = [
        ("slots", [f"{row.slots:,}" for row in rows]),
        ("reward a slot", [number(row.reward) for row in rows]),
        ("units a slot", [number(row.units) for row in rows]),
        ("rent a slot", [number(row.cost) for row in rows]),
        ("delay, edge [s]", [number(row.delay_s) for row in rows]),
        ("tasks cloud [%]", [number(row.cloud_share, 100.0) for row in rows]),
        ("wire [kB/slot]", [number(row.wire_bytes, 1e-3) for row in rows]),
        ("decision, p50 [ms]", [number(row.decision_p50_s, 1e3) for row in rows]),
    ]
    if len(rows) > 1:
        lines.append(("slot minus A", ["", *map(_mean, rows[1:])]))
        lines.append(("  95 % interval", ["", *map(_interval, rows[1:])]))
    titles = [f"{row.label}  {row.run.folder}" for row in rows]
    return laid_out(titles, [name for name, _ in lines], [cells for _, cells in lines], comparison.notes, width)


def _mean(row: RentalRow) -> str:
    return f"{row.difference.mean:+.3f}" if row.difference else "not paired"


def _interval(row: RentalRow) -> str:
    width = row.difference.half_width if row.difference else None
    return NOTHING if width is None else f"±{width:.3f}"


def plot(comparison: RentalComparison, png: Path) -> None:
    """Draw what was earned and rented, slot by slot.

    Raises: ReportError: Matplotlib is missing, no run has anything to draw, or the file cannot be written.
    """
    try:
        from monitoring.rental_figure import draw
    except ModuleNotFoundError as error:
        raise ReportError("a plot needs Matplotlib, which the extra 'report' installs") from error
    draw(comparison, png)
