"""What the reproduction of N2O measures: worlds, networks trained in them, and what is asked of those networks.

A case is one world with one seed. Its networks are trained once, and every part of every figure asks the same networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

WorldName = Literal["A, fault", "A", "P"]
WORLDS: Final[dict[WorldName, tuple[str, tuple[str, ...]]]] = {
    "A, fault": ("paper-n2o-a", ()),
    "A": ("paper-n2o-a", ('rental.zero_delay_bug="off"',)),
    "P": ("paper-n2o", ()),
}
"""Scenario and what is changed in it: the authors' file with its fault and without, the paper's description."""

FigureName = Literal["fig4", "fig5", "fig6", "table2", "fig7", "fig8", "fig9", "fig10", "fig11", "theory"]
FIGURES: Final[tuple[FigureName, ...]] = get_args(FigureName)

CENTRALIZED, LOCAL = "centralized", "madql"
"""Parts that train: one network for all; one for each edge server."""

BY: Final = "by "
"""Parts ``by SPEC``: what an episode is worth when the local networks decide by that spec of ``QTeam.decider``."""

N2O, N2O_AVERAGE, OWNER, MAX_SUM, EXACT = "n2o", "n2o:output=average", "owner", "maxsum", "exact"
DECIDERS: Final = (LOCAL, N2O, N2O_AVERAGE, OWNER, MAX_SUM, EXACT)
HEADROOM, DECISIONS, ADAPTED = "headroom", "decisions", "adapted"
DISTILLED_N2O, DISTILLED_MAX_SUM = "distilled from n2o", "distilled from maxsum"
FLOORS: Final = ("all1", "all2", "random", "greedy-rule", "0=constant:0,all1")
"""Policies that learn nothing, parts ``by SPEC`` as well."""


class Case(NamedTuple):
    """One world with one seed.

    Attributes:
        world: Which.
        edges: N.
        units: K.
        seed: Of world and learning.
        steps: Learned from, 16 slots each.
        judges: Copies of the world in which episodes are counted, 48 slots each.
    """

    world: WorldName
    edges: int
    units: int
    seed: int
    steps: int
    judges: int


class Job(NamedTuple):
    """What is measured of a case, part after part.

    Attributes:
        case: The case.
        parts: Of it; see the names above.
        rank: Jobs of a low rank are made first.
    """

    case: Case
    parts: tuple[str, ...]
    rank: int = 0


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        name: ``full`` or ``quick``.
        seeds: Paired seeds, from 1 on.
        steps: Steps of a training by number of edge servers; what is not in it is not measured.
        judges: Copies of the world that judge, likewise.
        central: Numbers of edge servers that are trained centrally, too.
        units: Most units that can be rented, for Figure 6.
        distilled: Numbers of edge servers for which actors are distilled.
    """

    name: str
    seeds: int
    steps: dict[int, int]
    judges: dict[int, int]
    central: tuple[int, ...]
    units: tuple[int, ...]
    distilled: tuple[int, ...]


FULL: Final = Effort(
    name="full",
    seeds=5,
    steps={4: 6000, 9: 4000, 16: 2000, 25: 2000},
    judges={4: 128, 9: 128, 16: 64, 25: 32},
    central=(4, 9),
    units=(2, 3, 4, 5),
    distilled=(4, 9, 16, 25),
)
QUICK: Final = Effort(
    name="quick",
    seeds=3,
    steps={4: 3000},
    judges={4: 64},
    central=(4,),
    units=(2, 5),
    distilled=(4,),
)
FIRST_SEEDS, LATER = 3, 10
SMALLEST: Final = 4
"""Edge servers of the paper's main experiment."""


def case_of(effort: Effort, world: WorldName, edges: int, seed: int, units: int = 2) -> Case:
    """A case as an effort has it."""
    return Case(world, edges, units, seed, effort.steps[edges], effort.judges[edges])


def seeds_of(effort: Effort) -> range:
    """The paired seeds."""
    return range(1, effort.seeds + 1)


def jobs_of(name: FigureName, effort: Effort) -> Iterator[Job]:
    """All that a figure needs; what decides most in the first ranks, and the last seeds after all of the first ones."""
    for seed in seeds_of(effort):
        for job in _JOBS[name](effort, seed) if name in _JOBS else ():
            late = seed > FIRST_SEEDS and (job.rank > 1 or job.case.world != "A, fault")
            yield job._replace(rank=job.rank + LATER) if late else job


def _decisions(effort: Effort, seed: int) -> Iterator[Job]:
    for world in WORLDS:
        yield Job(case_of(effort, world, SMALLEST, seed), (LOCAL, DECISIONS), 2)


def _rewards(effort: Effort, seed: int) -> Iterator[Job]:
    deciders = (LOCAL, *(BY + spec for spec in DECIDERS))
    for world in WORLDS:
        rank = 0 if world != "A" and seed <= FIRST_SEEDS else 1
        case = case_of(effort, world, SMALLEST, seed)
        yield Job(case, deciders, rank)
        yield Job(case, (CENTRALIZED,), rank)
        yield Job(case_of(effort, world, SMALLEST, 1), tuple(BY + spec for spec in FLOORS), 2)
    for edges in effort.steps:
        if edges > SMALLEST:
            yield Job(case_of(effort, "P", edges, seed), deciders, 1)


def _units(effort: Effort, seed: int) -> Iterator[Job]:
    for world in ("A, fault", "P"):
        for units in effort.units:
            case = case_of(effort, world, SMALLEST, seed, units)
            yield Job(case, (LOCAL, *(BY + spec for spec in (LOCAL, N2O, OWNER))), 6)
            yield Job(case, (CENTRALIZED,), 6)


def _curves(effort: Effort, seed: int) -> Iterator[Job]:
    for edges in effort.steps:
        case = case_of(effort, "P", edges, seed)
        yield Job(case, (LOCAL,), 1)
        if edges in effort.central:
            yield Job(case, (CENTRALIZED,), 8 if edges > SMALLEST else 1)


def _adapted(effort: Effort, seed: int) -> Iterator[Job]:
    yield Job(case_of(effort, "P", SMALLEST, seed), (LOCAL, ADAPTED), 5)


def _headroom(effort: Effort, seed: int) -> Iterator[Job]:
    for edges in effort.steps:
        yield Job(case_of(effort, "P", edges, seed), (LOCAL, HEADROOM), 1)
    yield Job(case_of(effort, "A, fault", SMALLEST, seed), (LOCAL, HEADROOM), 1)


def _distilled(effort: Effort, seed: int) -> Iterator[Job]:
    parts = LOCAL, BY + N2O, BY + MAX_SUM, DISTILLED_N2O, DISTILLED_MAX_SUM
    yield Job(case_of(effort, "A, fault", SMALLEST, seed), parts, 1)
    for edges in effort.distilled:
        yield Job(case_of(effort, "P", edges, seed), parts, 1 if edges == SMALLEST else 2)


_JOBS = {
    "fig4": _decisions,
    "fig5": _rewards,
    "fig6": _units,
    "fig7": _curves,
    "fig8": _adapted,
    "fig9": _headroom,
    "fig10": _headroom,
    "fig11": _distilled,
}


def merged(jobs: Sequence[Job]) -> list[Job]:
    """Every part once, in its lowest rank; parts of one case and rank as one job, centralised trainings apart.

    Within a rank all of a seed comes before the next, so that what a stop leaves is of use.
    """
    found: dict[tuple[int, Case, bool], Job] = {}
    planned: set[tuple[Case, str]] = set()
    for job in sorted(jobs, key=lambda job: (job.rank, job.case.seed)):
        more = tuple(part for part in job.parts if (job.case, part) not in planned)
        if more:
            place = job.rank, job.case, CENTRALIZED in more
            before = found.get(place, job._replace(parts=()))
            found[place] = before._replace(parts=before.parts + more)
            planned.update((job.case, part) for part in more)
    return list(found.values())
