"""The paper's qualitative claims, measured: one figure swept over seeds that all points and schemes share.

``python -m agents.claims c5 --jobs 2 --out c5.png`` measures one claim, prints its table and draws its plot; ``levels``
compares all policies on the default network instead.

Source: TTOSC section V.B, figures 4 to 6; the claims' numbers are those of ``docs/claims.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from agents import sweep_plot
from agents.intervals import Interval, interval, ratio
from agents.rollout import play
from agents.sweep_plot import Line, Panel
from emulator.assembly import resolve
from emulator.model.offloading import Floats
from emulator.scenario_file import load

SEEDS = 16
WARM_UP_FRAMES = 5
FRAMES = 25
"""Frames of a run, of which the first few are not counted: smoothing and warm starts begin with nothing."""


class Scheme(NamedTuple):
    """A deployment policy and the scheduler it is measured with."""

    name: str
    policy: str
    scheduler: str = "exact"
    learns: str = ""
    """How its agents are trained before they are measured; empty where nothing is learned."""


ILS = Scheme("ILS, warm", "ils-warm:6")
SCHEMES = (
    ILS,
    Scheme("marginal greedy, EWMA", "marginal-greedy:ewma"),
    Scheme("Popularity", "popularity"),
    Scheme("Greedy", "greedy", "greedy"),
)
LEVELS = (
    Scheme("cloud only", "cloud-only"),
    Scheme("random", "random"),
    Scheme("Greedy", "greedy", "greedy"),
    Scheme("Popularity", "popularity"),
    Scheme("marginal greedy, last frame", "marginal-greedy"),
    Scheme("marginal greedy, EWMA", "marginal-greedy:ewma"),
    Scheme("local search, EWMA", "local-search"),
    ILS,
    Scheme("ILS-30, last frame", "ils:30:last"),
    Scheme("ILS-30, EWMA", "ils:30"),
    Scheme("oracle", "oracle"),
)


class Point(NamedTuple):
    """A place on the axis, and what it overrides in the scenario."""

    at: float
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    """What is varied, and which way the figure should go from the first point to the last."""

    label: str
    points: tuple[Point, ...]
    rises: bool


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper that a sweep can hold to.

    Attributes:
        says: The claim.
        axes: What is varied; one panel each.
        figure: ``delay_s``: mean seconds per task; ``gain_s``: seconds per task saved over sending all to the cloud.
    """

    says: str
    axes: tuple[Axis, ...]
    figure: Literal["delay_s", "gain_s"] = "delay_s"


def _axis(label: str, key: str, values: Sequence[float], *, rises: bool, unit: float = 1.0, more: str = "") -> Axis:
    also = (more,) if more else ()
    return Axis(label, tuple(Point(value, (f"{key}={value * unit:g}", *also)) for value in values), rises)


def _users(mean: int) -> Point:
    """As widely spread around the mean as the paper's 10 to 50 around 30."""
    return Point(mean, (f"demand.users_min={round(mean / 3)}", f"demand.users_max={round(mean * 5 / 3)}"))


_CELLS = _axis("cells M", "edges.count", (3, 5, 7, 9), rises=False)
_MORE_CELLS = Axis(_CELLS.label, _CELLS.points, rises=True)
CLAIMS = {
    "c2": Claim("The average reward grows as cells are added.", (_MORE_CELLS,), "gain_s"),
    "c5": Claim("The delay of every scheme falls as cells are added.", (_CELLS,)),
    "c7": Claim(
        "The delay of every scheme grows with the number of services.",
        (_axis("services J", "services.count", (10, 15, 20, 25, 30), rises=True),),
    ),
    "c10": Claim(
        "The delay falls as requests concentrate on fewer services.",
        tuple(
            _axis(f"Zipf exponent (links of {link} Mbit/s)", "demand.zipf_exponent", (0.6, 0.9, 1.2, 1.5, 1.8),
                  rises=False, more=f"edges.link_bps={link}e6")
            for link in (50, 200)
        ),
    ),
    "c11": Claim(
        "The delay grows with the number of users.",
        (Axis("mean users in a cell", tuple(_users(mean) for mean in (15, 20, 30, 40, 50)), True),),
    ),
    "c12": Claim(
        "More compute or more storage of the edge servers lowers the delay.",
        (
            _axis("compute of each, Gcycles/s", "edges.compute_hz", (25, 50, 75, 100), rises=False, unit=1e9),
            _axis("storage of each, GB", "edges.storage_bytes", (0.5, 1, 1.5, 2, 3, 4), rises=False, unit=1e9),
        ),
    ),
}  # fmt: skip


class _Job(NamedTuple):
    overrides: tuple[str, ...]
    scheme: Scheme
    figure: Literal["delay_s", "gain_s"]
    seed: int


def _run(job: _Job) -> float:
    """Mean of one figure over the counted frames of one run."""
    own = (f'agent.policy="{job.scheme.policy}"', f'scheduler.kind="{job.scheme.scheduler}"')
    common = (f"seed={job.seed}", f"world_seed={job.seed}", f"frames={FRAMES}")
    scenario = resolve(load("paper-ttosc", [*common, *own, *job.overrides]))
    rows = [played.step.row for played in play(scenario)][WARM_UP_FRAMES:]
    if job.figure == "delay_s":
        return float(np.mean([row.delay_s for row in rows]))
    return float(np.mean([row.reward_s for row in rows])) / scenario.slots_per_frame


def measure(
    points: Sequence[tuple[str, ...]],
    schemes: Sequence[Scheme],
    *,
    figure: Literal["delay_s", "gain_s"] = "delay_s",
    seeds: int = SEEDS,
    jobs: int = 1,
) -> Floats:
    """Play every scheme at every point with the same seeds.

    Args:
        points: Overrides of the scenario.
        schemes: What is compared.
        figure: What is measured.
        seeds: How many; each draws services, popularity and arrivals anew.
        jobs: Processes.
    Returns: Seconds per task, shape (scheme, point, seed).
    """
    work = [_Job(point, scheme, figure, seed) for scheme in schemes for point in points for seed in range(1, seeds + 1)]
    if jobs == 1:
        found = [_run(job) for job in work]
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(_run, work, chunksize=8))
    return np.array(found).reshape(len(schemes), len(points), seeds)


def sweep(claim: Claim, *, seeds: int = SEEDS, jobs: int = 1, schemes: Sequence[Scheme] = SCHEMES) -> list[Floats]:
    """Measure a claim on the drifting workload.

    Returns: For each axis, seconds per task, shape (scheme, point, seed).
    """
    drift = 'demand.workload="drift"'
    return [
        measure(
            [(*point.overrides, drift) for point in axis.points], schemes, figure=claim.figure, seeds=seeds, jobs=jobs
        )
        for axis in claim.axes
    ]


def change(values: Floats) -> Interval:
    """Paired change from the first point to the last of one scheme's values, shape (point, seed)."""
    return interval(values[-1] - values[0])


def table(claim: Claim, found: Sequence[Floats], schemes: Sequence[Scheme] = SCHEMES) -> str:
    """A claim's figures in Markdown: means by point, and the paired change between the ends."""
    lines = []
    for axis, values in zip(claim.axes, found, strict=True):
        heads = [axis.label, *(f"{point.at:g}" for point in axis.points), "last - first (95 % CI)"]
        lines += ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for scheme, own in zip(schemes, values, strict=True):
            ends = change(own)
            cells = [scheme.name, *(f"{mean:.2f}" for mean in own.mean(axis=1)), f"{ends.mean:+.2f} ± {ends.half:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines[1:])


def levels(*, seeds: int = SEEDS, jobs: int = 1, schemes: Sequence[Scheme] = LEVELS) -> dict[str, Floats]:
    """Mean delay of every policy on the default network and static demand, by scheme: seconds, shape (seed,)."""
    found = measure([()], schemes, seeds=seeds, jobs=jobs)[:, 0]
    return {scheme.name: own for scheme, own in zip(schemes, found, strict=True)}


def level_table(found: dict[str, Floats]) -> str:
    """Levels and ratios to Popularity in Markdown."""
    lines = ["| policy | delay, s | x Popularity (95 % CI) |", "|---|---|---|"]
    for name, own in found.items():
        level, part = interval(own), ratio(own, found["Popularity"])
        lines.append(f"| {name} | {level.mean:.2f} ± {level.half:.2f} | {part.mean:.3f} ± {part.half:.3f} |")
    return "\n".join(lines)


def draw(claim: Claim, found: Sequence[Floats], path: Path, schemes: Sequence[Scheme] = SCHEMES) -> None:
    """Plot a claim: one panel an axis, means with 95 % confidence intervals over the seeds."""
    panels = [
        Panel(
            axis.label,
            np.array([point.at for point in axis.points]),
            [Line(scheme.name, own, style) for style, (scheme, own) in enumerate(zip(schemes, values, strict=True))],
        )
        for axis, values in zip(claim.axes, found, strict=True)
    ]
    name = "delay, s per task" if claim.figure == "delay_s" else "reward of a slot, s per task"
    sweep_plot.draw(path, claim.says, f"mean {name}", panels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one claim from the command line."""
    parser = argparse.ArgumentParser(prog="python -m agents.claims", description="Measure a claim of the paper.")
    parser.add_argument("claim", choices=[*CLAIMS, "levels"])
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="paired seeds, at least 2")
    parser.add_argument("--out", type=Path, help="draw the plot into this PNG")
    chosen = parser.parse_args(arguments)
    if chosen.seeds < 2 or chosen.jobs < 1:
        parser.error("give at least 2 seeds and 1 job")
    if chosen.claim == "levels":
        if chosen.out:
            parser.error("levels are a table; there is nothing to draw")
        sys.stdout.write(level_table(levels(seeds=chosen.seeds, jobs=chosen.jobs)) + "\n")
        return 0
    claim = CLAIMS[chosen.claim]
    found = sweep(claim, seeds=chosen.seeds, jobs=chosen.jobs)
    sys.stdout.write(f"{claim.says}\n\n{table(claim, found)}\n")
    if chosen.out:
        draw(claim, found, chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
