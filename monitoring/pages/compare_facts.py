"""What runs side by side have to say: every figure of every arm, and its difference to the baseline over the seeds."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from monitoring.pages import run_facts
from monitoring.pages.digits import THIN, percent, shown
from monitoring.pages.pairing import RENTAL, Arm, Paired
from monitoring.pages.series import rounded
from monitoring.paired import compared
from monitoring.runs import Document, ReportError

SCHEMA: Final = 1


class Figure(NamedTuple):
    """One figure of a run: where it is in the run's document, its unit, and which way is better."""

    name: str
    place: tuple[str, ...]
    unit: str
    better: str
    words: str


FIGURES: Final = {
    "offloading": (
        Figure("delay", ("delay_s", "mean"), "s", "lower", "delay of a task"),
        Figure("reward", ("reward", "mean"), "s", "higher", "reward of a frame"),
        Figure("delay_p95", ("delay_s", "p95"), "s", "lower", "delay of a task, p95"),
        Figure("fairness", ("fairness", "jain"), "", "higher", "fairness over cells (Jain)"),
        Figure("decision_bytes", ("bytes", "per_decision"), "B", "lower", "message bytes of a decision"),
        Figure("decision_time", ("decisions", "p50_s"), "s", "lower", "decision time, p50"),
    ),
    RENTAL: (
        Figure("reward", ("reward", "mean"), "", "higher", "reward of a slot"),
        Figure("delay", ("delay_s", "mean"), "s", "lower", "delay of a task at the edge"),
        Figure("units", ("reward", "units_mean"), "", "lower", "units rented"),
        Figure("rent", ("reward", "cost_mean"), "", "lower", "rent of a slot"),
        Figure("fairness", ("fairness", "jain"), "", "higher", "fairness over edge servers (Jain)"),
        Figure("decision_bytes", ("bytes", "per_decision"), "B", "lower", "message bytes of a decision"),
        Figure("decision_time", ("decisions", "p50_s"), "s", "lower", "decision time, p50"),
    ),
}
"""The first one is what the sentence is about."""


def document(paired: Paired) -> Document:
    """Everything that the page of a comparison shows."""
    told = {arm.name: {seed: run_facts.document(run) for seed, run in arm.runs.items()} for arm in paired.arms}
    figures = FIGURES[paired.world]
    notes = list(paired.notes)
    baseline = paired.arms[0].name
    return {
        "kind": "comparison",
        "schema": SCHEMA,
        "world": paired.world,
        "baseline": baseline,
        "equal": paired.equal,
        "differing": paired.differing,
        "figures": [figure._asdict() | {"place": ".".join(figure.place)} for figure in figures],
        "arms": [_arm(arm, told[arm.name], figures) for arm in paired.arms],
        "comparisons": [
            {
                "arm": arm.name,
                "seeds": paired.seeds[arm.name],
                "figures": {
                    figure.name: _compared(figure, told[arm.name], told[baseline], paired.seeds[arm.name], notes)
                    for figure in figures
                },
            }
            for arm in paired.arms[1:]
        ],
        "notes": notes,
    }


def value_of(figure: Figure, told: Document) -> float | None:
    """A figure of one run; None where the run does not say."""
    found: Any = told
    for key in figure.place:
        found = found.get(key) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) else None


def _arm(arm: Arm, told: dict[int, Document], figures: tuple[Figure, ...]) -> Document:
    values = {figure.name: {seed: value_of(figure, each) for seed, each in told.items()} for figure in figures}
    means = {}
    for name, by_seed in values.items():
        there = [value for value in by_seed.values() if value is not None]
        means[name] = float(np.mean(there)) if there else None
    first = next(iter(told.values()))
    return {
        "name": arm.name,
        "seeds": list(arm.runs),
        "folders": [run.folder.name for run in arm.runs.values()],
        "agents": first["agents"],
        "digests": [each["run"]["digest"] for each in told.values()],
        "modes": sorted({str(each["run"]["mode"]) for each in told.values()}),
        "means": means,
        "values": {name: {str(seed): value for seed, value in found.items()} for name, found in values.items()},
        "series": _series(list(told.values())),
    }


def _series(told: list[Document]) -> Document:
    """Mean, least and most over the seeds at each point."""
    found: Document = {}
    for name in ("delay_s", "all_cloud_delay_s", "reward", "units"):
        columns = [each["series"][name] for each in told if name in each["series"]]
        if not columns or len({len(column) for column in columns}) > 1:
            continue
        table = np.array(columns, dtype=np.float64)
        there = np.isfinite(table)
        means = np.where(there, table, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        ends = np.where(there, table, np.inf).min(axis=0), np.where(there, table, -np.inf).max(axis=0)
        found["slot"] = told[0]["series"]["slot"]
        found["slots_a_point"] = told[0]["series"]["slots_a_point"]
        rows = zip(("mean", "low", "high"), (means, *ends), strict=True)
        found[name] = {key: rounded(np.where(there.any(axis=0), row, np.nan)) for key, row in rows}
    return found


def _compared(
    figure: Figure, told: dict[int, Document], base: dict[int, Document], seeds: list[int], notes: list[str]
) -> Document | None:
    """Arm minus baseline over the seeds that both have the figure of; None where none has."""
    pairs = [(seed, value_of(figure, told[seed]), value_of(figure, base[seed])) for seed in sorted(seeds)]
    whole = [(seed, a, b) for seed, a, b in pairs if a is not None and b is not None]
    if not whole:
        return None
    run, baseline = (np.array(column, dtype=np.float64) for column in list(zip(*whole, strict=True))[1:])
    found: Document = {"seeds": [seed for seed, *_ in whole], "differences": (run - baseline).tolist()}
    if len(whole) > 1:
        try:
            return found | compared(run, baseline).builtin()
        except ReportError as error:
            if str(error) not in notes:
                notes.append(str(error))
    mean, base_mean = float((run - baseline).mean()), float(baseline.mean())
    return found | {
        "pairs": len(whole),
        "mean": mean,
        "low": None,
        "high": None,
        "run_mean": float(run.mean()),
        "baseline_mean": base_mean,
        "share": mean / abs(base_mean) if base_mean else None,
        "share_low": None,
        "share_high": None,
        "effect_size": None,
        "bootstrap_low": None,
        "bootstrap_high": None,
        "p_value": None,
    }


def sentences(document: Document) -> list[str]:
    """What came of the comparison, a sentence for each arm."""
    return [_said(document, comparison) for comparison in document["comparisons"]]


def _said(document: Document, comparison: Document) -> str:
    figure = document["figures"][0]
    found = comparison["figures"][figure["name"]]
    arm, baseline = comparison["arm"], document["baseline"]
    if found is None:
        return f"{arm} cannot be compared with {baseline}: no seed is paired."
    seeds = f"{found['pairs']} seed{'s' if found['pairs'] > 1 else ''}"
    if not any(found["differences"]):
        return f"{arm} and {baseline} are equal: every difference of {figure['words']} over {seeds} is 0."
    unit = f"{THIN}{figure['unit']}" if figure["unit"] else ""
    less = "less" if found["mean"] < 0 else "more"
    share = f" ({percent(abs(found['share']))})" if found["share"] is not None else ""
    said = f"{arm}: {figure['words']} {shown(abs(found['mean']))}{unit}{share} {less} than with {baseline}"
    if found["low"] is None:
        why = "one seed only, so no interval can be had" if found["pairs"] == 1 else "without an interval"
        return f"{said}; {why}."
    ends = f"{shown(found['low'], sign=True)} to {shown(found['high'], sign=True)}{unit}"
    if found["low"] <= 0.0 <= found["high"]:
        return f"{said}, but over {seeds} that may be chance (95 %: {ends})."
    good = (found["mean"] < 0) == (figure["better"] == "lower")
    return f"{said}, which is {'better' if good else 'worse'} beyond chance over {seeds} (95 %: {ends})."
