"""Tables of TTOSC's reproduction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.claims import Scheme
from agents.reproduction.comparing import mean_of, part
from agents.reproduction.writing import as_csv, compared, markdown_table, marks
from agents.ttosc.reproduction.measuring import BLOCK_FRAMES, Result
from agents.ttosc.reproduction.plan import FIGURES, ORACLE, POPULARITY, SCHEMES, Effort, FigureName, Measurement
from agents.ttosc.reproduction.tables import (
    Sweep,
    converged_after,
    delay_of,
    delays_of,
    gain_of,
    mean_curve,
)
from agents.ttosc.reproduction.timing import Times

BEGIN, END = marks("ttosc")


def schemes_table(results: dict[Scheme, list[Result | None]], seeds: int) -> str:
    """Every scheme in one world, beside Popularity and the oracle."""
    beside, bound = (delays_of(results[scheme], seeds) for scheme in (POPULARITY, ORACLE))
    rows = []
    for scheme in SCHEMES:
        own = delays_of(results[scheme], seeds)
        there = int(np.isfinite(own).sum())
        if not there:
            continue
        deployed = np.mean([result.deployed for result in results[scheme] if result is not None])
        figures: tuple[str, ...]
        if there > 1:
            figures = compared(mean_of(own)), compared(part(own, beside), 3), compared(part(own, bound), 3)
        else:  # one seed has no interval
            figures = tuple(
                f"{np.nanmean(own / base):.{digits}f}" for base, digits in ((1.0, 2), (beside, 3), (bound, 3))
            )
        rows.append((scheme.name, str(there), *figures, f"{deployed:.1f}"))
    heads = ("scheme", "seeds", "delay, s", "x Popularity", "x oracle", "services on a server")
    return markdown_table(heads, rows)


def days_table(results: dict[Scheme, list[Result | None]], first_day: int, frames_a_day: int) -> str:
    """Mean delay of every day, over seeds."""
    rows = []
    for scheme, own in results.items():
        there = [result.delays_s for result in own if result is not None]
        if there:
            days = np.mean(there, axis=0).reshape(-1, frames_a_day).mean(axis=1)
            rows.append((scheme.name, *(f"{delay_s:.2f}" for delay_s in days)))
    count = len(rows[0]) - 1 if rows else 0
    return markdown_table(("delay, s", *(f"day {first_day + day}" for day in range(count))), rows)


def sweep_table(sweep: Sweep, name: FigureName) -> str:
    """One axis of a figure: means by point with intervals."""
    learning = FIGURES[name].shows_learning
    heads = [sweep.axis.label, *(f"{point.at:g}" for point in sweep.points)]
    rows = []
    for scheme in sweep.results:
        values = sweep.values(scheme, gain_of if learning else delay_of)
        if np.isfinite(values).any():
            rows.append([f"{scheme.name}, reward" if learning else scheme.name, *(_at(own) for own in values)])
        if learning:
            frames = sweep.values(scheme, converged_after)
            rows.append([f"{scheme.name}, frames to within 5 %", *(_at(own, 0) for own in frames)])
    return markdown_table(heads, rows)


def _at(values: np.ndarray[tuple[int], np.dtype[np.float64]], digits: int = 2) -> str:
    return compared(mean_of(values), digits)


def times_table(times: Times) -> str:
    """Run times beside the paper's."""
    return markdown_table(
        ("what", "the paper, ms", "here, ms"),
        (
            ("scheduling a slot, all services", "7.21", f"{1e3 * times.scheduling_s:.4f}"),
            ("deciding a frame's deployment, all edge servers", "19.39", f"{1e3 * times.deployment_s:.3f}"),
        ),
    )


def effort_line(effort: Effort, command: str, missing: Sequence[Measurement] = ()) -> str:
    """What was done to get the figures, and what was not."""
    frames = ", ".join(f"`{preset}` {count}" for preset, count in effort.learning_frames.items())
    left = f" **{len(missing)} measurements of the plan are not made: {absent(missing)}.**" if missing else ""
    return (
        f"Measured with `{command}`: {effort.seeds} paired seeds, {effort.learning_seeds} for schemes that learn "
        f"({effort.default_seeds} in the default world); {effort.counted_frames} frames of "
        f"5 slots count. Frames learned from: {frames}.{left}"
    )


def absent(missing: Sequence[Measurement]) -> str:
    """What is not made: schemes, worlds and seeds; those that differ in one of them are told together."""
    found = {(each.scheme.name, each.where, f"seed {each.seed}") for each in missing}
    found = _together(_together(_together(found, 2), 1), 0)
    return "; ".join(f"{names}: {worlds} ({seeds.replace(' / seed ', ', ')})" for names, worlds, seeds in sorted(found))


def _together(found: set[tuple[str, str, str]], place: int) -> set[tuple[str, str, str]]:
    """Make one of those that differ in nothing but one place."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for each in sorted(found):
        alike.setdefault(each[:place] + each[place + 1 :], []).append(each[place])
    joined = [(*rest[:place], " / ".join(own), *rest[place:]) for rest, own in alike.items()]
    return {(names, worlds, seeds) for names, worlds, seeds in joined}


def sweep_csv(sweeps: Sequence[Sweep]) -> str:
    """Every measurement of a figure, a line each."""
    heads = ("axis", "at", "scheme", "seed", "delay_s", "gain_s", "services_deployed", "frames_to_converge")
    rows = []
    for sweep in sweeps:
        for scheme, points in sweep.results.items():
            for point, results in zip(sweep.points, points, strict=True):
                for seed, result in enumerate(results, start=1):
                    if result is None:
                        continue
                    frames = converged_after(result)
                    figures = (result.delay_s, result.gain_s, result.deployed)
                    last = "" if np.isnan(frames) else f"{frames:.0f}"
                    rows.append((sweep.axis.label, f"{point.at:g}", scheme.name, seed, *figures, last))
    return as_csv(heads, rows)


def curves_csv(sweep: Sweep) -> str:
    """Learning curves, means over seeds of every ten frames."""
    rows = []
    for scheme, points in sweep.results.items():
        for point, results in zip(sweep.points, points, strict=True):
            gains, delays = (mean_curve(results, of) for of in (lambda c: c.gain_s, lambda c: c.delay_s))
            for block, (gain, delay) in enumerate(zip(gains, delays, strict=True)):
                rows.append((sweep.axis.label, f"{point.at:g}", scheme.name, (block + 1) * BLOCK_FRAMES, gain, delay))
    return as_csv(("axis", "at", "scheme", "frame", "gain_s", "delay_s"), rows)
