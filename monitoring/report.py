"""Compares runs by what their folders hold: a table, a plot, and slot by slot where they saw the same demand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from monitoring import runs
from monitoring.runs import Document, Floats, ReportError, Run

__all__ = ["Comparison", "Paired", "ReportError", "Row", "compare", "plot", "table"]

TARGETS: Final = ("local", "peer", "cloud", "dropped")
CONFIDENCE: Final = 0.95
DESCRIPTIVE: Final = (
    "Slots of one run depend on each other, so they are no replicates: the 95 % interval describes these runs. "
    "For a claim, compare several seeds."
)
DECIDERS: Final = ("agent.policy", "scheduler.kind", "scheduler.at", "scheduler.backend", "name", "description")
"""What a comparison is about, or does not matter to it; anything else that differs is said."""


@dataclass(frozen=True)
class Paired:
    """Mean difference to the first run over slots that both served tasks in, seconds per task.

    Attributes:
        half_width_s: Of the 95 % interval; None without SciPy or with one slot.
    """

    slots: int
    mean_s: float
    half_width_s: float | None


@dataclass(frozen=True)
class Row:
    """One run; None where its folder does not say.

    Attributes:
        delay_s, p50_s, p95_s, all_cloud_s: Seconds per task.
        reward_s: Mean reward of a frame, seconds.
        tasks_share: How tasks ended, by target; empty without tasks.
        wire_bytes: A slot's messages on the wire; None for a run without a bus.
        phase_bytes: The same by phase of the algorithms, without what tools looked at.
        paired: The difference to the first run; None for the first run and where ``unpaired`` says why.
    """

    run: Run
    label: str
    slots: int
    delay_s: float | None
    p50_s: float | None
    p95_s: float | None
    all_cloud_s: float | None
    reward_s: float | None
    tasks_share: dict[str, float]
    wire_bytes: float | None
    decision_p50_s: float | None
    paired: Paired | None = None
    unpaired: str = ""
    phase_bytes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other, the first being what the others are compared with; notes are sentences."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def compare(folders: Sequence[Path]) -> Comparison:
    """Compare runs.

    Raises: ReportError: no folder is given, or one is not a run folder.
    """
    if not folders:
        raise ReportError("no run to report on; give a run folder")
    found = [runs.read(Path(folder)) for folder in folders]
    rows = tuple(_row(run, label, found[0]) for run, label in zip(found, labels(found), strict=True))
    return Comparison(rows, tuple(_notes(rows)))


def labels(found: Sequence[Run]) -> list[str]:
    """Labels of runs, with the folder's name where two would be alike."""
    count = Counter(run.label for run in found)
    return [run.label if count[run.label] == 1 else f"{run.label} ({run.folder.name})" for run in found]


def _row(run: Run, label: str, first: Run) -> Row:
    slots = len(run.slots.get("slot", ())) or int(run.figure("slots") or 0)
    why = "" if run is first else unpaired(run, first)
    wire = run.wire_bytes
    return Row(
        run,
        label,
        slots,
        _either(run.figure("delay_s.mean"), _per_task(run, "delay_s")),
        run.figure("delay_s.p50") or None,
        run.figure("delay_s.p95") or None,
        _either(run.figure("all_cloud_delay_s"), _per_task(run, "all_cloud_delay_s")),
        _either(run.figure("reward.mean"), _mean(run.frames.get("reward_s"))),
        _shares(run),
        wire / slots if wire is not None and slots else None,
        _decision_s(run),
        None if run is first or why else _paired(run, first),
        why,
        _phase_bytes(run, slots),
    )


def _phase_bytes(run: Run, slots: int) -> dict[str, float]:
    """Bytes of a slot by phase; empty for a run without a bus."""
    sizes = run.summary.get("bytes")
    phases = sizes.get("by_phase") if isinstance(sizes, dict) else None
    if not slots or not isinstance(phases, dict):
        return {}
    return {str(phase): float(size) / slots for phase, size in phases.items() if size}


def _either(said: float | None, counted: float | None) -> float | None:
    return counted if said is None else said


def _mean(values: Floats | None) -> float | None:
    return float(values.mean()) if values is not None and len(values) else None


def _per_task(run: Run, column: str) -> float | None:
    done = run.completed
    return float(np.average(run.slots[column], weights=done)) if column in run.slots and done.sum() > 0 else None


def _shares(run: Run) -> dict[str, float]:
    """How tasks ended; of the tables where the summary does not say."""
    counts = {target: run.figure(f"tasks.{target}") for target in TARGETS}
    if None in counts.values():
        counts = {target: float(run.slots.get(target, np.zeros(0)).sum()) for target in TARGETS}
    total = sum(count or 0.0 for count in counts.values())
    return {target: (count or 0.0) / total for target, count in counts.items()} if total > 0.0 else {}


def _decision_s(run: Run) -> float | None:
    """Median time of a decision; where there is no summary, of each frame's slowest."""
    said = run.figure("decision_s.p50")
    if said is None:
        slowest = run.timing.get("decision_s", np.zeros(0))
        said = float(np.median(slowest[slowest > 0.0])) if (slowest > 0.0).any() else None
    return said or None


# -- slot by slot ------------------------------------------------------------------------------------------------------


def unpaired(run: Run, first: Run) -> str:
    """Why two runs cannot be compared slot by slot; empty if they can."""
    if not len(run.completed) or not len(first.completed):
        return "no slots to pair"
    for key in ("seed", "world_seed"):
        if run.setting(key) != first.setting(key):
            return f"{key} is {run.setting(key)}, not {first.setting(key)}"
    differing = [key for key, *_ in differences(run.scenario, first.scenario) if key.startswith("demand.")]
    if differing:
        return f"{differing[0]} differs"
    if not np.array_equal(run.slots["slot"], first.slots["slot"]):
        return f"{len(run.completed)} slots, not {len(first.completed)}"
    if not np.array_equal(run.slots["tasks"], first.slots["tasks"]):
        return "other tasks arrived"
    return ""


def _paired(run: Run, first: Run) -> Paired | None:
    both = (run.completed > 0.0) & (first.completed > 0.0)
    difference = run.slots["delay_s"][both] - first.slots["delay_s"][both]
    if not len(difference):
        return None
    return Paired(len(difference), float(difference.mean()), half_width(difference))


def half_width(values: Floats) -> float | None:
    """Half the 95 % interval of a mean; None without SciPy or with one value."""
    if len(values) < 2:
        return None
    try:
        from scipy.special import stdtrit  # Student's quantile, without the seconds that scipy.stats takes to import
    except ModuleNotFoundError:
        return None
    return float(stdtrit(len(values) - 1, 0.5 + CONFIDENCE / 2.0) * values.std(ddof=1) / math.sqrt(len(values)))


def differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Keys, with dots, whose values differ."""
    for key in sorted(one.keys() | other.keys()):
        a, b = one.get(key), other.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}", a, b


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    first = rows[0]
    for row in rows:
        if row.run.trouble:
            yield f"{row.run.folder}: {', '.join(row.run.trouble)}."
        if row.unpaired:
            yield f"{row.label}: not compared slot by slot ({row.unpaired})."
        others = [key for key in _others(row.run.scenario, first.run.scenario) if key not in row.unpaired]
        if others:
            yield f"{row.label}: the scenario differs in {', '.join(others)}."
    paired = [row.paired for row in rows if row.paired]
    if paired:
        yield DESCRIPTIVE
        if any(p.half_width_s is None and p.slots > 1 for p in paired):
            yield "Intervals need SciPy, which the extra 'report' installs."


def _others(one: Document, other: Document) -> list[str]:
    return [key for key, *_ in differences(one, other) if key not in DECIDERS] if one and other else []


# -- as text and as a picture ------------------------------------------------------------------------------------------


def table(comparison: Comparison, width: int = 80) -> str:
    """The comparison as text, a column for each run, in blocks where not all fit.

    Args:
        width: Columns of the terminal; what is below 60 is taken as 60.
    """
    from monitoring.table import render

    return render(comparison, width)


def plot(comparison: Comparison, png: Path) -> None:
    """Draw delay by frame and how tasks ended.

    Raises: ReportError: Matplotlib is missing, no run has anything to draw, or the file cannot be written.
    """
    try:
        from monitoring.figure import draw
    except ModuleNotFoundError as error:
        raise ReportError("a plot needs Matplotlib, which the extra 'report' installs") from error
    draw(comparison, png)
